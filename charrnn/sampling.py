"""Sampling: from logits to ids. Stateless, because the noise is an argument. Eager or graph.

ids = Sampler(temperature=0.8, top_p=0.95).choose(logits, randomness.gumbel(logits.shape, seed))
"""

import dataclasses
import math

import tensorflow as tf

from charrnn.errors import check_epsilon, check_temperature, require

NEVER = -1e30
"""The logit of a character that must not be chosen; finite, so that adding a larger number can outweigh it."""

_SMALLEST_P = 1e-30  # a probability that float32 distinguishes from 0


@dataclasses.dataclass(frozen=True)
class Sampler:
    """The choice of a character; the fields apply in this order.

    Raises:
        UserError: a field is out of range.
    """

    temperature: float = 1.0  # divisor of the logits
    top_k: int = 0  # the number of likeliest characters to choose from; 0: all
    top_p: float = 1.0  # probability of the smallest set of likeliest characters to choose from (Holtzman et al. 2019)
    min_p: float = 0.0  # the least probability, as a share of the likeliest character's (Nguyen et al. 2024); 0: all
    greedy: bool = False  # the likeliest character always
    epsilon: float = 0.0  # the least probability after temperature and the other filters (Hewitt et al. 2022); 0: all

    def __post_init__(self):
        allowed = "above 0; for the likeliest character always, use greedy"
        require("temperature", self.temperature, self.temperature != 0, allowed)
        check_temperature("temperature", self.temperature)
        require("top_k", self.top_k, self.top_k >= 0, "at least 0 (0: all characters)")
        require("top_p", self.top_p, 0.0 < self.top_p <= 1.0, "above 0 and at most 1")
        require("min_p", self.min_p, 0.0 <= self.min_p <= 1.0, "at least 0 (0: all characters) and at most 1")
        check_epsilon("epsilon", self.epsilon)

    def choose(self, logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Chooses one character per row: logits `[B, V]`, Gumbel noise `[B, V]` -> ids int32 `[B]`."""
        if self.greedy:
            return tf.argmax(logits, -1, output_type=tf.int32)
        return sample(self.keep(logits, self.temperature), self.temperature * noise)

    def keep(self, logits: tf.Tensor, temperatures: tf.Tensor | float) -> tf.Tensor:
        """Filters the logits `[B, V]` by top_k, top_p, min_p and epsilon: excluded characters get NEVER.

        Args:
            logits: float32 `[B, V]`.
            temperatures: float32 `[B, 1]`, or one number; above 0.
        """
        if self.greedy:
            return logits
        kept = keep_top_p(keep_top_k(logits, self.top_k), self.top_p, temperatures)
        return keep_epsilon(keep_min_p(kept, self.min_p, temperatures), self.epsilon, temperatures)


def sample(logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Samples from softmax(logits): logits `[B, V]`, Gumbel noise `[B, V]` -> ids int32 `[B]`.

    Noise multiplied by a temperature gives a sample from softmax(logits / temperature).
    """
    return tf.argmax(logits + noise, -1, output_type=tf.int32)


def keep_top_k(logits: tf.Tensor, k: int) -> tf.Tensor:
    """Returns logits `[B, V]` with NEVER below the k-th largest of a row; k = 0: all stay."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return _keep_from(logits, tf.math.top_k(logits, k).values[:, -1:])


def keep_top_p(logits: tf.Tensor, p: float, temperatures: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Returns logits `[B, V]` with NEVER outside of the nucleus: the fewest characters whose probability reaches p."""
    if p >= 1.0:
        return logits
    ordered = tf.sort(logits, -1, direction="DESCENDING")
    likelier = tf.cumsum(tf.nn.softmax(ordered / temperatures), -1, exclusive=True)  # of all characters before each
    in_nucleus = likelier < max(p, _SMALLEST_P)
    return _keep_from(logits, tf.reduce_min(tf.where(in_nucleus, ordered, float("inf")), -1, keepdims=True))


def keep_min_p(logits: tf.Tensor, p: float, temperatures: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Returns logits `[B, V]` with NEVER for a probability below p times the largest; p = 0: all stay."""
    if p == 0.0:
        return logits
    return _keep_from(logits, tf.reduce_max(logits, -1, keepdims=True) + temperatures * math.log(p))


def keep_epsilon(logits: tf.Tensor, epsilon: tf.Tensor | float, temperatures: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Returns logits with NEVER for a probability below epsilon; the likeliest always stays (arXiv 2210.15191).

    Args:
        logits: float32 `[B, V]`.
        epsilon: the least probability, a number or float32 `[]`. The number 0 returns the logits as they are.
        temperatures: float32 `[B, 1]`, or one number; above 0.
    """
    if not tf.is_tensor(epsilon) and epsilon == 0:
        return logits
    total = tf.reduce_logsumexp(logits / temperatures, -1, keepdims=True)
    smallest = temperatures * (tf.math.log(epsilon) + total)
    return _keep_from(logits, tf.minimum(smallest, tf.reduce_max(logits, -1, keepdims=True)))


def _keep_from(logits, smallest):
    return tf.where(logits >= smallest, logits, NEVER)
