"""Every setting of a run: name, type, default, meaning and allowed values, read from the dataclasses.

    print(as_text("optimizer."))           # what `python -m trainers.run --help_settings optimizer` prints
    print(as_markdown(), end="")           # the page docs/settings.md
"""

import dataclasses
import inspect
import json
import re
import textwrap
import typing
from collections.abc import Iterator
from typing import NamedTuple

from charrnn.errors import UserError, nearest
from trainers.experiment import TRAINERS, Experiment, with_trainer

_WRONG = {int: (-1, 2**62), float: (-1.0, float("nan")), str: ("?",)}
"""Values that a setting may refuse; the message of the refusal names the allowed values."""

_FIELD = re.compile(r"(\w+): .*?  # (.*)")  # a line of source: a field and its comment
_WIDTH_COLUMNS = 110  # columns


class Setting(NamedTuple):
    """One field of a config dataclass."""

    name: str  # "group.field", as --set takes it
    kind: str  # its type, such as "int" or "list of float"
    default: str
    meaning: str  # the comment on the field
    allowed: str  # "" if every value of the type is allowed


class Section(NamedTuple):
    """The settings of one dataclass."""

    title: str  # "model", or "trainer, with --trainer=spans"
    summary: str  # first line of the docstring of the dataclass, or of the curriculum
    settings: list[Setting]


def sections() -> Iterator[Section]:
    """Yields the settings of each group, then those of each curriculum, in the order of their fields."""
    for field in dataclasses.fields(Experiment):
        config = getattr(Experiment(), field.name)
        if dataclasses.is_dataclass(config) and field.name != "trainer" and not isinstance(config, type):
            yield Section(field.name, _summary(type(config)), _settings(field.name, type(config)))
    for name in TRAINERS:
        curriculum = with_trainer(Experiment(), name).trainer_class
        yield Section(f"trainer, with --trainer={name}", _summary(curriculum), _settings("trainer", curriculum.Config))


def as_text(prefix: str = "") -> str:
    """Returns the settings whose names start with `prefix`, for a terminal.

    Raises:
        UserError: there are none.
    """
    parts, names = [], []
    for title, summary, settings in sections():
        shown = [setting for setting in settings if setting.name.startswith(prefix)]
        names += [setting.name for setting in settings]
        if shown:
            parts.append(f"{title}: {summary}\n" + "\n".join(map(_entry, shown)))
    if not parts:
        raise UserError(f"There is no setting that starts with {prefix!r}{nearest(prefix, names)}.")
    return "\n\n".join(parts)


def as_markdown() -> str:
    """Returns the page docs/settings.md: one table per section."""
    lines = [
        "# Reference: settings",
        "",
        'Change a setting with `--set group.field=value`, or from Python with `set={"group.field": value}`.',
        "`python -m trainers.run --help_settings [PREFIX]` prints this page, or the settings that start with PREFIX.",
    ]
    for title, summary, settings in sections():
        lines += ["", f"## {title}", summary]
        if settings:
            lines += ["", "| setting | type | default | meaning | allowed |", "|---|---|---|---|---|"]
            lines += [f"| {' | '.join(map(_cell, _columns(setting)))} |" for setting in settings]
    return "\n".join(lines) + "\n"


def _columns(setting: Setting) -> tuple[str, ...]:
    return f"`{setting.name}`", setting.kind, f"`{setting.default}`", setting.meaning, setting.allowed


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _entry(setting: Setting) -> str:
    allowed = f"; allowed: {setting.allowed}" if setting.allowed else ""
    text = f"{setting.kind}, default {setting.default}. {setting.meaning}{allowed}"
    wrapped = textwrap.wrap(text, _WIDTH_COLUMNS, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join([f"  {setting.name}", *wrapped])


def _summary(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _settings(group: str, config: type) -> list[Setting]:
    comments = {name: text for parent in reversed(config.__mro__[:-1]) for name, text in _comments(parent).items()}
    kinds, found = typing.get_type_hints(config), []
    for field in dataclasses.fields(config):
        name, kind = f"{group}.{field.name}", kinds[field.name]
        default = _as_set(getattr(config(), field.name))
        allowed = _allowed(config, field.name, kind)
        found.append(Setting(name, _kind_name(kind), default, comments.get(field.name, ""), allowed))
    return found


def _comments(config: type) -> dict[str, str]:
    """Returns the comment on each field of a dataclass, joined with the comment lines below it."""
    comments: dict[str, str] = {}
    name = ""
    for line in map(str.strip, inspect.getsource(config).splitlines()):
        if field := _FIELD.fullmatch(line):
            name, comments[field[1]] = field[1], field[2]
        elif name and line.startswith("# "):
            comments[name] += line.removeprefix("#")
        else:
            name = ""
    return comments


def _allowed(config: type, name: str, kind: type) -> str:
    """Returns the allowed values that a config names when it is given a wrong one; "" if it accepts all."""
    several = typing.get_origin(kind) is tuple
    plain = typing.get_args(kind)[0] if several else kind
    if plain is bool:
        return "true or false"
    for wrong in _WRONG[plain]:
        try:
            config(**{name: (wrong,) if several else wrong})
        except UserError as error:
            said, _, allowed = str(error).partition("it must be ")
            if f".{name}=" in said or f"--{name}=" in said:
                return allowed.removesuffix(".")
    return ""


def _kind_name(kind: type) -> str:
    return f"list of {typing.get_args(kind)[0].__name__}" if typing.get_origin(kind) is tuple else kind.__name__


def _as_set(value: object) -> str:
    """Returns a default in the form that --set takes."""
    if isinstance(value, tuple):
        plain = not any(isinstance(part, str) for part in value)
        return (",".join(map(str, value)) if plain else json.dumps(value, ensure_ascii=False)) or "(empty)"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value}" if value != "" else "(empty)"
