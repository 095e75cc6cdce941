"""Parallel scheduled sampling: read the text, choose at all positions at once, and learn from the mixture.

    x_1 = text;  x_k+1 = where(coin, choice from the logits on x_k, text);  loss on x_K

Mihaylova & Martins 2019, "Scheduled Sampling for Transformers", arXiv 1906.07651 (two passes); Duckworth et al. 2019,
"Parallel Scheduled Sampling", arXiv 1906.04331 (K passes). With K = T passes it equals the sequential curriculum. Here
the sequential one costs no more than teacher forcing, so this one is for comparison. The objections to scheduled
sampling (see scheduled_sampling.py) apply; with few passes, a character is also chosen in another context than it is
read in.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from charrnn.model.char_model import States
from trainers.curricula.schedules import RisingProbability
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.trainer import Rollout


class TwoPass(InputCurriculum):
    """Runs pass 1 with teacher forcing; each further pass reads choices from the logits of the one before.

    A coin per character decides which. Only the last pass is trained. No gradient flows through the choices.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig, RisingProbability):
        """The probability of an own character, and K."""

        passes: int = 2  # K, forward passes per step; each but the last costs a third of a step

        def __post_init__(self):
            super().__post_init__()
            require("trainer.passes", self.passes, 2 <= self.passes <= 100, "from 2 to 100")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns 1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Runs K forward passes. Graph."""
        own, inputs = self.own_mask(batch), batch.inputs
        for _ in range(self.config.passes - 1):
            logits, _ = self.model(inputs, state, training=self.mask_key())
            inputs = tf.where(own, self.choices(logits, batch), batch.inputs)
        logits, state = self.model(inputs, state, training=self.mask_key())
        return Rollout(logits, inputs, own, state)
