"""Beam search for the likeliest continuations, in a graph."""

import tensorflow as tf

from charrnn.model.char_model import States
from charrnn.model.weights import Network
from charrnn.sampling import NEVER


def beam_search(
    network: Network,
    state: States,
    logits: tf.Tensor,
    width: tf.Tensor,
    num_chars: tf.Tensor,
    min_chars: tf.Tensor,
    end_id: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Extends the `width` likeliest texts character by character. Graph.

    Args:
        network: the weights.
        state: the state after the prompt, of one row.
        logits: float32 `[1, V]`, the prediction of the first character.
        width: K, int32 `[]`. If K is the number of all texts, the search is exhaustive.
        num_chars: N, at least 1, int32 `[]`.
        min_chars: the minimum length of a text, int32 `[]`.
        end_id: ends a text, which then keeps its log-probability; None: no text ends.

    Returns:
        Ids int32 `[K, N]`, the likeliest text first, with `end_id` from its end on; and the log-probability of each,
        float32 `[K]`. NEVER or less marks the rows beyond the number of all texts.
    """
    size = logits.shape[-1]
    is_end = tf.range(size) == (-1 if end_id is None else end_id)
    after_end = tf.where(is_end, 0.0, NEVER)  # an ended text has one continuation, of probability 1

    def body(t, state, logits, scores, ended, ids, parents):
        log_probs = tf.nn.log_softmax(tf.where(is_end & (t < min_chars), NEVER, logits))
        scores = scores[:, None] + tf.where(ended[:, None], after_end, log_probs)
        scores, best = tf.math.top_k(tf.reshape(scores, [-1]), width)
        parent, chosen = best // size, best % size
        state = tf.nest.map_structure(lambda entry: tf.gather(entry, parent), state)
        state, _ = network.advance(chosen, state)
        ended = tf.gather(is_end, chosen)
        arrays = ids.write(t, chosen), parents.write(t, parent)
        return t + 1, state, network.predict(state), scores, ended, *arrays

    rows = tf.zeros([width], tf.int32)
    state = tf.nest.map_structure(lambda entry: tf.gather(entry, rows), state)
    scores = tf.where(tf.range(width) == 0, 0.0, NEVER)  # the search begins with one text
    arrays = [tf.TensorArray(tf.int32, size=num_chars, element_shape=[None]) for _ in range(2)]
    start = (tf.constant(0), state, tf.gather(logits, rows), scores, tf.zeros([width], tf.bool), *arrays)
    *_, scores, _, ids, parents = tf.while_loop(lambda t, *_: t < num_chars, body, start)

    def back(row, entry):
        _, row = row
        chosen, parent = entry
        return tf.gather(chosen, row), tf.gather(parent, row)

    start = (rows, tf.range(width))
    texts, _ = tf.scan(back, (ids.stack(), parents.stack()), start, reverse=True)
    return tf.transpose(texts), scores
