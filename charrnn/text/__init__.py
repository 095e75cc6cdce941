"""A text and its characters."""
