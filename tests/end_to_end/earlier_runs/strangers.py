"""Provides the user's own curriculum that the run directory `stranger` names."""

import dataclasses

import tensorflow as tf

from trainers import Trainer


class Ramp(Trainer):
    """A curriculum in which the network reads more and more of its own output, up to a limit."""

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The limit, and the steps until it is reached."""

        limit: float = 0.5
        ramp_steps: int = 1000

    def own_input_prob(self, step):
        """Returns the probability, which rises from 0. Graph."""
        return self.config.limit * tf.minimum(1.0, tf.cast(step, tf.float32) / self.config.ramp_steps)
