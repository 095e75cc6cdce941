"""Standard output and standard error: closed, full, or without a reader, they neither raise nor change a status.

    repair()
    with guarded() as output:
        print(text)             # never raises
    output.gone, output.full    # why the text did not arrive, if it did not
"""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

_READER_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN, errno.ENXIO, errno.ENODEV)
_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)))


class Unread(Exception):
    """Standard output takes nothing any more: its reader has left, or the disk behind it is full."""


class Guarded:
    """A text stream that drops text it cannot write, and records why. Everything else is the stream's own.

    Args:
        stream: the stream; None: a closed one.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = open(os.devnull, "w", encoding="utf-8") if stream is None else stream
        self._terminal = self.isatty()
        self._failed = False
        self.gone = False  # whether the reader has left, or the terminal
        self.full = ""  # why the file behind it takes no more, such as "No space left on device"; empty if it does

    def isatty(self) -> bool:
        """Returns whether this is a terminal; of a closed stream, False."""
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def write(self, text: str) -> int:
        """Writes the text, or drops it. Returns its number of characters."""
        with self._noted():
            if not self._failed:
                self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes or drops each text of an iterable."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes what can be written."""
        with self._noted():
            self._stream.flush()

    def leave(self) -> None:
        """Flushes; the rest of a failed stream goes to the null device, where Python's exit cannot fail on it."""
        try:
            self.flush()
        except KeyboardInterrupt:  # of somebody who does not wait for a slow reader
            self._failed = True
        if self._failed:
            with contextlib.suppress(OSError, ValueError):
                number, null = self._stream.fileno(), os.open(os.devnull, os.O_WRONLY)
                if null != number:  # else it was closed
                    os.dup2(null, number)
                    os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Notes a failure of the stream in the body."""
        try:
            yield
        except OSError as error:
            self._note(error)
        except ValueError:
            if not self._stream.closed:
                raise

    def _note(self, error: OSError) -> None:
        """The first failure counts: later ones may be of what is left in a buffer."""
        if self._failed:
            return
        self._failed = True
        if error.errno == errno.EIO and self._terminal:  # nohup lets a process outlive its terminal
            self.gone = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        elif error.errno in _READER_GONE:
            self.gone = True
        elif error.errno != errno.EBADF:  # closed on purpose: nobody wants to read
            self.full = error.strerror or str(error)


def is_full(error: Exception) -> bool:
    """Returns whether an error, of Python's or of a library's own kind, says that the disk takes no more."""
    return any(reason in str(error) for reason in _FULL)


def guard(stream: TextIO | None) -> Guarded:
    """Returns the stream guarded; one that is guarded already, as it is."""
    return stream if isinstance(stream, Guarded) else Guarded(stream)


@contextlib.contextmanager
def guarded() -> Iterator[Guarded]:
    """Guards the process's two streams in the body, and gives standard output."""
    real = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = ours = guard(real[0]), guard(real[1])
    try:
        yield ours[0]
    finally:
        for stream in ours:
            stream.leave()
        sys.stdout, sys.stderr = real


def repair() -> None:
    """Makes the three standard streams usable, in a process that may have been started without them.

    The null device stands in for each one that is closed. Otherwise the next file that is opened takes its number, and
    native code that writes to standard error writes into that file. Call this before a file is opened that stays open.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
            if hasattr(os, "set_blocking"):
                os.set_blocking(number, True)  # else a slow reader is an error
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, stream)


def write(text: str) -> None:
    """Writes a piece of text to standard output at once. Raises Unread if that takes nothing any more."""
    sys.stdout.write(text)
    sys.stdout.flush()
    if isinstance(sys.stdout, Guarded) and (sys.stdout.gone or sys.stdout.full):
        raise Unread
