"""How a text became the characters that a model knows; the same is done to every text that meets the model.

    reading = Reading(lowercase=True, universal_newlines=True)
    reading.apply("The King\r\n")                # "the king\n"
"""

import dataclasses
import unicodedata
from collections.abc import Mapping
from typing import Any

from charrnn.errors import require

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
        require("data.normalization", self.normalization, self.normalization in NORMALIZATIONS, allowed)
        require("data.encoding", self.encoding, _is_encoding(self.encoding), "the name of a text encoding, or empty")
        for name in ("universal_newlines", "lowercase"):
            value = getattr(self, name)
            require(f"data.{name}", value, isinstance(value, bool), "true or false")

    @classmethod
    def of_run(cls, data: Mapping[str, Any]) -> "Reading":
        """Returns how a run's text was read.

        Args:
            data: the settings `data.*` as config.json has them; those that an older version did not have are missing.

        Raises:
            UserError: a setting has an impossible value.
        """
        documents = data.get("order") == "lines" or data.get("csv_column", 0) != 0
        names = ("normalization", "lowercase", "encoding")
        return cls(documents, **{name: data[name] for name in names if name in data})

    def apply(self, text: str) -> str:
        """Returns the text as the model knows it: line ends, normalization, lower case; a second time changes nothing.

        The normalization is applied again after lower case: "J" with a caron has no character of its own, "j" has.
        """
        if self.universal_newlines and "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        text = self._normalized(text)
        return self._normalized(text.lower()) if self.lowercase else text

    def _normalized(self, text: str) -> str:
        return unicodedata.normalize(self.normalization, text) if self.normalization else text  # type: ignore[arg-type]


def _is_encoding(name: str) -> bool:
    """Whether Python can decode text by that name; "" counts."""
    try:
        return name == "" or isinstance("a".encode(name), bytes)
    except (LookupError, ValueError, TypeError):
        return False
