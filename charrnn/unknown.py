"""What becomes of characters that the model never saw."""

from charrnn.errors import UserError, check
from charrnn.vocabulary import Vocabulary

UNKNOWN = ("refuse", "drop", "replace")
"""Refuse the text, drop the characters, or read the unknown character in their place."""


def admit(text: str, subject: str, vocabulary: Vocabulary, unknown: str) -> str:
    """The text as it may be encoded.

    Args:
        text: anything.
        subject: what a message calls it.
        vocabulary: what the model knows.
        unknown: one of UNKNOWN.

    Raises:
        UserError: it has unknown characters, and they are refused.
    """
    check("unknown", unknown, unknown in UNKNOWN, f"one of {', '.join(UNKNOWN)}")
    found = vocabulary.unknown_characters(text)
    if found and unknown == "refuse":
        raise UserError(
            f"{subject} has characters that the model never saw: {', '.join(map(repr, found))}; leave them out, or say "
            f"unknown=drop or unknown=replace. It knows {''.join(vocabulary.characters)!r}."
        )
    return "".join(c for c in text if c not in found) if unknown == "drop" else text
