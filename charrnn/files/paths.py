"""Checks and expands all paths from the user: from flags, Python calls and experiments.

    run_dir = paths.given("~/runs/mine")     # "/home/me/runs/mine"

A path is never a pattern. TensorFlow treats a path as a pattern when it looks for a checkpoint; `plain` prevents that.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from charrnn.errors import UserError
from charrnn.files import systems

_PATTERN = "*?[\\"  # characters by which TensorFlow recognizes a pattern
_DESCRIPTORS = "/proc/self/fd"


def given(path: str | os.PathLike) -> str:
    """Returns the user's path as text, with a leading `~` or `~user` expanded.

    Args:
        path: a local path, or an address such as "gs://bucket/folder". Every character is literal.

    Raises:
        UserError: no file can have this name.
    """
    text = os.fsdecode(path)
    if "\0" in text or text != text.encode("utf-8", "replace").decode():
        raise UserError(f"The path {text!a} is not possible: it must be UTF-8 text without NUL. Rename the file.")
    return os.path.expanduser(text)


@contextlib.contextmanager
def plain(folder: str) -> Iterator[str]:
    """Provides a path of the folder that TensorFlow does not treat as a pattern.

    Args:
        folder: an existing folder.

    Yields:
        The path, valid within the body and in this process; an address unchanged.

    Raises:
        OSError: the folder does not exist or cannot be read.
    """
    if systems.is_address(folder) or not any(character in folder for character in _PATTERN):
        yield folder
    elif os.path.isdir(_DESCRIPTORS):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            yield f"{_DESCRIPTORS}/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as place:
            os.symlink(os.path.abspath(folder), os.path.join(place, "folder"), target_is_directory=True)
            yield os.path.join(place, "folder")


def names_in(folder: str) -> list[str]:
    """Returns the sorted names in a folder; none if it does not exist or is not a folder."""
    folder = folder or "."
    files = systems.functions(folder)
    return sorted(name.rstrip("/") for name in files.listdir(folder)) if files.isdir(folder) else []
