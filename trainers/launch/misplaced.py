"""Suggestions for a setting that is given as a flag."""

import difflib
import functools
import shlex
from collections.abc import Callable
from typing import Any

from charrnn import command
from charrnn.errors import UserError


def suggesting(values: Any, where: str = "") -> Callable[[str, str], str]:
    """Returns the function that `command.run` calls for an unknown flag.

    Args:
        values: the command's flags, an absl FlagValues; the flag "trainer", if any, adds the settings of a curriculum.
        where: end of the sentence: the place for settings.
    """
    return functools.partial(_suggestion, values, where)


def _suggestion(values: Any, where: str, name: str, argument: str) -> str:
    if difflib.get_close_matches(name, values, n=1, cutoff=0.8):
        return ""  # a typing error: no need to wait for TensorFlow
    command.start_tensorflow()
    from trainers.experiment import named

    kinds = _settings(values["trainer"].value if "trainer" in values else None)
    _, equals, value = argument.partition("=")
    negated = not equals and name.startswith("no") and [full for full in named(name[2:], kinds) if kinds[full] is bool]
    found = negated or named(name, kinds)
    given = [f"--set {shlex.quote(f'{full}={_value(kinds[full], equals, value, negated)}')}" for full in found]
    return f": it is a setting; give {' or '.join(given)}{where}" if given else ""


def _settings(trainer: str | None) -> dict[str, type]:
    """Returns the type of each setting, with those of a curriculum."""
    from trainers.experiment import Experiment, settable, with_trainer

    try:
        return settable(with_trainer(Experiment(), trainer or "teacher_forcing"))
    except UserError:  # an unknown curriculum: reported once the flags are right
        return settable(Experiment())


def _value(kind: type, equals: str, value: str, negated: object) -> str:
    if equals:
        return value
    return ("false" if negated else "true") if kind is bool else "VALUE"
