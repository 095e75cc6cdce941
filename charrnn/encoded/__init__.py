"""Corpora larger than memory, encoded as ids in files."""
