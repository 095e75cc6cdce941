"""The n-grams of the training text as a teacher, each place of the text judged by all others.

    p(w | c) = (a(c w) - D) / Σ_w a(c w) + backoff(c) p(w | c less its first character)

The probabilities are those of `KneserNey`, interpolated and modified (Chen & Goodman 1999). Counted as they are, the
n-grams would know the next character of the training text, because they have counted it. So where the ids are the
text's, one occurrence of the n-grams that end in the next character is left out: one less of the longest, and one less
of a shorter one if no other occurrence has the same character before it.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.measures.ngrams import Counted, count_ngrams, discounts_for
from charrnn.model import loops

ORDER = 6
"""n of the longest n-grams."""

MOST_ENTRIES = 1 << 25
"""The largest number of entries of a table, contexts times V: longer n-grams are dropped."""


class State(NamedTuple):
    """The ids on which the prediction of the next character depends."""

    context: tf.Tensor  # the longest known context, int32 [B, 1]; 0: the empty one
    matches: tf.Tensor  # for how many ids, up to the last one, the ids have been the text's, int32 [B, 1]


class Ngrams:
    """Kneser-Ney n-grams, read in the graph. At most n - 1 ids are a context.

    Within the first n - 1 characters of a row, the character before the row is not known. There a shorter n-gram is
    left out only if it occurs once.

    Args:
        ids: the training text, int `[N]`.
        vocabulary_size: V.
        order: n.
    """

    def __init__(self, ids: np.ndarray, vocabulary_size: int, order: int = ORDER):
        self._size = vocabulary_size
        found = count_ngrams(np.atleast_2d(ids), vocabulary_size, min(order, len(ids)))
        numbers = 1 + np.cumsum([0, *(len(each.keys) for each in found)])  # of contexts shorter than 1, 2, …
        fits = int((numbers[:-1] * vocabulary_size <= MOST_ENTRIES).sum())
        self.order = max(1, min(len(found), fits))
        tables = _Tables(found[: self.order], numbers, vocabulary_size)
        self._following, self._shorter, self._lengths = (
            tf.constant(table, tf.int32) for table in (tables.following.ravel(), tables.shorter, tables.lengths)
        )
        self._counts, self._discounts = (tf.constant(table, tf.float32) for table in (tables.counts, tables.discounts))
        self._once = tf.constant(tables.once.ravel())
        digest = hashlib.sha256(tables.counts.tobytes() + tables.discounts.tobytes()).digest()
        self.fingerprint = int.from_bytes(digest[:8], "big") >> 1

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Returns the empty context. Eager or graph."""
        none = tf.zeros([batch_size, 1], tf.int32)
        return State(none, none)

    def __call__(self, ids: tf.Tensor, state: State, batch: Batch | None = None) -> tuple[tf.Tensor, State]:
        """Reads ids int32 `[B, T]`; returns ln p float32 `[B, T, V]` and the state. Eager or graph."""
        same = tf.zeros_like(ids, tf.bool) if batch is None else ids == batch.inputs
        contexts, matches = self._read(ids, same, state)
        by_length: list[tuple[tf.Tensor, tf.Tensor]] = []
        shorter = contexts
        for length in reversed(range(self.order)):
            known = tf.gather(self._lengths, shorter) == length
            by_length.insert(0, (shorter, known))
            shorter = tf.where(known, tf.gather(self._shorter, shorter), shorter)
        probs = tf.fill([*tf.unstack(tf.shape(ids)), self._size], 1 / self._size)
        for length, (context, known) in enumerate(by_length):
            counts = tf.gather(self._counts, context)
            if batch is not None:
                longer = by_length[length + 1] if length + 1 < self.order else None
                out = self._left_out(context, longer, matches, length, batch.targets)
                one_less = tf.cast(out, tf.float32)[..., None] * tf.one_hot(batch.targets, self._size)
                counts = tf.maximum(counts - one_less, 0.0)  # 0 without an occurrence: where a row is padded
            discounts = tf.gather(self._discounts[length], tf.cast(tf.minimum(counts, 3.0), tf.int32))
            total = tf.reduce_sum(counts, -1, keepdims=True)
            held_back = tf.reduce_sum(discounts, -1, keepdims=True)
            longer_probs = (counts - discounts + held_back * probs) / tf.maximum(total, 1.0)
            probs = tf.where(known[..., None] & (total > 0), longer_probs, probs)
        last = State(contexts[:, -1:], matches[:, -1:])
        return tf.stop_gradient(tf.math.log(probs)), last

    def _read(self, ids: tf.Tensor, same: tf.Tensor, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the longest known context and the number of matches after each id, int32 `[B, T]`."""
        by_time, same = tf.transpose(ids), tf.transpose(same)
        num_steps = loops.length(by_time)
        like = tf.zeros(ids.shape[:1] if ids.shape[0] else tf.shape(ids)[:1], tf.int32)

        def body(t, context, matches, *found):
            context = tf.gather(self._following, context * self._size + by_time[t])
            matches = tf.where(same[t], tf.minimum(matches + 1, self.order), 0)
            return t + 1, context, matches, *loops.write(found, t, (context, matches))

        arrays = loops.array(num_steps, like), loops.array(num_steps, like)
        start = (tf.constant(0), state.context[:, 0], state.matches[:, 0], *arrays)
        found = tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)[-2:]
        contexts, matches = (tf.transpose(array.stack()) for array in found)
        return contexts, matches

    def _left_out(
        self,
        context: tf.Tensor,
        longer: tuple[tf.Tensor, tf.Tensor] | None,
        matches: tf.Tensor,
        length: int,
        targets: tf.Tensor,
    ) -> tf.Tensor:
        """Returns where the count of the target after a context of this length is one less, bool `[B, T]`.

        Args:
            context: the contexts, int32 `[B, T]`.
            longer: the contexts that are longer by one, and where these are known; None for the longest.
            matches: for how many ids the text was read, int32 `[B, T]`.
            length: of the contexts.
            targets: the text's next ids, int32 `[B, T]`.
        """
        of_text = matches >= length
        if longer is None:
            return of_text
        once, once_longer = (tf.gather(self._once, at * self._size + targets) for at in (context, longer[0]))
        return of_text & tf.where(longer[1] & (matches > length), once_longer, once)


class _Tables:
    """The contexts of all lengths from 0 to n - 1, N of them, the shorter ones first.

    Attributes:
        counts: a of each context and following id, float32 `[N, V]`.
        once: whether the context with this id occurs once, bool `[N, V]`.
        following: the longest known context after one more id, int32 `[N, V]`.
        shorter: each context without its first id, int64 `[N]`.
        lengths: each context's, int64 `[N]`.
        discounts: for the counts 0, 1, 2 and more, by the context's length, float64 `[n, 4]`.
    """

    def __init__(self, found: list[Counted], numbers: np.ndarray, vocabulary_size: int):
        order = len(found)
        first = [0, *numbers[:order]]  # the number of the first context of each length, and of all
        shape = first[order], vocabulary_size
        self.counts, self.once = np.zeros(shape, np.float32), np.zeros(shape, bool)
        self.following = np.zeros(shape, np.int32)
        self.shorter, self.lengths = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.int64)
        discounts = []
        for length, (keys, occurrences, suffixes) in enumerate(found):
            contexts, last = first[length] + keys // vocabulary_size, keys % vocabulary_size
            different = length + 1 < order  # counts different characters before it, unless it is the longest
            counts = np.bincount(found[length + 1].suffixes, minlength=len(keys)) if different else occurrences
            self.counts[contexts, last], self.once[contexts, last] = counts, occurrences == 1
            discounts.append([0.0, *discounts_for(counts)])
            here = slice(first[length], first[length + 1])
            self.lengths[here] = length
            self.following[here] = self.following[self.shorter[here]]  # 0 after the empty context
            if length + 1 < order:
                children = first[length + 1] + np.arange(len(keys))
                self.following[contexts, last] = children
                self.shorter[children] = first[length] + suffixes
        self.discounts = np.array(discounts)
