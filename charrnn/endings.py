"""A text that is made piece by piece, and where it ends."""

from collections.abc import Iterable, Sequence

import numpy as np


class Text:
    """Ids, from which what follows the end is left out: the same text whatever the pieces that it comes in.

    Args:
        stops: ids `[N]` each: the text ends before the first to be complete. An empty one counts for nothing.
        min_chars: a stop that begins earlier ends nothing.
        max_chars: the text ends there at the latest.
    """

    def __init__(self, stops: Iterable[Sequence[int]], min_chars: int, max_chars: int):
        self._stops = [_as_str(stop) for stop in stops if len(stop)]
        self._min_chars, self._max_chars = min_chars, max_chars
        self._text = ""  # each id as the code point of that number, for `str` has a fast search
        self.ended = max_chars <= 0

    def add(self, ids: Sequence[int]) -> None:
        """Takes the next ids, `[N]`."""
        if self.ended:
            return
        scanned = len(self._text)
        self._text = (self._text + _as_str(ids))[: self._max_chars]
        starts = {stop: self._text.find(stop, max(self._min_chars, scanned - len(stop) + 1)) for stop in self._stops}
        ends = [(start + len(stop), start) for stop, start in starts.items() if start >= 0]
        self.ended = bool(ends) or len(self._text) == self._max_chars
        self._text = self._text[: min(ends)[1]] if ends else self._text

    def ids(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The text so far, or a part of it, int32 `[N]`."""
        return np.array([*map(ord, self._text[start:stop])], np.int32)

    @property
    def num_certain(self) -> int:
        """How many ids stay, whatever follows: all, less what may be the beginning of a stop."""
        size, longest = len(self._text), max(map(len, self._stops), default=0)
        if not self.ended:
            for start in range(max(self._min_chars, size - longest + 1), size):
                if any(stop.startswith(self._text[start:]) for stop in self._stops):
                    return start
        return size


def _as_str(ids) -> str:
    return "".join(map(chr, np.asarray(ids).tolist()))
