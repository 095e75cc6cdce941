"""Saves a corpus from standard input in the cache, so that a run can read it again and resume.

    saved("-", folder, log)      # "/home/me/.cache/charrnn/standard_input/9f86d081884c7d65.txt"
"""

import hashlib
import os
import sys
from collections.abc import Callable

from charrnn.errors import UserError
from charrnn.files import atomic

NAME = "-"
_READ_BYTES = 1 << 20


def saved(spec: str, folder: str, log: Callable[[str], None]) -> str:
    """Saves standard input to a file that is named by its content.

    Args:
        spec: the corpus; only NAME is standard input.
        folder: the folder of the file; created if it does not exist.
        log: called with each line for the user.

    Returns:
        The file's path, or `spec` if it is not NAME.

    Raises:
        UserError: standard input is closed or empty, or the folder cannot be written to.
    """
    if spec != NAME:
        return spec
    if sys.stdin is None or sys.stdin.closed:
        raise UserError("The corpus '-' is standard input, which is closed: give a file, or pipe a text in.")
    if sys.stdin.isatty():
        log("Reading the text from the terminal; end it with Ctrl-D")
    try:
        with atomic.scratch(folder, NAME) as scratch:
            copy = os.path.join(scratch, NAME)
            path = os.path.join(folder, f"{_copied(copy)[:16]}.txt")
            atomic.move(copy, path)
    except OSError as error:
        raise UserError(
            f"Standard input cannot be saved in {folder} ({error.strerror or error}): make room, or set "
            "XDG_CACHE_HOME to another folder."
        ) from error
    log(f"Standard input, {os.path.getsize(path):,} bytes, is saved as {path}; a resumed run reads it from there")
    return path


def _copied(path: str) -> str:
    """Copies standard input to a file; returns its sha256, hexadecimal."""
    sha256 = hashlib.sha256()
    with open(path, "wb") as file:
        while block := sys.stdin.buffer.read(_READ_BYTES):
            sha256.update(block)
            file.write(block)
        if not file.tell():
            raise UserError("The corpus '-' is standard input, which is empty: pipe a text in, or give a file.")
    return sha256.hexdigest()
