"""Decodes bytes to text, a block at a time, from any encoding that Python knows.

    for text in decoding.texts("letters.txt", blocks, encoding="cp1252"):
        ...

If no encoding is given, the byte-order mark decides; without one, the encoding is UTF-8.
"""

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator

from charrnn.errors import UserError, require
from charrnn.text import formats

_WESTERN = ("cp1252", "latin-1")
_OTHERS = ("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "cp1251", "koi8-r")  # the strict ones first
_GUESS_BYTES = 1 << 16  # read to guess an encoding


def check_encoding(name: str, encoding: str) -> None:
    """Raises UserError for the setting `name` unless Python can decode the encoding a block at a time."""
    allowed = "empty (the byte-order mark decides, UTF-8 without one) or a Python codec, such as cp1252 or utf-16"
    try:
        known = not encoding or bool(b"\n\0\0\0".decode(encoding, "replace") and codecs.getincrementaldecoder(encoding))
    except (LookupError, ValueError):  # ValueError: the name cannot be a module's
        known = False
    require(name, ascii(encoding)[1:-1], known, allowed)


def is_utf8(encoding: str, data: bytes) -> bool:
    """Returns whether a file is decoded as UTF-8.

    Args:
        encoding: as in `texts`.
        data: the file's first bytes.
    """
    return _named(encoding or formats.codec_of_mark(data)) == "UTF-8"


def texts(
    path: str, blocks: Iterable[bytes], encoding: str = "", any_bytes: bool = False, start: int = 0
) -> Iterator[str]:
    """Decodes a file, or a part of it that starts at a character's first byte.

    Args:
        path: the file's path, for error messages.
        blocks: the file's bytes.
        encoding: a Python codec name; "": the byte-order mark decides, UTF-8 without one.
        any_bytes: True to turn undecodable bytes into surrogates, as `os.fsdecode` does, instead of raising an error.
        start: the first block's offset in the file, bytes.

    Yields:
        The text, without a byte-order mark.

    Raises:
        UserError: the bytes are invalid in the encoding, contain a NUL, or have a format that is not text.
    """
    blocks = iter(blocks)
    first = b""
    while len(first) < len(codecs.BOM_UTF32_LE) and (block := next(blocks, b"")):
        first += block
    decoder = _Decoder(path, b"" if start else first, encoding, any_bytes, start)
    begun = start > 0
    parts = ((data, False) for data in itertools.chain([first], blocks))
    for data, final in itertools.chain(parts, [(b"", True)]):
        text = decoder.decode(data, final)
        if text and not begun:
            text, begun = text.removeprefix("\ufeff"), True
        if text:
            yield text


def looks_like_utf8(encoding: str, data: bytes) -> bool:
    """Returns whether a file for which another encoding is given looks like UTF-8.

    Args:
        encoding: as in `texts`.
        data: the file's first bytes.
    """
    if is_utf8(encoding, b"") or data.isascii():
        return False
    return formats.codec_of_mark(data) == "utf-8" or _decodes(data, "utf-8")


class _Decoder:
    """Decodes a file in blocks and keeps their offset for error messages."""

    def __init__(self, path: str, first: bytes, encoding: str, any_bytes: bool, position: int):
        self._path, self._first, self._encoding, self._any_bytes = path, first, encoding, any_bytes
        self._codec, self._position = encoding or formats.codec_of_mark(first) or "utf-8", position
        self._errors = "surrogateescape" if any_bytes else "strict"
        self._incremental = codecs.getincrementaldecoder(self._codec)(self._errors)
        if first.startswith(formats.MARKUP) and not any_bytes:
            raise self._refusal("is not text", first)

    def decode(self, data: bytes, final: bool) -> str:
        """Returns the text of a block. If `final`, also decodes bytes left over from earlier blocks."""
        before = self._position - len(self._incremental.getstate()[0])
        try:
            text = self._incremental.decode(data, final)
            if not text.isascii():
                text.encode("utf-8", self._errors)  # some codecs return lone surrogates
        except UnicodeError as error:
            raise self._refusal(f"is not {_named(self._codec)}{_place(error, before)}", data) from error
        if "\0" in text and not self._any_bytes:
            at = f" at offset {self._position + data.index(0)}" if _named(self._codec) == "UTF-8" else ""
            raise self._refusal(f"is binary, not text (a NUL{at})", data)
        self._position += len(data)
        return text

    def _refusal(self, reason: str, data: bytes) -> UserError:
        kind = formats.non_text_format(self._first)
        if kind:
            return UserError(f"{self._path!r} {reason}, because it is {kind.name}: {kind.remedy}.")
        found = likely_encodings(data) if not self._encoding else []
        guess = f"it may be {' or '.join(found)}: {_settings('encoding', found[0])}; or " if found else ""
        as_bytes = f"or read it as bytes: {_settings('vocabulary', 'bytes')}"
        return UserError(f"{self._path!r} {reason}; {guess}convert it to UTF-8, {as_bytes}.")


def likely_encodings(data: bytes) -> list[str]:
    """Returns up to three possible encodings, the likeliest first.

    Args:
        data: bytes of a file that is not UTF-8 and has no byte-order mark. Zeros indicate UTF-16 or UTF-32.
    """
    data = data[:_GUESS_BYTES]
    wide = [codec for codec, step, places in _WIDE if _has_zeros(data, step, *places) and _decodes(data, codec)]
    if wide or b"\0" in data:
        return wide[:1]
    runs = re.findall(rb"[\x80-\xff]+", data)
    alone = sum(len(run) == 1 for run in runs)  # in Western text, most non-ASCII bytes stand alone
    named = _WESTERN if 2 * alone > len(runs) else (*_OTHERS, *_WESTERN)
    return [codec for codec in named if _decodes(data, codec)][:3]


_WIDE = (
    ("utf-32-le", 4, (3, 0)),
    ("utf-32-be", 4, (0, 3)),
    ("utf-16-le", 2, (1, 0)),
    ("utf-16-be", 2, (0, 1)),
)
"""Each codec, the bytes per character, and the positions of the bytes that are most often and least often zero."""


def _has_zeros(data: bytes, step: int, most: int, fewest: int) -> bool:
    many, few = data[most::step].count(0), data[fewest::step].count(0)
    share = many * step / max(1, len(data))
    return many > 1 and 4 * few < many and share > (0.9 if step == 4 else 0.02)


def _decodes(data: bytes, codec: str) -> bool:
    try:
        return "\0" not in codecs.getincrementaldecoder(codec)().decode(data)
    except UnicodeError:
        return False


def _settings(name: str, value: str) -> str:
    return f"--set data.{name}={value}, elsewhere --{name}={value}"


def _named(codec: str) -> str:
    """Returns the codec's name for messages; "UTF-8" for all its aliases."""
    name = codecs.lookup(codec or "utf-8").name
    return "UTF-8" if name == "utf-8-sig" else name.upper()


def _place(error: UnicodeError, position: int) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return f" (near offset {position})"
    return f" (byte 0x{error.object[error.start]:02x} at offset {position + error.start})"
