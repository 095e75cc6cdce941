"""A trainer's hooks with their results checked: a mistake is reported in one sentence, before any update."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import UserError
from charrnn.model.char_model import States
from trainers.step.rollout import Rollout

RESERVED = """
    step split nats chars chars_read own_input_share gradient_norm own_input_prob learning_rate nats_per_char
    bits_per_char chars_per_sec skipped_updates seconds roll_backs
""".split()
"""The names that every run logs of training: `loss` cannot log other values by them."""

_PROBES = 100  # steps of a run at which `own_input_prob` is looked at


class CheckedHooks:
    """Calls the hooks of a trainer and checks the type, dtype and shape of what they return.

    Each method has the arguments of the hook, and raises UserError if the result cannot be used.

    Args:
        trainer: the trainer.
    """

    def __init__(self, trainer: Any):
        self._trainer = trainer

    def batch(self, value: object) -> Batch:
        """Returns what `batch_at` returned. Eager."""
        if not (isinstance(value, tuple) and 3 <= len(value) <= 5):
            raise self._wrong("batch_at", _said(value), "a Batch of inputs, targets and weights")
        batch = Batch(*value)
        shape = getattr(batch.inputs, "shape", [None, None])
        shape = shape if len(shape) == 2 else [None, None]
        for part, dtype in zip(batch, (tf.int32, tf.int32, tf.float32), strict=False):
            self._tensor("batch_at", part, dtype, shape, "[B, T]")
        scalar = np.ndim(batch.continues) == 0
        self._tensor("batch_at(…).continues", batch.continues, tf.bool, [] if scalar else shape[:1], "[] or [B]")
        return batch

    def check_own_input_prob(self, num_steps: int) -> None:
        """Raises UserError if the schedule leaves [0, 1] anywhere in a run of `num_steps` steps. Eager."""
        for step in np.unique(np.linspace(0, num_steps - 1, _PROBES).astype(np.int64)):
            prob = self._trainer.own_input_prob(tf.constant(step))
            if not isinstance(prob, int | float):
                floating = isinstance(prob, tf.Tensor | tf.Variable) and prob.dtype.is_floating
                prob = float(self._tensor("own_input_prob", prob, prob.dtype if floating else tf.float32, [], "[]"))
            if not (math.isfinite(prob) and 0 <= prob <= 1):
                raise self._wrong("own_input_prob", f"{prob:.6g} at step {step:,}", "a probability from 0 to 1")

    def own_inputs(self, batch: Batch) -> tf.Tensor | None:
        """Returns the mask of own inputs, bool `[B, T]`, or None. Graph."""
        own = self._trainer.own_inputs(self._trainer.step, batch)
        if own is None:
            return None
        return self._tensor("own_inputs", own, tf.bool, batch.inputs.shape, "[B, T], or None")

    def choose(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """Returns the ids int32 `[B]` that the network writes. Graph."""
        return self._tensor("choose", self._trainer.choose(logits, noise, gold), tf.int32, gold.shape, "[B]")

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Returns the rollout of a batch. Graph."""
        value = self._trainer.forward(batch, state)
        if not isinstance(value, Rollout):
            raise self._wrong("forward", _said(value), "a trainers.trainer.Rollout")
        shape = batch.inputs.shape
        try:
            tf.nest.assert_same_structure(value.state, state)
        except (TypeError, ValueError):
            what = "a state of another structure"
            raise self._wrong("forward", what, "one like the state that it got") from None
        predictions = [shape[0], 1 if self._trainer.reads_last_only else shape[1], self._trainer.model.vocabulary_size]
        return value._replace(
            logits=self._tensor("forward(…).logits", value.logits, tf.float32, predictions, "[B, T, V]"),
            fed=self._tensor("forward(…).fed", value.fed, tf.int32, shape, "[B, T]"),
            own=self._tensor("forward(…).own", value.own, tf.bool, shape, "[B, T]"),
        )

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the loss float32 `[]`, and scalars to log by name. Graph."""
        value = self._trainer.loss(rollout, batch)
        if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)):
            raise self._wrong("loss", _said(value), "the pair of a float32 [] and a dict of scalars to log")
        for name, scalar in value[1].items():
            if not (isinstance(name, str) and name and name == name.strip() and name.isprintable()):
                raise self._wrong("loss", f"a scalar named {name!a}", "a printable text without spaces around it")
            if name in RESERVED:
                raise self._wrong("loss", f"{name!r}, a name that every run logs,", "another name")
            if not _is_scalar(scalar):
                raise self._wrong("loss", f"{name!r} as {_said(scalar)}", "scalars to log")
        return self._tensor("loss", value[0], tf.float32, [], "[]"), value[1]

    def _tensor(self, hook: str, value: object, dtype: tf.DType, shape: object, axes: str) -> tf.Tensor:
        """Returns a hook's result as a tensor; UserError unless it has this dtype and shape.

        Args:
            hook: its name.
            value: the result.
            dtype: the wanted dtype.
            shape: the wanted shape; None for an unknown length.
            axes: the shape as the user knows it, such as "[B, T]".
        """
        wanted = f"{dtype.name} {axes}, here {_shape(tf.TensorShape(shape))},"
        try:
            got = tf.convert_to_tensor(value)
        except (TypeError, ValueError):
            raise self._wrong(hook, _said(value), wanted) from None
        if got.dtype != dtype or got.shape.rank is None or not got.shape.is_compatible_with(shape):
            raise self._wrong(hook, _said(got), wanted)
        return got

    def _wrong(self, hook: str, got: str, wanted: str) -> UserError:
        return UserError(f"{type(self._trainer).__name__}.{hook} returned {got} where {wanted} is wanted.")


def _is_scalar(value: object) -> bool:
    try:
        got = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        return False
    return got.shape.is_compatible_with([]) and (got.dtype.is_floating or got.dtype.is_integer or got.dtype.is_bool)


def _said(value: object) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{tf.as_dtype(value.dtype).name} {_shape(tf.TensorShape(value.shape))}"
    return "None" if value is None else f"a {type(value).__name__}"


def _shape(shape: tf.TensorShape) -> str:
    if shape.rank is None:
        return "of unknown rank"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
