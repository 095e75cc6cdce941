"""Parallel scheduled sampling: read the text, choose at all positions at once, and learn from the mixture.

Mihaylova & Martins 2019, "Scheduled Sampling for Transformers", arXiv 1906.07651 (two passes); Duckworth et al. 2019,
"Parallel Scheduled Sampling", arXiv 1906.04331 (K passes). With K = T passes it is the sequential curriculum. Here the
sequential one costs no more than teacher forcing, so this is for comparison. The objections to scheduled sampling
(see scheduled_sampling.py) hold; and with few passes a character is chosen in another context than it is read in.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from charrnn.model.char_model import States
from trainers.curricula.schedules import RisingProbability
from trainers.trainer import Rollout, Trainer


class TwoPass(Trainer):
    """Pass 1 is teacher forcing; each further pass reads the choices of the one before wherever a coin says so.

    Only the last pass is learnt from. The gradient flows through its state, not through the choices.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(RisingProbability):
        """The probability of an own character, and K."""

        passes: int = 2  # K; each but the last costs a third of a step

        def __post_init__(self):
            super().__post_init__()
            require("trainer.passes", self.passes, self.passes >= 2, "at least 2")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def forward(self, batch: Batch, state: States) -> Rollout:
        """K passes in closed loop. Graph."""
        own, inputs = self.own_mask(batch), batch.inputs
        for _ in range(self.config.passes - 1):
            logits, _ = self.model(inputs, state)
            inputs = tf.where(own, self.choices(logits, batch), batch.inputs)
        logits, state = self.model(inputs, state, training=self.mask_key())
        return Rollout(logits, inputs, own, state)
