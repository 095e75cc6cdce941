"""Remembers which files this machine has verified: a large corpus is read whole at its first start, not at each.

    once_a_machine([("corpus/shard-00000.ids", crc32), …])

A file counts as another one when its size, its time of change, its inode or its checksum differs.
"""

import concurrent.futures
import contextlib
import hashlib
import io
import os
import platform
import zlib
from collections.abc import Sequence

from charrnn.encoded import processes
from charrnn.errors import UserError
from charrnn.text.chunks import READ_BYTES
from charrnn.text.corpora import cache_folder


def once_a_machine(files: Sequence[tuple[str, int]]) -> None:
    """Verifies the checksums of files, unless this machine did so since they were written.

    If several processes start at once, one reads the files and the others wait for it.

    Args:
        files: each path and its crc32.

    Raises:
        UserError: a file is damaged.
    """
    note = _locked_note(_identity(files))
    with note or contextlib.nullcontext():
        if note is None or not note.seek(0, os.SEEK_END):
            _verify(files)
        if note:
            with contextlib.suppress(OSError):  # the disk is full: nothing is remembered
                note.write(b"verified\n")


def _locked_note(name: str) -> io.FileIO | None:
    """Opens a note in the cache and locks it; None if that is impossible, and nothing can be remembered."""
    try:
        import fcntl  # imported here because some systems lack it

        folder = os.path.join(cache_folder(), "verified")
        os.makedirs(folder, exist_ok=True)
        note = open(os.path.join(folder, name), "a+b", buffering=0)
        fcntl.flock(note, fcntl.LOCK_EX)
        return note
    except (ImportError, OSError):
        return None


def _identity(files: Sequence[tuple[str, int]]) -> str:
    """Returns the name of the note about these files on this machine."""
    told: list[object] = [platform.node()]
    for path, crc32 in files:
        found = os.stat(path)
        told.append((os.path.realpath(path), found.st_size, found.st_mtime_ns, found.st_ino, crc32))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _verify(files: Sequence[tuple[str, int]]) -> None:
    with concurrent.futures.ThreadPoolExecutor(processes.available()) as threads:
        list(threads.map(lambda file: _check(*file), files))


def _check(path: str, crc32: int) -> None:
    checksum = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(READ_BYTES):
            checksum = zlib.crc32(block, checksum)
    if checksum != crc32:
        raise UserError(f"{path} is damaged, because its checksum is wrong: encode the corpus again.")
