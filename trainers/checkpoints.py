"""Saving and exact resume: the newest checkpoints, and apart from them the best."""

import json
import os

import tensorflow as tf

from charrnn import loading
from charrnn.errors import UserError
from trainers.trainer import Trainer

_REMEMBERED = ("pending", "interval_seconds", "seconds", "best")


class Memory(tf.train.experimental.PythonState):
    """What the loop must remember over a resume. Saved as JSON in each checkpoint."""

    def __init__(self):
        self.pending: list[dict[str, tf.Tensor | float]] = []  # each step's measurements since the last log
        self.interval_seconds = 0.0  # training time since the last log
        self.seconds = 0.0  # training time before that
        self.best: float | None = None  # nats per character, validation

    def serialize(self) -> str:
        """The state as JSON."""
        self.pending = [{name: float(value) for name, value in step.items()} for step in self.pending]
        return json.dumps({name: getattr(self, name) for name in _REMEMBERED})

    def deserialize(self, string_value: bytes) -> None:
        """Takes over a saved state."""
        state = json.loads(string_value)
        for name in _REMEMBERED:
            setattr(self, name, state[name])


class Checkpoints:
    """What `tf.train.Checkpoint` keeps of a run: model, optimizer, trainer, and the loop's memory.

    Args:
        run_dir: the run directory.
        trainer: its variables, and those of its model and optimizer.
        keep: how many of the newest stay.
    """

    def __init__(self, run_dir: str, trainer: Trainer, keep: int):
        self.memory = Memory()
        self._checkpoint = tf.train.Checkpoint(model=trainer.model, trainer=trainer, memory=self.memory)
        self._newest = _manager(self._checkpoint, os.path.join(run_dir, loading.NEWEST), keep)
        self._best = _manager(self._checkpoint, os.path.join(run_dir, loading.BEST), 1)

    def restore(self) -> bool:
        """Restores the newest checkpoint, all of it; false where there is none.

        Raises:
            UserError: it is damaged, or of another program.
        """
        path = self._newest.latest_checkpoint
        if not path:
            self._check_empty()
            return False
        try:
            self._checkpoint.restore(path).assert_consumed()
        except loading.CHECKPOINT_ERRORS as error:
            raise UserError(f"The checkpoint {path} is damaged, or was written by another version.") from error
        return True

    def _check_empty(self) -> None:
        """TensorFlow takes a damaged list of checkpoints for none, and the run would begin anew over what it has."""
        folder = self._newest.directory
        if tf.io.gfile.glob(os.path.join(folder, "*.index")):
            raise _damaged_list(folder)

    def save(self, step: int) -> None:
        """Saves all, unless this step was saved already."""
        if not (self._newest.latest_checkpoint or "").endswith(f"step-{step}"):
            self._newest.save(checkpoint_number=step)

    def save_best(self, step: int) -> None:
        """Saves all as the best so far."""
        self._best.save(checkpoint_number=step)


def _manager(checkpoint: tf.train.Checkpoint, folder: str, keep: int) -> tf.train.CheckpointManager:
    try:
        loading.newest_in(folder)  # the manager would remove what an altered list names, wherever that is
        return tf.train.CheckpointManager(checkpoint, folder, max_to_keep=keep, checkpoint_name="step")
    except loading.CHECKPOINT_ERRORS as error:
        raise _damaged_list(folder) from error


def _damaged_list(folder: str) -> UserError:
    return UserError(f"{os.path.join(folder, 'checkpoint')}, the list of checkpoints, is damaged or missing.")
