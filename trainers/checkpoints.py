"""Saving and exact resume: the newest checkpoints, and apart from them the best.

At every moment there is a complete checkpoint, once there was one: TensorFlow writes a new one beside the others, then
puts it on the list, through a temporary file, and only then deletes an old one. What is damaged later is found out by
TensorFlow's checksums, one a tensor and one a block of the index, and the checkpoint before it is used.
"""

import json
import math
import os
import re
from collections.abc import Callable

import tensorflow as tf

from charrnn import loading
from charrnn.errors import UserError
from trainers import disk
from trainers.trainer import Trainer

_REMEMBERED = ("pending", "interval_seconds", "seconds", "best", "unmeasured", "roll_backs", "lowest", "stale")
_START = "start"
_LIST = "checkpoint"


class Memory(tf.train.experimental.PythonState):
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

    def serialize(self) -> str:
        """The state as JSON."""
        return json.dumps({name: getattr(self, name) for name in _REMEMBERED})

    def deserialize(self, string_value: bytes) -> None:
        """Takes over a saved state."""
        state = json.loads(string_value)
        self.roll_backs[:] = state.pop("roll_backs", [])  # in place: the source looks at it
        for name, value in state.items():
            setattr(self, name, value)


class Checkpoints:
    """What `tf.train.Checkpoint` keeps of a run: model, optimizer, trainer, and the loop's memory.

    Args:
        run_dir: the run directory.
        trainer: its variables, and those of its model and optimizer.
        keep: how many of the newest stay.
    """

    def __init__(self, run_dir: str, trainer: Trainer, keep: int):
        self.memory = Memory()
        self._checkpoint = tf.train.Checkpoint(model=trainer.averaged, trainer=trainer, memory=self.memory)
        self._newest, self._best = (os.path.join(run_dir, name) for name in (loading.NEWEST, loading.BEST))
        self._keep = keep

    def restore(self, say: Callable[[str], None] = lambda line: None) -> bool:
        """Restores the newest complete checkpoint, all of it; false where none was ever saved.

        Args:
            say: takes a sentence on each that is damaged.

        Raises:
            UserError: none is complete, though the first save was, or the newest is of another program.
        """
        _mend(self._best, say)
        found, complete = _mend(self._newest, say)
        if not complete:
            in_first_save = tf.io.gfile.exists(os.path.join(self._newest, f"{_START}.index"))
            if found and not in_first_save:
                names = ", ".join(map(os.path.basename, found))
                raise UserError(
                    f"{self._newest} holds no checkpoint that is whole; it has {names}, all damaged. Give the "
                    f"--run_dir of a copy, or another one to begin anew."
                )
            return False
        try:
            self._checkpoint.restore(complete[-1]).assert_consumed()
        except loading.CHECKPOINT_ERRORS as error:
            raise UserError(f"The checkpoint {complete[-1]} was written by another version.") from error
        return True

    def save(self, step: int) -> None:
        """Saves all, unless this step was saved already.

        Raises:
            NotWritten: the disk is full, or gone; the checkpoints before are as they were.
        """
        self._save(self._newest, self._keep, step)
        for path in tf.io.gfile.glob(os.path.join(self._newest, f"{_START}.*")):
            tf.io.gfile.remove(path)

    def save_best(self, step: int) -> None:
        """Saves all as the best so far, likewise."""
        self._save(self._best, 1, step)

    def keep_start(self) -> None:
        """Keeps the state before the first step until the first save: not to resume from, but to go back to."""
        with disk.writing(self._newest):
            self._checkpoint.write(os.path.join(self._newest, _START))

    def go_back(self) -> None:
        """Restores what was saved last, or the start."""
        newest = tf.train.latest_checkpoint(self._newest)
        if newest:
            self._checkpoint.restore(newest).assert_consumed()
        else:
            self._checkpoint.read(os.path.join(self._newest, _START)).expect_partial()  # it counts no saves

    def _save(self, folder: str, keep: int, step: int) -> None:
        name = self._name()
        if os.path.basename(tf.train.latest_checkpoint(folder) or "") == f"{name}-{step}":
            return
        with disk.writing(os.path.join(folder, f"{name}-{step}")):
            try:
                manager = tf.train.CheckpointManager(self._checkpoint, folder, keep, checkpoint_name=name)
                manager.save(checkpoint_number=step)
            except disk.DISK_ERRORS:
                disk.remove_remains(folder)  # where the disk is full, they are in the way of everything else
                raise

    def _name(self) -> str:
        """What comes before the step's number: two states of one step never share a file, which is not replaced."""
        retry = f"retry-{len(self.memory.roll_backs)}-" if self.memory.roll_backs else ""
        return f"{retry}{'stopped' if self.memory.unmeasured else 'step'}"


def _mend(folder: str, say: Callable[[str], None]) -> tuple[list[str], list[str]]:
    """Takes damaged checkpoints that are newer than the newest complete one off the list.

    Returns:
        Those that were found, and those that are listed now, by their paths, the newest last.
    """
    disk.remove_remains(folder)
    found = _listed(folder)
    listed = found or _by_name(folder)  # a list that is damaged or missing is no reason to begin anew
    kept = list(listed)
    while kept and (damage := _damage(kept[-1])):
        say(f"The checkpoint {kept.pop()} is damaged ({damage}): it is not used.")
    if kept and kept != found:
        with disk.writing(os.path.join(folder, _LIST)):
            disk.replace(os.path.join(folder, _LIST), _as_list(kept))
    elif not listed and tf.io.gfile.exists(os.path.join(folder, _LIST)):
        tf.io.gfile.remove(os.path.join(folder, _LIST))  # TensorFlow would stumble over it
    return listed, kept


def _listed(folder: str) -> list[str]:
    """The list of checkpoints; empty where it cannot be read, or names what lies elsewhere."""
    try:
        loading.newest_in(folder)
        state = tf.train.get_checkpoint_state(folder)
    except (UserError, *loading.CHECKPOINT_ERRORS):
        return []
    return list(state.all_model_checkpoint_paths) if state else []


def _by_name(folder: str) -> list[str]:
    """What lies there, in the order in which it was saved; see `Checkpoints._name`."""
    names = re.compile(r"(?:retry-(\d+)-)?(stopped|step)-(\d+)")
    paths = [path.removesuffix(".index") for path in tf.io.gfile.glob(os.path.join(folder, "*.index"))]
    found = {path: match for path in paths if (match := names.fullmatch(os.path.basename(path)))}
    return sorted(found, key=lambda path: (int(found[path][1] or 0), int(found[path][3]), found[path][2] == "step"))


def _as_list(paths: list[str]) -> bytes:
    """TensorFlow's list of checkpoints, with names relative to its folder."""
    names = [os.path.basename(path) for path in paths]
    lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
    lines += ["all_model_checkpoint_timestamps: 1.0"] * len(names)  # without one it would not be deleted in its turn
    return "".join(f"{line}\n" for line in lines).encode()


def _damage(path: str) -> str:
    """What is wrong with a checkpoint, in a few words; "" where every value in it can be read."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except loading.CHECKPOINT_ERRORS as error:
        return disk.reason(error) or "it is cut off"
    return ""
