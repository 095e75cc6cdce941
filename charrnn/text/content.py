"""Turns decoded text into the content that a model reads. The size of the blocks does not change the result.

    for content, findings in read_blocks(iter(["Ann\\r", "\\nBob"]), Settings(lines=True), "names.txt"):
        ...                                         # "Ann\\nBob\\n" in all
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charrnn.errors import UserError
from charrnn.text.reading import Reading

END_OF_TEXT = "\n"
"""The separator before, between and after documents; no document contains it."""

RECORDS_PER_BLOCK = 1 << 12  # rows of a CSV
LONGEST_FIELD = 1 << 24  # characters of a CSV's field; an unclosed quote is found before it fills the memory

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
    documents = column(rows, settings.csv_column, settings.csv_delimiter, settings.csv_header)
    # Normalized after parsing, because normalization may turn a character into a delimiter.
    fields = ((settings.reading.apply(field), line) for field, line in documents)
    return iter(lambda: list(itertools.islice(fields, RECORDS_PER_BLOCK)), [])


def no_document(csv_column: int, num_candidates: int) -> UserError:
    """Returns the error for a corpus whose lines or rows are all empty."""
    where = f"column {csv_column} of its {num_candidates:,} rows" if csv_column else f"its {num_candidates:,} lines"
    return UserError(f"There is no document in the corpus; {where} contain only white space: give another one.")


def column(lines: Iterable[str], number: int, delimiter: str = ",", header: bool = False) -> Iterator[tuple[str, int]]:
    """Reads the documents in a column of a CSV (RFC 4180).

    In a quoted field, each run of line breaks becomes one space. White space around a field is dropped. An empty line
    yields an empty document.

    Args:
        lines: the lines of the CSV, with their ends.
        number: the column's number, from 1 on.
        delimiter: the character between the fields.
        header: whether the first row contains the columns' names and is not a document.

    Yields:
        A document; and its row's line if the row is ragged, else 0. A ragged row has more or fewer fields than the
        first one, often because of a delimiter in an unquoted text.

    Raises:
        UserError: the CSV is malformed, or a row lacks the column.
    """
    # Without `strict`, an unclosed quote silently swallows the rest of the file.
    allow_long_fields()
    reader = csv.reader(_without_nul(lines), strict=True, delimiter=delimiter)
    line, width = 1, 0
    try:
        for record in reader:
            if record and len(record) < number:
                raise UserError(_too_short(line, len(record), number, delimiter))
            if not header:
                field = record[number - 1].strip() if record else ""
                yield re.sub(r"[\r\n]+", " ", field), line if record and len(record) != (width or len(record)) else 0
            width, header, line = width or len(record), header and not record, reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"The CSV is malformed in the row that begins on line {line} ({error}): correct it there (a quoted field "
            'ends with a quote, and a quote within it is written ""), or read each line as a document with '
            "csv_column=0."
        ) from error


def allow_long_fields() -> None:
    """Raises Python's limit for the fields of a CSV, which is one for all readers of a process, to LONGEST_FIELD."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise UserError(f"The CSV is malformed on line {number} (a NUL): remove it, or give a text file.")
        yield line


def _too_short(line: int, num_columns: int, column: int, delimiter: str) -> str:
    columns = "1 column" if num_columns == 1 else f"{num_columns} columns"
    return (
        f"The row on line {line} of the CSV has {columns}, with {delimiter!r} between them, but at least {column} are "
        f"needed to read column {column}: correct the row, choose another column, set another csv_delimiter, or read "
        "each line as a document with csv_column=0."
    )


def as_content(content: str, settings: Settings) -> str | bytes:
    """Returns the content, as UTF-8 if the vocabulary consists of bytes."""
    return content.encode("utf-8", "surrogateescape") if settings.vocabulary == "bytes" else content
