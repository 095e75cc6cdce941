"""Saves and restores a run exactly: the newest checkpoints, and the best one apart from them.

TensorFlow's checksums, one per tensor and one per block of the index, find a checkpoint that was damaged later. The
checkpoint before it is then used.
"""

import json
import math
import os
from collections.abc import Callable

import tensorflow as tf

from charrnn import run_files
from charrnn.errors import UserError
from trainers.loop.checkpoint_folder import CheckpointFolder
from trainers.trainer import Trainer

_REMEMBERED = ("pending", "interval_seconds", "seconds", "best", "unmeasured", "roll_backs", "lowest", "stale")
_START = "start"


class LoopState(tf.train.experimental.PythonState):
    """The loop's variables, saved as JSON in each checkpoint, so that a resumed run has them."""

    def __init__(self):
        self.pending: list[dict[str, float]] = []  # each step's measurements since the last log
        self.interval_seconds = 0.0  # training time since the last log
        self.seconds = 0.0  # training time before that
        self.best: float | None = None  # lowest validation loss, nats per character
        self.unmeasured = False  # True if the run stopped before an evaluation that is due at this step
        self.lowest: float | None = None  # validation loss that patience counts from; not that of an end off schedule
        self.stale = 0  # evaluations since that loss
        self.roll_backs: list[dict] = []  # each: "at" which step training diverged, "to" which step it went back, "why"

    def count(self, nats_per_char: float, min_delta: float) -> None:
        """Counts an evaluation. A loss below the lowest by more than `min_delta` restarts the count."""
        if nats_per_char < (math.inf if self.lowest is None else self.lowest) - min_delta:
            self.lowest, self.stale = nats_per_char, 0
        else:
            self.stale += 1

    def out_of_patience(self, patience: int) -> bool:
        """Returns whether the run has ended early, after `patience` evaluations without a new best loss; 0: never."""
        return 0 < patience <= self.stale

    def serialize(self) -> str:
        """Returns the state as JSON."""
        return json.dumps({name: getattr(self, name) for name in _REMEMBERED})

    def deserialize(self, string_value: bytes) -> None:
        """Restores a saved state."""
        for name, value in {"roll_backs": [], **json.loads(string_value)}.items():
            setattr(self, name, value)


class Checkpoints:
    """The checkpoints of a run: model, optimizer, trainer, and the state of the loop.

    Args:
        run_dir: the run directory.
        trainer: the trainer to save and restore.
        keep: the number of newest checkpoints to keep.
    """

    def __init__(self, run_dir: str, trainer: Trainer, keep: int):
        self.loop_state, self._trainer = LoopState(), trainer
        # "memory" is the name of the loop's state in checkpoints.
        self._checkpoint = tf.train.Checkpoint(model=trainer.averaged, trainer=trainer, memory=self.loop_state)
        self._newest = CheckpointFolder(os.path.join(run_dir, run_files.NEWEST), keep)
        self._best = CheckpointFolder(os.path.join(run_dir, run_files.BEST), 1)

    def restore(self, say: Callable[[str], None] = lambda line: None) -> bool:
        """Restores the newest complete checkpoint.

        Args:
            say: receives a sentence on each damaged checkpoint.

        Returns:
            True if there was one; False if none was ever saved.

        Raises:
            UserError: all checkpoints are damaged, or another program wrote the newest.
        """
        found, complete = self._newest.mend(say)
        if found and not complete and not self._newest.has(_START):
            raise UserError(
                f"All checkpoints in {self._newest.path} are damaged: {', '.join(found)}. "
                f"Give the --run_dir of a copy, or a new one to start again."
            )
        if not self._best.mend(say)[1]:
            self._best.unlist()
        if not complete:
            self._newest.unlist()
            return False
        try:
            self._newest.read(complete[-1], self._restore)
        except run_files.CHECKPOINT_ERRORS as error:
            newest = os.path.join(self._newest.path, complete[-1])
            raise UserError(
                f"The checkpoint {newest} lacks variables of this run: another version or program wrote it. "
                "Give another --run_dir."
            ) from error
        return True

    def has_best(self) -> bool:
        """Returns whether a best checkpoint is listed."""
        return bool(self._best.names())

    def save(self, step: int) -> str | None:
        """Saves a checkpoint, unless this step was saved already.

        Args:
            step: the number of steps done.

        Returns:
            The path of the checkpoint, without the extensions of its files; None if nothing was saved.

        Raises:
            NotWritten: the disk is full or unavailable; earlier checkpoints are unchanged.
        """

        def write() -> str | None:
            path = self._newest.save(self._checkpoint, self._name(step))
            self._newest.remove(_START)
            return path

        return self._write(write)

    def save_best(self, step: int) -> str | None:
        """Saves the best checkpoint. The result and the errors are those of `save`."""
        return self._write(lambda: self._best.save(self._checkpoint, self._name(step)))

    def keep_start(self) -> None:
        """Saves the state before the first step, for a roll-back; the first save removes it. No run resumes from it."""
        self._write(lambda: self._newest.write(self._checkpoint, _START))

    def go_back(self) -> None:
        """Restores the last checkpoint, or the state before the first step."""
        names = self._newest.names()
        if names:
            self._newest.read(names[-1], self._restore)
        else:
            self._newest.read(_START, self._restore_start)

    def _write(self, write: Callable[[], str | None]) -> str | None:
        """Writes a checkpoint with the carried state of all rows. All processes of a run take part."""
        with self._trainer.carried_by_all():
            return write()

    def _restore(self, path: str) -> None:
        with self._trainer.carried_by_all(restored=True):
            self._checkpoint.restore(path).assert_consumed()

    def _restore_start(self, path: str) -> None:
        with self._trainer.carried_by_all(restored=True):
            self._checkpoint.read(path).expect_partial()

    def _name(self, step: int) -> str:
        """Returns the name of a checkpoint. Two states of one step get two names, because no file is replaced."""
        retry = f"retry-{len(self.loop_state.roll_backs)}-" if self.loop_state.roll_backs else ""
        return f"{retry}{'stopped' if self.loop_state.unmeasured else 'step'}-{step}"
