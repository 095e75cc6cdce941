"""Logits -> ids. Stateless: the noise is an argument. Eager or graph."""

import dataclasses
import math

import tensorflow as tf

from charrnn.errors import check_temperature, require

NEVER = -1e30
"""The logit of what must not be chosen: finite, so that a larger number added to it still counts."""

_SMALLEST_P = 1e-30  # a probability that float32 tells from 0


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How a character is chosen; the fields apply in this order."""

    temperature: float = 1.0  # logits are divided by it
    top_k: int = 0  # only the k likeliest characters; 0: all
    top_p: float = 1.0  # only the likeliest characters that together reach this probability (Holtzman et al. 2019)
    min_p: float = 0.0  # only characters at least so likely, as a share of the likeliest's (Nguyen et al. 2024)
    greedy: bool = False  # the likeliest character always

    def __post_init__(self):
        allowed = "above 0; for the likeliest character always, use greedy"
        require("temperature", self.temperature, self.temperature != 0, allowed)
        check_temperature("temperature", self.temperature)
        require("top_k", self.top_k, self.top_k >= 0, "at least 0 (0: all characters)")
        require("top_p", self.top_p, 0.0 < self.top_p <= 1.0, "above 0 and at most 1")
        require("min_p", self.min_p, 0.0 <= self.min_p <= 1.0, "at least 0 (0: all characters) and at most 1")

    def choose(self, logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """One character a row: logits `[B, V]`, Gumbel noise `[B, V]` -> ids int32 `[B]`."""
        if self.greedy:
            return tf.argmax(logits, -1, output_type=tf.int32)
        return sample(self.keep(logits, self.temperature), self.temperature * noise)

    def keep(self, logits: tf.Tensor, temperatures: tf.Tensor | float) -> tf.Tensor:
        """Logits `[B, V]`, those of characters that may not be chosen at NEVER; at temperatures `[B, 1]` above 0."""
        if self.greedy:
            return logits
        kept = keep_top_p(keep_top_k(logits, self.top_k), self.top_p, temperatures)
        return keep_min_p(kept, self.min_p, temperatures)


def sample(logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """A sample of softmax(logits): logits `[B, V]`, Gumbel noise `[B, V]` -> ids int32 `[B]`.

    With noise times a temperature, of softmax(logits / temperature).
    """
    return tf.argmax(logits + noise, -1, output_type=tf.int32)


def keep_top_k(logits: tf.Tensor, k: int) -> tf.Tensor:
    """Logits `[B, V]` with all but the k largest of a row (more, where the k-th has equals) at NEVER; k = 0: as is."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return _keep_from(logits, tf.math.top_k(logits, k).values[:, -1:])


def keep_top_p(logits: tf.Tensor, p: float, temperatures: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Logits `[B, V]`, all at NEVER but the nucleus: the fewest likeliest characters whose probability reaches p."""
    if p >= 1.0:
        return logits
    ordered = tf.sort(logits, -1, direction="DESCENDING")
    likelier = tf.cumsum(tf.nn.softmax(ordered / temperatures), -1, exclusive=True)  # that of all that come before
    in_nucleus = likelier < max(p, _SMALLEST_P)
    return _keep_from(logits, tf.reduce_min(tf.where(in_nucleus, ordered, float("inf")), -1, keepdims=True))


def keep_min_p(logits: tf.Tensor, p: float, temperatures: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Logits `[B, V]`, all at NEVER whose probability is below p times the largest; p = 0: as is."""
    if p == 0.0:
        return logits
    return _keep_from(logits, tf.reduce_max(logits, -1, keepdims=True) + temperatures * math.log(p))


def _keep_from(logits, smallest):
    return tf.where(logits >= smallest, logits, NEVER)
