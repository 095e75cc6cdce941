"""The interface of all teachers."""

from typing import Any, Protocol

import tensorflow as tf

from charrnn.batches.sources import Batch


class Teacher(Protocol):
    """A distribution of the next character, given the characters of the row before it. No gradient flows through it.

    Attributes:
        fingerprint: a number from 0 to 2^63 - 1 that another teacher does not have, for the checkpoint.
    """

    fingerprint: int

    def initial_state(self, batch_size: int | tf.Tensor) -> Any:
        """Returns the state before a row's first character: a nest of tensors `[B, N]`. Eager or graph.

        Args:
            batch_size: the number of rows, B.
        """

    def __call__(self, ids: tf.Tensor, state: Any, batch: Batch | None = None) -> tuple[tf.Tensor, Any]:
        """Reads ids. Eager or graph.

        Args:
            ids: int32 `[B, T]`.
            state: from `initial_state` or an earlier call.
            batch: the text in whose place the ids were read, for a teacher that has counted this text; None: no place.

        Returns:
            ln p of every next character, float32 `[B, T, V]`, and the state after the last character.
        """
