"""Writes files atomically: a reader, or the next run after a kill, finds either the old content or the new content.

    atomic.replace("runs/mine/config.json", b"{}")

The name of an unfinished file or folder is `.charrnn-`, 16 hexadecimal digits that encode its final name, and 16 random
ones. `remove_remains` removes nothing else.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from charrnn.files import paths, systems

PREFIX = ".charrnn-"
_NAME = re.compile(re.escape(PREFIX) + "([0-9a-f]{16})-[0-9a-f]{16}")
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # errors of file systems without fsync


def replace(path: str, content: bytes) -> None:
    """Writes a file. Raises OSError if that is not possible; the old file then remains unchanged."""
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """Opens a new file for the body. If the body succeeds, syncs the file to disk and gives it its name.

    Args:
        path: the file's final path. A device is written to directly.

    Yields:
        The open file, binary.

    Raises:
        OSError: the file cannot be written. The old file remains unchanged, and no unfinished file remains.
    """
    if not systems.is_address(path) and os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            yield file
        return
    unfinished = _unfinished(path)
    with systems.os_errors(path):
        try:
            with systems.functions(path).GFile(unfinished, "wb") as file:
                yield file
            move(unfinished, path)
        except BaseException:
            with contextlib.suppress(Exception):
                _remove(unfinished)
            raise
    sync(os.path.dirname(path))


@contextlib.contextmanager
def scratch(folder: str, purpose: str) -> Iterator[str]:
    """Creates a temporary folder for the body, and removes it afterwards with all its files.

    Args:
        folder: the parent folder; created if it does not exist.
        purpose: the final name under which `remove_remains` finds the temporary folder.

    Yields:
        The temporary folder's path.
    """
    place = _unfinished(os.path.join(folder, purpose))
    with systems.os_errors(place):
        systems.functions(place).makedirs(place)
        try:
            yield place
        finally:
            with contextlib.suppress(Exception):
                _remove(place)


def move(source: str, target: str) -> None:
    """Syncs a file to disk and renames it within its file system. Replaces an existing file."""
    if systems.is_address(target):
        systems.functions(target).rename(source, target, overwrite=True)
    else:
        sync(source)
        os.replace(source, target)


def sync(path: str) -> None:
    """Syncs a file, or the names in a folder, to disk. Does nothing if the file system does not support it."""
    if systems.is_address(path):
        return
    with contextlib.suppress(PermissionError):  # a folder that may not be read
        descriptor = os.open(path or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(descriptor)


def remove_remains(folder: str, names: Iterable[str]) -> None:
    """Removes the unfinished files and folders of killed processes.

    Args:
        folder: the folder; it need not exist.
        names: the final names. No other process may be writing them.
    """
    for name in unfinished(folder, names):
        with systems.os_errors(folder):
            _remove(os.path.join(folder, name))


def unfinished(folder: str, names: Iterable[str]) -> list[str]:
    """Returns the names of the unfinished files and folders in a folder whose final name is one of `names`."""
    wanted = {_digits(name) for name in names}
    found = {name: _NAME.fullmatch(name) for name in paths.names_in(folder)}
    return [name for name, match in found.items() if match and match[1] in wanted]


def _digits(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _unfinished(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{PREFIX}{_digits(name)}-{secrets.token_hex(8)}")


def _remove(path: str) -> None:
    """Removes a file, or a folder with its content."""
    files = systems.functions(path)
    files.rmtree(path) if files.isdir(path) else files.remove(path)
