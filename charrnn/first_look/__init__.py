"""A report on a text."""
