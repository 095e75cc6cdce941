"""Texts: find them, decode them, cut them into documents, and map their characters to ids."""
