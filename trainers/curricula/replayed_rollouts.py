"""Replayed rollouts: the network writes once, and then reads what it wrote several times with teacher forcing.

    visit 1 of a batch: free running with probability p, the own characters are saved
    visits 2 … visits:  teacher forcing on the saved characters

After Data as Demonstrator (Venkatraman, Hebert & Bagnell 2015, "Improving Multi-step Prediction of Learned Time Series
Models", AAAI). Saved characters become stale as the weights change. As in scheduled sampling, the text is not what
should follow the network's own characters (Huszár 2015, arXiv 1511.05101).
"""

import dataclasses
import math

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require, require_memory
from charrnn.model.char_model import States
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.trainer import Rollout


class ReplayedRollouts(InputCurriculum):
    """Reads some batches in open loop (free running), saves the input ids, and trains on them several times.

    Own characters are data: no gradient flows through their choice, nor through the states in which they were chosen.
    """

    orders = ("windows", "lines")

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig):
        """The probability, and how many batches are saved for how long."""

        prob: float = 0.25  # p, the probability of an own character
        batches: int = 100  # batches saved at a time
        visits: int = 4  # training steps on each saved batch

        def __post_init__(self):
            super().__post_init__()
            require("trainer.prob", self.prob, 0.0 <= self.prob <= 1.0, "between 0 and 1")
            require("trainer.batches", self.batches, self.batches >= 1, "at least 1")
            require("trainer.visits", self.visits, 1 <= self.visits < 2**31, "at least 1 and below 2^31")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        length = self.source.batch_at(0, range(1)).inputs.shape[1]
        kept = (self.config.batches, self.source.batch_size, length)
        require_memory(4 * math.prod(kept), f"trainer.batches={self.config.batches}", "set it lower")
        self.kept = self.new_variable(tf.fill(kept, -1), "kept")  # -1: the text's character

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the saved batches in turn, or these rows of them. Eager."""
        cycle, visit = divmod(step, self.config.batches * self.config.visits)
        return self.source.batch_at(cycle * self.config.batches + visit % self.config.batches, rows)

    def own_input_prob(self, step: tf.Tensor) -> float:
        """Returns p. Graph."""
        return self.config.prob

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Reads what was written at the first visit, with teacher forcing. Graph."""
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
        """Saves what was written. Graph."""
        written = tf.where(rollout.own, rollout.fed, -1)
        self.kept.scatter_update(tf.IndexedSlices(written[None], self._slot()[None]))

    def _slot(self):
        return self.step % self.config.batches
