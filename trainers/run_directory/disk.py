"""Errors of the disk: the run ends with one sentence, and files written before are complete."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

DISK_ERRORS = (OSError, tf.errors.OpError)


class NotWritten(Exception):
    """A file could not be written: the disk is full or gone. Files written before are complete."""


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Raises an error of the disk in the body as NotWritten.

    Args:
        what: the path, for the message.

    Raises:
        NotWritten: the body could not write.
    """
    try:
        yield
    except DISK_ERRORS as error:
        raise NotWritten(f"{what} cannot be written ({reason(error)})") from error


def reason(error: Exception) -> str:
    """Returns the file system's reason, also from TensorFlow's "PATH; REASON [Op:NAME]"."""
    said = str(getattr(error, "strerror", None) or getattr(error, "message", None) or error)
    return said.partition("\n")[0].rpartition("; ")[2].partition(" [Op:")[0]
