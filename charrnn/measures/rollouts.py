"""What a model predicts at each position of a text that is given, or that it writes itself; in a graph.

    reader = Reader(model, vocabulary.unknown_id)
    predicted = reader.read(rows, seeds)       # where rows hold OWN, the model reads its own choice
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.generation import decode_loop
from charrnn.generation.decode_loop import BLOCK_CHARS
from charrnn.model.char_model import CharModel
from charrnn.sampling import NEVER, sample


class Predicted(NamedTuple):
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
        self._bar = np.where(np.arange(model.vocabulary_size) == unknown_id, NEVER, 0.0).astype(np.float32)
        self._read_block = tf.function(self._read, autograph=False)

    def read(self, rows: np.ndarray, seeds: np.ndarray, temperature: float = 1.0) -> Predicted:
        """Reads each row. Eager.

        Args:
            rows: int `[R, T]`, ids or OWN. The first of a row is an id.
            seeds: int `[R]`, of each row's choices.
            temperature: of the choices; the predictions are always at 1.
        """
        return Predicted(*(np.concatenate(p, axis=1) for p in zip(*self.blocks(rows, seeds, temperature), strict=True)))

    def blocks(self, rows: np.ndarray, seeds: np.ndarray, temperature: float = 1.0) -> Iterator[Predicted]:
        """What `read` reads, BLOCK_CHARS characters at a time."""
        num_rows, length = rows.shape
        network, state = self._model.network(), self._model.initial_state(num_rows)
        logits = tf.zeros((num_rows, self.vocabulary_size))
        seeds, heat = tf.constant(seeds, tf.int32), tf.fill([num_rows], float(temperature))
        for start in range(0, length, BLOCK_CHARS):
            block = rows[:, start : start + BLOCK_CHARS]
            num_chars = block.shape[1]
            block = np.pad(block, ((0, 0), (0, BLOCK_CHARS - num_chars))).astype(np.int32)
            ids, log_probs, state, logits = self._read_block(
                network, block, seeds, heat, tf.constant(start), tf.constant(num_chars), state, logits
            )
            yield Predicted(ids.numpy()[:, :num_chars], log_probs.numpy()[:, :num_chars])

    def _read(self, network, rows, seeds, temperatures, start, num_chars, state, logits):
        """One block, in a graph: int32 `[R, N]` -> ids `[R, N]`, log-probabilities `[R, N, V]`, state and logits."""
        noise = decode_loop.choice_noise(rows, seeds, start, temperatures, self.vocabulary_size) + self._bar
        read = decode_loop.read_and_write(
            network,
            lambda logits, t: sample(logits, noise[t]),
            state,
            logits,
            0,
            num_chars,
            end_id=self._end_id,
            predictions=True,
        )
        log_probs = tf.nn.log_softmax(tf.transpose(read.predictions, [1, 0, 2]))
        return tf.transpose(read.ids), log_probs, read.state, read.logits
