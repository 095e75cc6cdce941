"""Turns what a user asks for into a run."""
