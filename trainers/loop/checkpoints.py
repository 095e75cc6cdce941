"""Saving and exact resume: the newest checkpoints, and apart from them the best.

A checkpoint that is damaged later is found by TensorFlow's checksums, one a tensor and one a block of the index; the
checkpoint before it is used then.
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
    """What the loop must remember over a resume. Saved as JSON in each checkpoint."""

    def __init__(self):
        self.pending: list[dict[str, float]] = []  # each step's measurements since the last log
        self.interval_seconds = 0.0  # training time since the last log
        self.seconds = 0.0  # training time before that
        self.best: float | None = None  # nats per character, validation
        self.unmeasured = False  # the run was stopped before it had measured what is due at this step
        self.lowest: float | None = None  # validation loss by which patience counts; not that of an end off schedule
        self.stale = 0  # evaluations since that loss
        self.roll_backs: list[dict] = []  # "at" which step training had gone wrong, "to" which it went back, and "why"

    def count(self, nats_per_char: float, min_delta: float) -> None:
        """Counts an evaluation; one whose loss is below the lowest by more than `min_delta` begins anew."""
        if nats_per_char < (math.inf if self.lowest is None else self.lowest) - min_delta:
            self.lowest, self.stale = nats_per_char, 0
        else:
            self.stale += 1

    def out_of_patience(self, patience: int) -> bool:
        """Returns whether the run has ended early, after `patience` evaluations without a new best loss; 0: never."""
        return 0 < patience <= self.stale

    def serialize(self) -> str:
        """The state as JSON."""
        return json.dumps({name: getattr(self, name) for name in _REMEMBERED})

    def deserialize(self, string_value: bytes) -> None:
        """Takes over a saved state."""
        for name, value in {"roll_backs": [], **json.loads(string_value)}.items():
            setattr(self, name, value)


class Checkpoints:
    """What `tf.train.Checkpoint` keeps of a run: model, optimizer, trainer, and the loop's memory.

    Args:
        run_dir: the run directory.
        trainer: its variables, and those of its model and optimizer.
        keep: how many of the newest stay.
    """

    def __init__(self, run_dir: str, trainer: Trainer, keep: int):
        self.memory = LoopState()
        self._checkpoint = tf.train.Checkpoint(model=trainer.averaged, trainer=trainer, memory=self.memory)
        self._newest = CheckpointFolder(os.path.join(run_dir, run_files.NEWEST), keep)
        self._best = CheckpointFolder(os.path.join(run_dir, run_files.BEST), 1)

    def restore(self, say: Callable[[str], None] = lambda line: None) -> bool:
        """Restores the newest complete checkpoint, all of it; false where none was ever saved.

        Args:
            say: takes a sentence on each that is damaged.

        Raises:
            UserError: none is complete, though the first save was, or the newest is of another program.
        """
        self._best.mend(say)
        found, complete = self._newest.mend(say)
        if not complete:
            if found and not self._newest.has(_START):
                raise UserError(
                    f"{self._newest.path} holds no checkpoint that is whole; it has {', '.join(found)}, all damaged. "
                    f"Give the --run_dir of a copy, or another one to begin anew."
                )
            return False
        try:
            self._newest.read(complete[-1], self._restore)
        except run_files.CHECKPOINT_ERRORS as error:
            newest = os.path.join(self._newest.path, complete[-1])
            raise UserError(f"The checkpoint {newest} was written by another version.") from error
        return True

    def save(self, step: int) -> None:
        """Saves all, unless this step was saved already.

        Raises:
            NotWritten: the disk is full, or gone; the checkpoints before are as they were.
        """
        self._newest.save(self._checkpoint, self._name(step))
        self._newest.remove(_START)

    def save_best(self, step: int) -> None:
        """Saves all as the best so far, likewise."""
        self._best.save(self._checkpoint, self._name(step))

    def keep_start(self) -> None:
        """Keeps the state before the first step until the first save: not to resume from, but to go back to."""
        self._newest.write(self._checkpoint, _START)

    def go_back(self) -> None:
        """Restores what was saved last, or the start."""
        names = self._newest.names()
        if names:
            self._newest.read(names[-1], self._restore)
        else:
            self._newest.read(_START, lambda path: self._checkpoint.read(path).expect_partial())  # it counts no saves

    def _restore(self, path: str) -> None:
        self._checkpoint.restore(path).assert_consumed()

    def _name(self, step: int) -> str:
        """The name of a checkpoint: two states of one step never share a file, which is not replaced."""
        retry = f"retry-{len(self.memory.roll_backs)}-" if self.memory.roll_backs else ""
        return f"{retry}{'stopped' if self.memory.unmeasured else 'step'}-{step}"
