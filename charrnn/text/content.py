"""Turns decoded text into the content that a model reads. The size of the blocks does not change the result.

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
"""The separator before, between and after documents; no document contains it."""

RECORDS_PER_BLOCK = 1 << 12  # rows of a CSV

_STEADY = re.compile("[0-9A-Za-z\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]{2}")


class Settings(NamedTuple):
    """The settings for reading a corpus, as in `DataConfig`, but with the detected delimiter and header."""

    vocabulary: str = "characters"
    lowercase: bool = False
    lines: bool = False  # each line is a document, or each row if `csv_column` is not 0
    csv_column: int = 0
    encoding: str = ""
    normalization: str = ""
    csv_delimiter: str = ","  # one character
    csv_header: bool = False

    @property
    def of_documents(self) -> bool:
        """True if the content consists of documents separated by END_OF_TEXT, rather than running text."""
        return self.lines or self.csv_column > 0

    @property
    def raw(self) -> bool:
        """True if the bytes are read without decoding them."""
        return self.vocabulary == "bytes" and not (self.of_documents or self.encoding or self.normalization)

    @property
    def reading(self) -> Reading:
        """The normalization of the decoded text."""
        return Reading(self.of_documents, self.normalization, self.lowercase, self.encoding)


class Findings(NamedTuple):
    """Counts of unusual lines and rows in a corpus."""

    num_empty: int = 0  # empty lines or fields, which are skipped
    num_ragged: int = 0  # rows with more or fewer fields than the first row of their file
    first_ragged: str = ""  # line and file of the first ragged row; "" if there is none

    @classmethod
    def total(cls, parts: Iterable["Findings"]) -> "Findings":
        """Returns the findings in a whole corpus.

        Args:
            parts: the findings in its parts, in their order.
        """
        parts = list(parts)
        first_ragged = next((part.first_ragged for part in parts if part.first_ragged), "")
        return cls(sum(part.num_empty for part in parts), sum(part.num_ragged for part in parts), first_ragged)


def read_blocks(texts: Iterator[str], settings: Settings, name: str) -> Iterator[tuple[str, Findings]]:
    """Reads decoded text.

    Args:
        texts: the text of a file, in blocks of any size.
        settings: how to read it.
        name: the file's name, for error messages.

    Yields:
        A block of content, and the findings in it.

    Raises:
        UserError: the text is not a CSV with the column `csv_column`.
    """
    if settings.of_documents:
        return _documents(_whole_lines(texts), settings, name)
    if settings.lowercase or settings.normalization:
        texts = _apart(texts)
    return ((settings.reading.apply(text), Findings()) for text in texts)


def _whole_lines(texts: Iterator[str]) -> Iterator[str]:
    r"""Yields the text in blocks of whole lines, with "\n" for each line end. Adds a missing last line end."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    partial: list[str] = []
    for text in texts:
        whole, end, rest = newlines.decode(text).rpartition("\n")
        if end:
            yield "".join([*partial, whole, end])
            partial = []
        partial.append(rest)
    last = "".join([*partial, newlines.decode("", final=True)])
    if last:
        yield last if last.endswith("\n") else f"{last}\n"


def _apart(texts: Iterator[str]) -> Iterator[str]:
    """Yields the text in blocks between which neither normalization nor lower-casing has an effect.

    Such a cut is possible after white space, with which no accent combines, and between two characters that no form
    changes and that show whether a word ends, because the lower case of a capital sigma depends on that.
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
    """Yields the documents, with END_OF_TEXT after each, and the findings in their rows."""
    for block in _columns(texts, settings) if settings.csv_column else _lines(texts, settings):
        written = [f"{document}{END_OF_TEXT}" for document, _ in block if document.strip()]
        ragged = [f"line {line} of {name}" for _, line in block if line]
        yield "".join(written), Findings(len(block) - len(written), len(ragged), ragged[0] if ragged else "")


def _lines(texts: Iterator[str], settings: Settings) -> Iterator[list[tuple[str, int]]]:
    # `str.splitlines` would also split at form feeds and other characters that a line may contain.
    return ([(line, 0) for line in settings.reading.apply(text).split("\n")[:-1]] for text in texts)


def _columns(texts: Iterator[str], settings: Settings) -> Iterator[list[tuple[str, int]]]:
    rows = itertools.chain.from_iterable(io.StringIO(text, newline="") for text in texts)
    column = documents.column(rows, settings.csv_column, settings.csv_delimiter, settings.csv_header)
    # Normalized after parsing, because normalization may turn a character into a delimiter.
    fields = ((settings.reading.apply(field), line) for field, line in column)
    return iter(lambda: list(itertools.islice(fields, RECORDS_PER_BLOCK)), [])


def as_content(content: str, settings: Settings) -> str | bytes:
    """Returns the content, as UTF-8 if the vocabulary consists of bytes."""
    return content.encode("utf-8", "surrogateescape") if settings.vocabulary == "bytes" else content
