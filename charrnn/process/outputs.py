"""Checks before a command's work that it will be able to write its outputs.

    outputs.require_file("--markdown", "tables.md")     # UserError if the disk is full, or the folder read-only
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from charrnn.errors import UserError
from charrnn.files import systems


def require_file(flag: str, path: str) -> None:
    """Raises UserError if a file cannot be written. Creates no file, and does not change an existing one.

    Args:
        flag: the flag with which the user gave the path.
        path: a local path. A device or pipe is refused, because a rename would replace it. An address such as
            "gs://bucket/file" is not tried.
    """
    with _refused(f"{flag}={path}", "give a file in a folder that exists and can be written to"):
        if not path or path.endswith(os.sep) or (os.path.exists(path) and not os.path.isfile(path)):
            raise OSError(errno.EINVAL, "it is not a file")
        if not systems.is_address(path):
            _try_file(os.path.realpath(path))


def require_new_folder(path: str) -> None:
    """Raises UserError if a folder cannot be created, or if the path exists.

    Args:
        path: a local path.
    """
    if os.path.lexists(path):
        raise UserError(f"{path} exists, and is not overwritten: give another folder, or remove it first.")
    require_folder(path, "give another --output")


def require_folder(path: str, remedy: str) -> None:
    """Raises UserError if a folder does not exist and cannot be created, or cannot be written to. Creates nothing.

    Args:
        path: a local path. An address such as "gs://bucket/folder" is not tried.
        remedy: the user's way out, as the end of a sentence.
    """
    if systems.is_address(path):
        return
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    with _refused(path, remedy):
        _try_file(os.path.join(there, "folder"))


def _try_file(path: str) -> None:
    """Raises OSError unless a file can be written. Tries it with another file in its folder."""
    if os.path.isfile(path):
        os.close(os.open(path, os.O_WRONLY))
    probe, folder = f"{path}.{os.getpid()}.tmp", os.path.dirname(path)
    before = os.stat(folder)
    with open(probe, "xb", buffering=0) as file:
        try:
            file.write(b"\n")  # a full disk accepts a name, but no byte
        finally:
            os.remove(probe)
            with contextlib.suppress(PermissionError):  # another user's folder
                os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def _refused(what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{what} cannot be written ({error.strerror}): {remedy}.") from error
