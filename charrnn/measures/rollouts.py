"""Reads texts with a model in a graph, and records its prediction at each position.

    reader = Reader(model, vocabulary.unknown_id)
    predicted = reader.read(rows, seeds)       # at places with OWN, the model reads its own choice
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.generation import decode_loop
from charrnn.generation.decode_loop import DECODE_BLOCK_CHARS
from charrnn.model.char_model import CharModel
from charrnn.sampling import NEVER, keep_epsilon, sample


class Predicted(NamedTuple):
    """The ids that a model read, and its predictions, for R rows, each from the zero state."""

    ids: np.ndarray  # int32 [R, T], the input ids
    log_probs: np.ndarray  # float32 [R, T, V], the model's prediction before each id


class Reader:
    """Reads rows of ids with a model.

    Args:
        model: its weights are read at each call.
        unknown_id: an id that the model never chooses; None: any id may be chosen.
        end_id: the id between documents, which resets the state to zero; None: the text is not documents.
    """

    def __init__(self, model: CharModel, unknown_id: int | None = None, end_id: int | None = None):
        self.vocabulary_size = model.vocabulary_size
        self._model, self._end_id = model, end_id
        self._bar = np.where(np.arange(model.vocabulary_size) == unknown_id, NEVER, 0.0).astype(np.float32)
        self._read_block = tf.function(self._read, autograph=False)

    def read(self, rows: np.ndarray, seeds: np.ndarray, temperature: float = 1.0, epsilon: float = 0.0) -> Predicted:
        """Reads each row. Eager.

        Args:
            rows: int `[R, T]`, ids or OWN. The first of a row is an id.
            seeds: int `[R]`, of each row's choices.
            temperature: of the choices; the predictions always have temperature 1.
            epsilon: the least probability of a choice, as in `Sampler`; the predictions are not cut off.
        """
        blocks = self.blocks(rows, seeds, temperature, epsilon)
        return Predicted(*(np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True)))

    def blocks(
        self, rows: np.ndarray, seeds: np.ndarray, temperature: float = 1.0, epsilon: float = 0.0
    ) -> Iterator[Predicted]:
        """Yields the result of `read` by blocks of DECODE_BLOCK_CHARS characters; Args are the same."""
        batch_size, length = rows.shape
        network, state = self._model.network(), self._model.initial_state(batch_size)
        logits = tf.zeros((batch_size, self.vocabulary_size))
        seeds, heat = tf.constant(seeds, tf.int32), tf.fill([batch_size], float(temperature))
        least = tf.constant(epsilon, tf.float32) if epsilon else None  # a tensor: one graph for all cut-offs
        for start in range(0, length, DECODE_BLOCK_CHARS):
            block = rows[:, start : start + DECODE_BLOCK_CHARS]
            num_chars = block.shape[1]
            block = np.pad(block, ((0, 0), (0, DECODE_BLOCK_CHARS - num_chars))).astype(np.int32)
            ids, log_probs, state, logits = self._read_block(
                network, block, seeds, heat, least, tf.constant(start), tf.constant(num_chars), state, logits
            )
            yield Predicted(ids.numpy()[:, :num_chars], log_probs.numpy()[:, :num_chars])

    def choices(self, log_probs: np.ndarray, temperature: float = 1.0, epsilon: float = 0.0) -> np.ndarray:
        """Returns the distributions from which `read` samples its choices.

        Args:
            log_probs: the predictions, ln p `[R, T, V]`.
            temperature: as in `read`.
            epsilon: as in `read`.

        Returns:
            ln q, float32 `[R, T, V]`; a large negative number for a character that is never chosen.
        """
        kept = self._cut(tf.reshape(log_probs, [-1, self.vocabulary_size]), temperature, epsilon)
        return tf.nn.log_softmax(kept / temperature).numpy().reshape(log_probs.shape)

    def _cut(self, logits, temperatures, epsilon):
        return keep_epsilon(logits + self._bar, epsilon, temperatures)

    def _read(self, network, rows, seeds, temperatures, epsilon, start, num_chars, state, logits):
        """Reads one block, in a graph: int32 `[R, N]` -> ids `[R, N]`, ln p `[R, N, V]`, state and logits."""
        noise = decode_loop.choice_noise(rows, seeds, start, temperatures, self.vocabulary_size) + self._bar

        def choose(logits, t):
            if epsilon is not None:
                logits = self._cut(logits, temperatures[:, None], epsilon)
            return sample(logits, noise[t])

        read = decode_loop.read_and_write(
            network,
            choose,
            state,
            logits,
            0,
            num_chars,
            end_id=self._end_id,
            predictions=True,
        )
        log_probs = tf.nn.log_softmax(tf.transpose(read.predictions, [1, 0, 2]))
        return tf.transpose(read.ids), log_probs, read.state, read.logits
