"""Scheduled sampling in spans: own characters come in runs, as in open loop, and not one by one.

With single coins the network reads hardly ever more than a few own characters on end; a word of its own it never reads.
A middle way between the coin a character and the coin a row of Bengio et al. 2015, arXiv 1506.03099, whose objections
(see scheduled_sampling.py) hold here too.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.curricula.schedules import RisingProbability
from trainers.step import coins
from trainers.trainer import Trainer


class Spans(Trainer):
    """Runs of at least `length` own characters, each character an own one with the scheduled probability.

    The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(RisingProbability):
        """The probability, and the length."""

        length: int = 8  # characters

        def __post_init__(self):
            super().__post_init__()
            require("trainer.length", self.length, self.length >= 1, "at least 1")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Spans, bool `[B, T]`. Graph."""
        seed = self.random_seed(randomness.Purpose.OWN_INPUTS)
        return coins.spans(tf.shape(batch.inputs), self.own_input_prob(step), self.config.length, seed)
