"""Recognises a run that has diverged."""

import math

import numpy as np

from trainers.trainer import Trainer


class Diverged(ArithmeticError):
    """The loss or a weight is not finite, or the loss is far above the loss of guessing."""


def check_loss(nats_per_char: float, factor: float, vocabulary_size: int) -> None:
    """Raises Diverged for a mean loss that is not finite, or above `factor` times the loss of guessing, log V."""
    if not nats_per_char <= factor * math.log(max(2, vocabulary_size)):  # negated: a comparison with nan is false
        raise Diverged(f"the loss is {nats_per_char:.4g} nats per character")


def check_weights(trainer: Trainer) -> None:
    """Raises Diverged if a weight of the model or a variable of the optimizer is not finite. Eager."""
    for variable in (*trainer.model.trainable_variables, *trainer.optimizer.variables):
        value = np.asarray(variable)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise Diverged(f"{variable.path} is not finite")
