"""Signals to processes and to this one, at the moments that matter."""

import time


def wait_for_tensorflow(process) -> None:
    """Returns while a process imports TensorFlow, or when it has ended. Linux tells what a process has loaded."""
    while process.poll() is None:
        with open(f"/proc/{process.pid}/maps", "rb") as file:
            if b"tensorflow" in file.read():
                return
        time.sleep(0.02)
