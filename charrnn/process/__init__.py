"""The surroundings of a command: its streams, its signals and its outputs."""
