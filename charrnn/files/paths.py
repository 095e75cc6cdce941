"""The one place where a path comes in: from a flag, from Python, or from an experiment.

    run_dir = paths.given("~/runs/mine")     # "/home/me/runs/mine"

A path is never a pattern. TensorFlow takes one for a pattern where it looks for a checkpoint: `plain` prevents that.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from charrnn.errors import UserError
from charrnn.files import systems

_PATTERN = "*?[\\"  # characters that make TensorFlow read a path as a pattern
_DESCRIPTORS = "/proc/self/fd"


def given(path: str | os.PathLike) -> str:
    """Returns a path that the user gave, as text, with a leading `~` or `~user` expanded.

    Args:
        path: of a local file or folder, or an address such as "gs://bucket/folder". Every character stands for itself.

    Raises:
        UserError: no file can have this name.
    """
    text = os.fsdecode(path)
    if "\0" in text or text != text.encode("utf-8", "replace").decode():
        raise UserError(f"The path {text!a} is not possible: it must be UTF-8 text without NUL. Rename the file.")
    return os.path.expanduser(text)


@contextlib.contextmanager
def plain(folder: str) -> Iterator[str]:
    """Yields a name of the folder that TensorFlow does not read as a pattern; valid within the body, in this process.

    Args:
        folder: an existing folder. A bucket's has no second name, and is yielded as it is.

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
