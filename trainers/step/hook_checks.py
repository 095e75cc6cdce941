"""What a hook may return, checked while a step is compiled: a mistake is told in one sentence, before any update."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import UserError

RESERVED = """
    step split nats chars chars_read own_input_share gradient_norm own_input_prob learning_rate nats_per_char
    bits_per_char chars_per_sec skipped_updates seconds roll_backs
""".split()
"""What every run logs of training: `loss` cannot log other values by these names."""

_PROBES = 100  # steps of a run at which `own_input_prob` is looked at


def tensor(trainer, hook: str, value, dtype: tf.DType, shape, axes: str) -> tf.Tensor:
    """What `hook` returned as a tensor, if it is one of this dtype and shape.

    Args:
        trainer: whose hook it is.
        hook: its name.
        value: what it returned.
        dtype: wanted.
        shape: wanted; None where a length is unknown.
        axes: the shape as the user knows it, such as "[B, T]".

    Raises:
        UserError: it is not.
    """
    wanted = f"{dtype.name} {axes}, here {_shape(tf.TensorShape(shape))},"
    try:
        got = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        raise _wrong(trainer, hook, _said(value), wanted) from None
    if got.dtype != dtype or got.shape.rank is None or not got.shape.is_compatible_with(shape):
        raise _wrong(trainer, hook, _said(got), wanted)
    return got


def probability(trainer, own_input_prob: Callable[[tf.Tensor], object], num_steps: int) -> None:
    """Looks at a schedule all along a run of `num_steps`. Eager; UserError where it leaves [0, 1]."""
    for step in np.unique(np.linspace(0, num_steps - 1, _PROBES).astype(np.int64)):
        prob = own_input_prob(tf.constant(step))
        if not isinstance(prob, int | float):
            floating = isinstance(prob, tf.Tensor | tf.Variable) and prob.dtype.is_floating
            prob = float(tensor(trainer, "own_input_prob", prob, prob.dtype if floating else tf.float32, [], "[]"))
        if not (math.isfinite(prob) and 0 <= prob <= 1):
            raise _wrong(trainer, "own_input_prob", f"{prob:.6g} at step {step:,}", "a probability from 0 to 1")


def batch(trainer, value) -> Batch:
    """What `batch_at` returned, if it is a Batch of arrays `[B, T]` of the right types."""
    if not (isinstance(value, tuple) and len(value) == 3):
        raise _wrong(trainer, "batch_at", _said(value), "a Batch of inputs, targets and weights")
    shape = getattr(value[0], "shape", [None, None])
    shape = shape if len(shape) == 2 else [None, None]
    for part, dtype in zip(value, (tf.int32, tf.int32, tf.float32), strict=True):
        tensor(trainer, "batch_at", part, dtype, shape, "[B, T]")
    return Batch(*value)


def rollout(trainer, value, kind: type, batch: Batch, state):
    """What `forward` returned, if it is a Rollout whose tensors suit the batch and the state before it."""
    if not isinstance(value, kind):
        raise _wrong(trainer, "forward", _said(value), "a trainers.trainer.Rollout")
    rows_and_length = batch.inputs.shape
    logits_shape = [*rows_and_length, trainer.model.vocabulary_size]
    try:
        tf.nest.assert_same_structure(value.state, state)
    except (TypeError, ValueError):
        raise _wrong(trainer, "forward", "a state of another structure", "one like the state that it got") from None
    return value._replace(
        logits=tensor(trainer, "forward(…).logits", value.logits, tf.float32, logits_shape, "[B, T, V]"),
        fed=tensor(trainer, "forward(…).fed", value.fed, tf.int32, rows_and_length, "[B, T]"),
        own=tensor(trainer, "forward(…).own", value.own, tf.bool, rows_and_length, "[B, T]"),
    )


def loss(trainer, value) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """What `loss` returned, if it is a scalar and named scalars."""
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)):
        raise _wrong(trainer, "loss", _said(value), "the pair of a float32 [] and a dict of scalars to log")
    for name, scalar in value[1].items():
        if not (isinstance(name, str) and name and name == name.strip() and name.isprintable()):
            raise _wrong(trainer, "loss", f"a scalar named {name!a}", "a printable text without spaces around it")
        if name in RESERVED:
            raise _wrong(trainer, "loss", f"{name!r}, a name that every run logs,", "another name")
        if not _is_scalar(scalar):
            raise _wrong(trainer, "loss", f"{name!r} as {_said(scalar)}", "scalars to log")
    return tensor(trainer, "loss", value[0], tf.float32, [], "[]"), value[1]


def _is_scalar(value) -> bool:
    try:
        got = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        return False
    return got.shape.is_compatible_with([]) and (got.dtype.is_floating or got.dtype.is_integer or got.dtype.is_bool)


def _wrong(trainer, hook: str, got: str, wanted: str) -> UserError:
    return UserError(f"{type(trainer).__name__}.{hook} returned {got} where {wanted} is wanted.")


def _said(value) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{tf.as_dtype(value.dtype).name} {_shape(tf.TensorShape(value.shape))}"
    return "None" if value is None else f"a {type(value).__name__}"


def _shape(shape: tf.TensorShape) -> str:
    if shape.rank is None:
        return "of unknown rank"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
