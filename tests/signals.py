"""Waits for the moment to send a signal to a process."""

import time


def wait_for_tensorflow(pid: int) -> None:
    """Waits until a process has begun to import TensorFlow or has ended. /proc lists its loaded libraries."""
    while True:
        try:
            with open(f"/proc/{pid}/maps", "rb") as file:
                loaded = file.read()
        except FileNotFoundError:
            return
        if not loaded or b"tensorflow" in loaded:  # empty: the process has ended, but is not reaped yet
            return
        time.sleep(0.02)
