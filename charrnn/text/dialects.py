"""How a CSV is written, found by a look at it: the character between its fields, and whether its first row is a header.

    found = look(["names.tsv"], Settings(csv_column=2))
    found.settings.csv_delimiter, found.settings.csv_header         # "\\t", True
"""

import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from charrnn.errors import UserError, require
from charrnn.text import chunks
from charrnn.text.chunks import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

NAMES = {"tab": "\t", "\\t": "\t", "space": " "}
"""What a delimiter may be called, for shells and config files."""

_BEFORE = {"csv_delimiter": ",", "csv_header": "false"}
"""What a config with a column of a CSV meant that was written before there were these settings."""

_OPEN = {"csv_delimiter": "", "csv_header": "auto"}  # what these settings are where a look is to find them
_CANDIDATES = ("\t", "|", ";", ",")  # of those that fit equally well, the first: it is the rarest in sentences
_LOOK_CHARS = 1 << 16  # characters of a file
_SHOWN_CHARS = 40  # characters of a field
_HEADINGS = set(
    """
    abstract answer article artist author body category class comment content created date description document
    end event headline id index input instruction joke key label language line lyrics message name note number
    output poem post prompt question quote rating response review score sentence sentiment source start subject
    summary surname tag target text time title topic translation tweet type url user username value verse word
    year
    """.split()
)
_MISSING = ("", "na", "n/a", "-", "--", "?", "null", "none", "unknown")  # written for a number that is not known
_HEADING_CHARS = 40  # characters


class Look(NamedTuple):
    """What a look at CSV files found."""

    settings: Settings
    notes: list[str]  # lines for the user


def with_csv_settings(config: dict) -> dict:
    """Returns a run's config.json with what it meant when it was written."""
    data = config.get("data")
    if isinstance(data, dict) and data.get("csv_column"):
        return {**config, "data": {**_BEFORE, **data}}
    return config


def as_begun(config: T, begun: dict) -> T:
    """Returns a `DataConfig` with what it leaves to be found as a run has it, so that the run resumes as it was begun.

    Args:
        config: what was given.
        begun: the run's config.json, as `with_csv_settings` returns it.
    """
    data = begun.get("data")
    open_ones = {name: value for name, value in _OPEN.items() if getattr(config, name) == value}
    known = {name: data.get(name) for name in open_ones} if isinstance(data, dict) else {}
    return dataclasses.replace(config, **{name: value for name, value in known.items() if isinstance(value, str)})


def check_delimiter(name: str, delimiter: str) -> None:
    """Raises UserError for the setting `name` unless it is a delimiter, or empty."""
    right = delimiter in ("", *NAMES) or (len(delimiter) == 1 and delimiter not in '"\r\n\0')
    require(name, ascii(delimiter)[1:-1], right, "one character other than a quote, tab, space, or empty (to be found)")


def look(paths: Sequence[str], settings: Settings, delimiter: str = "", header: str = "auto") -> Look:
    """Settles what the user left open, by the first rows of the files.

    Args:
        paths: the files.
        settings: how they are read; unchanged unless it has a `csv_column`.
        delimiter: as in `DataConfig.csv_delimiter`.
        header: as in `DataConfig.csv_header`.

    Raises:
        UserError: a file cannot be read or decoded, or some begin with a header and others do not.
    """
    if not settings.csv_column:
        return Look(settings, [])
    delimiter = NAMES.get(delimiter, delimiter)
    if delimiter and header != "auto":
        return Look(settings._replace(csv_delimiter=delimiter, csv_header=header == "true"), [])
    beginnings = (chunks.beginning(path, settings, _LOOK_CHARS) for path in paths)
    text = next((text for text in beginnings if text[0].strip()), ("", True))
    delimiter = delimiter or _delimiter_of(text, settings)
    records = _records(*text, delimiter)
    has_header = _is_header(records) if header == "auto" else header == "true"
    if header == "auto":
        _require_alike(paths, records, has_header, settings, delimiter)
    settings = settings._replace(csv_delimiter=delimiter, csv_header=has_header)
    return Look(settings, _notes(records, settings))


def named(delimiter: str) -> str:
    """Returns what a delimiter is called in a setting."""
    return {"\t": "tab", " ": "space"}.get(delimiter, delimiter)


def _delimiter_of(text: tuple[str, bool], settings: Settings) -> str:
    """The one that cuts most rows into the same number of fields, the wanted one among them; then, beside quotes."""

    def fit(candidate: str) -> tuple[float, int]:
        widths = Counter(map(len, _records(*text, candidate)))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        fits = width >= max(2, settings.csv_column)
        return count / widths.total() if fits else 0.0, text[0].count(f'{candidate}"') + text[0].count(f'"{candidate}')

    best = max(_CANDIDATES, key=fit)
    return best if fit(best)[0] else ","


def _records(text: str, whole: bool, delimiter: str) -> list[list[str]]:
    """The rows that are not empty; without the last one of a text that is only a beginning."""
    records = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            records.append(record)
    except csv.Error:  # which is told, with its line, when all of it is read
        whole = True
    return [record for record in (records if whole else records[:-1]) if record]


def _require_alike(
    paths: Sequence[str], records: list[list[str]], has_header: bool, settings: Settings, delimiter: str
) -> None:
    """Raises UserError where the files do not all begin with the first one's header."""
    for path in paths[1:] if has_header else ():
        others = _records(*chunks.beginning(path, settings, _LOOK_CHARS), delimiter)
        if others and others[0] != records[0]:
            raise UserError(
                f"{paths[0]!r} begins with a header and {path!r} does not begin with the same: set csv_header=true "
                "to leave out the first row of each file, or csv_header=false to read them all."
            )


def _notes(records: list[list[str]], settings: Settings) -> list[str]:
    if not records:
        return []
    column, first = settings.csv_column, ", ".join(cell.strip()[:_SHOWN_CHARS] for cell in records[0])
    header = "is a header and is left out" if settings.csv_header else "is read as a document, not as a header"
    notes = [
        f"Read as a CSV with {named(settings.csv_delimiter)!r} between its fields, {len(records[0])} in the first row, "
        f"which {header}: {first} (data.csv_delimiter and data.csv_header set it otherwise)"
    ]
    next_ones = [record[column] for record in records if len(record) > column]
    prose = sum(cell.startswith(" ") and not _is_number(cell) for cell in next_ones)
    if settings.csv_delimiter == "," and 2 * prose > len(records):
        notes.append(
            f"In {prose:,} of the first {len(records):,} rows a space follows the comma after column {column}, as in "
            "a sentence: a comma in a text without quotes ends the column, and what follows it is not read. Put such "
            "texts in quotes, or read whole lines with data.csv_column=0"
        )
    return notes


def _is_header(records: list[list[str]]) -> bool:
    """Whether the first row names the columns: numbers stand below a word, or its words often name columns."""
    if len(records) < 2:
        return False
    first, others = [cell.strip() for cell in records[0]], records[1:]
    width = Counter(map(len, others)).most_common(1)[0][0]
    if len(first) != width or len(set(first)) < width or not all(map(_may_be_heading, first)):
        return False
    columns = [[record[i].strip() for record in others if len(record) > i] for i in range(len(first))]
    if any(heading in column for heading, column in zip(first, columns, strict=True) if heading):
        return False
    below = zip(first, ([cell for cell in column if cell] for column in columns), strict=True)
    if any(cells and all(map(_is_number, cells)) and _heads(cell, cells) for cell, cells in below):
        return True
    written = [cell for cell in first if cell]
    return 2 * sum(_last_word(cell) in _HEADINGS for cell in written) > len(written)


def _heads(cell: str, numbers: list[str]) -> bool:
    """Whether a cell above numbers is their heading, rather than a number that is missing: of an index it is empty."""
    return cell.lower() not in _MISSING or (not cell and numbers[:2] in (["0", "1"], ["1", "2"]))


def _last_word(cell: str) -> str:
    """Of a heading such as "user_name"; a cell of more than two words has none."""
    words = re.split(r"[\s_-]+", cell.lower())
    return words[-1] if len(words) < 3 else ""


def _may_be_heading(cell: str) -> bool:
    return len(cell) <= _HEADING_CHARS and not _is_number(cell) and not cell.endswith((".", "!", "?"))


def _is_number(cell: str) -> bool:
    """Whether a field is a number, with a point or a comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
