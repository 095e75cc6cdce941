"""How a text became the characters that a model knows; the same is done to every text that meets the model.

    reading = Reading(lowercase=True, universal_newlines=True)
    reading.apply("The King\r\n")                # "the king\n"
"""

import dataclasses
import unicodedata

from charrnn.errors import check

NORMALIZATIONS = ("", "NFC", "NFD", "NFKC", "NFKD")
"""The Unicode normalization forms; "" leaves a text as it is."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was done to a text before its characters were counted. Stored with the vocabulary."""

    universal_newlines: bool = False  # "\r\n" and "\r" become "\n", as for documents of a line each
    normalization: str = ""  # one of NORMALIZATIONS
    lowercase: bool = False
    encoding: str = ""  # of the files, as `bytes.decode` names it; "": UTF-8, or what a byte-order mark says

    def __post_init__(self):
        allowed = f"one of {', '.join(NORMALIZATIONS[1:])}, or empty"
        check("data.normalization", self.normalization, self.normalization in NORMALIZATIONS, allowed)

    def apply(self, text: str) -> str:
        """Returns the text as the model knows it: first line ends, then the normalization, then lower case."""
        if self.universal_newlines and "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self.normalization:
            text = unicodedata.normalize(self.normalization, text)
        return text.lower() if self.lowercase else text


def with_reading(vocabulary, reading: Reading):
    """Returns a vocabulary that knows how its text was read, for all texts that meet the model."""
    known = {field.name for field in dataclasses.fields(vocabulary)}
    return dataclasses.replace(vocabulary, reading=reading) if "reading" in known else vocabulary
