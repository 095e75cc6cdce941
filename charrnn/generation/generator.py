"""Prompt -> text, the whole loop in one graph.

generator = Generator(model, vocabulary, Sampler(temperature=0.8))
texts = generator.generate(["ROMEO:", "JULIET:"], num_chars=500, seeds=[0, 1])
for piece in generator.stream("ROMEO:", num_chars=500):
    print(piece, end="", flush=True)
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.errors import UserError, require_memory
from charrnn.generation import arguments
from charrnn.generation.arguments import Stops
from charrnn.generation.decode_loop import BLOCK_CHARS, OWN
from charrnn.generation.state import GenerationState
from charrnn.generation.stop_strings import StoppingText
from charrnn.generation.stream import Decoder, Stream
from charrnn.generation.unknown import admit, spelling_hint
from charrnn.generation.writer import Writer
from charrnn.model.char_model import CharModel
from charrnn.sampling import NEVER, Sampler
from charrnn.text.vocabulary import Vocabulary, listed

_FIRST = 8  # characters that the first call for a stream makes, so that they come soon; the next makes twice as many …
_LIVE = 0.05  # … and so on, until a call takes so long, seconds
_MOST_FLOATS = 1 << 25  # of a call's noise and states: as many texts are written at once; it makes a few such arrays


class Hypothesis(NamedTuple):
    """What beam search has found."""

    text: str
    log_prob: float  # ln p of all characters that were searched for, with those after a stop string


class Generator:
    """Writes text with a model, in memory that does not depend on the length but for the text itself.

    A text is a function of (weights, prompt, seed, sampler): it does not depend on the other texts of a batch (but for
    the rounding of a matmul of another size), nor on how many characters follow, nor on how many a graph call makes.

    Args:
        model: whose weights are used, as they are at each call.
        vocabulary: its characters, and how its text was read: prompts and stop strings are read in the same way. The
            unknown character is never written.
        sampler: how a character is chosen.
        end_of_text: the character between the documents that the model has learnt, if it has learnt documents: read
            before each prompt, unless it begins with it, and where it is written the text ends. "": the model has
            learnt running text.
        xla: compile the loop: up to half as fast again for one text or a few, after up to a second of compiling for
            each number of texts. Where two characters are as good as equally likely, rounding may choose the other.
        unknown: what becomes of a prompt's characters that the model never saw: see `unknown.UNKNOWN`.
        writer: of a generator that differs in temperature, `greedy` or `unknown` only, to share its graphs; None: a new
            one.
    """

    def __init__(
        self,
        model: CharModel,
        vocabulary: Vocabulary,
        sampler: Sampler | None = None,
        end_of_text: str = "",
        xla: bool = False,
        unknown: str = "refuse",
        writer: Writer | None = None,
    ):
        self.vocabulary, self._model, self._sampler = vocabulary, model, sampler or Sampler()
        self._end_of_text, self._unknown = end_of_text, unknown
        self.writer = writer or Writer(model, vocabulary, self._sampler, end_of_text, xla)
        self.end_id = self.writer.end_id

    @property
    def beginning(self) -> str:
        """A prompt for who gives none: "" where a document begins; else a line break, a space, or any character."""
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
        """Continues each prompt. Warns of a stop string that can never end a text.

        Args:
            prompts: one a text, of any lengths, at least one character each (none, if there is an end of text).
            num_chars: characters to write after each prompt, at most; of a byte vocabulary, bytes.
            seeds: one a text.
            temperatures: one a text, 0: the likeliest character always; default: the sampler's.
            stop: a text ends before the first of these that is complete.
            min_chars: neither a stop string nor the end of a document ends a text that is shorter.
            look: called after each call of the graph; what it raises ends the writing.

        Returns:
            What was written after each prompt.

        Raises:
            UserError: an argument is not as described, a prompt has a character that is refused, the texts cannot fit
                into memory, or the model predicts no numbers.
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
        """The texts of `generate`, as many at a time as are written at once; arguments and mistakes are the same.

        What is wrong is told at once, before the first part is asked for.
        """
        prompts = arguments.prompts(prompts)
        seeds = arguments.seeds(seeds, len(prompts))
        heat = self._heat(len(prompts)) if temperatures is None else arguments.temperatures(temperatures, len(prompts))
        num_chars, min_chars = arguments.count("num_chars", num_chars), arguments.count("min_chars", min_chars)
        at_once = max(1, _MOST_FLOATS // (BLOCK_CHARS * self.vocabulary.size + 8 * self._state_size))
        _require_memory(min(at_once, len(prompts)), num_chars)
        ids = {prompt: self._encode(prompt) for prompt in dict.fromkeys(prompts)}
        encoded = [ids[prompt] for prompt in prompts]
        self._warn(stop, num_chars, min_chars)
        parts = [slice(i, i + at_once) for i in range(0, len(prompts), at_once)]
        return (self._write(encoded[part], num_chars, seeds[part], heat[part], stop, min_chars, look) for part in parts)

    def stream(
        self,
        prompt: str,
        num_chars: int,
        seed: int = 0,
        stop: Stops = "",
        min_chars: int = 0,
        state: GenerationState | None = None,
    ) -> Stream:
        """Continues one prompt, piece by piece, as they are made; the arguments are those of `generate`.

        Args:
            state: of a text to continue, as if it had never stopped, in place of a seed; the prompt may be empty.
        """
        ids = self._encode(prompt, continues=state is not None)
        num_chars, min_chars = arguments.count("num_chars", num_chars), arguments.count("min_chars", min_chars)
        self._warn(stop, num_chars, min_chars)
        state = GenerationState.start(self._model, arguments.seeds([seed], 1)) if state is None else state
        calls = self._calls(state, [ids], num_chars, min_chars, live=True)
        return Stream(ids, self._text(num_chars, stop, min_chars), calls, self, state)

    def beam(self, prompt: str, num_chars: int, width: int, stop: Stops = "", min_chars: int = 0) -> list[Hypothesis]:
        """The likeliest continuations that beam search finds, the best first; the arguments are those of `generate`.

        Args:
            width: how many texts are kept at each character.

        Returns:
            As many as `width`, or all that there are. Texts of equal length, unless they end with a document's end.
        """
        num_chars, min_chars = arguments.count("num_chars", num_chars, least=1), arguments.count("min_chars", min_chars)
        width = arguments.count("width", width, least=1)
        at_least = 8 * width * (self.vocabulary.size + self._state_size + num_chars)
        require_memory(at_least, f"A beam of width {width} over {num_chars} characters", "set one of the two lower")
        self._warn(stop, num_chars, min_chars)
        state = self.after(GenerationState.start(self._model, [0]), self._encode(prompt))
        numbers = (tf.constant(number, tf.int32) for number in (width, num_chars, min_chars))
        rows, log_probs = self.writer.search(self.writer.network(), state.layers, state.logits, *numbers)
        found = []
        for row, log_prob in zip(rows.numpy(), log_probs.numpy(), strict=True):
            text = self._text(num_chars, stop, min_chars)
            text.add(row)
            if log_prob > NEVER / 2:
                found.append(Hypothesis(self.vocabulary.decode(text.ids()), float(log_prob)))
        return found

    def impossible(self, stop: Stops, num_chars: int, min_chars: int = 0) -> dict[str, str]:
        """The stop strings that can never end a text, each with the reason; the arguments are those of `generate`."""
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
        """How many numbers the state of a text has, about."""
        return self._model.config.units * self._model.config.num_layers

    def _warn(self, stop, num_chars, min_chars):
        for given, reason in self.impossible(stop, num_chars, min_chars).items():
            warnings.warn(f"The stop string {given!r} can never end a text: {reason}.", stacklevel=4)

    def _write(self, prompts, num_chars, seeds, heat, stop, min_chars, look) -> list[str]:
        """The texts of one part, all of whose rows are in one batch."""
        texts, done = [self._text(num_chars, stop, min_chars) for _ in prompts], 0
        decoders, written = [Decoder(self.vocabulary) for _ in prompts], [[] for _ in prompts]
        state = GenerationState.start(self._model, seeds)
        for ids, _ in self._calls(state, prompts, num_chars, min_chars, heat):
            look()
            for text, prompt, row, decoder, pieces in zip(texts, prompts, ids, decoders, written, strict=True):
                text.add(row[max(0, len(prompt) - done) :])
                pieces.append(decoder.decode(text.take()))
            done += ids.shape[1]
            if all(text.ended for text in texts):
                break
        return ["".join([*pieces, decoder.end()]) for pieces, decoder in zip(written, decoders, strict=True)]

    def _calls(
        self, state, prompts, num_chars, min_chars=0, heat=None, live=False
    ) -> Iterator[tuple[np.ndarray, GenerationState]]:
        """Ids int32 `[B, n]`, prompts included, and the state after them, up to `num_chars` after the longest prompt.

        A prompt's ids follow what the state has read. `live`: few characters a call at first, after the prompt.
        """
        network = self.writer.network()
        lengths = np.array([len(ids) for ids in prompts])
        given = np.full((len(prompts), lengths.max()), OWN, np.int32)
        for row, ids in zip(given, prompts, strict=True):
            row[: len(ids)] = ids
        heat = self._heat(len(prompts)) if heat is None else heat
        bounded = min_chars and self._end_of_text
        end_from = tf.constant(state.position + lengths + min_chars, tf.int32) if bounded else None
        done, size, total = 0, _FIRST if live else BLOCK_CHARS, given.shape[1] + num_chars
        while done < total:
            part = given[:, done:][:, :BLOCK_CHARS]
            begin = state.position % BLOCK_CHARS
            count = min((live and part.shape[1]) or size, BLOCK_CHARS - begin, total - done)
            part = part[:, :count]
            forced = np.full((len(prompts), BLOCK_CHARS), OWN, np.int32)
            forced[:, begin : begin + part.shape[1]] = part
            clock = time.perf_counter()
            numbers = tf.constant(state.position), tf.constant(count)
            ids, layers, logits = self.writer.call(
                network, *map(tf.constant, (forced, state.seeds, heat)), *numbers, state.layers, state.logits, end_from
            )
            _require_numbers(logits)
            ids = ids.numpy()[:, begin : begin + count]
            if live and not part.shape[1] and time.perf_counter() - clock < _LIVE:
                size *= 2
            state = state._replace(position=state.position + count, layers=layers, logits=logits)
            done += count
            yield ids, state

    def after(self, state: GenerationState, ids: Sequence[int]) -> GenerationState:
        """The state after reading ids `[N]`."""
        for _, after in self._calls(state, [ids], 0):
            state = after
        return state

    def _encode(self, prompt: str, continues: bool = False) -> list[int]:
        """What is read first: the prompt's ids, for a new text after the end of the document before."""
        subject = f"The prompt {arguments.shown(arguments.prompt(prompt))}"
        prompt = admit(prompt, subject, self.vocabulary, self._unknown)
        if not (prompt or continues or self._end_of_text):
            raise UserError(f"The prompt is empty: give at least one character, such as {self.beginning!r}.")
        if not continues:  # a document begins with one, and none is empty
            prompt = self._end_of_text + prompt.removeprefix(self._end_of_text)
        return self.vocabulary.encode(prompt).tolist()

    def _heat(self, count: int) -> np.ndarray:
        """The sampler's temperature for each of `count` texts, float32; 0: the likeliest character always."""
        return np.full(count, 0.0 if self._sampler.greedy else self._sampler.temperature, np.float32)

    def _text(self, num_chars: int, stop: Stops, min_chars: int) -> StoppingText:
        stops = [*map(self.vocabulary.read, arguments.stops(stop)), self._end_of_text]
        known = [each for each in stops if not self.vocabulary.unknown_characters(each)]
        return StoppingText(map(self.vocabulary.encode, known), min_chars, num_chars)


def _require_memory(num_texts: int, num_chars: int) -> None:
    what = f"Writing num_chars={num_chars:,} after each of {num_texts:,} prompts"
    require_memory(num_texts * num_chars, what, "set num_chars lower, or give fewer prompts")


def _require_numbers(logits: tf.Tensor) -> None:
    """Raises UserError where a model with damaged or overflowing weights would choose characters at random."""
    if not np.isfinite(logits.numpy()).all():
        raise UserError(
            "The model's predictions are not finite numbers: its weights are damaged, or too large for its "
            "runtime.precision; give other --weights, or another run."
        )
