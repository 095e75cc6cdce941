"""Read the documents of a corpus, such as names or headlines: one a line of a text, or one a row of a CSV.

corpus = load("ag_news")                                  # class, title, description
documents = read_documents(corpus.content, csv_column=2)  # the titles
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charrnn.errors import UserError, check


class Documents(NamedTuple):
    """Texts that are independent of each other.

    Attributes:
        texts: the documents in the order of the corpus; none is empty and none contains a line break.
        num_empty: how many lines or rows were left out because there was nothing but white space in them.
    """

    texts: list[str]
    num_empty: int


def read_documents(text: str, csv_column: int = 0) -> Documents:
    r"""Cuts a text into documents. A line ends with "\n" or "\r\n"; the last one may lack its end.

    Args:
        text: a whole corpus, without byte-order mark.
        csv_column: 0 if each line is a document and stays as it is, but for a stray "\r" in it, which becomes a
            space. Else the text is a CSV as RFC 4180 has it, with commas and without a header, and this is the column
            of the documents, counted from 1. Each run of line breaks in a quoted field becomes one space, and the
            white space around a field is dropped. Outside of quotes a "\r" alone ends a row too.

    Raises:
        UserError: the column is negative or missing in a row, the CSV is malformed, or there is no document.
    """
    check("csv_column", csv_column, csv_column >= 0, "0 for a document a line, or the number of a column from 1 on")
    candidates = list(fields(io.StringIO(text, newline=""), csv_column)) if csv_column else lines(text)
    texts = [candidate for candidate in candidates if candidate.strip()]
    if not texts:
        raise no_document(csv_column, len(candidates))
    return Documents(texts, num_empty=len(candidates) - len(texts))


def no_document(csv_column: int, num_candidates: int) -> UserError:
    """The error of a corpus whose lines or rows, so many, are all empty."""
    where = f"column {csv_column} of its {num_candidates:,} rows" if csv_column else f"{num_candidates:,} lines"
    return UserError(f"There is no document in the corpus: nothing stands in {where}; give another file or column.")


def lines(text: str) -> list[str]:
    """The lines of a text, the empty ones too, as `read_documents` has them."""
    # `str.splitlines` would also cut at form feeds and other characters that may stand within a line.
    if "\r" in text:
        text = re.sub("\r+", " ", text.replace("\r\n", "\n"))
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def fields(rows: Iterable[str], column: int) -> Iterator[str]:
    """The fields of a column, as `read_documents` has them; an empty line, often the last one, has empty fields.

    Args:
        rows: the lines of a CSV, with their ends.
        column: counted from 1.
    """
    # Without `strict` a quote that is never closed swallows the rest of the file and says nothing.
    reader = csv.reader(_without_nul(rows), strict=True)
    line = 1
    try:
        for row in reader:
            if row and len(row) < column:
                raise UserError(_too_short(line, len(row), column))
            yield re.sub(r"[\r\n]+", " ", row[column - 1].strip()) if row else ""
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"The CSV is malformed in the row that begins on line {line} ({error}): mend it there (a field in quotes "
            'ends with one, and a quote within it is written ""), or read each line as a document with csv_column=0.'
        ) from error


def _without_nul(rows: Iterable[str]) -> Iterator[str]:
    for number, row in enumerate(rows, start=1):
        if "\0" in row:
            raise UserError(f"The CSV is malformed on line {number} (a NUL): mend it, or give a file of text.")
        yield row


def _too_short(line: int, num_columns: int, column: int) -> str:
    columns = "1 column" if num_columns == 1 else f"{num_columns} columns"
    return (
        f"The row on line {line} of the CSV has {columns}, but at least {column} are needed to read column {column}: "
        "mend the row, choose another column, or read each line as a document with csv_column=0."
    )
