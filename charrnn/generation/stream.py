"""A text that is given out piece by piece while the model writes it."""

import codecs
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from charrnn.generation.state import GenerationState
from charrnn.generation.stop_strings import StoppingText
from charrnn.text.vocabulary import Vocabulary


class Decoder:
    """Turns ids into text piece by piece, without cutting a character of several bytes in two.

    Args:
        vocabulary: of the ids.
        pending: the first bytes of a character that the next ids complete.
    """

    def __init__(self, vocabulary: Vocabulary, pending: bytes = b""):
        self._vocabulary, self._utf_8 = vocabulary, codecs.getincrementaldecoder("utf-8")("replace")
        self._utf_8.setstate((pending, 0))

    def decode(self, ids: np.ndarray) -> str:
        """Returns the text of the next ids, int `[N]`."""
        if self._vocabulary.kind == "characters":
            return self._vocabulary.decode(ids)
        return self._utf_8.decode(ids.astype(np.uint8).tobytes())

    def end(self) -> str:
        """Returns U+FFFD if there is an unfinished character at the end, else ""."""
        return self._utf_8.decode(b"", final=True)

    @property
    def pending(self) -> bytes:
        """The unfinished character at the end, which no text contains yet."""
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
        self._num_prompt, self._text, self._calls, self._read = len(prompt), text, calls, read
        self._state, self._since = state, deque(prompt)  # a state, and the ids read since, up to the end of the pieces
        self._ahead: deque[GenerationState] = deque()  # the states beyond that end
        self._decoder = Decoder(vocabulary, state.pending)

    def __iter__(self) -> Iterator[str]:
        """Yields the pieces. Holds back a possible beginning of a stop string, and unfinished characters."""
        done = 0
        for ids, state in self._calls:
            self._ahead.append(state)
            self._text.add(ids[0][max(0, self._num_prompt - done) :])
            done += ids.shape[1]
            fresh = self._text.take()
            self._since.extend(fresh.tolist())
            self._forget()
            piece = self._decoder.decode(fresh)
            if piece:
                yield piece
            if self._text.ended:
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
        return self._decoder.pending
