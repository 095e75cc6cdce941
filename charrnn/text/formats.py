"""Detects a file's format from its first bytes: compression, a byte-order mark, or a format that is not text.

    with formats.opened("letters.bz2") as file:
        file.read(100)                        # decompressed

Imports no TensorFlow at the top: what runs here runs in processes of its own.
"""

import bz2
import codecs
import contextlib
import gzip
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from charrnn.errors import UserError
from charrnn.files import systems

HEAD_BYTES = 1 << 10  # enough to detect a format

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte-order marks and their codecs."""

_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)  # of reading and of decompression


class Compression(NamedTuple):
    """A format that the standard library decompresses."""

    first_bytes: re.Pattern[bytes]
    ending: str  # of a file name, lower case
    open: Callable[[Any], Any]  # a compressed file -> a file of its content


_COMPRESSIONS = (
    Compression(re.compile(rb"\x1f\x8b\x08"), ".gz", gzip.open),
    Compression(re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), ".bz2", bz2.open),
    Compression(re.compile(rb"\xfd7zXZ\0"), ".xz", lzma.open),
    Compression(re.compile(rb"\x5d\0\0.{2}(\xff{8}|.{5}\0{3})", re.DOTALL), ".lzma", lzma.open),
)
_NAMES: dict[type, str] = {gzip.GzipFile: "gzip", bz2.BZ2File: "bzip2", lzma.LZMAFile: "xz"}
_PLAIN = "save its text as plain text (.txt), and give that file"
_UNPACK = "unpack it, and give the text files in it"
_NON_TEXT = {
    rb"PK(\x03\x04|\x05\x06|\x07\x08)(?=.*(word/|xl/|ppt/|Content_Types|mimetypeapplication))": ("a document", _PLAIN),
    rb"PK(\x03\x04|\x05\x06|\x07\x08)": ("a ZIP archive", _UNPACK),
    rb"%PDF-": ("a PDF", _PLAIN),
    rb"\{\\rtf1": ("rich text (RTF)", _PLAIN),
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an office document", _PLAIN),
    rb"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    rb"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    rb".{257}ustar": ("a tar archive", _UNPACK),
    rb"\x28\xb5\x2f\xfd": ("compressed with Zstandard", "decompress it with zstd -d"),
    rb"\x04\x22\x4d\x18": ("compressed with LZ4", "decompress it with lz4 -d"),
    rb"\x1f[\x9d\xa0]": ("compressed with compress", "decompress it with uncompress"),
    rb"\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\0": ("compressed twice", "decompress it once"),
    rb"\x89PNG|\xff\xd8\xff|GIF8|II\*\0|MM\0\*|RIFF....WEBP|....ftyp(avif|heic)": ("an image", "give a text"),
    rb"RIFF|OggS|ID3|fLaC|\x1aE\xdf\xa3|....ftyp": ("a sound or a film", "give a text"),
    rb"\x7fELF|MZ|\xcf\xfa\xed\xfe|\xca\xfe\xba\xbe": ("a program", "give a text"),
    rb"SQLite format 3\0": ("an SQLite database", "export its text as a CSV file"),
    rb"PAR1|ARROW1|\x89HDF|Obj\x01|ORC": ("a file of tables", "export its text as a CSV file"),
    rb"\x93NUMPY|\x80[\x02-\x05]": ("a file of Python objects", "write its text to a plain text file"),
}
_NOISE_BITS, _NOISE_BYTES = 7.5, 1 << 12  # entropy in bits per byte, over this many bytes; text has less

MARKUP = (b"%PDF-", b"{\\rtf1")
"""First bytes of formats that may be pure ASCII but are not text."""


class NonText(NamedTuple):
    """A format that is not text."""

    name: str  # with an article, to follow "is"
    remedy: str  # an imperative


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file of any file system that TensorFlow supports. Decompresses a compressed file.

    Args:
        path: the file's path or address.

    Yields:
        The open file.

    Raises:
        UserError: the file cannot be opened, or the body cannot read or decompress it.
    """
    try:
        with systems.os_errors(path), systems.functions(path).GFile(path, "rb") as file:
            found = _compression(path, file)
            yield found.open(file) if found else file
    except _ERRORS as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path!r} cannot be read ({reason}): give a readable file.") from error


def head(path: str) -> tuple[str, bytes]:
    """Returns the name of a file's compression, or "", and its first HEAD_BYTES bytes, decompressed.

    The first bytes determine the compression; if they do not, the file's name does.
    """
    with opened(path) as file:
        return _NAMES.get(type(file), ""), file.read(HEAD_BYTES)


def codec_of_mark(data: bytes) -> str:
    """Returns the codec for the byte-order mark at the beginning of the data, or ""."""
    return next((codec for mark, codec in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "")


def non_text_format(data: bytes) -> NonText | None:
    """Returns the format of a file that is not text, or None.

    Args:
        data: the file's first bytes, decompressed; the detection of noise needs at least 4096.
    """
    for signature, kind in _NON_TEXT.items():
        if re.match(signature, data[:HEAD_BYTES], re.DOTALL):
            return NonText(*kind)
    if len(data) >= _NOISE_BYTES and _entropy(data) > _NOISE_BITS:
        return NonText("probably compressed or encrypted", "give the original text")
    return None


def notes_on(paths: Iterable[str]) -> list[str]:
    """Returns a line for the user that counts compressed files and byte-order marks; none if there are none."""
    found: Counter[str] = Counter()
    for path in paths:
        name, first = head(path)
        mark = codec_of_mark(first)
        found.update([f"{name}, decompressed"] if name else [])
        found.update([f"{mark.upper()}, by a byte-order mark"] if mark not in ("", "utf-8") else [])
    counted = "; ".join(f"{count:,} in {what}" for what, count in found.items())
    return [f"Detected from the first bytes of the files: {counted}"] if found else []


def _compression(path: str, file: BinaryIO) -> Compression | None:
    first = file.read(HEAD_BYTES)
    file.seek(0)
    by_bytes = (one for one in _COMPRESSIONS if one.first_bytes.match(first))
    by_name = (one for one in _COMPRESSIONS if path.lower().endswith(one.ending))
    return next(by_bytes, None) or next(by_name, None)


def _entropy(data: bytes) -> float:
    """Returns the entropy in bits per byte."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    shares = counts[counts > 0] / len(data)
    return float(-(shares * np.log2(shares)).sum())
