"""Schedules: the probability that the network reads its own output, as a function of the step.

Each is 1 - ε of scheduled sampling (Bengio et al. 2015, arXiv 1506.03099), where ε_i, the probability of the text's own
character, decays with the step i. Eager or graph; `step` is any integer or integer tensor; returns float32 `[]`.
"""

import dataclasses
import math

import tensorflow as tf

from charrnn.errors import require

SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


def linear(step: tf.Tensor, slope: float) -> tf.Tensor:
    """Returns 1 - ε for ε = max(0, 1 - slope·i)."""
    return tf.clip_by_value(slope * tf.cast(step, tf.float32), 0.0, 1.0)


def exponential(step: tf.Tensor, k: float) -> tf.Tensor:
    """Returns 1 - ε for ε = k^i, k < 1."""
    return -tf.math.expm1(tf.cast(step, tf.float32) * math.log(k))


def inverse_sigmoid(step: tf.Tensor, k: float) -> tf.Tensor:
    """Returns 1 - ε for ε = k / (k + exp(i / k)), k ≥ 1; one half at i = k·ln k."""
    return tf.sigmoid(tf.cast(step, tf.float32) / k - math.log(k))  # this form does not overflow for large i


def inverse_sigmoid_k(half_step: float) -> float:
    """Returns the k for which `inverse_sigmoid` is one half at `half_step`: k·ln k = half_step, by Newton's method."""
    k = max(math.e, half_step / math.log(half_step + math.e))
    for _ in range(50):
        k -= (k * math.log(k) - half_step) / (math.log(k) + 1)
    return k


@dataclasses.dataclass(frozen=True)
class RisingProbability:
    """The probability of an own character, 1 - ε, which rises with the step up to a limit."""

    schedule: str = "inverse_sigmoid"  # one of Bengio et al., or "constant": max_prob from the first step
    half_step: int = 2000  # step at which ε would be one half without the limit
    max_prob: float = 0.5  # limit of the probability, 1 - ε_min

    def __post_init__(self):
        require("trainer.schedule", self.schedule, self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        require("trainer.half_step", self.half_step, self.half_step >= 1, "at least 1")
        require("trainer.max_prob", self.max_prob, 0.0 <= self.max_prob <= 1.0, "between 0 and 1")

    def prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns 1 - ε, float32 `[]`. Eager or graph."""
        half = self.half_step
        if self.schedule == "linear":
            prob = linear(step, slope=0.5 / half)
        elif self.schedule == "exponential":
            prob = exponential(step, k=math.pow(0.5, 1 / half))
        elif self.schedule == "inverse_sigmoid":
            prob = inverse_sigmoid(step, k=inverse_sigmoid_k(half))
        else:
            prob = tf.constant(self.max_prob)
        return tf.minimum(prob, self.max_prob)
