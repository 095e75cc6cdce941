"""Guards standard output and standard error: a closed, full or unread stream neither raises nor changes the status.

    repair()
    with guarded() as output:
        print(text)             # never raises
    output.gone, output.full    # the reason if the text was not written
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
    """Standard output accepts no more text: its reader has exited, or its disk is full."""


class Guarded:
    """A text stream that drops text it cannot write, and records the reason. Forwards all else to the stream.

    Attributes:
        gone: whether the reader or the terminal has disappeared.
        full: the reason why the file accepts no more, such as "No space left on device"; "" if it does.

    Args:
        stream: the stream; None: a closed stream.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = open(os.devnull, "w", encoding="utf-8") if stream is None else stream
        self._terminal = self.isatty()
        self._failed = False
        self.gone, self.full = False, ""

    def isatty(self) -> bool:
        """Returns whether this is a terminal; False for a closed stream."""
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def write(self, text: str) -> int:
        """Writes the text or drops it, with "?" for characters that the encoding lacks. Returns its length."""
        with self._noted():
            if not self._failed:
                self._write(text)
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:  # the stream encodes all of a text before it writes any
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "replace").decode(encoding))

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes or drops each text of an iterable."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes the stream if it is writable."""
        with self._noted():
            self._stream.flush()

    def leave(self) -> None:
        """Flushes. Redirects a failed stream to the null device, so that Python's exit does not fail on the rest."""
        try:
            self.flush()
        except KeyboardInterrupt:  # by a user who does not wait for a slow reader
            self._failed = True
        if self._failed:
            with contextlib.suppress(OSError, ValueError):
                number, null = self._stream.fileno(), os.open(os.devnull, os.O_WRONLY)
                if null != number:  # equal if the stream was closed
                    os.dup2(null, number)
                    os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Records a failure of the stream in the body."""
        try:
            yield
        except OSError as error:
            self._note(error)
        except ValueError:
            if not self._stream.closed:
                raise

    def _note(self, error: OSError) -> None:
        """Records the first failure. Later ones may come from the rest of a buffer."""
        if self._failed:
            return
        self._failed = True
        if error.errno == errno.EIO and self._terminal:  # nohup lets a process outlive its terminal
            self.gone = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        elif error.errno in _READER_GONE:
            self.gone = True
        elif error.errno != errno.EBADF:  # closed on purpose
            self.full = error.strerror or str(error)


def is_full(error: Exception) -> bool:
    """Returns whether an error, of any type, says that the disk is full."""
    return any(reason in str(error) for reason in _FULL)


def guard(stream: TextIO | None) -> Guarded:
    """Returns the guarded stream; an already guarded one unchanged."""
    return stream if isinstance(stream, Guarded) else Guarded(stream)


@contextlib.contextmanager
def guarded() -> Iterator[Guarded]:
    """Guards the process's two output streams in the body. Yields standard output."""
    real = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = ours = guard(real[0]), guard(real[1])
    try:
        yield ours[0]
    finally:
        for stream in ours:
            stream.leave()
        sys.stdout, sys.stderr = real


def repair() -> None:
    """Makes the three standard streams usable in a process that was started without some of them.

    Replaces each closed stream by the null device. Otherwise the next opened file would get its number, and native code
    would write its error messages into that file. Call this before you open any file that stays open.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
            if hasattr(os, "set_blocking"):
                os.set_blocking(number, True)  # otherwise a slow reader causes an error
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, stream)


def write(text: str) -> None:
    """Writes text to standard output and flushes it. Raises Unread if standard output accepts no more."""
    sys.stdout.write(text)
    sys.stdout.flush()
    if isinstance(sys.stdout, Guarded) and (sys.stdout.gone or sys.stdout.full):
        raise Unread
