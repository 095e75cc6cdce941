"""The documents in a column of a CSV, such as names or headlines.

    column(open("ag_news.csv", newline=""), 2)       # the titles, of class, title and description
"""

import csv
import re
from collections.abc import Iterable, Iterator

from charrnn.errors import UserError


def no_document(csv_column: int, num_candidates: int) -> UserError:
    """Returns the error of a corpus whose lines or rows, of this number, are all empty."""
    where = f"column {csv_column} of its {num_candidates:,} rows" if csv_column else f"{num_candidates:,} lines"
    return UserError(f"There is no document in the corpus: nothing stands in {where}; give another file or column.")


def column(
    lines: Iterable[str], number: int, delimiter: str = ",", header: bool = False
) -> Iterator[tuple[str, int]]:
    """Reads the documents in a column of a CSV, as RFC 4180 has it; an empty line has an empty one.

    Args:
        lines: the lines of the CSV, with their ends.
        number: of the column, from 1 on. Each run of line breaks in a quoted field becomes one space, and the white
            space around a field is dropped.
        delimiter: the character between the fields.
        header: whether the first row has the columns' names, and is no document.

    Yields:
        A document; and the line of its row if that has more or fewer fields than the first one, else 0: often a
        delimiter within a text that is not quoted, which cuts the text.

    Raises:
        UserError: the CSV is malformed, or a row has no such column.
    """
    # Without `strict` a quote that is never closed swallows the rest of the file and says nothing.
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
            f"The CSV is malformed in the row that begins on line {line} ({error}): mend it there (a field in "
            'quotes ends with one, and a quote within it is written ""), or read each line as a document with '
            "csv_column=0."
        ) from error


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise UserError(f"The CSV is malformed on line {number} (a NUL): mend it, or give a file of text.")
        yield line


def _too_short(line: int, num_columns: int, column: int, delimiter: str) -> str:
    columns = "1 column" if num_columns == 1 else f"{num_columns} columns"
    return (
        f"The row on line {line} of the CSV has {columns}, with {delimiter!r} between them, but at least {column} are "
        f"needed to read column {column}: mend the row, choose another column, set another csv_delimiter, or read each "
        "line as a document with csv_column=0."
    )
