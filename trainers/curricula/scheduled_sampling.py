"""Scheduled sampling: the network reads more and more of its own output.

Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", arXiv 1506.03099.
The objective is inconsistent (Huszár 2015, arXiv 1511.05101): with own inputs the best model is no longer the true
distribution, so the closed-loop loss gets worse; whether open loop gets better is to be measured. That exposure bias
matters at all is disputed: He et al. 2019, arXiv 1905.10617, find it small; Arora et al. 2022, arXiv 2204.01171, real.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import check_temperature, require
from charrnn.sampling import Sampler
from trainers.curricula.schedules import RisingProbability
from trainers.step import coins
from trainers.trainer import Trainer

COINS = {"character": coins.per_character, "row": coins.per_row, "exact": coins.exact_count}


class ScheduledSampling(Trainer):
    """A coin for each character: the text's with probability ε, else a sample of the network's own prediction.

    Or one coin for each row, which the paper found much worse; or exactly so many characters of each batch, by which
    batches vary less. The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(RisingProbability):
        """When, which, and what."""

        coin: str = "character"  # for each "character" or "row", or an "exact" number of characters in a batch
        greedy: bool = False  # the likeliest character in place of a sample
        temperature: float = 1.0  # of the sample

        def __post_init__(self):
            super().__post_init__()
            require("trainer.coin", self.coin, self.coin in COINS, f"one of {', '.join(COINS)}")
            check_temperature("trainer.temperature", self.temperature)

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Coins, bool `[B, T]`. Graph."""
        seed = self.random_seed(randomness.Purpose.OWN_INPUTS)
        return COINS[self.config.coin](tf.shape(batch.inputs), self.own_input_prob(step), seed)

    def choose(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """A sample, or the likeliest character: int32 `[B]`. Graph."""
        return Sampler(temperature=self.config.temperature, greedy=self.config.greedy).choose(logits, noise)
