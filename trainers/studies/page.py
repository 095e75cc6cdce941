"""The page and the figures of a study."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from trainers.evaluation import tables
from trainers.evaluation.comparison import Group
from trainers.experiment import Experiment, to_dict
from trainers.run_directory.directory import flat
from trainers.studies.findings import counted
from trainers.studies.plan import Planned
from trainers.studies.run import Found, How

UNTESTED = """
    excess_error_1000 recovery_200 first_impossible copied_20 repeated_8 next_speaker lines_a_speech exclamations
    favourites verbs_agree
""".split()
"""Further measures on the page, as far as the runs have them."""
_SLIPS = "divergence_open_slip_"


def as_markdown(plan: Sequence[Planned], how: How, found: Found, pictures: Sequence[str] = ()) -> str:
    """Returns the page: the finding, how it was found, the tables, and links to the pictures.

    Args:
        plan: the runs.
        how: the protocol.
        found: the comparison of all of them.
        pictures: names of files beside the page.
    """
    groups = found.compared.groups
    parts = [found.finding, _how(plan, how, found), tables.by_group(found.compared)]
    untested = _in_all(groups, UNTESTED, found.compared.measures)
    if untested:
        parts += ["Measured and not tested:", tables.values_table(groups, untested)]
    slips = [name for name in _in_all(groups, groups[0].evaluations[0].report.measures) if name.startswith(_SLIPS)]
    if slips:
        parts.append(_order(groups, ["divergence_open", *slips]))
    if any(epsilon for _, epsilon in groups[0].evaluations[0].frontier):
        parts.append(tables.cut_off_table(groups))
    parts += [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures]
    return "\n\n".join(parts)


def _in_all(groups: Sequence[Group], names: Iterable[str], less: Sequence[str] = ()) -> list[str]:
    """Returns the measures that all runs have a value of, without those in `less`."""
    runs = [run for group in groups for run in group.runs.values()]
    found = [{name for name, measure in run.measures.items() if measure.value is not None} for run in runs]
    return [name for name in names if name not in less and all(name in each for each in found)]


def _order(groups: Sequence[Group], names: Sequence[str]) -> str:
    """Returns whether the arms have the same order by each of the measures, and the pairs that change places."""
    means = {name: [float(np.mean(group.values(name))) for group in groups] for name in names}
    first, *others = names
    swapped = [
        f"`{groups[i].name}` and `{groups[j].name}` by {name}"
        for name in others
        for i, j in itertools.combinations(range(len(groups)), 2)
        if (means[first][i] < means[first][j]) != (means[name][i] < means[name][j])
    ]
    table = tables.values_table(groups, names)
    said = f"These change places: {', '.join(swapped)}." if swapped else "The order of the arms is the same by all."
    why = "The probability of an impossible character is a convention, so the divergence is given for three."
    return f"{why} {said}\n\n{table}"


def as_figures(plan: Sequence[Planned], how: How, found: Found) -> dict:
    """Returns all numbers, for JSON: the finding, the protocol, and each arm's measures by seed and differences."""
    return {
        "finding": found.finding,
        "how": {**how._asdict(), "protocol": dataclasses.asdict(how.protocol)},
        "best_cut_off": found.epsilon,
        "diverged": found.diverged,
        "arms": {
            group.name: {"settings": _settings(plan, group.name), **_arm(group, found)}
            for group in found.compared.groups
        },
    }


def _arm(group: Group, found: Found) -> dict:
    differences = {
        name: found.compared.differences[group.name, name]._asdict()
        for name in found.compared.measures
        if (group.name, name) in found.compared.differences
    }
    seeds = {
        seed: {name: measure._asdict() for name, measure in run.measures.items()} for seed, run in group.runs.items()
    }
    frontier = {
        seed: [
            {"temperature": temperature, "epsilon": epsilon, **point._asdict()}
            for (temperature, epsilon), point in run.evaluation.frontier.items()
        ]
        for seed, run in group.runs.items()
    }
    return {"seeds": seeds, "frontier": frontier, "differences": differences}


def _settings(plan: Sequence[Planned], arm: str) -> dict:
    return to_dict(next(planned.experiment for planned in plan if planned.arm == arm))["trainer"]


def _how(plan: Sequence[Planned], how: How, found: Found) -> str:
    """Returns a paragraph on the runs and the protocol, and a list of the arms."""
    first, protocol = plan[0].experiment, how.protocol
    length = f"{first.loop.epochs:g} epochs" if first.loop.epochs else f"{first.loop.steps:,} steps"
    seeds = counted(len({planned.experiment.seed for planned in plan}), "seed")
    lines = [
        f"Experiment `{plan[0].name}` on `{first.corpus}`: {first.model.cell} of {first.model.units} units, {length} "
        f"of {first.data.batch_size} × {first.data.seq_length} characters, {seeds}. Measured: the {how.weights} "
        f"weights, {protocol.num_rollouts} rollouts of {protocol.num_chars:,} characters a run.",
        "",
    ]
    for arm in dict.fromkeys(planned.arm for planned in plan):
        given = next(planned.experiment for planned in plan if planned.arm == arm)
        lost = f"; it diverged ({found.diverged[arm]})" if arm in found.diverged else ""
        lines.append(f"- `{arm}`: {_told(given, first)}{lost}")
    return "\n".join(lines)


def _told(experiment: Experiment, first: Experiment) -> str:
    """Returns the curriculum of an arm with its settings, and the other settings that the first arm does not have."""
    settings, others = (flat(to_dict(each)) for each in (experiment, first))
    name = settings.pop("trainer.class")
    own = [f"{key.partition('.')[2]} {value}" for key, value in settings.items() if key.startswith("trainer.")]
    more = [f"{key} {value}" for key, value in settings.items() if key in others and others[key] != value]
    more = [text for text in more if not text.startswith("trainer.")]
    return ", ".join([str(name), *own, *more])
