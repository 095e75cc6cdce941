"""Experiments: one per file, in a constant EXPERIMENT; the name of the file is the name of the experiment."""
