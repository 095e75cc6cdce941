"""Soft inputs: the network reads the mixture of characters that it predicts, and the gradient flows through it.

    input = softmax(α · (logits + Gumbel noise))    α → ∞: one character

Goyal et al. 2017, "Differentiable Scheduled Sampling for Credit Assignment", arXiv 1704.06970; with Gumbel noise the
mixture is a relaxed sample (Jang et al. 2016, arXiv 1611.01144). In generation the network never reads mixtures. A
large α reduces this difference, but the gradient may explode or vanish. The straight-through variant reads characters
but uses the gradient of the mixture, which its forward pass did not compute.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from charrnn.model.char_model import States
from trainers.curricula.schedules import RisingProbability
from trainers.trainer import Rollout, Trainer


class SoftInputs(Trainer):
    """Tosses a coin per character: the text's character, or the mixture softmax(α · (logits + noise)).

    The gradient flows through state and mixture, over all time steps.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(RisingProbability):
        """The probability of an own input, and the mixture."""

        alpha: float = 5.0  # α, the sharpness of the mixture
        gumbel: bool = True  # a relaxed sample; false: a relaxed arg-max
        straight_through: bool = False  # the likeliest character of the mixture, with the gradient of the mixture

        def __post_init__(self):
            super().__post_init__()
            require("trainer.alpha", self.alpha, 0.0 < self.alpha < float("inf"), "above 0")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns 1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def mix(self, logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns the mixture: float32 `[B, V]`, each sum 1. Graph."""
        soft = tf.nn.softmax(self.config.alpha * (logits + noise if self.config.gumbel else logits))
        if not self.config.straight_through:
            return soft
        hard = tf.one_hot(tf.argmax(soft, -1), soft.shape[-1], dtype=soft.dtype)
        return hard + (soft - tf.stop_gradient(soft))

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Runs the open loop (free running) over mixtures. Graph."""
        own = self.own_mask(batch)
        noise, key = self.noise(batch), self.mask_key()
        logits, fed, state = self.model.soft_loop(batch.inputs, own, self.mix, noise, state, key)
        return Rollout(logits, fed, own, state)
