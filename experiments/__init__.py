"""Declarations: one file, one experiment, in a constant EXPERIMENT; its name is the file's."""
