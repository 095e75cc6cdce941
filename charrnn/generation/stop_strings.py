"""A text that grows piece by piece until a stop string ends it."""

from collections.abc import Iterable, Sequence

import numpy as np

Ids = Sequence[int] | np.ndarray


class StoppingText:
    """The ids of a text up to its end: the same ids, however the text is cut into pieces.

        text = StoppingText([vocabulary.encode("END")], min_chars=0, max_chars=500)
        text.add(ids)
        text.take()     # the ids so far, without those that may be the beginning of "END"

    It holds only the ids that were not yet taken.

    Args:
        stops: stop strings, ids `[N]` each. The text ends before the first complete one. Empty ones are ignored.
        min_chars: a stop string that begins before this position does not end the text.
        max_chars: the length at which the text ends at the latest.
    """

    def __init__(self, stops: Iterable[Ids], min_chars: int, max_chars: int):
        self._stops = [_as_str(stop) for stop in stops if len(stop)]
        self._longest = max(map(len, self._stops), default=0)
        self._before_stop, self._left = min_chars, max_chars  # counted from the first id that was not yet taken
        self._text = ""  # each id as the code point of that number, because `str` has a fast search
        self.ended = max_chars <= 0

    def add(self, ids: Ids) -> None:
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
        """Returns the certain ids that were not yet taken, int32 `[N]`, and forgets them."""
        count = self.num_certain
        ids, self._text = self.ids(0, count), self._text[count:]
        self._before_stop, self._left = max(0, self._before_stop - count), self._left - count
        return ids

    def ids(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Returns the ids that were not yet taken, or a part of them, int32 `[N]`."""
        return np.array([*map(ord, self._text[start:stop])], np.int32)

    @property
    def num_certain(self) -> int:
        """The number of these ids that stay in any case: all but a possible beginning of a stop string."""
        size = len(self._text)
        if not self.ended:
            for start in range(max(self._before_stop, size - self._longest + 1), size):
                if any(stop.startswith(self._text[start:]) for stop in self._stops):
                    return start
        return size


def _as_str(ids: Ids) -> str:
    return "".join(map(chr, np.asarray(ids).tolist()))
