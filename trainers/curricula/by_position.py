"""Scheduled sampling by decoding step: later in a sequence, the network reads more of its own output.

    p(i, t) = p(i) · (1 - 2^(-t / h))    at step i, position t

Liu et al. 2021, "Scheduled Sampling Based on Decoding Steps for Neural Machine Translation", arXiv 2108.12963: errors
accumulate, so the share of own characters increases with the position. The paper compares several ways to combine
position and training step; this is the product. The objections to scheduled sampling (see scheduled_sampling.py) apply.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.curricula import schedules
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.step import coins


class ByPosition(InputCurriculum):
    """Reads an own character at position t of a sequence with probability p(i) · (1 - 2^(-t / h)).

    No gradient flows through the choice of an own character, only through the state.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig, schedules.RisingProbability):
        """p(i), and h."""

        half_position: int = 10  # h, the position at which half of p(i) is reached, in characters

        def __post_init__(self):
            super().__post_init__()
            require("trainer.half_position", self.half_position, self.half_position >= 1, "at least 1")

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns one coin per character, bool `[B, T]`. Graph."""
        shape = tf.shape(batch.inputs)
        by_position = schedules.exponential(tf.range(shape[1]), k=0.5 ** (1 / self.config.half_position))
        prob = self.config.prob(step) * by_position
        return coins.per_character(shape, prob, self.random_seed(randomness.Purpose.OWN_INPUTS))
