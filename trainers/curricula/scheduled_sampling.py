"""Scheduled sampling: the network reads more and more of its own output.

    reads the text's character with probability ε_i, else a sample of its own prediction, in step i

Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", arXiv 1506.03099. The
objective is inconsistent (Huszár 2015, arXiv 1511.05101): with own inputs the best model is no longer the true
distribution, so the loss under teacher forcing increases; whether free running improves must be measured. It is
disputed that exposure bias matters: He et al. 2019, arXiv 1905.10617, find it small; Arora et al. 2022,
arXiv 2204.01171, find it real.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import check_temperature, require
from charrnn.sampling import Sampler
from trainers.curricula.schedules import RisingProbability
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.step import coins

COINS = {"character": coins.per_character, "row": coins.per_row, "exact": coins.exact_count}


class ScheduledSampling(InputCurriculum):
    """Tosses a coin per character: the text's with probability ε, else a sample of the network's own prediction.

    Other coins: one per sequence, which the paper found much worse; or an exact number of own characters per batch,
    which varies less between batches. No gradient flows through the choice of an own
    character, only through the state.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig, RisingProbability):
        """The probability, the coin, and the choice."""

        coin: str = "character"  # one per "character" or "row", or an "exact" number of own characters per batch
        greedy: bool = False  # the likeliest character instead of a sample
        temperature: float = 1.0  # sampling temperature

        def __post_init__(self):
            super().__post_init__()
            require("trainer.coin", self.coin, self.coin in COINS, f"one of {', '.join(COINS)}")
            check_temperature("trainer.temperature", self.temperature)

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns 1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns the coins, bool `[B, T]`. Graph."""
        seed = self.random_seed(randomness.Purpose.OWN_INPUTS)
        return COINS[self.config.coin](tf.shape(batch.inputs), self.own_input_prob(step), seed)

    def choose(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """Returns a sample, or the likeliest character, int32 `[B]`. Graph."""
        return Sampler(temperature=self.config.temperature, greedy=self.config.greedy).choose(logits, noise)
