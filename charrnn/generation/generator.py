"""Prompt -> text, the whole loop in one graph.

generator = Generator(model, vocabulary, Sampler(temperature=0.8))
texts = generator.generate(["ROMEO:", "JULIET:"], num_chars=500, seeds=[0, 1])
for piece in generator.stream("ROMEO:", num_chars=500):
    print(piece, end="", flush=True)
"""

import functools
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.errors import UserError, require_memory
from charrnn.generation import arguments
from charrnn.generation.arguments import Stops
from charrnn.generation.decode_loop import DECODE_BLOCK_CHARS, OWN
from charrnn.generation.state import GenerationState
from charrnn.generation.stop_strings import StoppingText
from charrnn.generation.stream import RowText, Stream
from charrnn.generation.unknown import admit, spelling_hint
from charrnn.generation.writer import Writer
from charrnn.model.char_model import CharModel
from charrnn.sampling import NEVER, Sampler
from charrnn.text.vocabulary import Vocabulary, listed

_FIRST_CHARS = 8  # of a stream's first call, so that it comes soon; the next calls take twice as many …
_LIVE_SECONDS = 0.05  # … as the one before, until a call takes this long
_MOST_FLOATS = 1 << 25  # in a call's noise and states; more texts are written in several batches


class Hypothesis(NamedTuple):
    """A text that beam search found."""

    text: str
    log_prob: float  # ln p of all characters of the search, including those after a stop string


class _Ending(NamedTuple):
    """The arguments of a `StoppingText`."""

    stops: list[np.ndarray]
    min_chars: int
    max_chars: int


class Generator:
    """Writes text with a model. Apart from the text itself, memory does not depend on the length.

    A text is a function of (weights, prompt, seed, sampler). It does not depend on the other texts of a batch (apart
    from rounding in a matmul of another size, or by XLA), on the number of characters that follow, or on the size of
    graph calls.

    Args:
        model: its weights are read at each call.
        vocabulary: the characters, and how the training text was read: prompts and stop strings are read in the same
            way. The unknown character is never written.
        sampler: how a character is chosen; default: `Sampler()`.
        end_of_text: the character between the documents that the model was trained on. It is read before each prompt
            that does not begin with it, and ends the text when it is written. "": the training text is not documents.
        xla: whether XLA compiles the loop; None: `Writer.xla_from` decides by the place in the text and the number of
            texts. Compiling takes up to half a second for each number of texts. XLA rounds differently, so a close
            choice between two characters can change.
        unknown: treatment of a prompt's unknown characters, one of `unknown.UNKNOWN`.
        writer: of a generator with the same arguments except the sampler's temperature and `greedy`, and `unknown`, to
            share its graphs; None: a new one.
    """

    def __init__(
        self,
        model: CharModel,
        vocabulary: Vocabulary,
        sampler: Sampler | None = None,
        end_of_text: str = "",
        xla: bool | None = None,
        unknown: str = "refuse",
        writer: Writer | None = None,
    ):
        self.vocabulary, self._model, self._sampler = vocabulary, model, sampler or Sampler()
        self._end_of_text, self._unknown = end_of_text, unknown
        self.writer = writer or Writer(model, vocabulary, self._sampler, end_of_text, xla)
        self.end_id = self.writer.end_id

    @property
    def beginning(self) -> str:
        """A default prompt: "" for documents; otherwise a line break, a space, or any character of the vocabulary."""
        known = [character for character in "\n " if not self.vocabulary.unknown_characters(character)]
        return "" if self._end_of_text else [*known, self.vocabulary.decode([self.vocabulary.size - 1])][0]

    def generate(
        self,
        prompts: Sequence[str],
        num_chars: int,
        seeds: Sequence[int],
        temperatures: Sequence[float] | None = None,
        stop: Stops = "",
        min_chars: int = 0,
        look: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Continues each prompt. Warns about a stop string that can never end a text.

        Args:
            prompts: one per text, of any lengths; at least one character each, unless the model writes documents.
            num_chars: the most characters to write after each prompt; bytes, with a vocabulary of bytes.
            seeds: one per text.
            temperatures: one per text, 0: the likeliest character always; None: the sampler's.
            stop: one or several stop strings; a text ends before the first complete one.
            min_chars: the minimum length; before it, stop strings and the end of a document do not end a text.
            look: called after each call of the graph; an exception in it ends the writing.

        Returns:
            The text after each prompt.

        Raises:
            UserError: an argument is not as described, a prompt has a character that is refused, the texts do not fit
                into memory, or the model's predictions are not finite.
        """
        prompts = arguments.prompts(prompts)
        parts = self.in_parts(prompts, num_chars, seeds, temperatures, stop, min_chars, look)
        _require_memory(len(prompts), num_chars)
        return [text for part in parts for text in part]

    def in_parts(
        self,
        prompts: Sequence[str],
        num_chars: int,
        seeds: Sequence[int],
        temperatures: Sequence[float] | None = None,
        stop: Stops = "",
        min_chars: int = 0,
        look: Callable[[], None] = lambda: None,
    ) -> Iterator[list[str]]:
        """Yields the texts of `generate` in batches that fit into memory.

        Args and Raises are the same as in `generate`. A wrong argument is refused before the first batch is written.
        """
        prompts = arguments.prompts(prompts)
        seed_of_row = arguments.seeds(seeds, len(prompts))
        heat = self._temperatures(len(prompts))
        heat = heat if temperatures is None else arguments.temperatures(temperatures, len(prompts))
        ending = self._ending(stop, num_chars, min_chars)
        at_once = max(1, _MOST_FLOATS // (DECODE_BLOCK_CHARS * self.vocabulary.size + 8 * self._state_size))
        _require_memory(min(at_once, len(prompts)), ending.max_chars)
        ids = {prompt: self._encode(prompt) for prompt in dict.fromkeys(prompts)}
        encoded = [ids[prompt] for prompt in prompts]
        parts = [slice(i, i + at_once) for i in range(0, len(prompts), at_once)]
        return (self._write(encoded[part], ending, seed_of_row[part], heat[part], look) for part in parts)

    def stream(
        self,
        prompt: str,
        num_chars: int,
        seed: int = 0,
        stop: Stops = "",
        min_chars: int = 0,
        state: GenerationState | None = None,
    ) -> Stream:
        """Continues one prompt, piece by piece. Warns about a stop string that can never end a text.

        Args:
            prompt: at least one character, unless the model writes documents or there is a `state`.
            num_chars: as in `generate`.
            seed: of the text; ignored if there is a `state`.
            stop: as in `generate`.
            min_chars: as in `generate`.
            state: of a text to continue as if it had never stopped; None: a new text.

        Raises:
            UserError: as in `generate`.
        """
        ids = self._encode(prompt, continues=state is not None)
        ending = self._ending(stop, num_chars, min_chars)
        state = GenerationState.start(self._model, arguments.seeds([seed], 1)) if state is None else state
        calls = self._calls(state, [ids], ending.max_chars, ending.min_chars, live=True)
        return Stream(ids, StoppingText(*ending), calls, state, self.vocabulary, self.after)

    def beam(self, prompt: str, num_chars: int, width: int, stop: Stops = "", min_chars: int = 0) -> list[Hypothesis]:
        """Finds the likeliest continuations by beam search. Warns about a stop string that can never end a text.

        Args:
            prompt: as in `stream`.
            num_chars: as in `generate`, at least 1.
            width: the number of texts in the search at each character, at least 1.
            stop: as in `generate`.
            min_chars: as in `generate`.

        Returns:
            `width` texts, or all if there are fewer, the likeliest first. They have equal lengths, unless a stop string
            or the end of a document ends them.

        Raises:
            UserError: as in `generate`.
        """
        ending = self._ending(stop, num_chars, min_chars, least=1)
        width = arguments.count("width", width, least=1)
        at_least = 8 * width * (self.vocabulary.size + self._state_size + ending.max_chars)
        require_memory(at_least, f"A beam of width {width} over {num_chars} characters", "set one of the two lower")
        state = self.after(GenerationState.start(self._model, np.zeros(1)), self._encode(prompt))
        numbers = (tf.constant(number, tf.int32) for number in (width, ending.max_chars, ending.min_chars))
        rows, log_probs = self.writer.search(self.writer.network(), state.layers, state.logits, *numbers)
        found = []
        for row, log_prob in zip(rows.numpy(), log_probs.numpy(), strict=True):
            text = StoppingText(*ending)
            text.add(row)
            if log_prob > NEVER / 2:
                found.append(Hypothesis(self.vocabulary.decode(text.ids()), float(log_prob)))
        return found

    def impossible(self, stop: Stops, num_chars: int, min_chars: int = 0) -> dict[str, str]:
        """Returns the stop strings that can never end a text, each with the reason.

        Args:
            stop: as in `generate`.
            num_chars: as in `generate`.
            min_chars: as in `generate`.
        """
        reasons = {}
        for given in arguments.stops(stop):
            read = self.vocabulary.read(given)
            if unknown := self.vocabulary.unknown_characters(read):
                hint = spelling_hint(read, unknown, self.vocabulary)
                reasons[given] = f"the model never writes {listed(unknown)}{hint}"
            elif self._end_of_text and self._end_of_text in read[:-1]:
                reasons[given] = "a document ends at its first line break"
            elif len(self.vocabulary.encode(read)) > num_chars - min_chars:
                reasons[given] = "it is longer than the text may be"
        return reasons

    @property
    def _state_size(self) -> int:
        """The approximate number of floats in the state of a text."""
        return self._model.config.units * self._model.config.num_layers

    def _ending(self, stop: Stops, num_chars: int, min_chars: int, least: int = 0) -> _Ending:
        """Checks where texts are to end, and warns about stop strings that can never end one."""
        num_chars = arguments.count("num_chars", num_chars, least)
        min_chars = arguments.count("min_chars", min_chars)
        for given, reason in self.impossible(stop, num_chars, min_chars).items():
            warnings.warn(f"The stop string {given!r} can never end a text: {reason}.", stacklevel=4)
        stops = [*map(self.vocabulary.read, arguments.stops(stop)), self._end_of_text]
        known = [each for each in stops if not self.vocabulary.unknown_characters(each)]
        return _Ending([self.vocabulary.encode(each) for each in known], min_chars, num_chars)

    def _write(
        self,
        prompts: Sequence[Sequence[int]],
        ending: _Ending,
        seeds: np.ndarray,
        temperatures: np.ndarray,
        look: Callable[[], None],
    ) -> list[str]:
        """Writes the texts of one batch."""
        rows = [RowText(self.vocabulary, StoppingText(*ending), len(prompt)) for prompt in prompts]
        pieces: list[list[str]] = []
        state = GenerationState.start(self._model, seeds)
        for ids, _ in self._calls(state, prompts, ending.max_chars, ending.min_chars, temperatures):
            look()
            pieces.append([row.add(of_row)[1] for row, of_row in zip(rows, ids, strict=True)])
            if all(row.ended for row in rows):
                break
        pieces.append([row.pending.decode("utf-8", "replace") for row in rows])
        return ["".join(of_row) for of_row in zip(*pieces, strict=True)]

    def _calls(
        self,
        state: GenerationState,
        prompts: Sequence[Sequence[int]],
        num_chars: int,
        min_chars: int = 0,
        temperatures: np.ndarray | None = None,
        live: bool = False,
    ) -> Iterator[tuple[np.ndarray, GenerationState]]:
        """Yields ids int32 `[B, n]`, prompts included, and the state after them, call by call.

        The calls read the prompts after the text of `state`, and end `num_chars` after the longest prompt. If `live`,
        the first calls after the prompt are short.
        """
        network = self.writer.network()
        lengths = np.array([len(ids) for ids in prompts])
        first = state.position % DECODE_BLOCK_CHARS
        # From the start of a block to the end of the longest prompt, and a block more.
        forced = np.full((len(prompts), first + lengths.max() + DECODE_BLOCK_CHARS), OWN, np.int32)
        for row, ids in zip(forced, prompts, strict=True):
            row[first : first + len(ids)] = ids
        temperatures = self._temperatures(len(prompts)) if temperatures is None else temperatures
        bounded = min_chars and self._end_of_text
        least = np.minimum(state.position + lengths + min_chars, tf.int32.max)
        end_from = tf.constant(least, tf.int32) if bounded else None
        xla_from = self.writer.xla_from(len(prompts))
        done, size, longest = 0, _FIRST_CHARS if live else DECODE_BLOCK_CHARS, int(lengths.max())
        while done < longest + num_chars:
            begin = state.position % DECODE_BLOCK_CHARS
            reads = live and done < longest
            count = min(longest - done if reads else size, DECODE_BLOCK_CHARS - begin, longest + num_chars - done)
            start = min(first + done - begin, first + longest)
            clock = time.perf_counter()
            numbers = tf.constant(state.position), tf.constant(count)
            block = forced[:, start : start + DECODE_BLOCK_CHARS]
            per_row = map(tf.constant, (block, state.seeds, temperatures))
            write = functools.partial(self.writer.call, network, xla=state.position >= xla_from)
            ids, layers, logits = write(*per_row, *numbers, state.layers, state.logits, end_from)
            _require_finite(logits)
            ids = ids.numpy()[:, begin : begin + count]
            if live and not reads and time.perf_counter() - clock < _LIVE_SECONDS:
                size *= 2
            state = state._replace(position=state.position + count, layers=layers, logits=logits)
            done += count
            yield ids, state

    def after(self, state: GenerationState, ids: Sequence[int]) -> GenerationState:
        """Returns the state after reading ids `[N]`."""
        for _, after in self._calls(state, [ids], 0):
            state = after
        return state

    def _encode(self, prompt: str, continues: bool = False) -> list[int]:
        """Returns the ids to read first: the prompt's, for a new document after the end of the one before."""
        subject = f"The prompt {arguments.shown(arguments.prompt(prompt))}"
        prompt = admit(prompt, subject, self.vocabulary, self._unknown)
        if not (prompt or continues or self._end_of_text):
            raise UserError(f"The prompt is empty: give at least one character, such as {self.beginning!r}.")
        if not continues:  # a document begins with one, and none is empty
            prompt = self._end_of_text + prompt.removeprefix(self._end_of_text)
        return self.vocabulary.encode(prompt).tolist()

    def _temperatures(self, count: int) -> np.ndarray:
        """Returns the sampler's temperature for each of `count` texts, float32; 0: the likeliest character always."""
        return np.full(count, 0.0 if self._sampler.greedy else self._sampler.temperature, np.float32)


def _require_memory(num_texts: int, num_chars: int) -> None:
    what = f"Writing num_chars={num_chars:,} after each of {num_texts:,} prompts"
    require_memory(num_texts * num_chars, what, "set num_chars lower, or give fewer prompts")


def _require_finite(logits: tf.Tensor) -> None:
    """Raises UserError for non-finite logits, because the model would then choose characters at random."""
    if not np.isfinite(logits.numpy()).all():
        raise UserError(
            "The model's predictions are not finite numbers: its weights are damaged, or too large for its "
            "runtime.precision; give other --weights, or another run."
        )
