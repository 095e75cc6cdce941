"""An experiment: the configs of all parts of a run, and how a user changes them.

    EXPERIMENT = Experiment(corpus="shakespeare", model=ModelConfig(units=1024))
    experiment = override(EXPERIMENT, ["model.units=512", "loop.steps=1000"])
"""

import dataclasses
import difflib
import json
import re
import typing
from collections.abc import Iterable
from typing import Any

import numpy as np

from charrnn.batches.sources import DataConfig
from charrnn.errors import UserError, nearest, require
from charrnn.files import paths
from charrnn.model.config import ModelConfig
from trainers import own_class
from trainers.configs import LoopConfig, OptimizerConfig, RuntimeConfig, SamplesConfig
from trainers.trainer import Trainer

_CURRICULA = """
    scheduled_sampling by_position open_loop_horizon spans two_pass soft_inputs confidence_aware accuracy_driven
    validation_gated replayed_rollouts sequence_length self_paced unlikelihood state_matching distillation
""".split()

TRAINERS = {
    "teacher_forcing": "trainers.trainer:Trainer",
    **{name: f"trainers.curricula.{name}:{name.title().replace('_', '')}" for name in _CURRICULA},
}
"""The registered curricula: name -> "module:Class". Class `TwoPass` of `two_pass.py` is "two_pass"."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All settings of a run."""

    corpus: str = "plays"  # a registered name, a file, a glob, several of these as a JSON list, or an encoded folder
    seed: int = 0  # seed of weights, batch order, own characters and dropout
    init_from: str = ""  # run directory of a warm start; "": random initial weights
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    trainer_class: type[Trainer] = Trainer
    trainer: Any = Trainer.Config()  # an instance of trainer_class.Config
    loop: LoopConfig = LoopConfig()
    samples: SamplesConfig = SamplesConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    def __post_init__(self):
        object.__setattr__(self, "init_from", paths.given(self.init_from))
        require("seed", self.seed, 0 <= self.seed < 2**31, "at least 0 and below 2^31")
        for group, fields in to_dict(self).items():
            for field, value in fields.items() if isinstance(fields, dict) else ():
                require(f"{group}.{field}", value, _fits_json(value), "text, a finite number, or a list of these")


def with_trainer(experiment: Experiment, trainer: str | type[Trainer]) -> Experiment:
    """Returns the experiment with another curriculum, which has its default settings.

    Args:
        experiment: the experiment.
        trainer: a name in TRAINERS, "module:Class", or a class.

    Raises:
        UserError: there is no such subclass of Trainer.
    """
    trainer_class = _imported(trainer) if isinstance(trainer, str) else trainer
    if not (isinstance(trainer_class, type) and issubclass(trainer_class, Trainer)):
        allowed = "a registered name, or module:Class of a subclass of trainers.Trainer"
        raise UserError(f"trainer={trainer!r} is not possible: it must be {allowed}.")
    if trainer_class is experiment.trainer_class:
        return experiment
    return dataclasses.replace(experiment, trainer_class=trainer_class, trainer=trainer_class.Config())


def _imported(name: str) -> object:
    """Returns what a name in TRAINERS or "module:Class" stands for; None if the module has no such attribute."""
    path = TRAINERS.get(name, name)
    if not own_class.is_path(path):
        raise UserError(f"There is no trainer {name!r}{nearest(name, TRAINERS)}; give module:Class for your own.")
    return own_class.imported(path, f"--trainer={name}")


def registered(trainer: str) -> str:
    """Returns the name of a curriculum in config.json: its registered name, else "module:Class".

    Args:
        trainer: "module:Class"; for a curriculum of the package, the module may be the one of an earlier version.
    """
    module, _, class_name = trainer.partition(":")
    if module.startswith("trainers."):
        place = f".{module.rpartition('.')[2]}:{class_name}"
        return next((name for name, path in TRAINERS.items() if path.endswith(place)), trainer)
    return trainer


def override(experiment: Experiment, settings: Iterable[str]) -> Experiment:
    """Returns the experiment with changed settings.

    Args:
        experiment: the experiment.
        settings: "group.field=value" each; the value is parsed as the type of the field.

    Raises:
        UserError: a setting is unknown, or its value has the wrong type or is out of range.
    """
    changes: dict[str, dict[str, object]] = {}
    allowed = settable(experiment)
    for setting in settings:
        name, equals, text = setting.partition("=")
        group, dot, field = name.strip().partition(".")
        if not (equals and dot):
            such_as = [f"{full}={text.strip() or 'VALUE'}" for full in named(group, allowed)] or ["model.units=512"]
            raise UserError(f"--set {setting!r} is not of the form group.field=value, such as {' or '.join(such_as)}.")
        if f"{group}.{field}" not in allowed:
            raise UserError(f"There is no setting {name.strip()!r}{nearest(name.strip(), allowed)}.")
        kind = allowed[f"{group}.{field}"]
        if kind == tuple[str, ...] and field in changes.get(group, {}):
            raise UserError(f'{group}.{field} is given twice: give its texts once, as a JSON list: ["one", "two"].')
        value = parse(f"{group}.{field}", text.strip() if name != name.rstrip() else text, kind)  # "name = value"
        changes.setdefault(group, {})[field] = value
    # A whole group at once, because two settings may be valid only together.
    groups = {group: dataclasses.replace(getattr(experiment, group), **fields) for group, fields in changes.items()}
    return dataclasses.replace(experiment, **groups)


def to_dict(experiment: Experiment) -> dict:
    """Returns the settings as nested dicts, as config.json stores them."""
    settings = dataclasses.asdict(experiment)
    trainer_class = settings.pop("trainer_class")
    name = registered(f"{trainer_class.__module__}:{trainer_class.__qualname__}")
    return {**settings, "trainer": {"class": name, **settings["trainer"]}}


def _fits_json(value: object) -> bool:
    """Returns whether JSON can store a value; it has no non-finite numbers."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def settable(experiment: Experiment) -> dict[str, type]:
    """Returns the type of each setting, by "group.field"."""
    return {
        f"{group}.{field}": kind
        for group, config in vars(experiment).items()
        if dataclasses.is_dataclass(config) and not isinstance(config, type)
        for field, kind in typing.get_type_hints(type(config)).items()
    }


def parse(name: str, text: str, kind: type) -> Any:
    """Parses the value of a setting.

    Args:
        name: the setting, for messages.
        text: the value as the user wrote it.
        kind: the type of the field.

    Returns:
        The value as `kind`.

    Raises:
        UserError: the text is no such value.
    """
    if kind == tuple[str, ...]:
        return tuple(parse(name, part, str) for part in _texts(name, text))
    text = text if kind is str else text.strip()
    if typing.get_origin(kind) is tuple:
        return tuple(parse(name, part, typing.get_args(kind)[0]) for part in _parts(name, text))
    if kind is str:
        encodable = text == text.encode("utf-8", "replace").decode()
        require(name, ascii(text), encodable, "text without surrogates, which UTF-8 can encode")
        return text
    wanted = {int: "a whole number of 64 bits", float: "a number", bool: "true or false"}.get(kind)
    if wanted is None:
        raise UserError(f"{name} is of the type {kind}, which --set cannot parse: set it in Python.")
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
        return np.int64(value).item() if kind is int else value
    except (ValueError, KeyError, OverflowError) as error:
        raise UserError(f"{name}={text} is not possible: it must be {wanted}.") from error


def _texts(name: str, text: str) -> list[str]:
    """Returns the texts of a JSON list; anything else is one text, because texts may contain commas and brackets."""
    try:
        texts = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError) as error:
        if re.match(r'\[\s*"', text):  # starts like a list of texts
            raise UserError(f"{name}={text} is not possible: it must be a JSON list, or a text.") from error
        texts = None
    if isinstance(texts, list) and all(isinstance(one, str) for one in texts):
        return texts
    return [text] if text else []


def _parts(name: str, text: str) -> list[str]:
    """Returns the parts of a list of numbers: "1,2", or a JSON list."""
    if not text.startswith("["):
        return text.split(",") if text else []
    try:
        return [part if isinstance(part, str) else json.dumps(part) for part in json.loads(text)]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}={text} is not possible: it must be a JSON list, or parts between commas.") from error


def named(name: str, settings: Iterable[str]) -> list[str]:
    """Returns the settings of this name, with or without its group; if there is none, those of the nearest name."""
    name = name.replace("-", "_")
    exact = [full for full in settings if name in (full, full.partition(".")[2])]
    if exact:
        return exact
    fields = {full.partition(".")[2] for full in settings}
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.8)
    return [full for full in settings if full.partition(".")[2] in near]
