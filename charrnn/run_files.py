"""Names the files of a run directory, and reads its settings and its list of checkpoints.

    config = run_files.read_config("runs/mine")
    prefix = run_files.find_checkpoint("runs/mine", weights="best")

The directory may have been moved. Nothing in it is executed.
"""

import os
import re
import typing
from typing import Any, TypeVar

import tensorflow as tf

from charrnn.errors import UserError
from charrnn.files import paths, strict_json
from charrnn.text import dialects

T = TypeVar("T")

CONFIG = "config.json"
VOCABULARY = "vocabulary.json"
METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"
NEWEST = "checkpoints"
BEST = "best"
LIST = "checkpoint"  # TensorFlow's list of the checkpoints in a folder

_CHECKPOINT = re.compile(r"(retry-\d+-)?(step|stopped)-\d+")
_DEEPEST = 20  # nested lists and objects in config.json

CHECKPOINT_ERRORS = (tf.errors.OpError, AssertionError, ValueError, IndexError)
"""TensorFlow's errors for a checkpoint of other objects, or a damaged one; IndexError for truncated data."""


def read_config(run_dir: str) -> dict:
    """Returns a run directory's config.json, with the CSV settings that an older version did not write.

    Args:
        run_dir: the run directory.

    Raises:
        UserError: the file is missing, unreadable or not a JSON object.
    """
    path = os.path.join(paths.given(run_dir), CONFIG)
    try:
        config = strict_json.read(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{run_dir} is not a run directory, because it has no {CONFIG}: give one that trainers.run has made."
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object.")
    if _depth(config, most=_DEEPEST) == _DEEPEST:
        raise UserError(f"{path} is damaged: it is nested too deeply.")
    return dialects.with_csv_settings(config)


def read_setting(run_dir: str, config: dict, kind: type[T], *names: str) -> T:
    """Returns a value in a run directory's config.json.

    Args:
        run_dir: the run directory, for the error message.
        config: the content of config.json.
        kind: the value's type.
        *names: the path of the value, such as "data", "order".

    Raises:
        UserError: the value is missing or of another type.
    """
    value: Any = config
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if not _is(value, kind):
        raise _undescribed(run_dir, f"{'.'.join(names)} is {value!r}, not a {kind.__name__}")
    return value


def read_group(run_dir: str, config: dict, group: str, kind: type[T]) -> T:
    """Returns a group of settings in a run directory's config.json as its dataclass.

    Args:
        run_dir: the run directory, for the error message.
        config: the content of config.json.
        group: the group's name, such as "data".
        kind: the dataclass.

    Raises:
        UserError: the group is missing, or a setting in it is unknown, of another type or invalid.
    """
    given, types = read_setting(run_dir, config, dict, group), typing.get_type_hints(kind)
    for name, value in given.items():
        if name not in types:
            raise _undescribed(run_dir, f"there is no setting {group}.{name} in this version")
        if not _is(value, types[name]):
            raise _undescribed(run_dir, f"{group}.{name} is {value!r}, not a {types[name].__name__}")
    return kind(**given)


def _is(value: object, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int and abs(value) < 2**63)


def _undescribed(run_dir: str, reason: str) -> UserError:
    return UserError(f"{os.path.join(run_dir, CONFIG)} does not describe a run of this program: {reason}.")


def _depth(value: object, most: int) -> int:
    """Returns the nesting depth of lists and objects, at most `most`."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(one, most - 1) for one in inner), default=0) if most else 0


def find_checkpoint(run_dir: str, weights: str = "best") -> str:
    """Returns a checkpoint's path, without the extensions of its files.

    Args:
        run_dir: the run directory.
        weights: "best", "newest", or a checkpoint's name, as in `charrnn.load`.

    Raises:
        UserError: there is no such checkpoint, or the list of checkpoints is damaged.
    """
    if weights not in ("best", "newest"):
        return _named(run_dir, weights)
    folders = (BEST, NEWEST) if weights == "best" else (NEWEST,)
    try:
        found = [_newest_in(os.path.join(paths.given(run_dir), folder)) for folder in folders]
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(f"The list of checkpoints in {run_dir} is damaged, in {' or '.join(folders)}.") from error
    if not any(found):
        raise UserError(f"{run_dir} has no checkpoint yet: continue the run until its first save.")
    return next(filter(None, found))


def _named(run_dir: str, name: str) -> str:
    """Returns the path of a checkpoint by its name, without the extensions of its files."""
    saved: dict[str, str] = {}
    for folder in (os.path.join(paths.given(run_dir), part) for part in (BEST, NEWEST)):
        found = (file.removesuffix(".index") for file in paths.names_in(folder) if file.endswith(".index"))
        saved.update((each, os.path.join(folder, each)) for each in found if _CHECKPOINT.fullmatch(each))
    if name not in saved:
        names = sorted(saved, key=lambda each: int(each.rpartition("-")[2]))
        others = f", or an existing one: {', '.join(names)}" if names else ""
        raise UserError(f"{run_dir} has no {name!r} weights: ask for best or newest{others}.")
    return saved[name]


def _newest_in(folder: str) -> str | None:
    """Returns the newest checkpoint in a folder's list, or None if the list or the checkpoint does not exist.

    Reads the list again if a run has removed the checkpoint and listed a newer one in the meantime.
    """
    newest = None
    while (listed := listed_in(folder)) and listed[-1] != newest:
        newest = listed[-1]
        if tf.io.gfile.exists(f"{newest}.index"):
            return newest
    return None


def listed_in(folder: str) -> list[str]:
    """Returns the paths of the checkpoints in a folder's list, the newest last.

    Args:
        folder: the folder of the checkpoints.

    Raises:
        UserError: the list names a checkpoint in another folder, which must be neither read nor removed.
    """
    state = tf.train.get_checkpoint_state(folder)
    if state is None:
        return []
    newest = state.model_checkpoint_path
    found = [*(path for path in state.all_model_checkpoint_paths if path != newest), newest]
    for path in found:
        place, name = os.path.split(path)
        if os.path.normpath(place) != os.path.normpath(folder) or name in ("", ".", ".."):
            raise UserError(f"{os.path.join(folder, LIST)} is damaged: it names {path!r}, in another folder.")
    return found
