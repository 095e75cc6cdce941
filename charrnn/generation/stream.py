"""A text as it is made, piece by piece; of what was given out, only the state after it is kept."""

import codecs
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.generation.state import GenerationState
from charrnn.generation.stop_strings import StoppingText
from charrnn.text.vocabulary import Vocabulary


class Decoder:
    """Ids -> text, a piece at a time; of bytes, no character is cut in two.

    Args:
        vocabulary: of the ids.
        pending: the beginning of a character, of which the next ids are the rest.
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
        """Returns what stands for an unfinished character at the end."""
        return self._utf_8.decode(b"", final=True)

    @property
    def pending(self) -> bytes:
        """The unfinished character at the end; no text has it yet."""
        return self._utf_8.getstate()[0]


class Stream:
    """A text as it is made: iterate over its pieces, once; `Generator.stream` makes it.

    Args:
        prompt: ids `[N]`, what is read before the text.
        text: takes the ids after the prompt.
        calls: ids int32 `[1, N]`, prompt included, and the state after them.
        generator: makes the calls.
        state: before the prompt.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        text: StoppingText,
        calls: Iterator[tuple[np.ndarray, GenerationState]],
        generator,
        state: GenerationState,
    ):
        self._num_prompt, self._text, self._calls, self._generator = len(prompt), text, calls, generator
        self._state, self._since = state, deque(prompt)  # a state, and the ids read since, up to the end of the pieces
        self._ahead: deque[GenerationState] = deque()  # the states beyond that end
        self._decoder = Decoder(generator.vocabulary, state.pending)

    def __iter__(self) -> Iterator[str]:
        """The pieces: no character is cut in two, and what may yet turn out to be a stop string is held back."""
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
        """Where the text stands: after the last character that was given out."""
        return self._generator.after(self._state, [*self._since])._replace(pending=self.pending)

    @property
    def pending(self) -> bytes:
        """The unfinished character at the end, of a byte vocabulary; no piece has it."""
        return self._decoder.pending
