"""Whether the first row of a CSV is a header.

    is_header([["id", "name"], ["1", "Ann"], ["2", "Bob"]])         # True
"""

import re
from collections import Counter

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
_LONGEST_HEADING = 40  # characters


def is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: by numbers below a word, or by words that often name columns.

    Args:
        rows: the first rows of a CSV, without empty ones.
    """
    if len(rows) < 2:
        return False
    first, others = [cell.strip() for cell in rows[0]], rows[1:]
    width = Counter(map(len, others)).most_common(1)[0][0]
    if len(first) != width or len(set(first)) < width or not all(map(_may_be_heading, first)):
        return False
    columns = [[row[i].strip() for row in others if len(row) > i] for i in range(len(first))]
    if any(heading in column for heading, column in zip(first, columns, strict=True) if heading):
        return False
    below = zip(first, ([cell for cell in column if cell] for column in columns), strict=True)
    if any(cells and all(map(is_number, cells)) and _heads(cell, cells) for cell, cells in below):
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
    return len(cell) <= _LONGEST_HEADING and not is_number(cell) and not cell.endswith((".", "!", "?"))


def is_number(cell: str) -> bool:
    """Whether a field is a number, with a point or a comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
