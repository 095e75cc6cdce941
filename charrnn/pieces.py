"""A corpus in pieces that are read apart from each other, each a block at a time: in any size, in little memory.

    for piece in cut(files, settings):
        for content in contents(piece, settings):
            ...                              # together what `corpora.load` would read at once

Imports no TensorFlow: what runs here runs in processes of its own.
"""

import codecs
import contextlib
import gzip
import hashlib
import io
import itertools
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from charrnn import documents
from charrnn.errors import UserError

END_OF_TEXT = "\n"
"""What stands before, between and after documents; no document has it in itself."""

PIECE = 1 << 26  # bytes of a piece, or a little more; where that makes more than MANY pieces, they are larger
MANY = 256  # each is a file that stays open
BLOCK = 1 << 20  # bytes read at a time
ROWS = 1 << 12  # of a CSV

_ASCII, _BEYOND_ASCII = bytes(range(128)), bytes(range(128, 256))


class Settings(NamedTuple):
    """What is read of a file; each as in `DataConfig`."""

    vocabulary: str = "characters"
    lowercase: bool = False
    lines: bool = False  # a document is a line; where `csv_column` is not 0, a row
    csv_column: int = 0

    @property
    def of_documents(self) -> bool:
        """Whether documents stand between END_OF_TEXT, rather than the text as it is."""
        return self.lines or self.csv_column > 0

    @property
    def raw(self) -> bool:
        """Whether the bytes are read as they are."""
        return self.vocabulary == "bytes" and not self.of_documents


class Span(NamedTuple):
    """A part of a file, or all of one that cannot be cut."""

    path: str
    start: int = 0
    stop: int | None = None


class Piece(NamedTuple):
    """Parts of files that are read one after another."""

    spans: list[Span]
    first: bool  # of the corpus


class Survey(NamedTuple):
    """What is known of a piece once it was read."""

    lengths: list[int]  # of each span, in ids
    characters: str  # the distinct ones
    num_documents: int  # lines or rows, the empty ones not counted
    num_empty: int


def cut(files: Iterable[tuple[str, int]], settings: Settings) -> list[Piece]:
    """Cuts files, given with their sizes in bytes, into pieces of about PIECE bytes, at line breaks if possible.

    A compressed file and a CSV are not cut.
    """
    files = list(files)
    most = max(PIECE, sum(num_bytes for _, num_bytes in files) // MANY)
    pieces, room = [], 0
    for path, num_bytes in files:
        for span in _spans(path, num_bytes, most, settings):
            size = num_bytes if span.stop is None else span.stop - span.start
            if not pieces or size > room:
                pieces.append(Piece([], first=not pieces))
                room = most
            pieces[-1].spans.append(span)
            room -= size
    return pieces


def contents(piece: Piece, settings: Settings) -> Iterator[str | bytes]:
    """The text of a piece, a block at a time; bytes where the vocabulary is of bytes."""
    return (content for _, content, _ in _blocks(piece, settings))


def survey(
    piece: Piece, settings: Settings, most_ids: int | None = None, most_documents: int | None = None
) -> Survey:
    """Reads a piece, or so many of its first ids or documents, and tells what is in it."""
    characters, lengths, num_empty = _Characters(), [0] * len(piece.spans), 0
    num_documents = -1 if settings.of_documents and piece.first else 0  # one end-of-text stands before the first
    for number, content, empty in _blocks(piece, settings):
        if most_documents is not None:
            content = _first_lines(content, most_documents - num_documents)
        if most_ids is not None:
            content = content[: most_ids - sum(lengths)]
        if isinstance(content, str):
            characters.add(content)
        lengths[number] += len(content)
        if settings.of_documents:
            num_documents += content.count(END_OF_TEXT if isinstance(content, str) else END_OF_TEXT.encode())
        num_empty += empty
    return Survey(lengths, characters.found(), num_documents, num_empty)


def digest(paths: Iterable[str]) -> str:
    """The sha256 of the files one after another, those that are compressed as they were before, hexadecimal."""
    sha256 = hashlib.sha256()
    for path in paths:
        for block in _bytes(Span(path)):
            sha256.update(block)
    return sha256.hexdigest()


def is_longer(paths: Iterable[str], most: int) -> bool:
    """Whether the files have together more than `most` bytes; what is compressed counts as it was before."""
    lengths = (len(block) for path in paths for block in _bytes(Span(path)))
    return any(total > most for total in itertools.accumulate(lengths))


def decode(path: str, data: bytes, offset: int = 0, final: bool = True) -> tuple[str, int]:
    """UTF-8 to text.

    Args:
        path: the file's.
        data: a part of it, or all.
        offset: where in the file it begins.
        final: whether a character that is cut off at the end is an error, rather than left for the next part.

    Returns:
        The text, and of how many bytes it is.

    Raises:
        UserError: it is not UTF-8, or there is a NUL in it.
    """
    remedy = "convert it to UTF-8, or read it as bytes: --set data.vocabulary=bytes, elsewhere --vocabulary=bytes."
    try:
        text, used = codecs.utf_8_decode(data, "strict", final)
    except UnicodeDecodeError as error:
        where = f"byte 0x{data[error.start]:02x} at offset {offset + error.start}"
        raise UserError(f"{path!r} is not UTF-8 ({where}); {remedy}") from error
    if "\0" in text:
        raise UserError(f"{path!r} is not text but binary (a NUL at offset {offset + data.index(0)}); {remedy}")
    return text.removeprefix("\ufeff") if offset == 0 else text, used


def _blocks(piece: Piece, settings: Settings) -> Iterator[tuple[int, str | bytes, int]]:
    """(the span's number, content, how many empty lines or rows were left out of it)."""
    if settings.of_documents and piece.first:
        yield 0, END_OF_TEXT.encode() if settings.vocabulary == "bytes" else END_OF_TEXT, 0
    for number, span in enumerate(piece.spans):
        if settings.raw:
            for data in _bytes(span):
                yield number, data.lower() if settings.lowercase else data, 0
            continue
        texts = _texts(span, whole_lines=settings.of_documents)
        if settings.lowercase:
            texts = (text.lower() for text in texts)
        for text, empty in _documents(texts, settings.csv_column) if settings.of_documents else ((t, 0) for t in texts):
            yield number, text.encode() if settings.vocabulary == "bytes" else text, empty


def _documents(texts: Iterator[str], csv_column: int) -> Iterator[tuple[str, int]]:
    """The documents, with END_OF_TEXT after each, and how many empty ones there were."""
    if csv_column:
        rows = itertools.chain.from_iterable(io.StringIO(text, newline="") for text in texts)
        fields = documents.fields(rows, csv_column)
        blocks = iter(lambda: list(itertools.islice(fields, ROWS)), [])
    else:
        blocks = map(documents.lines, texts)
    for candidates in blocks:
        kept = [candidate for candidate in candidates if candidate.strip()]
        yield "".join([f"{document}{END_OF_TEXT}" for document in kept]), len(candidates) - len(kept)


def _texts(span: Span, whole_lines: bool) -> Iterator[str]:
    """The text of a span, cut after line breaks; where there are none, and that may be, between characters.

    What a letter becomes in lower case may depend on its word, not on another line.
    """
    rest, offset = b"", span.start
    for block in _bytes(span):
        end = len(rest) + block.rfind(b"\n") + 1 if b"\n" in block else 0
        data = rest + block
        if not end and whole_lines:
            rest = data
            continue
        text, used = decode(span.path, data[:end] if end else data, offset, final=False)
        rest, offset = data[used:], offset + used
        yield text
    if rest:
        text, _ = decode(span.path, rest, offset)
        yield f"{text}\n" if text and whole_lines else text


def _bytes(span: Span) -> Iterator[bytes]:
    try:
        with _open(span.path) as file:
            if span.start:
                file.seek(span.start)
            left = span.stop - span.start if span.stop is not None else None
            while block := file.read(BLOCK if left is None else min(BLOCK, left)):
                yield block
                left = None if left is None else left - len(block)
    except _open_errors(span.path) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{span.path!r} cannot be read ({reason}); give a file that can.") from error


@contextlib.contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """A file to read, of any file system that TensorFlow knows, decompressed if its name says so."""
    if "://" in path:
        import tensorflow as tf  # takes seconds, which a local file need not wait for

        opened = tf.io.gfile.GFile(path, "rb")
    else:
        opened = open(path, "rb")
    with opened as file:
        yield gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file


def _open_errors(path: str) -> tuple[type[Exception], ...]:
    if "://" not in path:
        return OSError, EOFError, zlib.error  # the last two for what is compressed
    import tensorflow as tf

    return OSError, EOFError, zlib.error, tf.errors.OpError


def _spans(path: str, num_bytes: int, most: int, settings: Settings) -> Iterator[Span]:
    if path.endswith(".gz") or settings.csv_column:
        yield Span(path)
        return
    start = 0
    while num_bytes - start > most:
        stop = _break_at(path, start + most, settings)
        yield Span(path, start, stop)
        start = stop
    yield Span(path, start, num_bytes)


def _break_at(path: str, position: int, settings: Settings) -> int:
    """Where a file may be cut: after the next line break; if that is far and need not be, between two characters."""
    if settings.raw:
        return position
    after = position
    for block in _bytes(Span(path, position)):
        if b"\n" in block:
            return after + block.index(b"\n") + 1
        if not settings.lines:
            return position + len(list(itertools.takewhile(lambda byte: byte & 0xC0 == 0x80, block[:3])))
        after += len(block)
    return after


def _first_lines(content: str | bytes, count: int) -> str | bytes:
    end = END_OF_TEXT if isinstance(content, str) else END_OF_TEXT.encode()
    if count <= 0:
        return content[:0]
    parts = content.split(end, count)
    return content[: len(content) - len(parts[-1])] if len(parts) > count else content


class _Characters:
    """Gathers the distinct characters of texts."""

    def __init__(self):
        self._ascii = b""
        self._others = np.zeros(sys.maxunicode + 1, bool)

    def add(self, text: str) -> None:
        data = text.encode()
        self._ascii += bytes(set(data.translate(None, self._ascii + _BEYOND_ASCII)))
        if not text.isascii():
            others = data.translate(None, _ASCII).decode()
            self._others[np.frombuffer(others.encode("utf-32-le"), "<u4")] = True

    def found(self) -> str:
        """All of them, sorted."""
        return "".join(sorted({*self._ascii.decode("ascii"), *map(chr, np.flatnonzero(self._others))}))
