"""Places that a command writes to at its end are tried before its work begins.

    outputs.require_file("--markdown", "tables.md")     # UserError if the disk is full, or the folder read-only
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from charrnn.errors import UserError
from charrnn.files import systems


def require_file(flag: str, path: str) -> None:
    """Raises UserError if a file cannot be written. Leaves no file behind, and one that is there as it is.

    Args:
        flag: what the user gave the path with.
        path: of a local file. A device or a pipe is refused, because a file that is renamed to it would replace it. An
            address such as "gs://bucket/file" is not tried.
    """
    with _refused(f"{flag}={path}", "give a file in a folder that exists and can be written to"):
        if not path or path.endswith(os.sep) or (os.path.exists(path) and not os.path.isfile(path)):
            raise OSError(errno.EINVAL, "it is no file")
        if not systems.is_address(path):
            _try_file(os.path.realpath(path))


def require_new_folder(path: str) -> None:
    """Raises UserError if a folder of that name cannot be made, or if anything of that name is there already.

    Args:
        path: of a local folder.
    """
    if os.path.lexists(path):
        raise UserError(f"{path} is there already, and is not overwritten: give another folder, or remove it first.")
    require_folder(path, "give another --output")


def require_folder(path: str, remedy: str) -> None:
    """Raises UserError if files cannot be written to a folder, which may have to be made. Makes nothing.

    Args:
        path: of a local folder. An address such as "gs://bucket/folder" is not tried.
        remedy: what to do, as the end of a sentence.
    """
    if systems.is_address(path):
        return
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    with _refused(path, remedy):
        _try_file(os.path.join(there, "folder"))


def _try_file(path: str) -> None:
    """Raises OSError unless a file can be written: tried with another one beside it, so that it stays as it is."""
    if os.path.isfile(path):
        os.close(os.open(path, os.O_WRONLY))
    beside, folder = f"{path}.{os.getpid()}.tmp", os.path.dirname(path)
    before = os.stat(folder)
    with open(beside, "xb", buffering=0) as file:
        try:
            file.write(b"\n")  # a full disk takes a name, but no byte
        finally:
            os.remove(beside)
            with contextlib.suppress(PermissionError):  # of another user's folder
                os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def _refused(what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{what} cannot be written ({error.strerror}): {remedy}.") from error
