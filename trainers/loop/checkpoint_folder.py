"""A folder of checkpoints: a list of them, the newest last, and each one's files.

At every moment there is a complete checkpoint, once there was one. A new one is written in a scratch folder, synced to
the disk, and moved to its place; then the list is replaced, and only then the oldest one is removed. TensorFlow's own
`CheckpointManager` works alike, but it removes what matches a pattern, and syncs nothing. The list has TensorFlow's
format: `tf.train.latest_checkpoint` reads it.
"""

import os
import re
from collections.abc import Callable, Iterator

import tensorflow as tf

from charrnn import run_files
from charrnn.errors import UserError
from charrnn.files import atomic, paths
from trainers.run_directory import disk

_SCRATCH = "scratch"
_NAME = re.compile(r"(?:retry-(\d+)-)?(stopped|step)-(\d+)")  # see `Checkpoints._name`
_END = r"\.(index|data-\d{5}-of-\d{5})"  # of the files of a checkpoint


class CheckpointFolder:
    """One folder, in which one process writes.

    Args:
        path: made with the first checkpoint.
        keep: the number of checkpoints on the list; 1 or more.
    """

    def __init__(self, path: str, keep: int):
        self.path, self._keep = path, keep
        self._list = os.path.join(path, run_files.LIST)

    def names(self) -> list[str]:
        """Returns the names on the list; none if it cannot be read, or names anything in another folder."""
        try:
            return [os.path.basename(path) for path in run_files.listed_in(self.path)]
        except (UserError, *run_files.CHECKPOINT_ERRORS):
            return []

    def save(self, checkpoint: tf.train.Checkpoint, name: str) -> None:
        """Writes a checkpoint as the newest, unless it is that already.

        Raises:
            NotWritten: the disk is full, or gone; the checkpoints before are as they were.
        """
        before = self.names()
        if before[-1:] == [name]:
            return
        checkpoint.save_counter.assign_add(1)  # as TensorFlow counts; it is part of what is saved
        self.write(checkpoint, name)
        after = [*(other for other in before if other != name), name]
        with disk.writing(self._list):
            self._write_list(after[-self._keep :])
            for old in after[: -self._keep]:
                self.remove(old)

    def write(self, checkpoint: tf.train.Checkpoint, name: str) -> None:
        """Writes a checkpoint that is not on the list. NotWritten as in `save`."""
        with disk.writing(os.path.join(self.path, name)), atomic.scratch(self.path, _SCRATCH) as scratch:
            checkpoint.write(os.path.join(scratch, name))
            for file in paths.names_in(scratch):  # the data first, then the index
                atomic.move(os.path.join(scratch, file), os.path.join(self.path, file))
            atomic.sync(self.path)

    def read(self, name: str, restore: Callable[[str], None]) -> None:
        """Calls `restore` with a path of a checkpoint that TensorFlow does not take for a pattern."""
        with paths.plain(self.path) as folder:
            restore(os.path.join(folder, name))

    def has(self, name: str) -> bool:
        """Whether a checkpoint of that name is there, on the list or not."""
        return tf.io.gfile.exists(os.path.join(self.path, f"{name}.index"))

    def remove(self, name: str) -> None:
        """Removes the files of a checkpoint."""
        files = re.compile(re.escape(name) + _END)
        for file in filter(files.fullmatch, paths.names_in(self.path)):
            tf.io.gfile.remove(os.path.join(self.path, file))

    def mend(self, say: Callable[[str], None]) -> tuple[list[str], list[str]]:
        """Takes damaged checkpoints that are newer than the newest complete one off the list.

        Args:
            say: takes a sentence on each.

        Returns:
            The names that were found, and those that are listed now; the newest last.
        """
        atomic.remove_remains(self.path, [_SCRATCH, run_files.LIST])
        found = self.names()
        listed = found or self._by_name()  # a damaged or missing list is no reason to start again
        kept = list(listed)
        while kept and (damage := self._damage(kept[-1])):
            say(f"The checkpoint {os.path.join(self.path, kept.pop())} is damaged ({damage}): it is not used.")
        with disk.writing(self._list):
            if kept and kept != found:
                self._write_list(kept)
            elif not listed and tf.io.gfile.exists(self._list):
                tf.io.gfile.remove(self._list)  # TensorFlow would stumble over it
        return listed, kept

    def _by_name(self) -> list[str]:
        """The names of the checkpoints that lie there, in the order in which they were saved."""
        files = [name.removesuffix(".index") for name in paths.names_in(self.path) if name.endswith(".index")]
        found = {name: match for name in files if (match := _NAME.fullmatch(name))}
        return sorted(found, key=lambda name: (int(found[name][1] or 0), int(found[name][3]), found[name][2] == "step"))

    def _damage(self, name: str) -> str:
        """What is wrong with a checkpoint, in a few words; "" if every value in it can be read."""
        try:
            self.read(name, _read_all)
        except (OSError, *run_files.CHECKPOINT_ERRORS) as error:
            return disk.reason(error) or "it is cut off"
        return ""

    def _write_list(self, names: list[str]) -> None:
        atomic.replace(self._list, "".join(f"{line}\n" for line in _lines(names)).encode())


def _read_all(path: str) -> None:
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)


def _lines(names: list[str]) -> Iterator[str]:
    """TensorFlow's list of checkpoints, with names relative to its folder."""
    yield f'model_checkpoint_path: "{names[-1]}"'
    for name in names:
        yield f'all_model_checkpoint_paths: "{name}"'
    for _ in names:  # an earlier version's CheckpointManager deletes none without a time
        yield "all_model_checkpoint_timestamps: 1.0"
