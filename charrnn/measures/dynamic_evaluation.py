"""Dynamic evaluation: the model keeps learning from the text on which it is evaluated.

    loss = dynamic_loss(model, train, validation)

Krause et al. 2017, "Dynamic Evaluation of Neural Sequence Models", arXiv 1709.07432: the variant with RMS normalisation
by training gradients, and with decay towards the trained weights. Each character is predicted before the model learns
from it. The result describes another system than the model alone: never compare it with a loss of the model.
"""

import dataclasses
from itertools import islice

import numpy as np
import tensorflow as tf

from charrnn import metrics
from charrnn.batches import evaluation_batches
from charrnn.batches.carried_state import StatefulPass
from charrnn.encoded.array import Sharded
from charrnn.errors import require
from charrnn.model.char_model import CharModel


@dataclasses.dataclass(frozen=True)
class Dynamic:
    """The speed of adaptation. Choose it on text that is neither trained nor reported on."""

    rate: float = 5e-5  # η, the learning rate
    decay: float = 1e-3  # λ, the decay towards the trained weights, at most 1
    segment: int = 20  # characters between two updates
    batches: int = 100  # batches of training text for the mean squares of the gradients

    def __post_init__(self):
        require("--dynamic_rate", self.rate, 0 < self.rate < float("inf"), "above 0")
        require("--dynamic_decay", self.decay, 0 <= self.decay <= 1, "between 0 and 1")


def dynamic_loss(
    model: CharModel, train: np.ndarray | Sharded, ids: np.ndarray | Sharded, config: Dynamic = Dynamic()
) -> float:
    """Returns nats per character of one pass with one row, with state and weights carried. Eager.

        θ <- θ + min(λ r / mean(r), 1) (θ_0 - θ) - η g / (r + mean(r))

    where g is a segment's gradient and r the root of the mean square of training gradients. The paper divides by r + ε
    with a small ε. But a character that is rare in training has weights with r near 0, so that its first occurrence
    would throw them far off, for good.

    Args:
        model: has the weights θ_0, and keeps them.
        train: training ids `[N]`.
        ids: the text to predict, `[N]`, at least 2.
        config: η, λ, and the lengths.
    """
    adapted = model.copy()
    weights = adapted.trainable_variables
    start = [tf.convert_to_tensor(weight) for weight in model.trainable_variables]
    scale = _root_mean_squares(model, train, config)
    mean = sum(float(tf.reduce_sum(r)) for r in scale) / sum(int(tf.size(r)) for r in scale)
    back = [tf.minimum(tf.math.divide_no_nan(config.decay * r, mean), 1.0) for r in scale]

    @tf.function(autograph=False)
    def step(batch, state):
        nats, state, gradients = _gradients(adapted, batch, state)
        for weight, gradient, origin, r, pull in zip(weights, gradients, start, scale, back, strict=True):
            now = tf.convert_to_tensor(weight)
            weight.assign(now + pull * (origin - now) - config.rate * tf.math.divide_no_nan(gradient, r + mean))
        return nats, state

    batches = StatefulPass(ids, rows=1, length=config.segment)
    return float(evaluation_batches.closed_loop_loss(step, model.initial_state, batches))


def _root_mean_squares(model: CharModel, train: np.ndarray | Sharded, config: Dynamic) -> list[tf.Tensor]:
    """Returns the root of the mean square of training gradients, float32 with the shapes of the weights."""
    sums = [tf.Variable(tf.zeros(weight.shape)) for weight in model.trainable_variables]

    @tf.function(autograph=False)
    def step(batch, state):
        nats, state, gradients = _gradients(model, batch, state)
        for total, gradient in zip(sums, gradients, strict=True):
            total.assign_add(tf.square(gradient))
        return nats, state

    batches = list(islice(StatefulPass(train, least=1, length=config.segment), config.batches))
    evaluation_batches.closed_loop_loss(step, model.initial_state, batches)
    return [tf.sqrt(total / len(batches)) for total in sums]


def _gradients(model, batch, state):
    with tf.GradientTape() as tape:
        logits, state = model(batch.inputs, state)
        nats = metrics.cross_entropy(logits, batch.targets, batch.weights)
        loss = tf.reduce_sum(nats) / tf.reduce_sum(batch.weights)
    gradients = tape.gradient(loss, model.trainable_variables)
    return nats, state, [tf.convert_to_tensor(gradient) for gradient in gradients]
