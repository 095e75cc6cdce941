"""The arms of a study, and its runs: each arm with each seed.

    arms = make_arms(["teacher_forcing"], {"soft": ("distillation", {"trainer.soft_share": 1.0})})
    plan = make_plan("quickstart", arms, seeds=5, study_dir="runs/studies/quickstart")
    print(plan[0].command)
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.errors import UserError, nearest, require
from charrnn.files import paths
from trainers.experiment import Experiment, settable, to_dict
from trainers.launch import build, precision
from trainers.launch.resolve import resolve, settings_of
from trainers.studies.arguments import listed, mapped

if TYPE_CHECKING:
    from trainers.trainer import Trainer

MAX_SEEDS = 1000
_MOST_TEXTS = 8  # of a plan, in memory
_SETTINGS = '{"trainer.max_prob": 0.25}'
_SUCH_AS = f'{{"coin": ("scheduled_sampling", {_SETTINGS})}}'


class Arm(NamedTuple):
    """A curriculum with its settings, which a study trains with each seed."""

    name: str  # also of its run directories
    trainer: str | type[Trainer]  # a name, "module:Class", or a class
    settings: tuple[str, ...] = ()  # "group.field=value" each


class Planned(NamedTuple):
    """A run of a study."""

    arm: str  # name
    experiment: Experiment
    name: str  # of the experiment
    run_dir: str
    arguments: tuple[str, ...]  # of trainers.run, without --run_dir
    load: Callable[[str, DataConfig], Texts]  # reads a text, once for all runs of the plan

    @property
    def command(self) -> str:
        """The shell command that trains this run."""
        return shlex.join(["python", "-m", "trainers.run", *self.arguments, f"--run_dir={self.run_dir}"])

    @property
    def texts(self) -> Texts:
        """Its text."""
        return self.load(self.experiment.corpus, self.experiment.data)

    def is_complete(self) -> bool:
        """Returns whether the run directory has all steps of this run; raises UserError if it has another run's."""
        return build.is_complete(self.experiment, self.name, self.run_dir, self.texts)


def make_arms(
    trainers: Sequence[str | type[Trainer]],
    arms: Mapping[str, tuple[str | type[Trainer], Mapping[str, object]]] | None = None,
    grid: Mapping[str, Sequence[object]] | None = None,
) -> list[Arm]:
    """Returns the arms of a study, the first of which the others are compared with.

    Args:
        trainers: arms that are named like their curricula, with the experiment's settings.
        arms: further arms: name -> curriculum, settings.
        grid: setting -> values. An arm whose curriculum has the setting, and which does not give it itself, becomes an
            arm per value.

    Raises:
        UserError: an argument has another form, a name is given twice, or no arm has a setting of the grid.
    """
    found = [Arm(each if isinstance(each, str) else _class_name(each), each) for each in listed("trainers", trainers)]
    found += [_arm(name, given) for name, given in mapped("arms", arms, _SUCH_AS).items()]
    for setting, given in mapped("grid", grid, '{"model.units": [128, 256]}').items():
        values = listed(f"grid[{setting!r}]", given)
        parts = [_multiplied(arm, setting, values) for arm in found]
        if all(len(part) == 1 for part in parts) and len(values) > 1:
            known = {name for arm in found for name in _settable(arm)}
            raise UserError(f"--grid: no arm has the setting {setting}, or all give it{nearest(setting, known)}.")
        found = list(itertools.chain(*parts))
    folders = [_folder(arm.name) for arm in found]
    for arm, folder in zip(found, folders, strict=True):
        if folders.count(folder) > 1:
            raise UserError(
                f"Two arms have the name {arm.name}, or the folder {folder}-0: give one of them as --arm=NAME=…"
            )
    return found


def _class_name(trainer: object) -> str:
    if not isinstance(trainer, type):
        raise UserError(f"trainers={trainer!r} is not possible: each must be a name, module:Class, or a class.")
    return trainer.__name__


def _arm(name: str, given: object) -> Arm:
    """Returns an arm of the argument `arms`."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise UserError(f"arms[{name!r}]={given!r} is not possible: it must be a pair, as in {_SUCH_AS}.")
    trainer, settings = given
    if not isinstance(trainer, str):
        _class_name(trainer)
    return Arm(name, trainer, tuple(settings_of(mapped(f"The settings of arms[{name!r}]", settings, _SETTINGS))))


def _settable(arm: Arm) -> dict[str, type]:
    return settable(resolve(Experiment(), (), arm.trainer))


def _multiplied(arm: Arm, setting: str, values: Sequence[object]) -> list[Arm]:
    """Returns an arm per value of a setting, or the arm itself if the setting is not for it."""
    require("--grid", setting, bool(values), "followed by =VALUE,VALUE")
    given = [text.partition("=")[0] for text in arm.settings]
    if setting not in _settable(arm) or setting in given:
        return [arm]
    field = setting.rpartition(".")[2]
    texts = [settings_of({setting: value})[0] for value in values]
    return [Arm(f"{arm.name},{field}={text.partition('=')[2]}", arm.trainer, (*arm.settings, text)) for text in texts]


def make_plan(
    experiment: str | Experiment,
    arms: Sequence[Arm],
    seeds: int,
    study_dir: str,
    settings: Sequence[str] = (),
    corpus: str | None = None,
    steps: int | None = None,
) -> list[Planned]:
    """Returns all runs, seed by seed.

    Args:
        experiment: the name of one in `experiments/`, or an `Experiment`.
        arms: the arms.
        seeds: the number of seeds, from 0.
        study_dir: the folder of the run directories.
        settings: of all arms, "group.field=value" each; an arm's own come after them. Those of `trainer` are for the
            arms whose curricula have them.
        corpus: as in `train`; None: the experiment's.
        steps: as in `train`; None: the experiment's.

    Raises:
        UserError: a setting is wrong.
    """
    right = isinstance(seeds, int) and 1 <= seeds <= MAX_SEEDS
    require("--seeds", seeds, right, f"a whole number from 1 to {MAX_SEEDS:,}")
    name = experiment if isinstance(experiment, str) else "custom"
    options = {key: value for key, value in (("corpus", corpus), ("steps", steps)) if value is not None}
    known = {arm.name: _settable(arm) for arm in arms}
    load = functools.lru_cache(_MOST_TEXTS)(functools.partial(load_texts, log=lambda line: None))
    plan = []
    for seed, arm in itertools.product(range(seeds), arms):
        given = [*(text for text in settings if _is_for(text, arm.name, known)), *arm.settings]
        resolved = resolve(experiment, given, arm.trainer, seed=seed, **options)
        flags = {"experiment": name, "trainer": _trainer_flag(resolved), "seed": seed, **options}
        arguments = [f"--{flag}={value}" for flag, value in flags.items()] + [f"--set={text}" for text in given]
        run_dir = os.path.join(paths.given(study_dir), f"{_folder(arm.name)}-{seed}")
        plan.append(Planned(arm.name, resolved, name, run_dir, tuple(arguments), load))
    return _with_one_precision(plan)


def _with_one_precision(plan: Sequence[Planned]) -> list[Planned]:
    """Returns the plan with the same precision in all places of "auto", so that arms and seeds differ in nothing else.

    It is the one with which the first of these runs was started, here or elsewhere, otherwise this machine's.
    """
    run_dirs = [planned.run_dir for planned in plan if planned.experiment.runtime.precision == "auto"]
    found = []
    for planned in plan:
        experiment, chosen = precision.resolved(planned.experiment, run_dirs)
        setting = [f"--set=runtime.precision={experiment.runtime.precision}"] if chosen else []
        found.append(planned._replace(experiment=experiment, arguments=(*planned.arguments, *setting)))
    return found


def _is_for(setting: str, arm: str, known: Mapping[str, Mapping[str, type]]) -> bool:
    """Returns whether an arm is given a setting: False for a curriculum's setting that only other arms have."""
    name = setting.partition("=")[0].strip()
    elsewhere = any(name in settings for settings in known.values())
    return name in known[arm] or not (name.startswith("trainer.") and elsewhere)


def _trainer_flag(experiment: Experiment) -> str:
    return to_dict(experiment)["trainer"]["class"]


def _folder(name: str) -> str:
    """Returns the part of a path that stands for an arm."""
    return re.sub(r"[^\w.=+-]", "-", name)
