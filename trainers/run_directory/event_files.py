"""Which event files of a run directory are the run's own: only these are cut or removed.

    files = EventFiles("runs/mine")
    writer = tf.summary.create_file_writer("runs/mine/train", filename_suffix=files.record().suffix)
    files.own("train")         # ["runs/mine/train/events.out.tfevents.1700000000.host.1.0.0123456789abcdef.v2"]

TensorFlow makes the names; the run gives out their suffix, which `event_files.json` records before it is used. The file
also lists what an earlier version of this program, which gave out no suffix, has left.
"""

import json
import os
import re
import secrets
from typing import NamedTuple

import tensorflow as tf

from charrnn.files import atomic, paths

NAME = "event_files.json"
_FOLDERS = ("", "train", "validation", *(f"open_loop/{name}" for name in ("own", "real", "evaluation", "comparison")))
_SUFFIX = r"\.[0-9a-f]{16}\.v2"
_EVENT_FILE = re.compile(rf"events\.out\.tfevents\.\d+\..+\.\d+\.\d+({_SUFFIX}|\.v2)")


class Record(NamedTuple):
    """What event_files.json holds."""

    suffix: str  # of the names of the run's event files
    earlier: list[str]  # event files without it that are the run's too: paths relative to the run directory


class EventFiles:
    """The event files of one run directory."""

    def __init__(self, run_dir: str):
        self._run_dir, self._path = run_dir, os.path.join(run_dir, NAME)

    def own(self, folder: str) -> list[str]:
        """Returns the paths of the run's event files in one of its folders, in TensorBoard's order."""
        names = _event_files_in(os.path.join(self._run_dir, folder))
        suffix, earlier = (_read(self._path) or self._adopted()) if names else ("", [])
        own = [name for name in names if name.endswith(suffix) or os.path.join(folder, name) in earlier]
        return [os.path.join(self._run_dir, folder, name) for name in own]

    def record(self) -> Record:
        """Returns what event_files.json holds; writes it first if it is missing.

        Raises:
            OSError: it cannot be written. In a bucket TensorFlow's OpError.
        """
        record = _read(self._path)
        if record is None:
            record = self._adopted()
            tf.io.gfile.makedirs(self._run_dir)
            atomic.replace(self._path, (json.dumps(record._asdict(), indent=2) + "\n").encode())
        return record

    def _adopted(self) -> Record:
        """A new suffix; all of TensorFlow's event files in the run's folders, which an earlier version wrote."""
        places = {folder: os.path.join(self._run_dir, folder) for folder in _FOLDERS}
        found = [os.path.join(folder, name) for folder, place in places.items() for name in _event_files_in(place)]
        return Record(f".{secrets.token_hex(8)}.v2", found)


def is_record(path: str) -> bool:
    """Whether a file is an event_files.json."""
    return _read(path) is not None


def _event_files_in(folder: str) -> list[str]:
    return list(filter(_EVENT_FILE.fullmatch, paths.names_in(folder)))


def _read(path: str) -> Record | None:
    """The record; None if there is none, or a damaged one."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = json.loads(file.read())
        record = Record(content["suffix"], content["earlier"])
        right = re.fullmatch(_SUFFIX, record.suffix) and all(isinstance(name, str) for name in record.earlier)
        return record if right else None
    except (tf.errors.OpError, ValueError, KeyError, TypeError, RecursionError):
        return None
