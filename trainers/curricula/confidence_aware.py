"""Confidence-aware scheduled sampling: own characters only if the network is confident of the text's.

    reads the text's character    if p ≤ own_above
    an own character              if own_above < p ≤ noise_above
    a random one of the sequence  if noise_above < p

where p is the probability of the text's character in a first pass. Liu et al. 2021, "Confidence-Aware Scheduled
Sampling for Neural Machine Translation", arXiv 2107.10427. Above noise_above the own character would equal the text's
anyway. Which thresholds suit characters, most of which are easy within a word, is an open question. The objections to
scheduled sampling (see scheduled_sampling.py) apply.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from charrnn.model.char_model import States
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.trainer import Rollout


class ConfidenceAware(InputCurriculum):
    """Reads the text in a first pass, whose probabilities decide what the second pass reads.

    Only the second pass is trained. No gradient flows through the choices.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig):
        """The thresholds. own_above=1 is teacher forcing."""

        own_above: float = 0.5  # probability of the text's character above which an own one is read
        noise_above: float = 0.99  # probability of the text's character above which a random one is read

        def __post_init__(self):
            super().__post_init__()
            require("trainer.own_above", self.own_above, 0.0 <= self.own_above <= 1.0, "between 0 and 1")
            right = self.own_above <= self.noise_above <= 1.0
            require("trainer.noise_above", self.noise_above, right, "between trainer.own_above and 1")

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Runs two forward passes with teacher forcing. Graph."""
        logits, _ = self.model(batch.inputs, state, training=self.mask_key())
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch.inputs[:, 1:], logits=logits[:, :-1])
        sure = tf.pad(tf.exp(-nats), [[0, 0], [1, 0]])  # the first character of a sequence is not predicted
        places = randomness.uniform(tf.shape(sure), self.random_seed(randomness.Purpose.NOISE)) * sure.shape[1]
        random = tf.gather(batch.inputs, tf.cast(places, tf.int32), batch_dims=1)
        noisy = sure > self.config.noise_above
        own = (sure > self.config.own_above) & ~noisy
        inputs = tf.where(own, self.choices(logits, batch), tf.where(noisy, random, batch.inputs))
        logits, state = self.model(inputs, state, training=self.mask_key())
        return Rollout(logits, inputs, own, state)
