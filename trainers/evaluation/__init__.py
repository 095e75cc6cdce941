"""A trained run under all measures, and runs side by side."""
