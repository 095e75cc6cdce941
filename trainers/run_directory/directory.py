"""The run directory: what it must contain, and whether a run may resume in it."""

import json
import os

import tensorflow as tf

from charrnn import run_files
from charrnn.batches.sources import DataConfig
from charrnn.errors import UserError, require
from charrnn.files import atomic, paths, strict_json
from charrnn.text import corpora, dialects
from charrnn.text.vocabulary import Vocabulary
from trainers.experiment import Experiment, registered, to_dict, with_trainer
from trainers.run_directory import disk, event_files, lock
from trainers.trainer import Trainer

_NAMES = run_files.VOCABULARY, run_files.CONFIG, run_files.METRICS, run_files.SAMPLES
_REPLACED_FILES = (event_files.NAME, lock.NAME, *_NAMES)
"""The files that a run replaces atomically."""

_CHANGEABLE_GROUPS = ("experiment", "loop", "samples", "versions", "command", "corpus")
"""Groups of config.json that may differ when a run resumes. The corpus and the experiment may differ in name only: the
corpus's sha256 and the experiment's settings are compared too."""

_CHANGEABLE_SETTINGS = (
    "runtime.strategy",
    "runtime.virtual_replicas",
    "runtime.worker_timeout",
    "optimizer.accumulate",
    "model.temperature",
)
"""Settings that may differ too: number of replicas and of accumulated parts, and what training does not use."""


class RunDirectory:
    """`runs/<name>/`. Nothing is written before `prepare`."""

    def __init__(self, path: str):
        self.path = paths.given(path)

    def file(self, name: str) -> str:
        """Returns the path of a file or folder in it."""
        return os.path.join(self.path, name)

    def as_begun(self, data: DataConfig) -> DataConfig:
        """Returns the settings; values that are detected in files come from the run in this directory, if any."""
        try:
            return dialects.as_begun(data, run_files.read_config(self.path))
        except UserError:  # no run, or one that `may_resume` refuses
            return data

    def may_resume(
        self, resume: str, config: dict, vocabulary: Vocabulary, trainer_class: type[Trainer] = Trainer
    ) -> bool:
        """Returns whether the directory contains a run to resume.

        Args:
            resume: "auto", "never" or "must".
            config: the content of config.json for the run to be started.
            vocabulary: the vocabulary of that run.
            trainer_class: the curriculum of that run.

        Raises:
            UserError: `resume` forbids it, or the directory belongs to another run; the message lists the differences.
        """
        require("--resume", resume, resume in ("auto", "never", "must"), "auto, never or must")
        with corpora.file_errors(self.path):
            exists = tf.io.gfile.exists(self.file(run_files.CONFIG))
        if resume == "never" and exists:
            raise UserError(f"{self.path} holds a run, and --resume=never was given: give another --run_dir.")
        if resume == "must" and not exists:
            raise UserError(f"{self.path} holds no run, and --resume=must was given: give the --run_dir of one.")
        if not exists:
            if tf.io.gfile.exists(self.path) and not self._is_empty():
                raise UserError(f"{self.path} exists and is not a run directory: give another --run_dir.")
            return False
        for name in (run_files.NEWEST, run_files.BEST, "train", "validation"):
            if tf.io.gfile.exists(self.file(name)) and not tf.io.gfile.isdir(self.file(name)):
                raise UserError(f"{self.file(name)} is no folder, as it is in a run directory: give another --run_dir.")
        differences = _differences(run_files.read_config(self.path), config, trainer_class)
        other = Vocabulary.load(self.file(run_files.VOCABULARY))
        if other != vocabulary:
            differences.append(f"vocabulary ({other.differences(vocabulary)})")
        if differences:
            raise UserError(
                f"{self.path} belongs to another run: {'; '.join(differences)}. Give another --run_dir, "
                f"or the settings that it was started with."
            )
        return True

    def _is_empty(self) -> bool:
        """Returns whether there are no files except those of a start that was killed before it wrote config.json.

        A start writes the lock first, then event_files.json, which tells its files from those of another program.
        """
        if not tf.io.gfile.isdir(self.path):
            return False
        names = set(paths.names_in(self.path)).difference(atomic.unfinished(self.path, _REPLACED_FILES))
        if lock.NAME in names and not lock.is_stale(self.file(lock.NAME)):
            return False
        begun = event_files.is_record(self.file(event_files.NAME))
        return names <= {lock.NAME, *(_REPLACED_FILES if begun else ())}

    def prepare(self, config: dict, vocabulary: Vocabulary) -> None:
        """Creates the directory, and writes config.json and vocabulary.json.

        Args:
            config: the content of config.json.
            vocabulary: the vocabulary.

        Raises:
            UserError: the directory cannot be written to.
        """
        try:
            tf.io.gfile.makedirs(self.path)
            atomic.remove_remains(self.path, _REPLACED_FILES)
            event_files.EventFiles(self.path).record()
            vocabulary.save(self.file(run_files.VOCABULARY))
            write_json(self.file(run_files.CONFIG), config)  # last, because it marks a run directory
        except disk.DISK_ERRORS as error:
            sentence = f"{self.path} cannot be written to ({disk.reason(error)}): give another --run_dir."
            raise UserError(sentence) from error


def write_json(path: str, value: object) -> None:
    """Writes a JSON file atomically."""
    atomic.replace(path, (strict_json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _differences(old: dict, new: dict, trainer_class: type[Trainer]) -> list[str]:
    """Returns each setting that differs, as "model.units was 1024, is 512".

    A setting that is missing in the old config, because it is newer, is equal if it has its default.
    """
    standard = flat(to_dict(with_trainer(Experiment(), trainer_class)))
    new, defaults = (json.loads(json.dumps(config)) for config in (new, standard))  # lists
    old, new = (flat({k: v for k, v in config.items() if k not in _CHANGEABLE_GROUPS}) for config in (old, new))
    for config in (old, new):
        if "trainer.class" in config:  # an earlier version wrote the module of the class, which may have moved
            config["trainer.class"] = registered(str(config["trainer.class"]))
    names = [name for name in dict.fromkeys([*old, *new]) if name not in _CHANGEABLE_SETTINGS]
    return [
        f"{name} was {old.get(name, 'not there')}, is {new.get(name, 'not there')}"
        for name in names
        if old.get(name, defaults.get(name)) != new.get(name)
        and not (name == "trainer.class" and _moved(old.get(name), new.get(name)))
    ]


def _moved(old: object, new: object) -> bool:
    """Returns whether two "module:Class" may be one class that moved from a notebook or script to a module, or back."""
    modules, classes = zip(*(str(name).partition(":")[::2] for name in (old, new)), strict=True)
    return "__main__" in modules and len(set(classes)) == 1


def flat(config: dict, prefix: str = "") -> dict[str, object]:
    """Flattens nested settings.

    Args:
        config: nested dicts.
        prefix: the start of each name.

    Returns:
        {"model.units": 1024, …}.
    """
    settings: dict[str, object] = {}
    for name, value in config.items():
        settings.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return settings
