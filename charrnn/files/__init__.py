"""Paths from the user, file systems, and atomic writing of files."""
