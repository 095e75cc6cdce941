"""When to send a process a signal."""

import time


def wait_for_tensorflow(pid: int) -> None:
    """Returns while a process imports TensorFlow, or when it has ended. Linux tells what a process has loaded."""
    while True:
        try:
            with open(f"/proc/{pid}/maps", "rb") as file:
                loaded = file.read()
        except FileNotFoundError:
            return
        if not loaded or b"tensorflow" in loaded:  # nothing: it has ended, and nobody has asked how
            return
        time.sleep(0.02)
