"""Admits a text that is given to a model: reads it as the model's text was read, and looks for unknown characters."""

import unicodedata

from charrnn.errors import UserError, require
from charrnn.text.reading import NORMALIZATIONS, Reading
from charrnn.text.vocabulary import Vocabulary, listed

UNKNOWN = ("refuse", "drop", "replace")
"""Refuse the text, drop the characters, or read the unknown character in their place."""

_OTHER_SPELLINGS = {
    "in lower case": Reading(lowercase=True),
    "with \\n alone as line break": Reading(universal_newlines=True),
    **{f"in the Unicode normalization form {form}": Reading(normalization=form) for form in NORMALIZATIONS[1:]},
}
"""How else a text may be written, so that a model knows it."""

_MOST_SHOWN = 300  # characters of a vocabulary


def admit(text: str, subject: str, vocabulary: Vocabulary, unknown: str) -> str:
    """Returns the text as it may be encoded, read as the model's text was.

    Args:
        text: anything.
        subject: what a message calls it.
        vocabulary: what the model knows, and how its text was read.
        unknown: one of UNKNOWN.

    Raises:
        UserError: it has unknown characters, and they are refused.
    """
    require("unknown", unknown, unknown in UNKNOWN, f"one of {', '.join(UNKNOWN)}")
    text = vocabulary.read(text)
    found = vocabulary.unknown_characters(text)
    if found and unknown == "refuse":
        known = "".join(vocabulary.characters[:_MOST_SHOWN])
        more = f" and {more:,} more" if (more := len(vocabulary.characters) - len(known)) else ""
        hint = spelling_hint(text, found, vocabulary)
        remedy = f"{'convert it, ' if hint else ''}leave them out, or say unknown=drop or unknown=replace"
        raise UserError(
            f"{subject} has characters that the model never saw: {listed(found)}{hint}; {remedy}. "
            f"It knows {known!r}{more}."
        )
    return text.translate({ord(c): None for c in found}) if unknown == "drop" else text


def spelling_hint(text: str, found: list[str], vocabulary: Vocabulary) -> str:
    """Returns how a text may be written so that a model knows it, and what differs; "" if nothing helps.

    Args:
        text: as the model's text was read.
        found: its unknown characters.
        vocabulary: what the model knows.
    """
    known = "".join(vocabulary.characters)
    alike = {how: read for how, read in _OTHER_SPELLINGS.items() if not read.lowercase or known == known.lower()}
    remaining = {how: len(vocabulary.unknown_characters(read.apply(text))) for how, read in alike.items()}
    how = min(remaining, key=remaining.get)
    if remaining[how] >= len(found):
        return ""
    share = "more" if remaining[how] else "all"
    return f"; {how} it knows {share} of them{_difference(text, found, _OTHER_SPELLINGS[how])}"


def _difference(text: str, found: list[str], reading: Reading) -> str:
    """An example of what another normalization form changes: the two look the same."""
    if not reading.normalization:
        return ""
    for given in found:
        if (known := reading.apply(given)) != given:
            return f" ({_code_points(given)} is {_code_points(known)} there)"
    composed = next((c for c in reading.apply(text) if c not in text), "")
    return composed and f" ({_code_points(unicodedata.normalize('NFD', composed))} is {_code_points(composed)} there)"


def _code_points(text: str) -> str:
    return " ".join(f"U+{ord(character):04X}" for character in text)
