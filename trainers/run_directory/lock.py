"""The lock of a run directory: one writer at a time.

    with hold("runs/mine"):
        …

The lock file names the process that writes. On a local disk the operating system's lock on this file decides; it ends
with its process. A bucket has no locks: there the name decides, and whether that process is alive.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator

import tensorflow as tf

from charrnn.errors import UserError
from charrnn.files import atomic
from trainers.run_directory import disk

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = "lock"


@contextlib.contextmanager
def hold(folder: str) -> Iterator[None]:
    """Creates the folder and locks it for the body. Folders that were created and stay empty are removed.

    Args:
        folder: the run directory.

    Raises:
        UserError: another process holds the lock, or the folder cannot be written to.
    """
    path, made = os.path.join(folder, NAME), []
    try:
        try:
            made = _make(folder)
            held = _claim(path) if "://" in folder or fcntl is None else _lock(path)
        except disk.DISK_ERRORS as error:
            sentence = f"{folder} cannot be written to ({disk.reason(error)}): give another --run_dir."
            raise UserError(sentence) from error
        with held:
            try:
                yield
            finally:
                with contextlib.suppress(*disk.DISK_ERRORS):
                    tf.io.gfile.remove(path)
    finally:
        for each in made:
            with contextlib.suppress(*disk.DISK_ERRORS):
                os.rmdir(each)


def is_stale(path: str) -> bool:
    """Returns whether a file is the lock of a killed process, and not another file of that name."""
    return bool(_read(path)) or not tf.io.gfile.stat(path).length


def _make(folder: str) -> list[str]:
    """Creates a folder; returns the folders that did not exist, the deepest first."""
    missing, parent = [], folder
    while parent and not tf.io.gfile.exists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    tf.io.gfile.makedirs(folder)
    return missing


def _lock(path: str) -> contextlib.AbstractContextManager:
    """Acquires the operating system's lock."""
    while True:
        file = open(path, "a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise _refusal(path, _read(path)) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                break
        file.close()  # the previous holder has just removed it
    file.truncate(0)
    file.write(_own_entry())
    file.flush()
    return file


def _claim(path: str) -> contextlib.AbstractContextManager:
    """Writes this process into the file, unless it names another one that may be alive."""
    holder = _read(path)
    if holder and holder["host"] != socket.gethostname():
        raise UserError(f"{_refusal(path, holder)} If that process is dead, remove {path}.")
    if holder and _started(holder["pid"]) == holder["started"]:
        raise _refusal(path, holder)
    atomic.replace(path, _own_entry().encode())
    return contextlib.nullcontext()


def _own_entry() -> str:
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}
    return json.dumps({**me, "since": time.strftime("%Y-%m-%d %H:%M:%S")}) + "\n"


def _read(path: str) -> dict:
    """Returns the process that the file names; empty if it names none."""
    try:
        with tf.io.gfile.GFile(path) as file:
            holder = json.loads(file.read())
        return {name: holder[name] for name in ("host", "pid", "started", "since")}
    except (*disk.DISK_ERRORS, ValueError, KeyError, TypeError):
        return {}


def _started(pid: int) -> str | None:
    """Returns the start of a process in the kernel's ticks, because process ids recur; None if there is no process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _refusal(path: str, holder: dict) -> UserError:
    who = "process {pid} on {host} since {since}".format(**holder) if holder else "another process"
    return UserError(f"{os.path.dirname(path)} is written by {who}: wait until it ends, or give another --run_dir.")
