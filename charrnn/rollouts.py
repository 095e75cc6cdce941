"""What a model predicts at each position of a text that is given, or that it writes itself; in a graph.

    reader = Reader(model, vocabulary.unknown_id)
    reading = reader.read(rows, seeds)       # where rows hold OWN, the model reads its own choice
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.generation import BLOCK, OWN
from charrnn.model import CharModel
from charrnn.sampling import sample


class Reading(NamedTuple):
    """R rows, each from the zero state."""

    ids: np.ndarray  # int32 [R, T], what was read
    log_probs: np.ndarray  # float32 [R, T, V], the model's prediction of each before it was read


class Reader:
    """Reads rows of ids with a model.

    Args:
        model: whose weights are used, as they are at each call.
        unknown_id: what the model never chooses, or None.
        end_id: what stands between documents, from where on the state is the zero state; None: running text.
    """

    def __init__(self, model: CharModel, unknown_id: int | None = None, end_id: int | None = None):
        self.vocabulary_size = model.vocabulary_size
        self._model, self._end_id = model, end_id
        self._allowed = np.arange(model.vocabulary_size) != (-1 if unknown_id is None else unknown_id)
        self._read_block = tf.function(self._read, autograph=False)

    def read(self, rows: np.ndarray, seeds: np.ndarray, temperature: float = 1.0) -> Reading:
        """Reads each row. Eager.

        Args:
            rows: int `[R, T]`, ids or OWN. The first of a row is an id.
            seeds: int `[R]`, of each row's choices.
            temperature: of the choices; the predictions are always at 1.
        """
        num_rows, length = rows.shape
        state = self._model.initial_state(num_rows)
        logits = tf.zeros((num_rows, self._model.vocabulary_size))
        blocks = []
        for start in range(0, length, BLOCK):
            block = rows[:, start : start + BLOCK]
            block = np.pad(block, ((0, 0), (0, BLOCK - block.shape[1])), constant_values=rows[0, 0])
            noise_seeds = [randomness.seed_for(seed, randomness.Purpose.GENERATION, start) for seed in seeds]
            ids, log_probs, state, logits = self._read_block(
                tf.constant(block, tf.int32), tf.stack(noise_seeds), tf.constant(temperature), state, logits
            )
            blocks.append((ids.numpy(), log_probs.numpy()))
        ids, log_probs = (np.concatenate(parts, axis=1)[:, :length] for parts in zip(*blocks, strict=True))
        return Reading(ids, log_probs)

    def _read(self, rows, seeds, temperature, state, logits):
        """One block, in a graph: int32 `[R, N]` -> ids `[R, N]`, log-probabilities `[R, N, V]`, state and logits."""
        network, zero = self._model.network(), self._model.initial_state(rows.shape[0])
        rows = tf.transpose(rows)
        length, size = rows.shape[0], self._model.vocabulary_size
        noise = tf.map_fn(lambda seed: randomness.gumbel([length, size], seed), seeds, fn_output_signature=tf.float32)
        noise = tf.transpose(noise, [1, 0, 2])

        def body(t, state, logits, read, seen):
            own = sample(tf.where(self._allowed, logits, float("-inf")) / temperature, noise[t])
            ids = tf.where(rows[t] == OWN, own, rows[t])
            if self._end_id is not None:
                ends = (ids == self._end_id)[:, None]
                state = tf.nest.map_structure(lambda z, s: tf.where(ends, z, s), zero, state)
            read, seen = read.write(t, ids), seen.write(t, logits)
            state, _ = network.advance(ids, state)
            return t + 1, state, network.predict(state), read, seen

        read = tf.TensorArray(tf.int32, size=length, element_shape=rows.shape[1:])
        seen = tf.TensorArray(tf.float32, size=length, element_shape=logits.shape)
        _, state, logits, read, seen = tf.while_loop(
            lambda t, *_: t < length, body, (tf.constant(0), state, logits, read, seen), maximum_iterations=length
        )
        log_probs = tf.nn.log_softmax(tf.transpose(seen.stack(), [1, 0, 2]))
        return tf.transpose(read.stack()), log_probs, state, logits
