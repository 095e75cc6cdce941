"""Validation-gated scheduled sampling: more own characters, as long as teacher forcing does not suffer from it.

No source is known to us. The gate bounds what the inconsistent objective of scheduled sampling (Huszár 2015,
arXiv 1511.05101) can cost in closed loop. Without a validation text it never opens.
"""

import dataclasses

import tensorflow as tf

from charrnn.errors import require
from trainers.trainer import Trainer


class ValidationGated(Trainer):
    """A coin for each character; its probability rises after each evaluation whose loss is below the best + δ.

    The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """How far, and when."""

        increment: float = 0.05  # of the probability, an evaluation
        max_prob: float = 0.5  # the limit of the probability of an own character
        tolerance: float = 0.01  # δ, nats per character

        def __post_init__(self):
            require("trainer.increment", self.increment, 0.0 < self.increment <= 1.0, "above 0 and at most 1")
            require("trainer.max_prob", self.max_prob, 0.0 <= self.max_prob <= 1.0, "between 0 and 1")
            require("trainer.tolerance", self.tolerance, self.tolerance >= 0.0, "at least 0")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.prob = tf.Variable(0.0, trainable=False, name="prob")
        self.best = tf.Variable(float("inf"), trainable=False, name="best")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """As high as the gate has let it, float32 `[]`. Graph."""
        return self.prob.read_value()

    def on_evaluation(self, step: int, measured: dict[str, float]) -> None:
        """Opens the gate by a step, or does not. Eager."""
        loss, best = measured["nats_per_char"], float(self.best.numpy())
        if loss < best + self.config.tolerance:
            self.prob.assign(tf.minimum(self.prob + self.config.increment, self.config.max_prob))
        if loss < best:
            self.best.assign(loss)
