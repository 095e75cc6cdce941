"""Scheduled sampling: the network reads more and more of its own output.

Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", arXiv 1506.03099.
The objective is inconsistent (Huszár 2015, arXiv 1511.05101): with own inputs the best model is no longer the true
distribution, so the closed-loop loss gets worse; whether open loop gets better is to be measured.
"""

import dataclasses
import math

import tensorflow as tf

from charrnn import schedules
from charrnn.errors import check
from trainers.trainer import Trainer

SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


class ScheduledSampling(Trainer):
    """A coin for each character: the text's with probability ε, else a sample of the network's own prediction.

    The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The probability of an own character, 1 - ε, rises with the step, up to a limit."""

        schedule: str = "inverse_sigmoid"  # the paper's three, or "constant": max_prob from the first step
        half_step: int = 2000  # the step at which ε is one half, were there no limit
        max_prob: float = 0.5  # the limit, 1 - ε_min

        def __post_init__(self):
            allowed = f"one of {', '.join(SCHEDULES)}"
            check("trainer.schedule", self.schedule, self.schedule in SCHEDULES, allowed)
            check("trainer.half_step", self.half_step, self.half_step >= 1, "at least 1")
            check("trainer.max_prob", self.max_prob, 0.0 <= self.max_prob <= 1.0, "between 0 and 1")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """1 - ε, float32 `[]`. Graph."""
        half = self.config.half_step
        if self.config.schedule == "linear":
            prob = schedules.linear(step, slope=0.5 / half)
        elif self.config.schedule == "exponential":
            prob = schedules.exponential(step, k=math.pow(0.5, 1 / half))
        elif self.config.schedule == "inverse_sigmoid":
            prob = schedules.inverse_sigmoid(step, k=schedules.inverse_sigmoid_k(half))
        else:
            prob = tf.constant(self.config.max_prob)
        return tf.minimum(prob, self.config.max_prob)
