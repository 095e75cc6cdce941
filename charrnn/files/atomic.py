"""Writes files and folders at once: a reader, or the next run after a kill, finds the old content or the new one.

    atomic.replace("runs/mine/config.json", b"{}")

An unfinished file or folder is called `.charrnn-`, 16 hexadecimal digits that stand for its final name, and 16 random
ones. Nothing else is ever removed as a left-over.
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
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # what file systems without fsync answer


def replace(path: str, content: bytes) -> None:
    """Writes a file. OSError if that is impossible: the old file is kept, and nothing is left over."""
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """Opens a new file for the body, syncs it to the disk, and gives it its name when the body ends without an error.

    Args:
        path: the file's final name. A device is written to directly.

    Raises:
        OSError: it cannot be written. The old file is kept, and nothing is left over.
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
    """Makes a folder for the body to work in, and removes it with all that the body has not moved out of it.

    Args:
        folder: where to make it; made too if it does not exist.
        purpose: the final name that `remove_remains` knows it by.

    Yields:
        Its path.
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
    """Syncs a file to the disk and gives it another name in the same file system; replaces a file of that name."""
    if systems.is_address(target):
        systems.functions(target).rename(source, target, overwrite=True)
    else:
        sync(source)
        os.replace(source, target)


def sync(path: str) -> None:
    """Returns when a file, or the names in a folder, are on the disk. Does nothing if the file system cannot tell."""
    if systems.is_address(path):
        return
    with contextlib.suppress(PermissionError):  # a folder without permission to read it
        descriptor = os.open(path or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(descriptor)


def remove_remains(folder: str, names: Iterable[str]) -> None:
    """Removes what a killed process left unfinished.

    Args:
        folder: where to look; it need not exist.
        names: the final names. The caller must be the only process that writes them.
    """
    for name in unfinished(folder, names):
        with systems.os_errors(folder):
            _remove(os.path.join(folder, name))


def unfinished(folder: str, names: Iterable[str]) -> list[str]:
    """Returns the names in a folder of what was to become one of `names`."""
    wanted = {_digits(name) for name in names}
    found = {name: _NAME.fullmatch(name) for name in paths.names_in(folder)}
    return [name for name, match in found.items() if match and match[1] in wanted]


def _digits(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _unfinished(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{PREFIX}{_digits(name)}-{secrets.token_hex(8)}")


def _remove(path: str) -> None:
    """Removes a file, or a folder with all that is in it."""
    files = systems.functions(path)
    files.rmtree(path) if files.isdir(path) else files.remove(path)
