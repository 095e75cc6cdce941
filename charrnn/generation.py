"""Prompt -> text, the whole loop in one graph.

    generator = Generator(model, vocabulary, Sampler(temperature=0.8))
    texts = generator.generate(["ROMEO:", "JULIET:"], num_chars=500, seeds=[0, 1])
    for piece in generator.stream("ROMEO:", num_chars=500):
        print(piece, end="", flush=True)
"""

import codecs
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn import blocks
from charrnn.beam import beam_search
from charrnn.blocks import BLOCK, OWN
from charrnn.endings import Text
from charrnn.errors import UserError, check
from charrnn.generation_state import GenerationState
from charrnn.model import CharModel, States
from charrnn.network import Network
from charrnn.sampling import NEVER, Sampler, sample
from charrnn.unknown import admit
from charrnn.vocabulary import Vocabulary

Stops = str | Sequence[str]
"""One string, or several, before which a text ends; none, or empty: it does not."""

_FIRST = 8  # characters that the first call for a stream makes, so that they come soon; the next makes twice as many …
_LIVE = 0.05  # … and so on, until a call takes so long, seconds


class Hypothesis(NamedTuple):
    """What beam search has found."""

    text: str
    log_prob: float  # ln p of all characters that were searched for, with those after a stop string


class Generator:
    """Writes text with a model.

    A text is a function of (weights, prompt, seed, sampler): it does not depend on the other texts of a batch (but for
    the rounding of a matmul of another size), nor on how many characters follow, nor on how many a graph call makes.

    Args:
        model: whose weights are used, as they are at each call.
        vocabulary: its characters; the unknown character is never written.
        sampler: how a character is chosen.
        end_of_text: the character between the documents that the model has learnt, if it has learnt documents: read
            before each prompt, and where it is written the text ends. "": the model has learnt running text.
        xla: compile the loop: up to half as fast again for one text or a few, after up to a second of compiling for
            each number of texts. Where two characters are as good as equally likely, rounding may choose the other.
        unknown: what becomes of a prompt's characters that the model never saw: see `unknown.UNKNOWN`.
    """

    def __init__(
        self,
        model: CharModel,
        vocabulary: Vocabulary,
        sampler: Sampler | None = None,
        end_of_text: str = "",
        xla: bool = False,
        unknown: str = "refuse",
    ):
        self.vocabulary, self._model, self._sampler = vocabulary, model, sampler or Sampler()
        self._end_of_text, self._unknown = end_of_text, unknown
        self.end_id = int(vocabulary.encode(end_of_text)[0]) if end_of_text else None
        self._loop = tf.function(self._read_and_write, autograph=False, jit_compile=xla)
        self._block = tf.function(self.block, autograph=False)
        self._search = tf.function(beam_search, autograph=False)

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
        """Continues each prompt.

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
            UserError: a prompt is empty or has a character that is refused.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        texts, done = [self._text(num_chars, stop, min_chars) for _ in prompts], 0
        state = GenerationState.start(self._model, seeds)
        for ids, _ in self._calls(state, encoded, num_chars, min_chars, temperatures):
            look()
            for text, prompt, row in zip(texts, encoded, ids, strict=True):
                text.add(row[max(0, len(prompt) - done) :])
            done += ids.shape[1]
            if all(text.ended for text in texts):
                break
        return [self.vocabulary.decode(text.ids()) for text in texts]

    def stream(
        self,
        prompt: str,
        num_chars: int,
        seed: int = 0,
        stop: Stops = "",
        min_chars: int = 0,
        state: GenerationState | None = None,
    ) -> "Stream":
        """Continues one prompt, piece by piece, as they are made; the arguments are those of `generate`.

        Args:
            state: of a text to go on with, as if it had never stopped, in place of a seed; the prompt may be empty.
        """
        ids = self._encode(prompt, goes_on=state is not None)
        state = GenerationState.start(self._model, [seed]) if state is None else state
        calls = self._calls(state, [ids], num_chars, min_chars, live=True)
        return Stream(ids, self._text(num_chars, stop, min_chars), calls, self, state)

    def beam(
        self, prompt: str, num_chars: int, width: int, stop: Stops = "", min_chars: int = 0
    ) -> list[Hypothesis]:
        """The likeliest continuations that beam search finds, the best first; the arguments are those of `generate`.

        Args:
            width: how many texts are kept at each character.

        Returns:
            As many as `width`, or all that there are. Texts of equal length, unless they end with a document's end.
        """
        check("width", width, width >= 1, "at least 1")
        check("num_chars", num_chars, num_chars >= 1, "at least 1")
        state = self.after(GenerationState.start(self._model, [0]), self._encode(prompt))
        bounds = tf.constant(num_chars), tf.constant(min_chars)
        rows, log_probs = self._search(self._network(), state.layers, state.logits, width, *bounds, self.end_id)
        found = []
        for row, log_prob in zip(rows.numpy(), log_probs.numpy(), strict=True):
            text = self._text(num_chars, stop, min_chars)
            text.add(row)
            if log_prob > NEVER / 2:
                found.append(Hypothesis(self.vocabulary.decode(text.ids()), float(log_prob)))
        return found

    def block(
        self,
        network: Network,
        forced: tf.Tensor,
        seeds: tf.Tensor,
        temperatures: tf.Tensor,
        position: tf.Tensor,
        count: tf.Tensor,
        layers: States,
        logits: tf.Tensor,
        end_from: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, States, tf.Tensor]:
        """One call: `count` characters from `position` on, which lie in one block. Graph.

        Args:
            network: from `writing_network`.
            forced: int32 `[B, BLOCK]`, the ids to read, or OWN.
            seeds: int32 `[B]`.
            temperatures: float32 `[B]`.
            position: int32 `[]`, how many characters were read before.
            count: int32 `[]`.
            layers: the recurrent state before them.
            logits: float32 `[B, V]`, the prediction of the first of them.
            end_from: int32 `[B]`, the position before which no text ends; None: there is none.

        Returns:
            The ids read int32 `[B, BLOCK]`, 0 elsewhere; and state and logits after them.
        """
        begin = position % BLOCK
        start = position - begin
        noise = blocks.choice_noise(forced, seeds, start, temperatures, self._model.vocabulary_size)
        heat = tf.where(temperatures > 0, temperatures, 1.0)[:, None]
        bars = None
        if end_from is not None:
            early = (start + tf.range(BLOCK))[:, None] < end_from
            bars = tf.where(early[:, :, None] & (tf.range(noise.shape[-1]) == self.end_id), NEVER, 0.0)
        ids, _, layers, logits = self._loop(network, noise, heat, bars, layers, logits, begin, begin + count)
        return tf.transpose(ids), layers, logits

    def _read_and_write(self, network, noise, heat, bars, layers, logits, begin, end):
        """The loop of a call. What does not change from character to character was done before."""

        def choose(logits, t):
            logits = logits if bars is None else logits + bars[t]
            return sample(self._sampler.keep(logits, heat), noise[t])

        return blocks.read_and_write(network, choose, layers, logits, begin, end)

    def _network(self) -> Network:
        """The weights as they are now, computed once for all calls."""
        return writing_network(self._model.network(), self.vocabulary)

    def _calls(
        self, state, prompts, num_chars, min_chars=0, temperatures=None, live=False
    ) -> Iterator[tuple[np.ndarray, GenerationState]]:
        """Ids int32 `[B, n]`, prompts included, and the state after them, up to `num_chars` after the longest prompt.

        A prompt's ids follow what the state has read. `live`: few characters a call at first, after the prompt.
        """
        network = self._network()
        lengths = np.array([len(ids) for ids in prompts])
        given = np.full((len(prompts), lengths.max()), OWN, np.int32)
        for row, ids in zip(given, prompts, strict=True):
            row[: len(ids)] = ids
        default = 0.0 if self._sampler.greedy else self._sampler.temperature
        heat = tf.constant(temperatures or [default] * len(prompts), tf.float32)
        bounded = min_chars and self._end_of_text
        end_from = tf.constant(state.position + lengths + min_chars, tf.int32) if bounded else None
        done, size, total = 0, _FIRST if live else BLOCK, given.shape[1] + num_chars
        while done < total:
            part = given[:, done:][:, :BLOCK]
            begin = state.position % BLOCK
            count = min((live and part.shape[1]) or size, BLOCK - begin, total - done)
            part = part[:, :count]
            forced = np.full((len(prompts), BLOCK), OWN, np.int32)
            forced[:, begin : begin + part.shape[1]] = part
            clock = time.perf_counter()
            numbers = tf.constant(state.position), tf.constant(count)
            ids, layers, logits = self._block(
                network, forced, state.seeds, heat, *numbers, state.layers, state.logits, end_from
            )
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

    def _encode(self, prompt: str, goes_on: bool = False) -> list[int]:
        """What is read first: the prompt's ids, for a new text after the end of the document before."""
        prompt = admit(prompt, f"The prompt {prompt!r}", self.vocabulary, self._unknown)
        if not (prompt or goes_on or self._end_of_text):
            raise UserError("The prompt is empty: give at least one character, such as a line break.")
        return self.vocabulary.encode(prompt if goes_on else self._end_of_text + prompt).tolist()

    def _text(self, num_chars: int, stop: Stops, min_chars: int) -> Text:
        stops = [stop] if isinstance(stop, str) else stop
        return Text(map(self.vocabulary.encode, (*stops, self._end_of_text)), min_chars, num_chars)


class Stream:
    """A text as it is made: iterate over its pieces, once; `Generator.stream` makes it."""

    def __init__(self, prompt, text, calls, generator, state):
        self._prompt, self._text, self._calls, self._generator = prompt, text, calls, generator
        self._states, self._shown = [state], 0  # before the first call, and after each; ids in the pieces so far
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder.setstate((state.pending, 0))

    def __iter__(self) -> Iterator[str]:
        """The pieces: no character is cut in two, and what may yet turn out to be a stop string is held back."""
        done = 0
        for ids, state in self._calls:
            self._states.append(state)
            self._text.add(ids[0][max(0, len(self._prompt) - done) :])
            done += ids.shape[1]
            fresh = self._text.ids(self._shown, self._text.num_certain)
            self._shown += len(fresh)
            piece = self._decode(fresh)
            if piece:
                yield piece
            if self._text.ended:
                break

    @property
    def state(self) -> GenerationState:
        """Where the text stands: after the last character that was given out."""
        first, ids = self._states[0], [*self._prompt, *self._text.ids(0, self._shown)]
        end = first.position + len(ids)
        last = max((state for state in self._states if state.position <= end), key=lambda state: state.position)
        last = self._generator.after(last, ids[last.position - first.position :])
        return last._replace(pending=self.pending)

    @property
    def pending(self) -> bytes:
        """The unfinished character at the end, of a byte vocabulary; no piece has it."""
        return self._decoder.getstate()[0]

    def _decode(self, ids):
        vocabulary = self._generator.vocabulary
        if vocabulary.kind == "characters":
            return vocabulary.decode(ids)
        return self._decoder.decode(ids.astype(np.uint8).tobytes())


def writing_network(network: Network, vocabulary: Vocabulary) -> Network:
    """The weights for `Generator.block`: with them the unknown character is never chosen."""
    if vocabulary.unknown_id is None:
        return network
    known = tf.range(vocabulary.size) != vocabulary.unknown_id
    return network._replace(output_bias=tf.where(known, network.output_bias, NEVER))
