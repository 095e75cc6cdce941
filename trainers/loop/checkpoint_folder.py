"""A folder of checkpoints: the files of each, and a list of their names, the newest last.

After the first save there is a complete checkpoint at every moment. A new one is written in a scratch folder, synced to
the disk, and moved to its place. Then the list is replaced, and then the oldest checkpoint is removed. TensorFlow's
`CheckpointManager` removes all files that match a pattern, and does not sync. The list has TensorFlow's format:
`tf.train.latest_checkpoint` reads it.
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
    """One folder; only one process writes in it.

    Args:
        path: the folder; the first save creates it.
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

    def save(self, checkpoint: tf.train.Checkpoint, name: str) -> str | None:
        """Writes a checkpoint as the newest, unless it is the newest already.

        Args:
            checkpoint: the objects to save.
            name: the name of the checkpoint.

        Returns:
            Its path, without the extensions of its files; None if it was the newest already.

        Raises:
            NotWritten: the disk is full or unavailable; earlier checkpoints are unchanged.
        """
        before = self.names()
        if before[-1:] == [name]:
            return None
        checkpoint.save_counter.assign_add(1)  # as TensorFlow's manager does; the counter is saved too
        self.write(checkpoint, name)
        after = [*(other for other in before if other != name), name]
        with disk.writing(self._list):
            self._write_list(after[-self._keep :])
            for old in after[: -self._keep]:
                self.remove(old)
        return os.path.join(self.path, name)

    def write(self, checkpoint: tf.train.Checkpoint, name: str) -> None:
        """Writes a checkpoint without listing it. The errors are those of `save`."""
        with disk.writing(os.path.join(self.path, name)), atomic.scratch(self.path, _SCRATCH) as scratch:
            checkpoint.write(os.path.join(scratch, name))
            for file in paths.names_in(scratch):  # the data first, then the index
                atomic.move(os.path.join(scratch, file), os.path.join(self.path, file))
            atomic.sync(self.path)

    def read(self, name: str, restore: Callable[[str], None]) -> None:
        """Calls `restore` with the path of a checkpoint, in a form that TensorFlow does not read as a pattern."""
        with paths.plain(self.path) as folder:
            restore(os.path.join(folder, name))

    def has(self, name: str) -> bool:
        """Returns whether a checkpoint of that name exists, listed or not."""
        return tf.io.gfile.exists(os.path.join(self.path, f"{name}.index"))

    def remove(self, name: str) -> None:
        """Removes the files of a checkpoint."""
        files = re.compile(re.escape(name) + _END)
        for file in filter(files.fullmatch, paths.names_in(self.path)):
            tf.io.gfile.remove(os.path.join(self.path, file))

    def mend(self, say: Callable[[str], None]) -> tuple[list[str], list[str]]:
        """Removes damaged checkpoints from the end of the list. If none is whole, the list stays; see `unlist`.

        Args:
            say: receives a sentence on each.

        Returns:
            The names before, and the names now; the newest last.
        """
        atomic.remove_remains(self.path, [_SCRATCH, run_files.LIST])
        found = self.names()
        listed = found or self._by_name()  # with a damaged or missing list the files tell the names
        kept = list(listed)
        while kept and (damage := self._damage(kept[-1])):
            say(f"The checkpoint {os.path.join(self.path, kept.pop())} is damaged ({damage}) and is not used.")
        if kept and kept != found:
            with disk.writing(self._list):
                self._write_list(kept)
        return listed, kept

    def unlist(self) -> None:
        """Removes the list, because TensorFlow's reader fails on an empty one; the files of checkpoints stay."""
        with disk.writing(self._list):
            if tf.io.gfile.exists(self._list):
                tf.io.gfile.remove(self._list)

    def _by_name(self) -> list[str]:
        """Returns the names of the checkpoints in the folder, in the order in which they were saved."""
        files = [name.removesuffix(".index") for name in paths.names_in(self.path) if name.endswith(".index")]
        found = {name: match for name in files if (match := _NAME.fullmatch(name))}
        return sorted(found, key=lambda name: (int(found[name][1] or 0), int(found[name][3]), found[name][2] == "step"))

    def _damage(self, name: str) -> str:
        """Returns what is wrong with a checkpoint, in a few words; "" if all its values can be read."""
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
    """Yields the lines of TensorFlow's list of checkpoints, with names relative to the folder."""
    yield f'model_checkpoint_path: "{names[-1]}"'
    for name in names:
        yield f'all_model_checkpoint_paths: "{name}"'
    for _ in names:  # without a time, the CheckpointManager of earlier versions deletes none
        yield "all_model_checkpoint_timestamps: 1.0"
