"""Turns a name, settings, and the flags that stand for settings into an experiment."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import os
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import experiments
from charrnn.errors import UserError, nearest
from charrnn.text import corpora

if TYPE_CHECKING:  # TensorFlow is imported with the first use
    from trainers.experiment import Experiment
    from trainers.trainer import Trainer

SHORTHANDS = {
    "steps": "loop.steps",
    "epochs": "loop.epochs",
    "precision": "runtime.precision",
    "xla": "runtime.xla",
    "strategy": "runtime.strategy",
    "overfit_batches": "data.overfit_batches",
    "profile": "loop.profile",
}
"""The settings that have a flag and an argument of their own: its name, and the setting's."""

OF_ITS_OWN = ("corpus", "seed", "init_from")
"""The fields of an experiment that belong to no group."""


def known() -> list[str]:
    """Returns the names of all experiments."""
    return [module.name for module in pkgutil.iter_modules(experiments.__path__)]


def summary(name: str) -> str:
    """Returns the first line of an experiment's docstring, without running its file."""
    spec = importlib.util.find_spec(f"experiments.{name}")
    assert spec and spec.origin
    with open(spec.origin, encoding="utf-8") as file:
        return (ast.get_docstring(ast.parse(file.read())) or "").partition("\n")[0]


def require_experiment(name: str) -> None:
    """Raises UserError if there is no experiment of that name."""
    if name not in known():
        raise UserError(f"There is no experiment {name!r}{nearest(name, known())}.")


def resolve(
    experiment: str | Experiment, settings: Iterable[str], trainer: str | type[Trainer] | None = None, **options: Any
) -> Experiment:
    """Returns the experiment with the user's changes.

    Args:
        experiment: a name, or an `Experiment`.
        settings: each "group.field=value".
        trainer: the curriculum: its name, "module:Class", or a class; None: the experiment's.
        options: values by the names in SHORTHANDS and OF_ITS_OWN; None: the experiment's.

    Raises:
        UserError: a name is unknown, or a value is not possible.
    """
    from trainers.experiment import Experiment, override, parse, with_trainer

    if isinstance(experiment, str):
        require_experiment(experiment)
        experiment = importlib.import_module(f"experiments.{experiment}").EXPERIMENT
    if not isinstance(experiment, Experiment):
        raise UserError(f"{experiment!r} is no experiment: give the name of one, or a trainers.experiment.Experiment.")
    if trainer is not None:
        experiment = with_trainer(experiment, trainer)
    given = {name: value for name, value in options.items() if value is not None}
    if "seed" in given:
        given["seed"] = parse("seed", str(given["seed"]), int)
    if "corpus" in given:
        given["corpus"] = corpora.resolve(corpus_of(given["corpus"]))
    experiment = dataclasses.replace(experiment, **{name: given[name] for name in OF_ITS_OWN if name in given})
    short = [f"{SHORTHANDS[name]}={value}" for name, value in given.items() if name in SHORTHANDS]
    if "steps" in given and "epochs" not in given:
        short.append("loop.epochs=0")
    return override(experiment, [*short, *settings])


def corpus_of(given: str | os.PathLike | Sequence[str | os.PathLike]) -> str:
    """Returns a corpus, or several, as --corpus takes it."""
    several = [given] if isinstance(given, str | os.PathLike) else given
    return corpora.joined([os.fsdecode(one) for one in several])


def settings_of(given: Mapping[str, object]) -> list[str]:
    """Returns Python values as --set takes them.

    Raises:
        UserError: they are no mapping.
    """
    if not isinstance(given, Mapping):
        raise UserError(f'set={given!r} is not possible: it must be a dict such as {{"model.units": 256}}.')
    return [f"{name}={_as_text(value)}" for name, value in given.items()]


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return json.dumps([str(part) for part in value])
    return str(value).lower() if isinstance(value, bool) else str(value)
