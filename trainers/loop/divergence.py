"""When training has gone wrong, and how a source leaves out the data at which it did."""

import math

import numpy as np

from charrnn.batches.sources import Batch, Source
from trainers.trainer import Trainer


class Diverged(ArithmeticError):
    """The loss or a weight is not finite, or the loss is far above that of guessing."""


def check_loss(nats_per_char: float, factor: float, vocabulary_size: int) -> None:
    """Raises Diverged for a mean loss that is not finite, or above `factor` times that of guessing: log V."""
    if not nats_per_char <= factor * math.log(max(2, vocabulary_size)):  # so that it holds for nan too
        raise Diverged(f"the loss is {nats_per_char:.4g} nats per character")


def check_weights(trainer: Trainer) -> None:
    """Raises Diverged where a weight of the model or a number of the optimizer is not finite. Eager."""
    for variable in (*trainer.model.trainable_variables, *trainer.optimizer.variables):
        value = np.asarray(variable)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise Diverged(f"{variable.path} is not finite")


class Skipping:
    """A source without the batches that a run has rolled back over; a step after them reads what follows them.

    Args:
        source: where batches come from.
        roll_backs: each with the step "at" which training had gone wrong and the one that it went back "to"; the list
            may grow and shrink.
    """

    def __init__(self, source: Source, roll_backs: list[dict]):
        self._source, self._roll_backs = source, roll_backs
        self.batch_size, self.carries_state = source.batch_size, source.carries_state
        self.steps_per_epoch = source.steps_per_epoch

    def batch_at(self, step: int) -> Batch:
        """The batch of a step. Eager, pure but for the roll-backs."""
        return self._source.batch_at(step + self._skipped())

    def continues(self, step: int) -> bool | np.ndarray:
        """Whether, or in which rows, the state carries on: in none over a gap."""
        gap = self._roll_backs and step == self._roll_backs[-1]["to"]
        return self._source.continues(step + self._skipped()) & (not gap)

    def _skipped(self) -> int:
        return sum(each["at"] - each["to"] for each in self._roll_backs)
