"""A corpus in pieces that are read apart from each other, each a block at a time: in any size, in little memory.

    for piece in cut(files, settings):
        for content in contents(piece, settings):
            ...                              # together what `corpora.load` would read at once

Imports no TensorFlow: what runs here runs in processes of its own.
"""

import hashlib
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from charrnn import decoding, documents, formats
from charrnn.reading import Reading

END_OF_TEXT = "\n"
"""What stands before, between and after documents; no document has it in itself."""

PIECE = 1 << 26  # bytes of a piece, or a little more; where that makes more than MANY pieces, they are larger
MANY = 256  # each is a file that stays open
BLOCK = 1 << 20  # bytes read at a time
ROWS = 1 << 12  # of a CSV

_STEADY = re.compile("[0-9A-Za-z\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]{2}")
_STEADY_BYTES = re.compile(rb"[ \t]|[0-9A-Za-z](?=[0-9A-Za-z])")
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])", re.DOTALL)
_CHARACTER = re.compile(rb"(?=[^\x80-\xbf])", re.DOTALL)  # before the first byte of one
_ASCII, _BEYOND_ASCII = bytes(range(128)), bytes(range(128, 256))


class Settings(NamedTuple):
    """How the files of a corpus are read; each as in `DataConfig`, with what was found by a look at the files."""

    vocabulary: str = "characters"
    lowercase: bool = False
    lines: bool = False  # a document is a line; where `csv_column` is not 0, a row
    csv_column: int = 0
    encoding: str = ""
    normalization: str = ""
    csv_delimiter: str = ","  # one character
    csv_header: bool = False

    @property
    def of_documents(self) -> bool:
        """Whether documents stand between END_OF_TEXT, rather than the text as it is."""
        return self.lines or self.csv_column > 0

    @property
    def raw(self) -> bool:
        """Whether the bytes are read as they are."""
        return self.vocabulary == "bytes" and not (self.of_documents or self.encoding or self.normalization)

    @property
    def reading(self) -> Reading:
        """What is done to the decoded text."""
        return Reading(self.of_documents, self.normalization, self.lowercase, self.encoding)


class Span(NamedTuple):
    """A part of a file, or all of one that cannot be cut."""

    path: str
    start: int = 0
    stop: int | None = None


class Piece(NamedTuple):
    """Parts of files that are read one after another."""

    spans: list[Span]
    first: bool  # of the corpus


class Odd(NamedTuple):
    """What was noticed in lines or rows."""

    num_empty: int = 0  # left out
    num_rows: int = 0  # of another width than the first row of their file
    first_row: str = ""  # where the first of these is

    def __add__(self, other: "Odd") -> "Odd":
        """Returns what was noticed in the one, and then in the other."""
        num_empty, num_rows = self.num_empty + other.num_empty, self.num_rows + other.num_rows
        return Odd(num_empty, num_rows, self.first_row or other.first_row)


class Survey(NamedTuple):
    """What is known of a piece once it was read."""

    lengths: list[int]  # of each span, in ids
    characters: str  # the distinct ones
    num_documents: int  # lines or rows, the empty ones not counted
    odd: Odd  # what was noticed in them


def cut(files: Iterable[tuple[str, int]], settings: Settings) -> list[Piece]:
    """Cuts files, given with their sizes in bytes, into pieces of about PIECE bytes, at line breaks if possible.

    A compressed file, a CSV and a text in another encoding than UTF-8 are not cut.
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
    characters, lengths, all_odd = _Characters(), [0] * len(piece.spans), Odd()
    num_documents = -1 if settings.of_documents and piece.first else 0  # one end-of-text stands before the first
    for number, content, odd in _blocks(piece, settings):
        if most_documents is not None:
            content = _first_lines(content, most_documents - num_documents)
        if most_ids is not None:
            content = content[: most_ids - sum(lengths)]
        if isinstance(content, str):
            characters.add(content)
        lengths[number] += len(content)
        if settings.of_documents:
            num_documents += content.count(END_OF_TEXT if isinstance(content, str) else END_OF_TEXT.encode())
        all_odd += odd
    return Survey(lengths, characters.found(), num_documents, all_odd)


def read(paths: Iterable[str], settings: Settings) -> tuple[str | bytes, Odd]:
    """Reads a small corpus at once: together what `contents` yields of its pieces, and what was noticed."""
    return _joined(_blocks(Piece([Span(path) for path in paths], first=True), settings), settings)


def read_text(text: str, settings: Settings) -> tuple[str | bytes, Odd]:
    """Reads a text that is in memory as `read` would read a file of it."""
    frame = [(END_OF_TEXT, Odd())] if settings.of_documents else []
    blocks = itertools.chain(frame, _of_texts(iter([text]), settings, "the text"))
    return _joined(((0, _as_bytes(content, settings), odd) for content, odd in blocks), settings)


def beginning(path: str, settings: Settings, most: int) -> tuple[str, bool]:
    """Reads a file's first characters, `most` or a few more, and tells whether that is all of it."""
    blocks, text = _decoded(Span(path), settings), ""
    for block in blocks:
        text += block
        if len(text) >= most:
            return text, next(blocks, None) is None
    return text, True


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


def decode(path: str, data: bytes, encoding: str = "") -> tuple[str, int]:
    """Decodes all of a file; returns its text, and of how many bytes that is. Raises as `decoding.texts`."""
    return "".join(decoding.texts(path, [data], encoding)), len(data)


def _joined(blocks: Iterator[tuple[int, str | bytes, Odd]], settings: Settings) -> tuple[str | bytes, Odd]:
    _, contents, odd = zip((0, _as_bytes("", settings), Odd()), *blocks, strict=True)
    return contents[0].join(contents), sum(odd, Odd())


def _blocks(piece: Piece, settings: Settings) -> Iterator[tuple[int, str | bytes, Odd]]:
    """(the span's number, content, what was noticed in it)."""
    if settings.of_documents and piece.first:
        yield 0, _as_bytes(END_OF_TEXT, settings), Odd()
    for number, span in enumerate(piece.spans):
        if settings.raw:
            for data in _bytes(span):
                yield number, data.lower() if settings.lowercase else data, Odd()
            continue
        for content, odd in _of_texts(_decoded(span, settings), settings, repr(span.path)):
            yield number, _as_bytes(content, settings), odd


def _as_bytes(content: str, settings: Settings) -> str | bytes:
    """The content, or its bytes where the vocabulary is of bytes."""
    return content.encode("utf-8", "surrogateescape") if settings.vocabulary == "bytes" else content


def _decoded(span: Span, settings: Settings) -> Iterator[str]:
    return decoding.texts(span.path, _bytes(span), settings.encoding, settings.vocabulary == "bytes", span.start)


def _of_texts(texts: Iterator[str], settings: Settings, name: str) -> Iterator[tuple[str, Odd]]:
    """What is read of decoded text, a block at a time: the same as of the text as a whole."""
    if settings.of_documents:
        texts = _whole_lines(texts)
    elif settings.lowercase or settings.normalization:
        texts = _apart(texts)
    texts = map(settings.reading.apply, texts)
    return _documents(texts, settings, name) if settings.of_documents else ((text, Odd()) for text in texts)


def _whole_lines(texts: Iterator[str]) -> Iterator[str]:
    r"""The text with "\n" for each line end, cut after line ends; the last line gets one too."""
    newlines, begun = io.IncrementalNewlineDecoder(None, translate=True), []
    for text in texts:
        whole, end, rest = newlines.decode(text).rpartition("\n")
        if end:
            yield "".join([*begun, whole, end])
            begun = []
        begun.append(rest)
    last = "".join([*begun, newlines.decode("", final=True)])
    if last:
        yield last if last.endswith("\n") else f"{last}\n"


def _apart(texts: Iterator[str]) -> Iterator[str]:
    """The text, cut where neither the normalization nor the lower case of one side depends on the other.

    That may be after white space, which no accent joins, and between two characters which none of the forms changes and
    which tell whether a word ends: what a capital sigma becomes depends on that.
    """
    rest = ""
    for text in texts:
        seen = len(rest)
        rest += text
        end = next((i for i in range(len(rest), max(seen, 1) - 1, -1) if _may_part(rest[i - 1 : i + 1])), 0)
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _may_part(pair: str) -> bool:
    return pair[0] in " \t\n\r" or (len(pair) == 2 and _STEADY.fullmatch(pair) is not None)


def _documents(texts: Iterator[str], settings: Settings, name: str) -> Iterator[tuple[str, Odd]]:
    """The documents, with END_OF_TEXT after each, and what was noticed in their rows."""
    if settings.csv_column:
        rows = itertools.chain.from_iterable(io.StringIO(text, newline="") for text in texts)
        column = documents.Column(rows, settings.csv_column, settings.csv_delimiter, settings.csv_header)
        fields = iter(column)
        blocks = iter(lambda: list(itertools.islice(fields, ROWS)), [])
    else:
        column, blocks = None, map(documents.lines, texts)
    for candidates in blocks:
        kept = [candidate for candidate in candidates if candidate.strip()]
        yield "".join([f"{document}{END_OF_TEXT}" for document in kept]), Odd(len(candidates) - len(kept))
    if column and column.num_odd:
        yield "", Odd(0, column.num_odd, f"line {column.first_odd} of {name}")


def _bytes(span: Span) -> Iterator[bytes]:
    with formats.opened(span.path) as file:
        if span.start:
            file.seek(span.start)
        left = span.stop - span.start if span.stop is not None else None
        while block := file.read(BLOCK if left is None else min(BLOCK, left)):
            yield block
            left = None if left is None else left - len(block)


def _spans(path: str, num_bytes: int, most: int, settings: Settings) -> Iterator[Span]:
    if not _can_be_cut(path, settings):
        yield Span(path)
        return
    start = 0
    while num_bytes - start > most:
        stop = _break_at(path, start + most, settings)
        yield Span(path, start, stop)
        start = stop
    yield Span(path, start, num_bytes)


def _can_be_cut(path: str, settings: Settings) -> bool:
    if settings.csv_column or formats.compression(path):
        return False
    return settings.raw or decoding.is_utf8(settings.encoding, formats.head(path))


def _break_at(path: str, position: int, settings: Settings) -> int:
    """Where a file may be cut: after the next line end; if that is far and need not be, as `_apart` does."""
    if settings.raw:
        return position
    after, data = position, b""
    for block in _bytes(Span(path, position)):
        data += block
        if found := _LINE_END.search(data):
            return after + found.end()
        if not settings.lines and (found := _apart_bytes(settings).search(data)):
            return after + found.end()
        after, data = after + len(data) - 1, data[-1:]
    return after + len(data)


def _apart_bytes(settings: Settings) -> re.Pattern[bytes]:
    return _STEADY_BYTES if settings.lowercase or settings.normalization else _CHARACTER


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
