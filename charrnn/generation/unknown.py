"""Reads a text as the model's training text was read, and looks for characters that the model does not know."""

import unicodedata

from charrnn.errors import UserError, require
from charrnn.text.reading import NORMALIZATIONS, Reading
from charrnn.text.vocabulary import Vocabulary, listed

UNKNOWN = ("refuse", "drop", "replace")
"""Refuse the text, drop its unknown characters, or replace each by the unknown character."""

_OTHER_SPELLINGS = {
    "in lower case": Reading(lowercase=True),
    "with \\n alone as line break": Reading(universal_newlines=True),
    **{f"in the Unicode normalization form {form}": Reading(normalization=form) for form in NORMALIZATIONS[1:]},
}
"""Other ways to write a text, in which the model may know it."""

_SHOWN_CHARS = 300  # of a vocabulary in a message


def admit(text: str, subject: str, vocabulary: Vocabulary, unknown: str) -> str:
    """Returns a text ready to be encoded, read as the model's training text was.

    Args:
        text: any text.
        subject: the text's name in a message.
        vocabulary: the model's.
        unknown: one of UNKNOWN.

    Raises:
        UserError: `unknown` is not one of UNKNOWN; or it is "refuse", and the text has unknown characters.
    """
    require("unknown", unknown, unknown in UNKNOWN, f"one of {', '.join(UNKNOWN)}")
    text = vocabulary.read(text)
    found = vocabulary.unknown_characters(text)
    if found and unknown == "refuse":
        known = "".join(vocabulary.characters[:_SHOWN_CHARS])
        more = f" and {more:,} more" if (more := len(vocabulary.characters) - len(known)) else ""
        hint = spelling_hint(text, found, vocabulary)
        remedy = f"{'convert it, ' if hint else ''}leave them out, or say unknown=drop or unknown=replace"
        raise UserError(
            f"{subject} has characters that the model never saw: {listed(found)}{hint}; {remedy}. "
            f"It knows {known!r}{more}."
        )
    return text.translate({ord(c): None for c in found}) if unknown == "drop" else text


def spelling_hint(text: str, found: list[str], vocabulary: Vocabulary) -> str:
    """Returns the end of a sentence: the spelling in which the model knows the text best; "" if none helps.

    Args:
        text: read as the model's training text was.
        found: its unknown characters.
        vocabulary: the model's.
    """
    known = "".join(vocabulary.characters)
    spellings = {how: read for how, read in _OTHER_SPELLINGS.items() if not read.lowercase or known == known.lower()}
    remaining = {how: len(vocabulary.unknown_characters(read.apply(text))) for how, read in spellings.items()}
    best = min(remaining, key=lambda how: remaining[how])
    if remaining[best] >= len(found):
        return ""
    share = "more" if remaining[best] else "all"
    return f"; {best} it knows {share} of them{_difference(text, found, spellings[best])}"


def _difference(text: str, found: list[str], reading: Reading) -> str:
    """Returns an example of the change by another normalization form, because both spellings look the same."""
    if not reading.normalization:
        return ""
    for given in found:
        if (known := reading.apply(given)) != given:
            return f" ({_code_points(given)} is {_code_points(known)} there)"
    composed = next((c for c in reading.apply(text) if c not in text), "")
    return composed and f" ({_code_points(unicodedata.normalize('NFD', composed))} is {_code_points(composed)} there)"


def _code_points(text: str) -> str:
    return " ".join(f"U+{ord(character):04X}" for character in text)
