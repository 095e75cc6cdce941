"""The page and the figures of a study."""

import dataclasses
from collections.abc import Sequence

from trainers.evaluation import tables
from trainers.evaluation.comparison import Group
from trainers.experiment import Experiment, to_dict
from trainers.run_directory.directory import flat
from trainers.studies.findings import finding
from trainers.studies.plan import Planned
from trainers.studies.run import Found, How


def as_markdown(plan: Sequence[Planned], how: How, found: Found, pictures: Sequence[str] = ()) -> str:
    """Returns the page: the finding, how it was found, the tables, and links to the pictures.

    Args:
        plan: the runs.
        how: the protocol.
        found: the comparison of all of them.
        pictures: names of files beside the page.
    """
    groups = found.compared.groups
    parts = [finding(found.compared, found.epsilon), _how(plan, how), tables.by_group(found.compared)]
    if any(epsilon for _, epsilon in groups[0].evaluations[0].frontier):
        parts.append(tables.cut_off_table(groups))
    parts += [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures]
    return "\n\n".join(parts)


def as_figures(plan: Sequence[Planned], how: How, found: Found) -> dict:
    """Returns all numbers, for JSON: the finding, the protocol, and each arm's measures by seed and differences."""
    return {
        "finding": finding(found.compared, found.epsilon),
        "how": {**how._asdict(), "protocol": dataclasses.asdict(how.protocol)},
        "best_cut_off": found.epsilon,
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


def _how(plan: Sequence[Planned], how: How) -> str:
    """Returns a paragraph on the runs and the protocol, and a list of the arms."""
    first, protocol = plan[0].experiment, how.protocol
    length = f"{first.loop.epochs:g} epochs" if first.loop.epochs else f"{first.loop.steps:,} steps"
    seeds = len({planned.experiment.seed for planned in plan})
    lines = [
        f"Experiment `{plan[0].name}` on `{first.corpus}`: {first.model.cell} of {first.model.units} units, {length} "
        f"of {first.data.batch_size} × {first.data.seq_length} characters, {seeds} seeds. Measured: the {how.weights} "
        f"weights, {protocol.num_rollouts} rollouts of {protocol.num_chars:,} characters a run.",
        "",
    ]
    for arm in dict.fromkeys(planned.arm for planned in plan):
        given = next(planned.experiment for planned in plan if planned.arm == arm)
        lines.append(f"- `{arm}`: {_told(given, first)}")
    return "\n".join(lines)


def _told(experiment: Experiment, first: Experiment) -> str:
    """Returns the curriculum of an arm with its settings, and the other settings that the first arm does not have."""
    settings, others = (flat(to_dict(each)) for each in (experiment, first))
    name = settings.pop("trainer.class")
    own = [f"{key.partition('.')[2]} {value}" for key, value in settings.items() if key.startswith("trainer.")]
    more = [f"{key} {value}" for key, value in settings.items() if key in others and others[key] != value]
    more = [text for text in more if not text.startswith("trainer.")]
    return ", ".join([str(name), *own, *more])
