"""Logits -> ids. Stateless: the noise is an argument. Eager or graph."""

import dataclasses

import tensorflow as tf

from charrnn.errors import check, check_float32


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How a character is chosen; the fields apply in this order."""

    temperature: float = 1.0  # logits are divided by it
    top_k: int = 0  # only the k likeliest characters; 0: all
    top_p: float = 1.0  # only the likeliest characters that together reach this probability (Holtzman et al. 2019)
    greedy: bool = False  # the likeliest character always

    def __post_init__(self):
        allowed = "above 0; for the likeliest character always, use greedy"
        check("temperature", self.temperature, self.temperature != 0, allowed)
        check_float32("temperature", self.temperature)
        check("top_k", self.top_k, self.top_k >= 0, "at least 0 (0: all characters)")
        check("top_p", self.top_p, 0.0 < self.top_p <= 1.0, "above 0 and at most 1")

    def choose(self, logits: tf.Tensor, noise: tf.Tensor, temperatures: tf.Tensor | None = None) -> tf.Tensor:
        """One character a row.

        Args:
            logits: float32 `[B, V]`.
            noise: float32 `[B, V]`, Gumbel noise.
            temperatures: float32 `[B, 1]` above 0, each row's own, in place of `temperature`.

        Returns:
            ids int32 `[B]`.
        """
        if self.greedy:
            return tf.argmax(logits, -1, output_type=tf.int32)
        logits /= self.temperature if temperatures is None else temperatures
        return sample(keep_top_p(keep_top_k(logits, self.top_k), self.top_p), noise)


def sample(logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """A sample of softmax(logits): logits `[B, V]`, Gumbel noise `[B, V]` -> ids int32 `[B]`."""
    return tf.argmax(logits + noise, -1, output_type=tf.int32)


def keep_top_k(logits: tf.Tensor, k: int) -> tf.Tensor:
    """Logits `[B, V]` with all but the k largest of a row (more, where the k-th has equals) at -inf; k = 0: as is."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    smallest_kept = tf.math.top_k(logits, k).values[:, -1:]
    return tf.where(logits >= smallest_kept, logits, float("-inf"))


def keep_top_p(logits: tf.Tensor, p: float) -> tf.Tensor:
    """Logits `[B, V]`, all at -inf but the nucleus: the fewest likeliest characters whose probability reaches p."""
    if p >= 1.0:
        return logits
    ordered = tf.sort(logits, -1, direction="DESCENDING")
    likelier = tf.cumsum(tf.nn.softmax(ordered), -1, exclusive=True)  # the probability of all that come before
    smallest_kept = tf.reduce_min(tf.where(likelier < p, ordered, float("inf")), -1, keepdims=True)
    return tf.where(logits >= smallest_kept, logits, float("-inf"))
