"""A text larger than memory, as ids in files."""
