"""The result of a forward pass over a batch."""

from typing import Any, NamedTuple

import tensorflow as tf

from charrnn.model.char_model import States


class Rollout(NamedTuple):
    """The inputs and the predictions of one batch."""

    logits: tf.Tensor  # float32 [B, T, V]; [B, 1, V] with data.targets=last, if nothing reads the others
    fed: tf.Tensor  # the ids that were read, int32 [B, T]
    own: tf.Tensor  # which of them the network wrote itself, bool [B, T]
    state: States  # the state after the last character
    extra: Any = ()  # from a curriculum's `forward` to its `loss`; with `needs_whole_batch` tensors, rows first
