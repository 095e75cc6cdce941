"""The event files that a run wrote itself: only these are truncated or removed.

    files = EventFiles("runs/mine")
    writer = tf.summary.create_file_writer("runs/mine/train", filename_suffix=files.record().suffix)
    files.own("train")         # ["runs/mine/train/events.out.tfevents.1700000000.host.1.0.0123456789abcdef.v2"]

TensorFlow chooses the names; the run chooses their suffix, and records it in `event_files.json` before using it. That
file also lists the event files of an earlier version of this program, which had no suffix.
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
    """The content of event_files.json."""

    suffix: str  # end of the names of the run's event files
    earlier: list[str]  # other event files of the run: paths relative to the run directory


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
        """Returns the content of event_files.json; writes the file first if it is missing.

        Raises:
            OSError: the file cannot be written; in a bucket, TensorFlow's OpError.
        """
        record = _read(self._path)
        if record is None:
            record = self._adopted()
            tf.io.gfile.makedirs(self._run_dir)
            atomic.replace(self._path, (json.dumps(record._asdict(), indent=2) + "\n").encode())
        return record

    def _adopted(self) -> Record:
        """Returns a new suffix, and all event files in the run's folders, which an earlier version wrote."""
        places = {folder: os.path.join(self._run_dir, folder) for folder in _FOLDERS}
        found = [os.path.join(folder, name) for folder, place in places.items() for name in _event_files_in(place)]
        return Record(f".{secrets.token_hex(8)}.v2", found)


def is_record(path: str) -> bool:
    """Returns whether a file is a valid event_files.json."""
    return _read(path) is not None


def _event_files_in(folder: str) -> list[str]:
    return list(filter(_EVENT_FILE.fullmatch, paths.names_in(folder)))


def _read(path: str) -> Record | None:
    """Returns the record; None if the file is missing or damaged."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = json.loads(file.read())
        record = Record(content["suffix"], content["earlier"])
        right = re.fullmatch(_SUFFIX, record.suffix) and all(isinstance(name, str) for name in record.earlier)
        return record if right else None
    except (tf.errors.OpError, ValueError, KeyError, TypeError, RecursionError):
        return None
