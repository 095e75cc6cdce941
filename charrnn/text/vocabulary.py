"""Converts characters to ids and back.

vocabulary = Vocabulary.from_text(text)
ids = vocabulary.encode("ROMEO:")        # uint8 [6]
vocabulary.decode(ids)                   # "ROMEO:"
vocabulary.save("runs/mine/vocabulary.json")
"""

from __future__ import annotations

import json
import os
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from charrnn.errors import UserError
from charrnn.files import atomic, paths, strict_json
from charrnn.text.reading import Reading

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ENCODE_BLOCK_CHARS = 1 << 20  # the code points of a whole corpus would take four times the corpus's own memory
LISTED = 10  # characters in a message before "and 37 more"
_AS_IT_IS = Reading()
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


Content = str | bytes  # named here, because the class below has a method `bytes`


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """An immutable, ordered set of characters (Unicode code points), or the 256 bytes.

    Characters get the ids 1 … n in the given order; id 0 is the unknown character. In a vocabulary of bytes, the id is
    the byte's value. Nothing is unknown to it, so it encodes any file.

    Attributes:
        characters: the known characters in the order of their ids, a tuple of single code points; () for bytes.
        kind: "characters" or "bytes".
        reading: the decoding and normalization of the text; ignored by comparisons.

    Raises:
        ValueError: an entry is not one code point, or occurs twice.
    """

    characters: Sequence[str]
    kind: str = "characters"
    reading: Reading = field(default=_AS_IT_IS, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "characters", tuple(self.characters))
        if self.kind not in ("characters", "bytes"):
            raise ValueError(f"kind must be 'characters' or 'bytes', not {self.kind!r}")
        if self.kind == "bytes" and self.characters:
            raise ValueError("a vocabulary of bytes lists no characters")
        for character in self.characters:
            if not isinstance(character, str) or len(character) != 1:
                raise ValueError(f"{character!r} is not a single character")
        repeated = [character for character, count in Counter(self.characters).items() if count > 1]
        if repeated:
            raise ValueError(f"{repeated[0]!r} occurs twice")

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """Returns the vocabulary of the distinct characters of `text`, sorted by code point."""
        return cls(sorted(set(text)))

    @classmethod
    def bytes(cls) -> Vocabulary:
        """Returns the vocabulary of the 256 bytes, which encodes `str` as UTF-8."""
        return cls((), kind="bytes")

    @classmethod
    def load(cls, path: str | os.PathLike, older: Reading = _AS_IT_IS) -> Vocabulary:
        """Reads a file that `save` wrote.

        Args:
            path: the file's path.
            older: the reading to use if an older version, which did not store it, wrote the file.

        Returns:
            The vocabulary.

        Raises:
            UserError: the file is missing, damaged or not a vocabulary.
        """
        place = paths.given(path)
        try:
            return _from_json(strict_json.read(place), older)
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
        except json.JSONDecodeError as error:
            problem = f"is not JSON ({error})"
        except ValueError as error:
            problem = f"is damaged ({error})"
        raise UserError(f"The vocabulary file {path} {problem}: give a vocabulary.json that a training run wrote.")

    def save(self, path: str | os.PathLike) -> None:
        """Writes the vocabulary to a JSON file atomically. Raises UserError if that is not possible."""
        content = {"kind": self.kind, "characters": list(self.characters), "reading": asdict(self.reading)}
        try:
            # ASCII escapes are the only JSON form that preserves a lone surrogate.
            atomic.replace(paths.given(path), (json.dumps(content, ensure_ascii=True) + "\n").encode())
        except OSError as error:
            raise UserError(
                f"The vocabulary cannot be written to {path} ({error.strerror}): give a file in a folder that exists "
                "and is writable."
            ) from error

    @property
    def size(self) -> int:
        """The number of ids, including the unknown character's."""
        return 256 if self.kind == "bytes" else len(self.characters) + 1

    @property
    def unknown_id(self) -> int | None:
        """The id of every unknown character: 0, or None for bytes."""
        return None if self.kind == "bytes" else 0

    @property
    def dtype(self) -> np.dtype:
        """The type of the ids: the smallest sufficient one of uint8, uint16 and int32."""
        return np.dtype(np.uint8 if self.size <= 1 << 8 else np.uint16 if self.size <= 1 << 16 else np.int32)

    def read(self, text: str) -> str:
        """Returns a text, normalized like the model's training text. Apply this to every text given to a model."""
        return text.translate(_ASCII_LOWER) if self.lowers_ascii_only else self.reading.apply(text)

    @property
    def is_raw(self) -> bool:
        """True if the files were read as bytes without decoding them."""
        return self.kind == "bytes" and replace(self.reading, lowercase=False) == _AS_IT_IS

    @property
    def lowers_ascii_only(self) -> bool:
        """True if lower-casing changes only A to Z, as in bytes."""
        return self.is_raw and self.reading.lowercase

    def encode(self, text: Content) -> np.ndarray:
        """Returns the ids of a text. Runs eagerly on the host.

        Args:
            text: a text; or bytes, which a vocabulary of characters decodes as UTF-8.

        Returns:
            Ids of type `dtype`, `[number of characters]`, or `[number of bytes]` for bytes; 0 for unknown characters.

        Raises:
            UnicodeDecodeError: the bytes given to a vocabulary of characters are not UTF-8.
        """
        if self.kind == "bytes":
            data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            return np.frombuffer(data, np.uint8).copy()
        text = _as_str(text)
        if text.isascii() and self.dtype == np.uint8:
            return np.frombuffer(bytearray(text.encode("ascii").translate(self._id_of_ascii.data)), np.uint8)
        ids = np.empty(len(text), self.dtype)
        for start in range(0, len(text), ENCODE_BLOCK_CHARS):
            codes = _code_points(text[start : start + ENCODE_BLOCK_CHARS])
            ids[start : start + ENCODE_BLOCK_CHARS] = self._id_of_code.take(codes, mode="clip")
        return ids

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Returns the text of ids.

        Args:
            ids: integers from 0 to size - 1, `[N]`.

        Returns:
            The text, in which U+FFFD stands for the unknown id and for invalid UTF-8.

        Raises:
            ValueError: `ids` has another shape or type, or an id is out of range.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise ValueError(f"ids must be integers of shape [N], not {ids.dtype} {list(ids.shape)}")
        if ids.size and not (0 <= ids.min() and ids.max() < self.size):
            raise ValueError(f"ids must be from 0 to {self.size - 1}, not {ids.min()} … {ids.max()}")
        if self.kind == "bytes":
            return ids.astype(np.uint8).tobytes().decode("utf-8", "replace")
        return self._code_of_id[ids.astype(np.int64)].tobytes().decode("utf-32-le", "surrogatepass")

    def unknown_characters(self, text: Content) -> list[str]:
        """Returns the distinct characters of `text` that the vocabulary lacks, in order of first occurrence."""
        if self.kind == "bytes":
            return []
        return [character for character in dict.fromkeys(_as_str(text)) if character not in self._known]

    def differences(self, other: Vocabulary) -> str | None:
        """Returns a phrase that describes how `other` differs from this vocabulary, or None if they are equal."""
        if self == other:
            return None
        if self.kind != other.kind:
            return f"this one is of {self.kind}, the other of {other.kind}"
        mine = [character for character in self.characters if character not in other._known]
        theirs = [character for character in other.characters if character not in self._known]
        parts = [f"only in this one: {listed(mine)}"] if mine else []
        parts += [f"only in the other: {listed(theirs)}"] if theirs else []
        return "; ".join(parts) or "the same characters in another order"

    def __repr__(self):
        return f"Vocabulary({'256 bytes' if self.kind == 'bytes' else listed(self.characters)})"

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.characters)

    @cached_property
    def _code_of_id(self) -> np.ndarray:
        return _code_points(REPLACEMENT + "".join(self.characters))

    @cached_property
    def _id_of_code(self) -> np.ndarray:
        """A table over code points; its last entry, 0, serves all higher code points."""
        codes = self._code_of_id[1:]
        table = np.zeros(int(codes.max(initial=0)) + 2, self.dtype)
        table[codes] = np.arange(1, self.size)
        return table

    @cached_property
    def _id_of_ascii(self) -> np.ndarray:
        return self._id_of_code.take(np.arange(256), mode="clip")


def _from_json(content: object, older: Reading) -> Vocabulary:
    if not isinstance(content, dict):
        raise ValueError("it does not hold a JSON object")
    for key, kind in (("kind", str), ("characters", list)):
        if not isinstance(content.get(key), kind):
            raise ValueError(f"its {key!r} is missing or not a {'string' if kind is str else 'list'}")
    reading = _reading(content["reading"]) if "reading" in content else older
    return Vocabulary(content["characters"], content["kind"], reading)


def _reading(content: object) -> Reading:
    names = [each.name for each in fields(Reading)]
    if not isinstance(content, dict) or set(content) != set(names):
        raise ValueError(f"its 'reading' is not an object with the fields {', '.join(names)}")
    return Reading(**content)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _as_str(text: Content) -> str:
    return text if isinstance(text, str) else bytes(text).decode("utf-8")


def listed(characters: Sequence[str]) -> str:
    """Returns a list of characters for a message: the first LISTED, and the number of the others."""
    more = f" and {len(characters) - LISTED} more" if len(characters) > LISTED else ""
    return ", ".join(map(repr, characters[:LISTED])) + more
