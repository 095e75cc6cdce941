"""Learning-rate schedules: warm-up, then cosine, linear or inverse-square-root decay.

Keras's `CosineDecay` has neither the other two nor a share that a roll-back can halve and a checkpoint keeps.
"""

import math

import keras
import tensorflow as tf


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each update, a function of the number of updates made before, n.

        rise = (n + 1) / warmup_steps                          until it is 1
        done = (n - warmup_steps) / (decay_steps - warmup_steps)   from 0 to 1

        cosine                final + (1 - final) (1 + cos(π done)) / 2   (Loshchilov & Hutter 2016, arXiv 1608.03983)
        linear                final + (1 - final) (1 - done)
        inverse_square_root   sqrt(warmup_steps / n) for n > warmup_steps   (Vaswani et al. 2017, arXiv 1706.03762)

    Args:
        peak: the highest rate.
        schedule: one of `configs.RATE_SCHEDULES`.
        warmup_steps: updates in which the rate rises linearly to the peak; 0: none.
        decay_steps: the update after which cosine and linear decay are constant.
        final: their last value, as a share of the peak.
    """

    def __init__(self, peak: float, schedule: str, warmup_steps: int, decay_steps: int, final: float):
        self.peak, self.schedule, self.final = peak, schedule, final
        self.warmup_steps, self.decay_steps = warmup_steps, decay_steps
        self.share = tf.Variable(1.0, trainable=False, name="learning_rate_share")  # factor of all rates from now on

    def __call__(self, step):
        """Returns the rate of update `step`, float32 `[]`. Eager or graph."""
        n = tf.cast(step, tf.float32)
        rise = tf.minimum(1.0, (n + 1) / max(1, self.warmup_steps))
        return self.share * self.peak * rise * getattr(self, f"_{self.schedule}")(n)

    def get_config(self) -> dict:
        """Returns the arguments."""
        names = ("peak", "schedule", "warmup_steps", "decay_steps", "final")
        return {name: getattr(self, name) for name in names}

    def _constant(self, n):
        return 1.0

    def _cosine(self, n):
        return self.final + (1 - self.final) * (1 + tf.cos(math.pi * self._done(n))) / 2

    def _linear(self, n):
        return self.final + (1 - self.final) * (1 - self._done(n))

    def _inverse_square_root(self, n):
        start = max(1.0, float(self.warmup_steps))
        return tf.sqrt(start / tf.maximum(n, start))

    def _done(self, n):
        return tf.clip_by_value((n - self.warmup_steps) / (self.decay_steps - self.warmup_steps), 0.0, 1.0)
