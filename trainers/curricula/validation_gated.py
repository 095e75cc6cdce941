"""Validation-gated scheduled sampling: more own characters, as long as the loss of teacher forcing does not suffer.

    p ← min(p + increment, max_prob)    after an evaluation with loss < best + δ

We know of no source. The gate bounds how much the inconsistent objective of scheduled sampling (Huszár 2015,
arXiv 1511.05101) can increase the loss of teacher forcing. Without a validation text it never opens.
"""

import dataclasses

import tensorflow as tf

from charrnn.errors import require
from trainers.input_curriculum import InputConfig, InputCurriculum


class ValidationGated(InputCurriculum):
    """Tosses a coin per character, whose probability increases after each evaluation with a loss below best + δ.

    No gradient flows through the choice of an own character, only through the state.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig):
        """The increments, and the gate."""

        increment: float = 0.05  # increase of the probability per evaluation
        max_prob: float = 0.5  # limit of the probability of an own character
        tolerance: float = 0.01  # δ, in nats per character

        def __post_init__(self):
            super().__post_init__()
            require("trainer.increment", self.increment, 0.0 < self.increment <= 1.0, "above 0 and at most 1")
            require("trainer.max_prob", self.max_prob, 0.0 <= self.max_prob <= 1.0, "between 0 and 1")
            require("trainer.tolerance", self.tolerance, self.tolerance >= 0.0, "at least 0")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.prob = tf.Variable(0.0, trainable=False, name="prob")
        self.best = tf.Variable(float("inf"), trainable=False, name="best")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the probability that the gate has allowed, float32 `[]`. Graph."""
        return self.prob.read_value()

    def on_evaluation(self, step: int, measured: dict[str, float]) -> None:
        """Increases the probability if the loss allows it. Eager."""
        loss, best = measured["nats_per_char"], float(self.best.numpy())
        if loss < best + self.config.tolerance:
            self.prob.assign(tf.minimum(self.prob + self.config.increment, self.config.max_prob))
        if loss < best:
            self.best.assign(loss)
