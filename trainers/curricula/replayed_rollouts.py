"""Replayed rollouts: write once, then read it again and again in closed loop.

After Data as Demonstrator (Venkatraman, Hebert & Bagnell 2015, "Improving Multi-step Prediction of Learned Time Series
Models", AAAI). What was written grows old as the weights change; and, as in scheduled sampling, the text is not what
should come after the network's own characters (Huszár 2015, arXiv 1511.05101).
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from charrnn.model.char_model import States
from trainers.trainer import Rollout, Trainer


class ReplayedRollouts(Trainer):
    """Some batches are read in open loop, and what was read is kept; then these are trained on several times over.

    Own characters are data: no gradient flows through their choice, nor through the states in which they were chosen.
    """

    orders = ("windows", "lines")

    @dataclasses.dataclass(frozen=True)
    class Config:
        """How much is the network's own, and how much is kept for how long."""

        prob: float = 0.25  # of an own character
        batches: int = 100  # kept
        visits: int = 4  # times that each is trained on before the next come

        def __post_init__(self):
            require("trainer.prob", self.prob, 0.0 <= self.prob <= 1.0, "between 0 and 1")
            require("trainer.batches", self.batches, self.batches >= 1, "at least 1")
            require("trainer.visits", self.visits, self.visits >= 1, "at least 1")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        kept = (self.config.batches, *self.source.batch_at(0).inputs.shape)
        self.kept = self.new_variable(tf.fill(kept, -1), "kept")  # -1: the text's

    def batch_at(self, step: int) -> Batch:
        """The kept batches in turn. Eager."""
        cycle, visit = divmod(step, self.config.batches * self.config.visits)
        return self.source.batch_at(cycle * self.config.batches + visit % self.config.batches)

    def own_input_prob(self, step: tf.Tensor) -> float:
        """A constant. Graph."""
        return self.config.prob

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Closed loop over what was written at the first visit. Graph."""
        open_loop = super().forward

        def write():
            rollout = open_loop(batch, state)
            return tf.where(rollout.own, rollout.fed, -1)

        def read():
            return randomness.of_whole_batch(lambda _: self.kept[self._slot()], tf.shape(batch.inputs))

        first = self.step % (self.config.batches * self.config.visits) < self.config.batches
        written = tf.cond(first, write, read)
        inputs = tf.where(written >= 0, written, batch.inputs)
        logits, state = self.model(inputs, state, training=self.mask_key())
        return Rollout(logits, inputs, written >= 0, state)

    def on_step(self, rollout: Rollout, batch: Batch) -> None:
        """Keeps what was written. Graph."""
        written = tf.where(rollout.own, rollout.fed, -1)
        self.kept.scatter_update(tf.IndexedSlices(written[None], self._slot()[None]))

    def _slot(self):
        return self.step % self.config.batches
