"""The settings of an own-input probability that rises with the step; parent of several curricula's own."""

import dataclasses
import math

import tensorflow as tf

from charrnn.errors import require
from trainers.curricula import schedules

SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


@dataclasses.dataclass(frozen=True)
class RisingProbability:
    """The probability of an own character, 1 - ε, rises with the step, up to a limit."""

    schedule: str = "inverse_sigmoid"  # the three of Bengio et al., or "constant": max_prob from the first step
    half_step: int = 2000  # the step at which ε is one half, were there no limit
    max_prob: float = 0.5  # the limit, 1 - ε_min

    def __post_init__(self):
        require("trainer.schedule", self.schedule, self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        require("trainer.half_step", self.half_step, self.half_step >= 1, "at least 1")
        require("trainer.max_prob", self.max_prob, 0.0 <= self.max_prob <= 1.0, "between 0 and 1")

    def prob(self, step: tf.Tensor) -> tf.Tensor:
        """1 - ε, float32 `[]`. Eager or graph."""
        half = self.half_step
        if self.schedule == "linear":
            prob = schedules.linear(step, slope=0.5 / half)
        elif self.schedule == "exponential":
            prob = schedules.exponential(step, k=math.pow(0.5, 1 / half))
        elif self.schedule == "inverse_sigmoid":
            prob = schedules.inverse_sigmoid(step, k=schedules.inverse_sigmoid_k(half))
        else:
            prob = tf.constant(self.max_prob)
        return tf.minimum(prob, self.max_prob)
