"""Losses of predictions, in nats and bits."""

import math

import numpy as np
import tensorflow as tf

NATS_PER_BIT = math.log(2.0)


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Returns weights · -ln p(target) of each prediction, nats, float32 `[B, T]`.

    Args:
        logits: float32 `[B, T, V]`.
        targets: int `[B, T]`.
        weights: float32 `[B, T]`, or one number.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits) * weights


def nats(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Returns Σ weights · -ln p(target), nats, float32 `[]`.

    With label smoothing (Szegedy et al. 2015, arXiv 1512.00567) the target is a distribution: the text's character has
    1 - smoothing, and the rest is spread evenly over all V.

    Args:
        logits: float32 `[B, T, V]`.
        targets: int `[B, T]`.
        weights: float32 `[B, T]`.
        smoothing: from 0 (no smoothing) to below 1.
    """
    losses = cross_entropy(logits, targets)
    if smoothing:
        of_all = tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)
        losses = (1 - smoothing) * losses + smoothing * of_all
    return tf.reduce_sum(losses * weights)


def interpolated_loss(log_probs: np.ndarray, others: np.ndarray, num_weights: int = 101) -> float:
    """Returns nats per character of a mixture of two models, w · p + (1 - w) · q, with w inferred from the text so far.

    Bayes' rule over evenly spaced w of equal prior probability: no character influences its own prediction, and the
    loss is at most ln(num_weights) / N above that of the best w in hindsight.

    Args:
        log_probs: ln p of each character, `[N]`.
        others: ln q of each character, `[N]`.
        num_weights: the number of values of w.
    """
    with np.errstate(divide="ignore"):
        shares = np.log(np.linspace(0.0, 1.0, num_weights))
    totals = [np.logaddexp(w + log_probs, v + others).sum() for w, v in zip(shares, shares[::-1], strict=True)]
    return (math.log(num_weights) - np.logaddexp.reduce(totals)) / len(log_probs)


def bits_per_char(nats_per_char: float) -> float:
    """Converts nats per character to bits."""
    return nats_per_char / NATS_PER_BIT
