"""Counts the characters and the lines of a text of any size, a block at a time.

    found = tally(["to be\n", "or not"])     # found.counts["o"] == 3, found.lengths == {5: 1, 6: 1}

Imports no TensorFlow, because worker processes run this code.
"""

import io
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from charrnn.text import chunks
from charrnn.text.chunks import Chunk, Settings


class Tally(NamedTuple):
    """The numbers of characters and lines in a text."""

    counts: Counter[str]  # occurrences of each character; a byte counts as the character of that code point
    lengths: Counter[int]  # number of lines of each length, without blank lines
    num_blank: int  # lines of only white space
    num_crlf: int  # occurrences of "\r\n"

    @property
    def line_ends(self) -> dict[str, int]:
        """The occurrences of each line end in the text, without absent ones."""
        crlf = self.num_crlf
        found = {"CR LF": crlf, "CR": self.counts["\r"] - crlf, "LF": self.counts["\n"] - crlf}
        return {end: count for end, count in found.items() if count}

    def length_quantile(self, share: float) -> int:
        """Returns the smallest length that this share of the lines does not exceed; 0 without lines."""
        left = share * self.lengths.total()
        for length in sorted(self.lengths):
            left -= self.lengths[length]
            if left <= 0:
                return length
        return 0


def total(tallies: Iterable[Tally]) -> Tally:
    """Returns the sum of one or more tallies."""
    counts, lengths, num_blank, num_crlf = zip(*tallies, strict=True)
    return Tally(sum(counts, Counter()), sum(lengths, Counter()), sum(num_blank), sum(num_crlf))


def tally(blocks: Iterable[str | bytes]) -> Tally:
    r"""Counts the characters and lines of a text, or of bytes.

    Args:
        blocks: the text, in blocks of any size. Lines end with "\n", "\r\n" or "\r"; the last may lack its end.

    Returns:
        The tally.
    """
    counts: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    num_blank, num_crlf, before = 0, 0, ""
    length, blank = 0, True  # of the current line, which may be larger than memory
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    for block in blocks:
        counts.update(_counts(block))
        text = block.decode("latin-1") if isinstance(block, bytes) else block
        num_crlf += text.count("\r\n") + (before == "\r" and text.startswith("\n"))
        before = text[-1:] or before
        first, *lines = newlines.decode(text).split("\n")
        length, blank = length + len(first), blank and not first.strip()
        if lines:
            *whole, last = lines
            written = [line for line in whole if line.strip()]
            lengths.update([*map(len, written), *([] if blank else [length])])
            num_blank += len(whole) - len(written) + blank
            length, blank = len(last), not last.strip()
    if newlines.decode("", final=True) or length:  # the text ends with "\r", or without a line end
        lengths.update([] if blank else [length])
        num_blank += blank
    return Tally(counts, lengths, num_blank, num_crlf)


def tally_chunk(chunk: Chunk, settings: Settings) -> Tally:
    """Returns the tally of a chunk of a corpus, with each document on its own line."""
    blocks = chunks.contents(chunk, settings)
    if settings.of_documents and chunk.first:
        next(blocks)  # the end-of-text before the first document
    return tally(blocks)


def _counts(block: str | bytes) -> dict[str, int]:
    """Returns the occurrences of each character. `Counter(block)` takes 30 times as long."""
    if isinstance(block, str) and not block.isascii():
        codes = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), "<u4")
    else:
        codes = np.frombuffer(block.encode() if isinstance(block, str) else block, np.uint8)
    found = np.bincount(codes)
    return {chr(code): int(found[code]) for code in np.flatnonzero(found)}
