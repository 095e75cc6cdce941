"""Detects the dialect of CSV files: the delimiter, and whether the first row is a header.

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
from charrnn.text.content import allow_long_fields

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

NAMES = {"tab": "\t", "\\t": "\t", "space": " "}
"""Names of delimiters, for shells and config files."""

_BEFORE = {"csv_delimiter": ",", "csv_header": "false"}
"""The values that an older config with a CSV column means, because it lacks these settings."""

_OPEN = {"csv_delimiter": "", "csv_header": "auto"}  # the values that ask for detection
_CANDIDATES = ("\t", "|", ";", ",")  # the rarest in sentences first, because the first of equals wins
_LOOK_CHARS = 1 << 16  # read of each file
_SHOWN_CHARS = 40  # of a field in a message
_HEADINGS = set(
    """
    abstract answer article artist author body category class comment content created date description document
    end event headline id index input instruction joke key label language line lyrics message name note number
    output poem post prompt question quote rating response review score sentence sentiment source start subject
    summary surname tag target text time title topic translation tweet type url user username value verse word
    year
    """.split()
)
_MISSING = ("", "na", "n/a", "-", "--", "?", "null", "none", "unknown")  # stands for an unknown number
_HEADING_CHARS = 40  # at most


class Look(NamedTuple):
    """The result of looking at CSV files."""

    settings: Settings  # with the detected delimiter and header
    notes: list[str]  # lines for the user


def with_csv_settings(config: dict) -> dict:
    """Returns a run's config.json; adds the CSV settings that an older version did not write."""
    data = config.get("data")
    if isinstance(data, dict) and data.get("csv_column"):
        return {**config, "data": {**_BEFORE, **data}}
    return config


def as_begun(config: T, begun: dict) -> T:
    """Returns a `DataConfig` in which a run's detected values replace "detect", so that the run resumes with them.

    Args:
        config: the given config.
        begun: the run's config.json, as `with_csv_settings` returns it.
    """
    data = begun.get("data")
    open_ones = {name: value for name, value in _OPEN.items() if getattr(config, name) == value}
    known = {name: data.get(name) for name in open_ones} if isinstance(data, dict) else {}
    return dataclasses.replace(config, **{name: value for name, value in known.items() if isinstance(value, str)})


def check_delimiter(name: str, delimiter: str) -> None:
    """Raises UserError for the setting `name` unless its value is a delimiter or empty."""
    right = delimiter in ("", *NAMES) or (len(delimiter) == 1 and delimiter not in '"\r\n\0')
    require(name, ascii(delimiter)[1:-1], right, "one character other than a quote, tab, space, or empty (detect it)")


def look(paths: Sequence[str], settings: Settings, delimiter: str = "", header: str = "auto") -> Look:
    """Detects the delimiter and the header from the first rows of the files, unless the user gave them.

    Args:
        paths: the files.
        settings: how to read them; returned unchanged if `csv_column` is 0.
        delimiter: as in `DataConfig.csv_delimiter`.
        header: as in `DataConfig.csv_header`.

    Returns:
        The settings, and lines for the user.

    Raises:
        UserError: a file cannot be read or decoded, or only some begin with a header.
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
    """Returns a delimiter's name in a setting."""
    return {"\t": "tab", " ": "space"}.get(delimiter, delimiter)


def _delimiter_of(text: tuple[str, bool], settings: Settings) -> str:
    """Returns the delimiter that splits most rows into equally many fields; of equals, the one most often by quotes."""

    def fit(candidate: str) -> tuple[float, int]:
        widths = Counter(map(len, _records(*text, candidate)))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        fits = width >= max(2, settings.csv_column)
        return count / widths.total() if fits else 0.0, text[0].count(f'{candidate}"') + text[0].count(f'"{candidate}')

    best = max(_CANDIDATES, key=fit)
    return best if fit(best)[0] else ","


def _records(text: str, whole: bool, delimiter: str) -> list[list[str]]:
    """Returns the rows that are not empty, without the last one if the text is not whole."""
    records = []
    allow_long_fields()
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            records.append(record)
    except csv.Error:  # reported with its line when the whole file is read
        whole = True
    return [record for record in (records if whole else records[:-1]) if record]


def _require_alike(
    paths: Sequence[str], records: list[list[str]], has_header: bool, settings: Settings, delimiter: str
) -> None:
    """Raises UserError unless all files begin with the first one's header."""
    for path in paths[1:] if has_header else ():
        others = _records(*chunks.beginning(path, settings, _LOOK_CHARS), delimiter)
        if others and others[0] != records[0]:
            raise UserError(
                f"{paths[0]!r} begins with a header, but {path!r} does not begin with the same one: set "
                "csv_header=true to skip the first row of each file, or csv_header=false to read all rows."
            )


def _notes(records: list[list[str]], settings: Settings) -> list[str]:
    if not records:
        return []
    column, first = settings.csv_column, ", ".join(cell.strip()[:_SHOWN_CHARS] for cell in records[0])
    header = "is a header and is skipped" if settings.csv_header else "is read as a document, not as a header"
    notes = [
        f"Read as a CSV with {named(settings.csv_delimiter)!r} between its fields, {len(records[0])} in the first row, "
        f"which {header}: {first} (data.csv_delimiter and data.csv_header override this)"
    ]
    next_ones = [record[column] for record in records if len(record) > column]
    prose = sum(cell.startswith(" ") and not _is_number(cell) for cell in next_ones)
    if settings.csv_delimiter == "," and 2 * prose > len(records):
        notes.append(
            f"In {prose:,} of the first {len(records):,} rows a space follows the comma after column {column}, as in "
            "a sentence: a comma in a text without quotes ends the column, and the rest of the text is not read. Put "
            "such texts in quotes, or read whole lines with data.csv_column=0"
        )
    return notes


def _is_header(records: list[list[str]]) -> bool:
    """Returns whether the first row names columns: numbers stand below a word, or most words are common names."""
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
    """Returns whether a cell above numbers is their heading, not a missing number. An index has an empty heading."""
    return cell.lower() not in _MISSING or (not cell and numbers[:2] in (["0", "1"], ["1", "2"]))


def _last_word(cell: str) -> str:
    """Returns the last word of a heading such as "user_name"; "" for a cell of more than two words."""
    words = re.split(r"[\s_-]+", cell.lower())
    return words[-1] if len(words) < 3 else ""


def _may_be_heading(cell: str) -> bool:
    return len(cell) <= _HEADING_CHARS and not _is_number(cell) and not cell.endswith((".", "!", "?"))


def _is_number(cell: str) -> bool:
    """Returns whether a field is a number, with a decimal point or comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
