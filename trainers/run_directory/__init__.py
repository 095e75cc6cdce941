"""The directory of a run: its files, its lock, its event files, errors of the disk."""
