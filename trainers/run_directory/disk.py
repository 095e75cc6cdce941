"""Errors of the disk: a run ends with a sentence, and what was saved before is whole."""

import contextlib
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


def reason(error: Exception) -> str:
    """What the file system says, in a few words, of TensorFlow's "PATH; REASON [Op:NAME]"."""
    said = str(getattr(error, "strerror", None) or getattr(error, "message", None) or error)
    return said.partition("\n")[0].rpartition("; ")[2].partition(" [Op:")[0]
