"""Updates the weights by a batch's gradients: finite? -> clip by global norm -> apply -> move the average."""

import keras
import tensorflow as tf

from charrnn.model.char_model import CharModel


class Update:
    """Applies the gradients of a whole batch. It is called outside of the replicas, for all copies of the weights.

    Within a replica, Keras would check, clip and sum the gradients again.

    Args:
        model: the model to update.
        optimizer: a Keras optimizer; a LossScaleOptimizer gets scaled gradients.
        step: the variable that counts steps, int64 `[]`.
        skipped: the variable that counts updates with non-finite gradients, int64 `[]`. Such an update changes nothing
            else.
        strategy: its replicas have the copies.
        clip_norm: the largest global gradient norm; 0: no limit.
        averaging: the decay of the weights' moving average; 0: none.
        averaged: the model that holds the average.
    """

    def __init__(
        self,
        model: CharModel,
        optimizer: keras.optimizers.Optimizer,
        step: tf.Variable,
        skipped: tf.Variable,
        strategy: tf.distribute.Strategy,
        clip_norm: float,
        averaging: float,
        averaged: CharModel,
    ):
        self._weights, self._optimizer, self._step, self._skipped = model.trainable_variables, optimizer, step, skipped
        self._strategy = strategy
        self._clip_norm, self._averaging, self._averages = clip_norm, averaging, averaged.trainable_variables
        self._scales_loss = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def loss_scale(self) -> tf.Tensor | float:
        """Returns the factor of loss and gradients at this step, against underflow in float16. Graph."""
        return tf.cast(self._optimizer.dynamic_scale, tf.float32) if self._scales_loss else 1.0

    def __call__(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """Makes one update by scaled gradients; returns their norm before scaling and clipping, float32 `[]`. Graph."""
        norm = tf.linalg.global_norm(gradients) / self.loss_scale()
        finite = tf.math.is_finite(norm)
        self._skipped.assign_add(tf.cast(~finite, tf.int64))
        if self._clip_norm:
            factor = self._clip_norm / tf.maximum(norm, self._clip_norm)
            gradients = [gradient * factor for gradient in gradients]
        if self._scales_loss:
            # The norm may overflow if no gradient does; clipped by it, the gradients would be zeros and look finite.
            # Non-finite gradients make the optimizer lower its scale and skip the update.
            self._apply([tf.where(finite, gradient, float("nan")) for gradient in gradients])
        else:
            tf.cond(finite, lambda: self._apply(gradients), lambda: False)
        if self._averaging:
            self._average(finite)
        return norm

    def _apply(self, gradients):
        self._optimizer.apply(gradients, self._weights)
        return True

    def _average(self, finite):
        """Moves the averages towards the weights, if there was an update.

        The first averages are over few steps, so that the random start soon has no weight.
        """
        step = tf.cast(self._step, tf.float32)
        decay = tf.minimum(self._averaging, step / (step + 10.0))

        def move(average, weight):
            average.assign(tf.where(finite, weight + decay * (average - weight), average))

        for average, weight in zip(self._averages, self._weights, strict=True):
            self._strategy.extended.update(average.value, move, (weight.value,))
