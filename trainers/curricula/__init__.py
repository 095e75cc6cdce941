"""The curricula of the package, one per file."""
