"""Paths that come in, and files that are written at once."""
