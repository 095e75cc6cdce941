"""Reads or writes a block of characters in a graph: the loop of generation, rollouts and exported models.

    noise = choice_noise(forced, seeds, start, temperatures, vocabulary_size)
    choose = lambda logits, t: sample(logits, noise[t])
    ids, _, state, logits = read_and_write(network, choose, state, logits, 0, DECODE_BLOCK_CHARS)

The characters of a text, its prompt included, are numbered from 0 on. The noise of each is a function of (seed,
number): it depends neither on the size of a graph call nor on the other texts of a batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from charrnn import randomness
from charrnn.model.char_model import States
from charrnn.model.weights import Network

DECODE_BLOCK_CHARS = 128  # characters whose noise is drawn together, and the most of one graph call
OWN = -1  # in place of an id to read: the network's own choice
_FORCED = 1e38  # added to a logit, it outweighs all others


class Block(NamedTuple):
    """The result of a graph call. Places outside of begin … end - 1 are 0."""

    ids: tf.Tensor  # int32 [DECODE_BLOCK_CHARS, B], the input ids
    predictions: tf.Tensor | None  # float32 [DECODE_BLOCK_CHARS, B, V], the logits before each id; None if not wanted
    state: States
    logits: tf.Tensor  # float32 [B, V], the prediction of the character that follows


def choice_noise(
    forced: tf.Tensor, seeds: tf.Tensor, start: tf.Tensor | int, temperatures: tf.Tensor, vocabulary_size: int
) -> tf.Tensor:
    """Draws the noise of a block, with which arg-max(logits + noise) is the choice of each character. Graph.

    Args:
        forced: int32 `[B, DECODE_BLOCK_CHARS]`, the ids to read, or OWN.
        seeds: int32 `[B]`.
        start: the number of the block's first character, int32 `[]`.
        temperatures: float32 `[B]`; 0: the likeliest character always.
        vocabulary_size: V.

    Returns:
        float32 `[DECODE_BLOCK_CHARS, B, V]`: temperature times Gumbel noise, because temperature · (logits /
        temperature + noise) has the same arg-max; for a forced id, a number that outweighs all others. The loop then
        needs no division and no branch.
    """
    size = (DECODE_BLOCK_CHARS, vocabulary_size)
    noise = tf.map_fn(
        lambda seed: randomness.gumbel(size, randomness.seed_for(seed, randomness.Purpose.GENERATION, start)),
        seeds,
        fn_output_signature=tf.float32,
    )
    forced = tf.transpose(forced)[:, :, None]
    given = tf.where(tf.range(vocabulary_size) == forced, _FORCED, 0.0)
    return tf.where(forced == OWN, temperatures[:, None] * tf.transpose(noise, [1, 0, 2]), given)


def read_and_write(
    network: Network,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    state: States,
    logits: tf.Tensor,
    begin: tf.Tensor | int,
    end: tf.Tensor | int,
    end_id: int | None = None,
    predictions: bool = False,
) -> Block:
    """Runs the places begin … end - 1 of a block, one character after the other. One graph for any places.

    Args:
        network: the weights.
        choose: (logits float32 `[B, V]`, place t int32 `[]`) -> ids int32 `[B]` to read there.
        state: the recurrent state before the first of them.
        logits: float32 `[B, V]`, the prediction of the first of them.
        begin: int32 `[]`.
        end: int32 `[]`.
        end_id: the id between documents, which resets the state to zero; None: the text is not documents.
        predictions: True to return the logits before each id, too.
    """

    def body(t, state, logits, arrays):
        ids = choose(logits, t)
        if end_id is not None:
            ends = (ids == end_id)[:, None]
            state = tf.nest.map_structure(lambda entry: tf.where(ends, tf.zeros_like(entry), entry), state)
        after, _ = network.advance(ids, state)
        arrays = tuple(array.write(t, entry) for array, entry in zip(arrays, (ids, logits), strict=False))
        return t + 1, after, network.predict(after), arrays

    arrays = [tf.TensorArray(tf.int32, size=DECODE_BLOCK_CHARS, element_shape=logits.shape[:1])]
    if predictions:
        arrays.append(tf.TensorArray(tf.float32, size=DECODE_BLOCK_CHARS, element_shape=logits.shape))
    start = (tf.convert_to_tensor(begin), state, logits, tuple(arrays))
    # Each character depends on the one before; bookkeeping for parallel iterations would cost 10 % of the time.
    _, state, logits, arrays = tf.while_loop(lambda t, *_: t < end, body, start, parallel_iterations=1)
    ids, seen = (*(array.stack() for array in arrays), None)[:2]
    return Block(ids, seen, state, logits)
