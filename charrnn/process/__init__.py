"""What surrounds a command: its streams, its signals, the places that it writes to."""
