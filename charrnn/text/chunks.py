"""Cuts a corpus of any size into chunks and reads each independently, a block at a time, in little memory.

    for chunk in cut(files, settings):
        for content in contents(chunk, settings):
            ...                              # joined, the content that `corpora.load` returns

Imports no TensorFlow, because worker processes run this code.
"""

import hashlib
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from typing import AnyStr, NamedTuple

import numpy as np

from charrnn.text import decoding, formats
from charrnn.text.content import END_OF_TEXT, Findings, Settings, as_content, read_blocks

CHUNK_BYTES = 1 << 26  # a chunk's size, up to the next place to cut; larger if there would be over MOST_CHUNKS
MOST_CHUNKS = 256  # each becomes a file that stays open
READ_BYTES = 1 << 20  # bytes read at a time

_STEADY_BYTES = re.compile(rb"[ \t]|[0-9A-Za-z](?=[0-9A-Za-z])")
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])", re.DOTALL)
_CHARACTER = re.compile(rb"(?=[^\x80-\xbf])", re.DOTALL)  # before a character's first byte
_ASCII, _BEYOND_ASCII = bytes(range(128)), bytes(range(128, 256))


class Span(NamedTuple):
    """A part of a file, or a whole file that cannot be cut."""

    path: str
    start: int = 0  # bytes
    stop: int | None = None  # bytes; None: the end of the file


class Chunk(NamedTuple):
    """Parts of files that are read one after another."""

    spans: list[Span]
    first: bool  # whether this is the corpus's first chunk


class Survey(NamedTuple):
    """The statistics of a chunk."""

    lengths: list[int]  # each span's length, in ids
    characters: str  # the distinct characters, sorted
    num_documents: int  # lines or rows that are not empty
    findings: Findings  # empty lines and ragged rows


def cut(files: Iterable[tuple[str, int]], settings: Settings) -> list[Chunk]:
    """Cuts files into chunks of about CHUNK_BYTES, at line breaks if possible.

    A compressed file, a CSV and text in another encoding than UTF-8 stay whole.

    Args:
        files: the paths and sizes in bytes.
        settings: how to read the files.

    Returns:
        The chunks, in the order of the text.
    """
    files = list(files)
    most = max(CHUNK_BYTES, sum(num_bytes for _, num_bytes in files) // MOST_CHUNKS)
    chunks: list[Chunk] = []
    room = 0
    for path, num_bytes in files:
        for span in _spans(path, num_bytes, most, settings):
            size = num_bytes if span.stop is None else span.stop - span.start
            if not chunks or size > room:
                chunks.append(Chunk([], first=not chunks))
                room = most
            chunks[-1].spans.append(span)
            room -= size
    return chunks


def contents(chunk: Chunk, settings: Settings) -> Iterator[str | bytes]:
    """Returns the content of a chunk, a block at a time: text, or bytes if the vocabulary consists of bytes."""
    return (content for _, content, _ in _blocks(chunk, settings))


def survey(chunk: Chunk, settings: Settings, most_ids: int | None = None, most_documents: int | None = None) -> Survey:
    """Returns the statistics of a chunk, or of its first `most_ids` ids or `most_documents` documents."""
    characters, lengths, all_findings = _Characters(), [0] * len(chunk.spans), []
    num_documents = -1 if settings.of_documents and chunk.first else 0  # an END_OF_TEXT precedes the first
    for number, content, findings in _blocks(chunk, settings):
        if most_documents is not None:
            count = most_documents - num_documents
            if isinstance(content, str):
                content = _first_lines(content, END_OF_TEXT, count)
            else:
                content = _first_lines(content, END_OF_TEXT.encode(), count)
        if most_ids is not None:
            content = content[: most_ids - sum(lengths)]
        if isinstance(content, str):
            characters.add(content)
        lengths[number] += len(content)
        if settings.of_documents:
            num_documents += _num_ends(content)
        all_findings.append(findings)
    return Survey(lengths, characters.found(), num_documents, Findings.total(all_findings))


def read(paths: Iterable[str], settings: Settings) -> tuple[str | bytes, Findings]:
    """Reads a small corpus into memory. Returns its content and the findings in it."""
    return _joined(_blocks(Chunk([Span(path) for path in paths], first=True), settings), settings)


def read_text(text: str, settings: Settings) -> tuple[str | bytes, Findings]:
    """Reads a text in memory as `read` reads a file. Returns its content and the findings in it."""
    frame = [(END_OF_TEXT, Findings())] if settings.of_documents else []
    blocks = itertools.chain(frame, read_blocks(iter([text]), settings, "the text"))
    return _joined(((0, as_content(content, settings), findings) for content, findings in blocks), settings)


def beginning(path: str, settings: Settings, most: int) -> tuple[str, bool]:
    """Returns a file's first characters, `most` or a few more, and whether that is the whole file."""
    blocks, text = _decoded(Span(path), settings), ""
    for block in blocks:
        text += block
        if len(text) >= most:
            return text, next(blocks, None) is None
    return text, True


def digest(paths: Iterable[str]) -> str:
    """Returns the sha256 of the concatenated files after decompression, hexadecimal."""
    sha256 = hashlib.sha256()
    for path in paths:
        for block in _bytes(Span(path)):
            sha256.update(block)
    return sha256.hexdigest()


def is_longer(paths: Iterable[str], most: int) -> bool:
    """Returns whether the files have more than `most` bytes together, after decompression."""
    lengths = (len(block) for path in paths for block in _bytes(Span(path)))
    return any(total > most for total in itertools.accumulate(lengths))


def _joined(blocks: Iterator[tuple[int, str | bytes, Findings]], settings: Settings) -> tuple[str | bytes, Findings]:
    _, contents, findings = zip((0, as_content("", settings), Findings()), *blocks, strict=True)
    return contents[0].join(contents), Findings.total(findings)


def _blocks(chunk: Chunk, settings: Settings) -> Iterator[tuple[int, str | bytes, Findings]]:
    """Yields (the span's number, a block of content, the findings in it)."""
    if settings.of_documents and chunk.first:
        yield 0, as_content(END_OF_TEXT, settings), Findings()
    for number, span in enumerate(chunk.spans):
        if settings.raw:
            for data in _bytes(span):
                yield number, data.lower() if settings.lowercase else data, Findings()
            continue
        for content, findings in read_blocks(_decoded(span, settings), settings, repr(span.path)):
            yield number, as_content(content, settings), findings


def _decoded(span: Span, settings: Settings) -> Iterator[str]:
    return decoding.texts(span.path, _bytes(span), settings.encoding, settings.vocabulary == "bytes", span.start)


def _bytes(span: Span) -> Iterator[bytes]:
    with formats.opened(span.path) as file:
        if span.start:
            file.seek(span.start)
        left = span.stop - span.start if span.stop is not None else None
        while block := file.read(READ_BYTES if left is None else min(READ_BYTES, left)):
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
    compression, first = formats.head(path)
    if settings.csv_column or compression:
        return False
    return settings.raw or decoding.is_utf8(settings.encoding, first)


def _break_at(path: str, position: int, settings: Settings) -> int:
    """Returns the next position for a cut: after a line end, or as in `content` if that is nearer and possible."""
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


def _num_ends(content: str | bytes) -> int:
    return content.count(END_OF_TEXT) if isinstance(content, str) else content.count(END_OF_TEXT.encode())


def _first_lines(content: AnyStr, end: AnyStr, count: int) -> AnyStr:
    if count <= 0:
        return content[:0]
    parts = content.split(end, count)
    return content[: len(content) - len(parts[-1])] if len(parts) > count else content


class _Characters:
    """Collects the distinct characters of texts."""

    def __init__(self):
        self._ascii = b""
        self._others = np.zeros(sys.maxunicode + 1, bool)

    def add(self, text: str) -> None:
        """Adds the characters of a text."""
        data = text.encode()
        self._ascii += bytes(set(data.translate(None, self._ascii + _BEYOND_ASCII)))
        if not text.isascii():
            others = data.translate(None, _ASCII).decode()
            self._others[np.frombuffer(others.encode("utf-32-le"), "<u4")] = True

    def found(self) -> str:
        """Returns the characters, sorted."""
        return "".join(sorted({*self._ascii.decode("ascii"), *map(chr, np.flatnonzero(self._others))}))
