"""The gradients of a batch: of all rows at once, or of parts of them, on replicas or one after the other.

Each way is a function of a replica's rows and of the state before them. It returns

    gradients of the scaled loss and measurements    of the whole batch, the same on each replica
    state                                            after this replica's rows
    rollout and batch                                the whole batch, for `on_step`; None if nobody has read it
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from charrnn import metrics, randomness
from charrnn.batches.sources import Batch
from charrnn.errors import UserError
from charrnn.model.char_model import States
from trainers.step import whole_batch
from trainers.step.hook_checks import CheckedHooks
from trainers.step.replicas import Replicas
from trainers.step.rollout import Rollout

Found = tuple[list[tf.Tensor], dict[str, tf.Tensor], States, tuple[Rollout, Batch] | None]


class Gradients:
    """Computes the gradients of a trainer's loss, in the way that suits the number of parts.

    Args:
        trainer: its model, optimizer and source are used.
        hooks: the trainer's.
        replicas: in how many parts the batch is cut for replicas.
        accumulate: in how many parts each replica cuts its rows, for memory.
    """

    def __init__(self, trainer: Any, hooks: CheckedHooks, replicas: Replicas, accumulate: int):
        self._trainer, self._hooks, self._replicas = trainer, hooks, replicas
        self._accumulate, self._num_parts = accumulate, replicas.count * accumulate

    def way(self, needs_whole_batch: bool) -> Callable[[Batch, States], Found]:
        """Returns the function that computes the gradients.

        Args:
            needs_whole_batch: whether the loss of one row depends on other rows.
        """
        if self._num_parts == 1:
            return self._of_rows
        return self._of_whole_batch if needs_whole_batch else self._of_parts

    def check_rows(self, num_rows: int, given: str) -> None:
        """Raises UserError if the rows of a batch cannot be cut into the parts; `given` is who gives the rows."""
        if num_rows % self._num_parts:
            parts = f"replicas times optimizer.accumulate = {self._num_parts} does not divide"
            raise UserError(f"{given} {num_rows} rows, which {parts}: give a multiple of {self._num_parts}.")

    def check_batch(self, num_rows: int) -> None:
        """Raises UserError if the rows that a curriculum returned for a whole batch cannot be cut into the parts."""
        self.check_rows(num_rows, f"{type(self._trainer).__name__}.batch_at returned")

    def _of_rows(self, batch: Batch, state: States, weight: tf.Tensor | None = None, share: float = 1.0) -> Found:
        """The gradients of some rows.

        Args:
            batch: the rows.
            state: the state before them.
            weight: these rows' part of the whole batch's weights, float32 `[]`; None: they are the batch. Measurements
                are multiplied so that their sum over the parts is that of the batch.
            share: their part of the batch's rows.
        """
        optimizer, variables = self._trainer.optimizer, self._trainer.model.trainable_variables
        with tf.GradientTape() as tape:
            rollout = self._hooks.forward(batch, state)
            batch = self._predicted(batch)
            loss, extra = self._hooks.loss(rollout, batch)
            scaled_loss = optimizer.scale_loss(loss if weight is None else loss * weight)
        gradients = tape.gradient(scaled_loss, variables, unconnected_gradients="zero")
        # A stock embedding's are rows, of which those of one id would each count for themselves in the norm.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        measured = _measured(rollout, batch, extra)
        if weight is not None:
            weights = {"own_input_share": share, **dict.fromkeys(extra, weight)}
            measured = {name: tf.cast(value, tf.float32) * weights.get(name, 1.0) for name, value in measured.items()}
        return gradients, measured, rollout.state, (rollout, batch)

    def _of_parts(self, batch: Batch, state: States) -> Found:
        """The sums over all parts. No part knows of another."""
        replicas, first = self._replicas, self._accumulate * self._replicas.index()
        weights = replicas.summed(tf.reduce_sum(batch.weights))

        def part(index):
            mine = whole_batch.cut((batch, state), index, self._accumulate)
            weight = tf.math.divide_no_nan(tf.reduce_sum(mine[0].weights), weights)
            with randomness.part_of_batch(first + index, self._num_parts):
                return self._of_rows(*mine, weight, 1 / self._num_parts)[:3]

        gradients, measured, state = part(0) if self._accumulate == 1 else self._sum_in_turn(part, state)
        if replicas.count > 1:
            *gradients, numbers = replicas.summed([*gradients, tf.stack(list(measured.values()))])
            measured = dict(zip(measured, tf.unstack(numbers), strict=True))
        return gradients, measured, state, None

    def _of_whole_batch(self, batch: Batch, state: States) -> Found:
        """The gradients of a loss that is given the whole batch."""
        trainer, first = self._trainer, self._accumulate * self._replicas.index()
        whole = self._predicted(whole_batch.gathered(batch))

        def forward(index):
            with randomness.part_of_batch(first + index, self._num_parts):
                return self._hooks.forward(*whole_batch.cut((batch, state), index, self._accumulate))

        def loss_fn(rollout):
            loss, extra = self._hooks.loss(rollout, whole)
            return trainer.optimizer.scale_loss(loss), _measured(rollout, whole, extra)

        weights = [variable.value for variable in trainer.model.trainable_variables]
        gradients, measured, rollout = whole_batch.gradients(
            forward, loss_fn, weights, first, self._accumulate, self._num_parts
        )
        state = whole_batch.cut(rollout.state, self._replicas.index(), self._replicas.count)
        return gradients, measured, state, (rollout, whole)

    def _predicted(self, batch: Batch) -> Batch:
        """The batch with the targets that the rollout predicts: all, or each row's last."""
        if not self._trainer.reads_last_only:
            return batch
        return batch._replace(targets=batch.targets[:, -1:], weights=batch.weights[:, -1:])

    def _sum_in_turn(self, part: Callable, state: States) -> tuple[list[tf.Tensor], dict[str, tf.Tensor], States]:
        """The sums over this replica's parts, of which no two are in memory at a time."""
        compiled, count = tf.function(part, autograph=False), self._accumulate
        _, names, _ = compiled.get_concrete_function(tf.TensorSpec([], tf.int32)).structured_outputs

        def body(i, sums, numbers, states):
            gradients, measured, after = compiled(i)
            sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            states = tf.nest.map_structure(lambda array, s: array.write(i, s), states, after)
            return i + 1, sums, numbers.write(i, tf.stack(list(measured.values()))), states

        zeros = [tf.zeros_like(variable) for variable in self._trainer.model.trainable_variables]
        states = tf.nest.map_structure(lambda s: tf.TensorArray(s.dtype, count), state)
        start = (0, zeros, tf.TensorArray(tf.float32, count), states)
        loop = tf.while_loop(lambda i, *_: i < count, body, start, maximum_iterations=count, parallel_iterations=1)
        _, sums, numbers, states = loop
        measured = dict(zip(names, tf.unstack(tf.reduce_sum(numbers.stack(), 0), len(names)), strict=True))
        return sums, measured, tf.nest.map_structure(lambda array: array.concat(), states)


def _measured(rollout: Rollout, batch: Batch, extra: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {
        "nats": metrics.nats(rollout.logits, batch.targets, batch.weights),
        "chars": tf.reduce_sum(batch.weights),
        "chars_read": tf.size(batch.inputs),
        "own_input_share": tf.reduce_mean(tf.cast(rollout.own, tf.float32)),
        **extra,
    }
