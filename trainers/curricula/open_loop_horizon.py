"""Open-loop horizon: some characters of the text, then some of the network's own, and more and more of these.

After the cross-entropy part of MIXER (Ranzato et al. 2015, arXiv 1511.06732), which trains a gold prefix that gets
shorter. The loss is still against the text: after many own characters the text is no longer what should come next, so a
long horizon teaches to ignore what was read. Keep it short.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Trainer


class OpenLoopHorizon(Trainer):
    """W characters of the text, then H own ones, and so on to the row's end; H = 0, 1, 2, 4, … as training goes on.

    The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """W, and how H grows."""

        gold: int = 16  # W
        grow_every: int = 500  # steps from one H to the next
        max_horizon: int = 16  # the largest H

        def __post_init__(self):
            require("trainer.gold", self.gold, self.gold >= 1, "at least 1")
            require("trainer.grow_every", self.grow_every, self.grow_every >= 1, "at least 1")
            require("trainer.max_horizon", self.max_horizon, self.max_horizon >= 0, "at least 0")

    def horizon(self, step: tf.Tensor) -> tf.Tensor:
        """H, int32 `[]`. Eager or graph."""
        stage = tf.cast(tf.minimum(step // self.config.grow_every, 30), tf.float32)
        return tf.minimum(tf.cast(tf.floor(tf.pow(2.0, stage - 1)), tf.int32), self.config.max_horizon)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The same positions in all rows: bool `[B, T]`. Graph."""
        positions = tf.range(tf.shape(batch.inputs)[1])
        own = positions % (self.config.gold + self.horizon(step)) >= self.config.gold
        return tf.broadcast_to(own, tf.shape(batch.inputs))
