"""One step, compiled; it reads straight down: batch -> inputs -> logits -> loss -> gradients -> update."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from charrnn import metrics
from charrnn.batches.sources import Batch
from charrnn.model.char_model import States
from trainers.step.gradients import Gradients
from trainers.step.replicas import Replicas
from trainers.step.update import Update


class CompiledStep:
    """The compiled functions of a trainer.

    AutoGraph is off: a hook needs no source text, and `if` on a tensor is refused.

    Args:
        trainer: the trainer.
        gradients: computes the gradients of a batch.
        update: applies them.
        replicas: on which a step runs.
        xla: whether XLA compiles the step.
    """

    def __init__(self, trainer: Any, gradients: Gradients, update: Update, replicas: Replicas, xla: bool):
        self._trainer, self._gradients, self._apply, self._replicas = trainer, gradients, update, replicas
        self.one = tf.function(self._update, autograph=False, jit_compile=xla)
        self.several = tf.function(self._updates, autograph=False)
        self.gradients = tf.function(self._begin, autograph=False, jit_compile=xla)
        self.evaluation = tf.function(self._evaluate, autograph=False, jit_compile=xla)

    def _updates(self, batches: Batch, names: tuple[str, ...]) -> dict[str, tf.Tensor]:
        """Updates by batches `[N, B, …]` in turn -> float32 `[N]` by the `names` of what an update measures."""
        return tf.map_fn(self.one, batches, parallel_iterations=1, fn_output_signature=dict.fromkeys(names, tf.float32))

    def _update(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update -> float32 `[]` by name."""
        trainer = self._trainer
        # Both are read before `on_step` and the update, which may change them.
        own_input_prob = tf.convert_to_tensor(trainer.own_input_prob(trainer.step))
        learning_rate = tf.convert_to_tensor(trainer.optimizer.learning_rate)
        gradients, measured = self._on_replicas(self._read, batch)
        measured = {
            **measured,
            "gradient_norm": self._apply(gradients),
            "own_input_prob": own_input_prob,
            "learning_rate": learning_rate,
        }
        trainer.step.assign_add(1)
        return {name: tf.cast(value, tf.float32) for name, value in measured.items()}

    def _read(self, rows: Batch) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Reads a replica's rows. Returns the gradients and measurements of the whole batch."""
        trainer = self._trainer
        gradients, measured, state, seen = self._way()(rows, self._start_state(rows))
        if seen is not None:
            trainer.on_step(*seen)
        if trainer.source.carries_state:
            trainer._carried.assign(state)
        return gradients, measured

    def _begin(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The gradients with which an update would begin, by the paths of their variables."""
        gradients = self._on_replicas(lambda rows: self._way()(rows, self._start_state(rows))[0], batch)
        paths = [variable.path for variable in self._trainer.model.trainable_variables]
        return {path: gradient / self._apply.loss_scale() for path, gradient in zip(paths, gradients, strict=True)}

    def _evaluate(self, batch: Batch, state: States) -> tuple[tf.Tensor, States]:
        logits, state = self._trainer.averaged(batch.inputs, state)
        return metrics.cross_entropy(logits, batch.targets, batch.weights), state

    def _start_state(self, rows: Batch) -> States:
        trainer = self._trainer
        zero = trainer.initial_state(tf.shape(rows.inputs)[0])
        if not trainer.source.carries_state:
            return zero
        carried = trainer._carried.read()
        return tf.nest.map_structure(lambda z, s: tf.where(rows.continues[:, None], s, z), zero, carried)

    def _way(self) -> Callable:
        return self._gradients.way(self._trainer.reads_whole_batch)

    def _on_replicas(self, function: Callable, batch: Batch) -> Any:
        """`function` of each replica's rows -> its result, which is the same on all."""
        self._gradients.check_batch(batch.inputs.shape[0] * self._replicas.num_processes)
        return self._replicas.run(function, batch)
