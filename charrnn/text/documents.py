"""Reads the documents in a column of a CSV, such as names or headlines.

column(open("ag_news.csv", newline=""), 2)       # the titles, of class, title and description
"""

import csv
import re
from collections.abc import Iterable, Iterator

from charrnn.errors import UserError


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
