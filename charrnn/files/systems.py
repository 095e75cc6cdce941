"""Selects the functions for a path: Python's for a local path, TensorFlow's for an address such as "gs://bucket/file".

    functions("gs://bucket/notes.txt").exists("gs://bucket/notes.txt")

A local path does not import TensorFlow, because the import takes seconds.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from typing import Any


def is_address(path: str) -> bool:
    """Returns whether a path is an address such as "gs://bucket/file", rather than local."""
    return "://" in path


class _Local:
    """Python's functions under the names in `tf.io.gfile`."""

    GFile = staticmethod(open)
    exists = staticmethod(os.path.lexists)
    isdir = staticmethod(os.path.isdir)
    listdir = staticmethod(os.listdir)
    makedirs = staticmethod(os.makedirs)
    remove = staticmethod(os.remove)
    rmtree = staticmethod(shutil.rmtree)


def functions(path: str) -> Any:
    """Returns a namespace of file functions with the names in `tf.io.gfile`."""
    if not is_address(path):
        return _Local
    import tensorflow as tf

    return tf.io.gfile


@contextlib.contextmanager
def os_errors(path: str) -> Iterator[None]:
    """Raises TensorFlow's errors about an address in the body as OSError."""
    if not is_address(path):
        yield
        return
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        missing = isinstance(error, tf.errors.NotFoundError)
        raise OSError(errno.ENOENT if missing else errno.EIO, error.message, path) from error
