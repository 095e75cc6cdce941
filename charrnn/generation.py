"""Prompt -> text, the whole loop in one graph.

    generator = Generator(model, vocabulary, Sampler(temperature=0.8))
    texts = generator.generate(["ROMEO:", "JULIET:"], num_chars=500, seeds=[0, 1])
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.errors import UserError
from charrnn.model import CharModel
from charrnn.sampling import Sampler
from charrnn.vocabulary import Vocabulary

BLOCK = 128  # characters a graph call. Fixed, so that the first characters do not depend on how many are asked for
OWN = -1  # in a block of ids to read: the network's own choice


class Generator:
    """Writes text with a model.

    A text is a function of (weights, prompt, seed, sampler): it does not depend on the other texts of a batch (but for
    the rounding of a matmul of another size), nor on how many characters follow.

    Args:
        model: whose weights are used, as they are at each call.
        vocabulary: its characters; the unknown character is never written.
        sampler: how a character is chosen.
        end_of_text: the character between the documents that the model has learnt, if it has learnt documents: read
            before each prompt, and where it is written the text ends. "": the model has learnt running text.
        xla: compile the loop: up to half as fast again for one text or a few, after up to a second of compiling for
            each number of texts. Where two characters are as good as equally likely, rounding may choose the other.
    """

    def __init__(
        self,
        model: CharModel,
        vocabulary: Vocabulary,
        sampler: Sampler | None = None,
        end_of_text: str = "",
        xla: bool = False,
    ):
        self._model, self._vocabulary, self._sampler = model, vocabulary, sampler or Sampler()
        self._end_of_text = end_of_text
        self._loop = tf.function(self._read_and_write, autograph=False, jit_compile=xla)
        self._write_block = tf.function(self._write, autograph=False)

    def generate(
        self,
        prompts: Sequence[str],
        num_chars: int,
        seeds: Sequence[int],
        temperatures: Sequence[float] | None = None,
        stop: str = "",
    ) -> list[str]:
        """Continues each prompt.

        Args:
            prompts: one a text, of any lengths, at least one character each (none, if there is an end of text).
            num_chars: characters to write after each prompt.
            seeds: one a text.
            temperatures: one a text, 0: the likeliest character always; default: the sampler's.
            stop: a text ends before this string; "" never.

        Returns:
            What was written after each prompt.

        Raises:
            UserError: a prompt is empty or has a character that the model does not know.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        heat = tf.constant(temperatures or [self._sampler.temperature] * len(prompts), tf.float32)
        endings = [re.escape(ending) for ending in (stop, self._end_of_text) if ending]
        stops = re.compile("|".join(endings)) if endings else None
        blocks = []
        for block in self._blocks(encoded, max(map(len, encoded)) + num_chars, seeds, heat):
            blocks.append(block)
            if stops and all(map(stops.search, self._texts(blocks, encoded, num_chars))):
                break
        texts = self._texts(blocks, encoded, num_chars)
        return [stops.split(text)[0] for text in texts] if stops else texts

    def _blocks(self, encoded, total, seeds, temperatures) -> Iterator[np.ndarray]:
        """Ids int32 `[B, BLOCK]`, prompts included, until there are `total` of them or more."""
        state = self._model.initial_state(len(encoded))
        logits = tf.zeros((len(encoded), self._model.vocabulary_size))
        for start in range(0, total, BLOCK):
            forced = [[ids[t] if t < len(ids) else OWN for t in range(start, start + BLOCK)] for ids in encoded]
            noise_seeds = tf.stack([randomness.seed_for(s, randomness.Purpose.GENERATION, start) for s in seeds])
            ids, state, logits = self._write_block(tf.constant(forced), noise_seeds, temperatures, state, logits)
            yield ids.numpy()

    def _texts(self, blocks, encoded, num_chars) -> list[str]:
        """What the blocks hold after each prompt."""
        rows = np.concatenate(blocks, axis=1)
        return [
            self._vocabulary.decode(row[len(ids) : len(ids) + num_chars])
            for row, ids in zip(rows, encoded, strict=True)
        ]

    def _encode(self, prompt: str) -> list[int]:
        if not prompt and not self._end_of_text:
            raise UserError("The prompt is empty: give at least one character, such as a line break.")
        unknown = self._vocabulary.unknown_characters(prompt)
        if unknown:
            raise UserError(
                f"The prompt {prompt!r} has characters that the model never saw: {', '.join(map(repr, unknown))}; "
                f"leave them out. It knows {''.join(self._vocabulary.characters)!r}."
            )
        return self._vocabulary.encode(self._end_of_text + prompt).tolist()

    def _write(self, forced, seeds, temperatures, state, logits):
        """One block of characters, in a graph.

        Args:
            forced: int32 `[B, N]`, the ids to read, or OWN.
            seeds: int32 `[B, 2]`, for the noise of this block.
            temperatures: float32 `[B]`.
            state: the recurrent state before the block.
            logits: float32 `[B, V]`, the prediction of the block's first character.

        Returns:
            The ids read int32 `[B, N]`, and state and logits after them.
        """
        size = (forced.shape[1], self._model.vocabulary_size)
        noise = tf.map_fn(lambda seed: randomness.gumbel(size, seed), seeds, fn_output_signature=tf.float32)
        hot = temperatures[:, None] > 0
        heat = tf.where(hot, temperatures[:, None], 1.0)
        noise = tf.where(hot, tf.transpose(noise, [1, 0, 2]), 0.0)  # without noise: the likeliest
        ids, state, logits = self._loop(tf.transpose(forced), noise, heat, state, logits)
        return tf.transpose(ids), state, logits

    def _read_and_write(self, forced, noise, heat, state, logits):
        """The loop over a block, time-major. What does not change from character to character was done before."""
        network, length = self._model.network(), forced.shape[0]
        if self._vocabulary.unknown_id is not None:
            allowed = tf.range(self._model.vocabulary_size) != self._vocabulary.unknown_id
            network = network._replace(output_bias=tf.where(allowed, network.output_bias, float("-inf")))

        def body(t, state, logits, read):
            ids = tf.where(forced[t] == OWN, self._sampler.choose(logits, noise[t], heat), forced[t])
            state, _ = network.advance(ids, state)
            return t + 1, state, network.predict(state), read.write(t, ids)

        read = tf.TensorArray(tf.int32, size=length, element_shape=forced.shape[1:])
        _, state, logits, read = tf.while_loop(
            lambda t, *_: t < length, body, (tf.constant(0), state, logits, read), maximum_iterations=length
        )
        return read.stack(), state, logits
