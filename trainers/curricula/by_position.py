"""Scheduled sampling by decoding step: the later in a row, the more of its own output the network reads.

Liu et al. 2021, "Scheduled Sampling Based on Decoding Steps for Neural Machine Translation", arXiv 2108.12963: errors
accumulate, so the share of own characters should too. They compare several ways to join position and training step;
this is the product. The objections to scheduled sampling hold here too.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.curricula import schedules
from trainers.step import coins
from trainers.trainer import Trainer


class ByPosition(Trainer):
    """A coin of p(i) · (1 - 2^(-t / half_position)) for the character at position t of a row, in step i.

    The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(schedules.RisingProbability):
        """p(i), and how soon in a row half of it is reached."""

        half_position: int = 10  # characters

        def __post_init__(self):
            super().__post_init__()
            require("trainer.half_position", self.half_position, self.half_position >= 1, "at least 1")

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Coins, bool `[B, T]`. Graph."""
        shape = tf.shape(batch.inputs)
        by_position = schedules.exponential(tf.range(shape[1]), k=0.5 ** (1 / self.config.half_position))
        prob = self.config.prob(step) * by_position
        return coins.per_character(shape, prob, self.random_seed(randomness.Purpose.OWN_INPUTS))
