"""A curriculum of somebody else's, as the run directory `stranger` names it."""

import dataclasses

import tensorflow as tf

from trainers import Trainer


class Ramp(Trainer):
    """The network reads more and more of its own output, up to a limit."""

    @dataclasses.dataclass(frozen=True)
    class Config:
        """How far, how fast."""

        limit: float = 0.5
        ramp_steps: int = 1000

    def own_input_prob(self, step):
        """From 0 up. Graph."""
        return self.config.limit * tf.minimum(1.0, tf.cast(step, tf.float32) / self.config.ramp_steps)
