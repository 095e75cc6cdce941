"""Open-loop horizon: W characters of the text alternate with H own characters, and H grows.

    H = 0, 1, 2, 4, …, max_horizon    doubled each grow_every steps

After the cross-entropy part of MIXER (Ranzato et al. 2015, arXiv 1511.06732), which trains on a prefix of the text that
becomes shorter. The target is still the text's character: after many own characters it is no longer what should come
next, so a large H teaches the network to ignore its input. Keep H small.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import check_row_chars, require
from trainers.input_curriculum import InputConfig, InputCurriculum


class OpenLoopHorizon(InputCurriculum):
    """Reads W characters of the text, then H own ones, and so on to the end of the sequence.

    No gradient flows through the choice of an own character, only through the state.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig):
        """W, and the growth of H."""

        gold: int = 16  # W, characters of the text
        grow_every: int = 500  # steps between two values of H
        max_horizon: int = 16  # largest H, own characters

        def __post_init__(self):
            super().__post_init__()
            check_row_chars("trainer.gold", self.gold)
            require("trainer.grow_every", self.grow_every, self.grow_every >= 1, "at least 1")
            check_row_chars("trainer.max_horizon", self.max_horizon, least=0)

    def horizon(self, step: tf.Tensor) -> tf.Tensor:
        """Returns H, int32 `[]`. Eager or graph."""
        stage = tf.cast(tf.minimum(step // self.config.grow_every, 30), tf.float32)
        return tf.minimum(tf.cast(tf.floor(tf.pow(2.0, stage - 1)), tf.int32), self.config.max_horizon)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns the positions of own characters, the same in all sequences, bool `[B, T]`. Graph."""
        positions = tf.range(tf.shape(batch.inputs)[1])
        own = positions % (self.config.gold + self.horizon(step)) >= self.config.gold
        return tf.broadcast_to(own, tf.shape(batch.inputs))
