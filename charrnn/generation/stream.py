"""A text that is given out piece by piece while the model writes it."""

import codecs
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from charrnn.generation.state import GenerationState
from charrnn.generation.stop_strings import StoppingText
from charrnn.text.vocabulary import Vocabulary


class RowText:
    """The text of one row of a batch: takes ids, and gives pieces of text. No character of several bytes is cut in two.

    Args:
        vocabulary: of the ids.
        text: takes the ids after the prompt.
        num_prompt: the number of ids in the prompt.
        pending: the first bytes of a character that the next ids complete.
    """

    def __init__(self, vocabulary: Vocabulary, text: StoppingText, num_prompt: int, pending: bytes = b""):
        self._vocabulary, self._text, self._num_prompt = vocabulary, text, num_prompt
        self._utf_8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._utf_8.setstate((pending, 0))

    def add(self, ids: np.ndarray) -> tuple[np.ndarray, str]:
        """Adds the next ids `[N]`, prompt included. Returns the ids that are certain now, and their text."""
        self._text.add(ids[self._num_prompt :])
        self._num_prompt = max(0, self._num_prompt - len(ids))
        certain = self._text.take()
        if self._vocabulary.kind == "characters":
            return certain, self._vocabulary.decode(certain)
        return certain, self._utf_8.decode(certain.astype(np.uint8).tobytes())

    @property
    def ended(self) -> bool:
        """True if all further ids are ignored."""
        return self._text.ended

    @property
    def pending(self) -> bytes:
        """The unfinished character at the end, which no piece contains yet."""
        return self._utf_8.getstate()[0]


class Stream:
    """A text as it is written: iterate over its pieces, once. `Generator.stream` makes it.

        stream = generator.stream("ROMEO:", 500)
        for piece in stream:
            print(piece, end="")
        stream.state    # continues the text later

    It keeps no text and only one state: the one after the last piece.

    Args:
        prompt: ids `[N]`, read before the text.
        text: takes the ids after the prompt.
        calls: ids int32 `[1, N]`, prompt included, and the state after them.
        state: before the prompt.
        vocabulary: of the ids.
        read: (state, ids `[N]`) -> the state after reading the ids.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        text: StoppingText,
        calls: Iterator[tuple[np.ndarray, GenerationState]],
        state: GenerationState,
        vocabulary: Vocabulary,
        read: Callable[[GenerationState, Sequence[int]], GenerationState],
    ):
        self._row, self._calls, self._read = RowText(vocabulary, text, len(prompt), state.pending), calls, read
        self._state, self._since = state, deque(prompt)  # a state, and the ids read since, up to the end of the pieces
        self._ahead: deque[GenerationState] = deque()  # the states beyond that end

    def __iter__(self) -> Iterator[str]:
        """Yields the pieces. Holds back a possible beginning of a stop string, and unfinished characters."""
        for ids, state in self._calls:
            self._ahead.append(state)
            certain, piece = self._row.add(ids[0])
            self._since.extend(certain.tolist())
            self._forget()
            if piece:
                yield piece
            if self._row.ended:
                break

    def _forget(self) -> None:
        """Moves to the last state that is not beyond the end of the pieces."""
        while self._ahead and (count := self._ahead[0].position - self._state.position) <= len(self._since):
            self._state = self._ahead.popleft()
            for _ in range(count):
                self._since.popleft()

    @property
    def state(self) -> GenerationState:
        """The state after the last piece."""
        return self._read(self._state, [*self._since])._replace(pending=self.pending)

    @property
    def pending(self) -> bytes:
        """The unfinished character at the end, with a vocabulary of bytes; no piece contains it."""
        return self._row.pending
