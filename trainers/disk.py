"""Writing so that a reader, and a process that was killed, finds the old file or the new one, never half of it."""

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf

DISK_ERRORS = (OSError, tf.errors.OpError)


class NotWritten(Exception):
    """Something could not be written: the disk is full, or gone. What was written before is whole."""


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Tells of a disk's error in the body as NotWritten."""
    try:
        yield
    except DISK_ERRORS as error:
        raise NotWritten(f"{what} cannot be written ({reason(error)})") from error


def replace(path: str, content: bytes) -> None:
    """Writes a file at once."""
    temporary = os.path.join(os.path.dirname(path), f"{os.getpid()}.tmp")  # no name that TensorBoard would read
    with tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(content)
    tf.io.gfile.rename(temporary, path, overwrite=True)


def remove_remains(folder: str) -> None:
    """Removes what a process that was killed while it wrote has left behind in a folder of its own."""
    for pattern in ("*.tmp", "checkpoint.tmp*", "*_temp*"):
        for path in tf.io.gfile.glob(os.path.join(folder, pattern)):
            tf.io.gfile.rmtree(path) if tf.io.gfile.isdir(path) else tf.io.gfile.remove(path)


def reason(error: Exception) -> str:
    """What the file system says, in a few words, of TensorFlow's "PATH; REASON [Op:NAME]"."""
    said = str(getattr(error, "strerror", None) or getattr(error, "message", None) or error)
    return said.partition("\n")[0].rpartition("; ")[2].partition(" [Op:")[0]
