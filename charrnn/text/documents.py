"""Read the documents of a corpus, such as names or headlines: one a line of a text, or one a row of a CSV.

corpus = load("ag_news")                                  # class, title, description
documents = read_documents(corpus.content, csv_column=2)  # the titles
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charrnn.errors import UserError, require


class Documents(NamedTuple):
    """Texts that are independent of each other.

    Attributes:
        texts: the documents in the order of the corpus; none is empty and none contains a line break.
        num_empty: how many lines or rows were left out because there was nothing but white space in them.
    """

    texts: list[str]
    num_empty: int


def read_documents(text: str, csv_column: int = 0, csv_delimiter: str = ",", csv_header: bool = False) -> Documents:
    r"""Cuts a text into documents. A line ends with "\n", "\r\n" or "\r"; the last one may lack its end.

    Args:
        text: a whole corpus, without byte-order mark.
        csv_column: 0 if each line is a document and stays as it is. Else the text is a CSV as RFC 4180 has it, and this
            is the column of the documents, counted from 1. Each run of line breaks in a quoted field becomes one space,
            and the white space around a field is dropped.
        csv_delimiter: the character between the fields.
        csv_header: whether the first row has the columns' names, and is no document.

    Raises:
        UserError: the column is negative or missing in a row, the CSV is malformed, or there is no document.
    """
    require("csv_column", csv_column, csv_column >= 0, "0 for a document a line, or the number of a column from 1 on")
    rows = io.StringIO(text, newline="")
    candidates = list(Column(rows, csv_column, csv_delimiter, csv_header)) if csv_column else lines(text)
    texts = [candidate for candidate in candidates if candidate.strip()]
    if not texts:
        raise no_document(csv_column, len(candidates))
    return Documents(texts, num_empty=len(candidates) - len(texts))


def no_document(csv_column: int, num_candidates: int) -> UserError:
    """Returns the error of a corpus whose lines or rows, of this number, are all empty."""
    where = f"column {csv_column} of its {num_candidates:,} rows" if csv_column else f"{num_candidates:,} lines"
    return UserError(f"There is no document in the corpus: nothing stands in {where}; give another file or column.")


def lines(text: str) -> list[str]:
    """Returns the lines of a text, the empty ones too, as `read_documents` has them."""
    # `str.splitlines` would also cut at form feeds and other characters that may stand within a line.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


class Column:
    """The fields of a column, as `read_documents` has them; an empty line, often the last one, has empty fields.

    Attributes:
        num_odd: how many rows were read that have more or fewer fields than the first one: often a delimiter within a
            text that is not quoted, which cuts the text.
        first_odd: the line of the first of them; 0: none.
    """

    def __init__(self, rows: Iterable[str], column: int, delimiter: str = ",", header: bool = False):
        """Reads the lines of a CSV, with their ends; the other arguments as in `read_documents`."""
        self.num_odd = self.first_odd = 0
        self._rows, self._column, self._delimiter, self._header = rows, column, delimiter, header

    def __iter__(self) -> Iterator[str]:
        # Without `strict` a quote that is never closed swallows the rest of the file and says nothing.
        reader = csv.reader(_without_nul(self._rows), strict=True, delimiter=self._delimiter)
        line, width, header = 1, 0, self._header
        try:
            for row in reader:
                width = width or len(row)
                self._count(row, width, line)
                if not header:
                    yield self._field(row)
                header = header and not row
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"The CSV is malformed in the row that begins on line {line} ({error}): mend it there (a field in "
                'quotes ends with one, and a quote within it is written ""), or read each line as a document with '
                "csv_column=0."
            ) from error

    def _count(self, row: list[str], width: int, line: int) -> None:
        if row and len(row) < self._column:
            raise UserError(_too_short(line, len(row), self._column, self._delimiter))
        if row and len(row) != width:
            self.num_odd += 1
            self.first_odd = self.first_odd or line

    def _field(self, row: list[str]) -> str:
        return re.sub(r"[\r\n]+", " ", row[self._column - 1].strip()) if row else ""


def _without_nul(rows: Iterable[str]) -> Iterator[str]:
    for number, row in enumerate(rows, start=1):
        if "\0" in row:
            raise UserError(f"The CSV is malformed on line {number} (a NUL): mend it, or give a file of text.")
        yield row


def _too_short(line: int, num_columns: int, column: int, delimiter: str) -> str:
    columns = "1 column" if num_columns == 1 else f"{num_columns} columns"
    return (
        f"The row on line {line} of the CSV has {columns}, with {delimiter!r} between them, but at least {column} are "
        f"needed to read column {column}: mend the row, choose another column, set another csv_delimiter, or read each "
        "line as a document with csv_column=0."
    )
