"""A block of characters, read or written in a graph: the loop that generation, rollouts and exported models share.

    noise = choice_noise(forced, seeds, start, temperatures, vocabulary_size)
    choose = lambda logits, t: sample(logits, noise[t])
    ids, _, state, logits = read_and_write(network, choose, state, logits, 0, BLOCK_CHARS)

The characters of a text are numbered from 0 on, its prompt included, and the noise of each is a function of (seed,
number): it does not depend on how many characters a graph call makes, nor on the other texts of a batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from charrnn import randomness
from charrnn.model.char_model import States
from charrnn.model.weights import Network

BLOCK_CHARS = 128  # characters whose noise is drawn together, and the most that a graph call makes
OWN = -1  # in a block of ids to read: the network's own choice
_FORCED = 1e38  # added to a logit, it outweighs all others


class Block(NamedTuple):
    """What a graph call made of a block's places; those outside of begin … end - 1 are 0."""

    ids: tf.Tensor  # int32 [BLOCK_CHARS, B], what was read
    predictions: tf.Tensor | None  # float32 [BLOCK_CHARS, B, V], the logits of each before it was read, if asked for
    state: States
    logits: tf.Tensor  # float32 [B, V], the prediction of the character that follows


def choice_noise(
    forced: tf.Tensor, seeds: tf.Tensor, start: tf.Tensor | int, temperatures: tf.Tensor, vocabulary_size: int
) -> tf.Tensor:
    """What turns arg-max(logits + noise) into the choice of each character, drawn at once for a whole block. Graph.

    Args:
        forced: int32 `[B, BLOCK_CHARS]`, the ids to read, or OWN.
        seeds: int32 `[B]`.
        start: the number of the block's first character, int32 `[]`.
        temperatures: float32 `[B]`; 0: the likeliest always.
        vocabulary_size: V.

    Returns:
        float32 `[BLOCK_CHARS, B, V]`: temperature times Gumbel noise, because temperature · (logits / temperature +
        noise) has the same arg-max; for a forced id, so much that it is the choice. So the loop needs neither a
        division nor a case.
    """
    size = (BLOCK_CHARS, vocabulary_size)
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
    """Reads the places begin … end - 1 of a block, one character after the other. Graph; one graph for any places.

    Args:
        network: the weights.
        choose: (logits float32 `[B, V]`, place t int32 `[]`) -> ids int32 `[B]`: what is read there.
        state: the recurrent state before the first of them.
        logits: float32 `[B, V]`, the prediction of the first of them.
        begin: int32 `[]`.
        end: int32 `[]`.
        end_id: what stands between documents, from where on the state is the zero state; None: running text.
        predictions: whether to return the predictions too.
    """

    def body(t, state, logits, arrays):
        ids = choose(logits, t)
        if end_id is not None:
            ends = (ids == end_id)[:, None]
            state = tf.nest.map_structure(lambda entry: tf.where(ends, tf.zeros_like(entry), entry), state)
        after, _ = network.advance(ids, state)
        arrays = tuple(array.write(t, entry) for array, entry in zip(arrays, (ids, logits), strict=False))
        return t + 1, after, network.predict(after), arrays

    arrays = [tf.TensorArray(tf.int32, size=BLOCK_CHARS, element_shape=logits.shape[:1])]
    if predictions:
        arrays.append(tf.TensorArray(tf.float32, size=BLOCK_CHARS, element_shape=logits.shape))
    start = (tf.convert_to_tensor(begin), state, logits, tuple(arrays))
    # Each character hangs on the one before; the book-keeping for several at once would take a tenth of the time.
    _, state, logits, arrays = tf.while_loop(lambda t, *_: t < end, body, start, parallel_iterations=1)
    ids, seen = (*(array.stack() for array in arrays), None)[:2]
    return Block(ids, seen, state, logits)
