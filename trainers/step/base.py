"""Builds a trainer's step, and runs it. `trainers.trainer.Trainer` adds the hooks."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from charrnn import metrics
from charrnn.batches import evaluation_batches, rows
from charrnn.batches.sources import Batch, Source
from charrnn.batches.wrapped import Skipping
from charrnn.errors import UserError
from charrnn.model.char_model import CharModel
from trainers.step.carried import Carried
from trainers.step.compiled import CompiledStep
from trainers.step.gradients import Gradients
from trainers.step.hook_checks import CheckedHooks
from trainers.step.replicas import Replicas, outside_of_scope
from trainers.step.update import Update


class BaseTrainer(tf.Module):
    """Holds the model and its optimizer, and makes the updates. A curriculum overrides none of its methods.

    Args:
        model: the model to train.
        source: gives the batches.
        optimizer: a Keras optimizer; for float16 a LossScaleOptimizer.
        config: the curriculum's own settings, an instance of the class's `Config`.
        seed: all random numbers are functions of it and of the step.
        clip_norm: the largest global gradient norm; 0: no limit.
        xla: whether XLA compiles the step.
        accumulate: the number of parts, one after the other, in which a replica works on its rows, to save memory. The
            update is that of the whole batch.
        averaging: the decay of the weights' moving average, which evaluation, samples and checkpoints use; 0: none.
        label_smoothing: the share of the target's probability that is spread over all characters.

    Raises:
        UserError: the curriculum cannot work with this order of the data, or the batch cannot be cut into the parts.
    """

    def __init__(
        self,
        model: CharModel,
        source: Source,
        optimizer: keras.optimizers.Optimizer,
        config: Any = None,
        seed: int = 0,
        clip_norm: float = 0.0,
        xla: bool = False,
        accumulate: int = 1,
        averaging: float = 0.0,
        label_smoothing: float = 0.0,
    ):
        super().__init__(name="trainer")
        strategy = tf.distribute.get_strategy()
        if source.order not in self.orders:
            allowed = " or ".join(f"data.order={order}" for order in self.orders)
            raise UserError(f"The trainer {type(self).__name__} works with {allowed} only: set that.")
        if xla and strategy.num_replicas_in_sync > 1:
            raise UserError("--xla compiles for one device: give --strategy=one_device, or leave it out.")
        self._hooks = CheckedHooks(self)
        self._replicas = Replicas(strategy)
        self._gradients = Gradients(self, self._hooks, self._replicas, accumulate)
        self._gradients.check_rows(source.batch_size, "data.batch_size asks for")
        self.model, self.source, self.optimizer = model, Skipping(source), optimizer
        self.config: Any = self.Config() if config is None else config
        self.seed, self.label_smoothing = seed, label_smoothing
        self.averaged = model.copy() if averaging else model  # is evaluated, sampled from, and saved for later use
        self.step = self.new_variable(tf.constant(0, tf.int64), "step")
        self.skipped_updates = self.new_variable(tf.constant(0, tf.int64), "skipped_updates")
        self.make_carried()
        optimizer.build(model.trainable_variables)
        update = Update(
            model, optimizer, self.step, self.skipped_updates, strategy, clip_norm, averaging, self.averaged
        )
        self._compiled = CompiledStep(self, self._gradients, update, self._replicas, xla)

    def make_carried(self) -> None:
        """Makes the variables of the carried state, if the source has streams; they start at zero. Eager.

        A curriculum calls it in `prepare` if its `initial_state` is larger from then on.
        """
        num_rows = self.source.batch_size // self._replicas.count
        self._carried = Carried(self.initial_state(num_rows) if self.source.carries_state else (), self._replicas)
        self.carried = self._carried.rows if self._replicas.count == 1 else ()  # what a checkpoint has

    @contextlib.contextmanager
    def carried_by_all(self, restored: bool = False) -> Iterator[None]:
        """Makes `carried` the state of all rows while the body writes a checkpoint, or reads one. Eager.

        With one replica it always is. To write, all processes call it.

        Args:
            restored: True if the body reads a checkpoint.
        """
        if self._replicas.count == 1:
            yield
            return
        self.carried = self._carried.at_start() if restored else self._carried.gathered()
        try:
            yield
            if restored:
                self._carried.scatter(self.carried)
        finally:
            self.carried = ()

    def local_batch(self, step: int) -> Batch:
        """Returns this process's rows of the batch of a step; all rows unless there are several processes. Eager.

        Raises:
            UserError: `batch_at` returned rows that the replicas cannot share.
        """
        if self._replicas.num_processes == 1:
            return self.batch_at(step)
        if rows.takes_rows(self.batch_at):
            return self.batch_at(step, rows=self._replicas.rows_here(self.source.batch_size))
        whole = self._hooks.batch(self.batch_at(step))
        self._gradients.check_batch(len(whole.inputs))
        return rows.taken(whole, self._replicas.rows_here(len(whole.inputs)))

    def check(self, num_steps: int) -> None:
        """Calls every hook of a step, and compiles the step without running it. Eager.

        Args:
            num_steps: the run's length: `own_input_prob` is checked up to it.

        Raises:
            UserError: a hook returns what it must not.
        """
        self.check_declaration()
        self._hooks.check_own_input_prob(num_steps)
        batch = self._hooks.batch(self.local_batch(int(self.step.numpy())))
        outside_of_scope(lambda: self._compiled.one.get_concrete_function(_tensors(batch)))

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Makes one update.

        Args:
            batch: this process's rows, as `local_batch` returns them.

        Returns:
            float32 `[]` each: "nats" summed over the batch; "chars", the sum of its weights; "chars_read", all that
            the network read; "gradient_norm" before clipping; "own_input_prob" as scheduled and "own_input_share" as
            counted; "learning_rate"; and what `loss` adds.
        """
        return outside_of_scope(lambda: self._compiled.one(_tensors(batch)))

    def train_steps(self, batches: Sequence[Batch]) -> list[dict[str, float]]:
        """Makes several updates in one call, to the bit those of `train_step`.

        Args:
            batches: as `local_batch` returns them, all of one shape; their number may differ from call to call.

        Returns:
            The measurements of each update, as `train_step` returns them.
        """
        return outside_of_scope(lambda: self._train_steps(batches))

    def _train_steps(self, batches: Sequence[Batch]) -> list[dict[str, float]]:
        first = _tensors(batches[0])
        names = tuple(self._compiled.one.get_concrete_function(first).structured_outputs)
        fields = map(np.stack, zip(*map(_arrays, batches), strict=True))  # TensorFlow takes longer for small arrays
        stacked = Batch(*map(tf.convert_to_tensor, fields, [field.dtype for field in first]))
        any_number = tf.nest.map_structure(lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), stacked)
        measured = self._compiled.several.get_concrete_function(any_number, names)(stacked, names)
        by_step = zip(*(values.numpy().tolist() for values in measured.values()), strict=True)
        return [dict(zip(measured, values, strict=True)) for values in by_step]

    def gradients(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the gradients with which `train_step` would begin. Changes nothing. Eager.

        Returns:
            By the path of each trainable variable: the loss's gradient over the batch, neither scaled nor clipped.
        """
        return outside_of_scope(lambda: self._compiled.gradients(_tensors(batch)))

    def evaluate(self, batches: Iterable[Batch], look: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Returns the closed-loop loss, of the averaged weights if they are averaged. Eager.

        Args:
            batches: all of one shape.
            look: is called before each batch; an exception that it raises ends the evaluation.

        Returns:
            "nats_per_char" and "bits_per_char".
        """

        def step(batch, state):
            look()
            return self._compiled.evaluation(batch, state)

        nats = float(evaluation_batches.closed_loop_loss(step, self.model.initial_state, batches))
        return {"nats_per_char": nats, "bits_per_char": metrics.bits_per_char(nats)}


def _tensors(batch: Batch) -> Batch:
    """Returns the batch as tensors, with `continues` and `places` of each row."""
    return Batch(*map(tf.convert_to_tensor, _arrays(batch)))


def _arrays(batch: Batch) -> Batch:
    """Returns the batch with `continues` and `places` of each row: bool and int64 `[B]`."""
    num_rows = len(batch.inputs)
    continues, places = np.broadcast_to(batch.continues, num_rows), np.asarray(batch.places, np.int64)
    # A curriculum that returns other rows than the source's may have left their places as they were.
    places = np.broadcast_to(places if places.shape in ((), (num_rows,)) else -1, num_rows)
    return batch._replace(continues=continues, places=places)
