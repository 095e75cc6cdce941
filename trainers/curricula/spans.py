"""Scheduled sampling in spans: own characters come in runs of at least n, as in free running.

    P(own character) = 1 - ε_i in step i, in spans of at least n characters

With independent coins the network hardly ever reads more than a few own characters in a row, and never a word. Spans
lie between the coin per character and the coin per sequence of Bengio et al. 2015, arXiv 1506.03099. The objections to
scheduled sampling (see scheduled_sampling.py) apply.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import check_row_chars
from trainers.curricula.schedules import RisingProbability
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.step import coins


class Spans(InputCurriculum):
    """Reads spans of at least n own characters; each character is an own one with the scheduled probability.

    No gradient flows through the choice of an own character, only through the state.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig, RisingProbability):
        """The probability, and n."""

        length: int = 8  # n, the smallest length of a span, in characters

        def __post_init__(self):
            super().__post_init__()
            check_row_chars("trainer.length", self.length)

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns 1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns the spans, bool `[B, T]`. Graph."""
        seed = self.random_seed(randomness.Purpose.OWN_INPUTS)
        return coins.spans(tf.shape(batch.inputs), self.own_input_prob(step), self.config.length, seed)
