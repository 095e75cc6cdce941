"""Decoded text becomes what a model reads, a block at a time: the same as of the text as a whole.

    for content, findings in read_blocks(iter(["Ann\\r", "\\nBob"]), Settings(lines=True), "names.txt"):
        ...                                         # "Ann\\nBob\\n" in all
"""

import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charrnn.text import documents
from charrnn.text.reading import Reading

END_OF_TEXT = "\n"
"""What stands before, between and after documents; no document has it in itself."""

RECORDS_PER_BLOCK = 1 << 12  # of a CSV

_STEADY = re.compile("[0-9A-Za-z\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]{2}")


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


class Findings(NamedTuple):
    """What was noticed in lines or rows."""

    num_empty: int = 0  # left out
    num_ragged: int = 0  # of another width than the first row of their file
    first_ragged: str = ""  # where the first of these is

    @classmethod
    def total(cls, parts: Iterable["Findings"]) -> "Findings":
        """Returns what was noticed in all parts of a corpus, given in their order."""
        parts = list(parts)
        first_ragged = next((part.first_ragged for part in parts if part.first_ragged), "")
        return cls(sum(part.num_empty for part in parts), sum(part.num_ragged for part in parts), first_ragged)


def read_blocks(texts: Iterator[str], settings: Settings, name: str) -> Iterator[tuple[str, Findings]]:
    """Returns what is read of decoded text, a block at a time, and what was noticed in it.

    Args:
        texts: the text of a file, a block at a time.
        settings: how it is read.
        name: of the file, for messages.

    Raises:
        UserError: it is not a CSV with the column.
    """
    if settings.of_documents:
        return _documents(_whole_lines(texts), settings, name)
    if settings.lowercase or settings.normalization:
        texts = _apart(texts)
    return ((settings.reading.apply(text), Findings()) for text in texts)


def _whole_lines(texts: Iterator[str]) -> Iterator[str]:
    r"""The text with "\n" for each line end, cut after line ends; the last line gets one too."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    begun: list[str] = []
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


def _documents(texts: Iterator[str], settings: Settings, name: str) -> Iterator[tuple[str, Findings]]:
    """The documents, with END_OF_TEXT after each, and what was noticed in their rows."""
    for block in _columns(texts, settings) if settings.csv_column else _lines(texts, settings):
        kept = [f"{document}{END_OF_TEXT}" for document, _ in block if document.strip()]
        ragged = [f"line {line} of {name}" for _, line in block if line]
        yield "".join(kept), Findings(len(block) - len(kept), len(ragged), ragged[0] if ragged else "")


def _lines(texts: Iterator[str], settings: Settings) -> Iterator[list[tuple[str, int]]]:
    # `str.splitlines` would also cut at form feeds and other characters that may stand within a line.
    return ([(line, 0) for line in settings.reading.apply(text).split("\n")[:-1]] for text in texts)


def _columns(texts: Iterator[str], settings: Settings) -> Iterator[list[tuple[str, int]]]:
    rows = itertools.chain.from_iterable(io.StringIO(text, newline="") for text in texts)
    column = documents.column(rows, settings.csv_column, settings.csv_delimiter, settings.csv_header)
    # Read here and not before: a normalization may make a delimiter of a character.
    fields = ((settings.reading.apply(field), line) for field, line in column)
    return iter(lambda: list(itertools.islice(fields, RECORDS_PER_BLOCK)), [])


def as_content(content: str, settings: Settings) -> str | bytes:
    """The content, or its bytes where the vocabulary is of bytes."""
    return content.encode("utf-8", "surrogateescape") if settings.vocabulary == "bytes" else content
