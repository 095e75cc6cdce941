"""Normalization of a text before its characters are counted. Every text given to a model gets the same one.

    reading = Reading(lowercase=True, universal_newlines=True)
    reading.apply("The King\r\n")                # "the king\n"
"""

import dataclasses
import unicodedata
from collections.abc import Mapping
from typing import Any

from charrnn.errors import require

NORMALIZATIONS = ("", "NFC", "NFD", "NFKC", "NFKD")
"""The Unicode normalization forms; "" leaves a text unchanged."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """The decoding and normalization of a text. Stored with the vocabulary."""

    universal_newlines: bool = False  # turn "\r\n" and "\r" into "\n", because each line is a document
    normalization: str = ""  # one of NORMALIZATIONS
    lowercase: bool = False
    encoding: str = ""  # the files' Python codec; "": the byte-order mark decides, UTF-8 without one

    def __post_init__(self):
        allowed = f"one of {', '.join(NORMALIZATIONS[1:])}, or empty"
        require("data.normalization", self.normalization, self.normalization in NORMALIZATIONS, allowed)
        require("data.encoding", self.encoding, _is_encoding(self.encoding), "the name of a text encoding, or empty")
        for name in ("universal_newlines", "lowercase"):
            value = getattr(self, name)
            require(f"data.{name}", value, isinstance(value, bool), "true or false")

    @classmethod
    def of_run(cls, data: Mapping[str, Any]) -> "Reading":
        """Returns the reading of a run's text.

        Args:
            data: the settings `data.*` of config.json; older versions lack some of them.

        Raises:
            UserError: a setting has an invalid value.
        """
        documents = data.get("order") == "lines" or data.get("csv_column", 0) != 0
        names = ("normalization", "lowercase", "encoding")
        return cls(documents, **{name: data[name] for name in names if name in data})

    def apply(self, text: str) -> str:
        """Returns the text with line ends, Unicode form and case as the model knows them. Idempotent.

        Normalizes again after lower-casing, because "j" with a caron is one character but "J" with a caron is two.
        """
        if self.universal_newlines and "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        text = self._normalized(text)
        return self._normalized(text.lower()) if self.lowercase else text

    def _normalized(self, text: str) -> str:
        return unicodedata.normalize(self.normalization, text) if self.normalization else text  # type: ignore[arg-type]


def _is_encoding(name: str) -> bool:
    """Returns whether Python has a text codec of that name; "" counts."""
    try:
        return name == "" or isinstance("a".encode(name), bytes)
    except (LookupError, ValueError, TypeError):
        return False
