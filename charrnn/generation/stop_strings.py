"""A text that is made piece by piece, and where it ends."""

from collections.abc import Iterable, Sequence

import numpy as np


class StoppingText:
    """Ids, without those that follow the end: the same text whatever the pieces that it comes in.

    It remembers only the ids that were not yet taken.

    Args:
        stops: ids `[N]` each: the text ends before the first to be complete. An empty one counts for nothing.
        min_chars: a stop that begins earlier ends nothing.
        max_chars: the text ends there at the latest.
    """

    def __init__(self, stops: Iterable[Sequence[int]], min_chars: int, max_chars: int):
        self._stops = [_as_str(stop) for stop in stops if len(stop)]
        self._longest = max(map(len, self._stops), default=0)
        self._before_stop, self._left = min_chars, max_chars  # counted from the first id that was not yet taken
        self._text = ""  # each id as the code point of that number, for `str` has a fast search
        self.ended = max_chars <= 0

    def add(self, ids: Sequence[int]) -> None:
        """Adds the next ids, `[N]`."""
        if self.ended:
            return
        scanned = len(self._text)
        self._text = (self._text + _as_str(ids))[: self._left]
        starts = {stop: self._text.find(stop, max(self._before_stop, scanned - len(stop) + 1)) for stop in self._stops}
        ends = [(start + len(stop), start) for stop, start in starts.items() if start >= 0]
        self.ended = bool(ends) or len(self._text) == self._left
        self._text = self._text[: min(ends)[1]] if ends else self._text

    def take(self) -> np.ndarray:
        """Returns the ids that are certain, less those taken before, int32 `[N]`, and forgets them."""
        count = self.num_certain
        ids, self._text = self.ids(0, count), self._text[count:]
        self._before_stop, self._left = max(0, self._before_stop - count), self._left - count
        return ids

    def ids(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Returns the ids so far that were not taken, or a part of them, int32 `[N]`."""
        return np.array([*map(ord, self._text[start:stop])], np.int32)

    @property
    def num_certain(self) -> int:
        """How many of these ids stay, whatever follows: all, less what may be the beginning of a stop."""
        size = len(self._text)
        if not self.ended:
            for start in range(max(self._before_stop, size - self._longest + 1), size):
                if any(stop.startswith(self._text[start:]) for stop in self._stops):
                    return start
        return size


def _as_str(ids) -> str:
    return "".join(map(chr, np.asarray(ids).tolist()))
