"""Repeats a study of docs/notes/study.md: python -m benchmarks.curricula --study=NAME [--page=FILE].

Calls `trainers.study` with the arms and the protocol of the study, and puts its page between the study's marks. First
trains the networks that teach in it. Runs stay in --runs: after Ctrl-C the same command resumes, and a finished study
is only printed.
"""

import os
import re
import shutil
import sys
from typing import NamedTuple

from absl import flags

from benchmarks import machine
from benchmarks.pages import Page, require_nothing
from charrnn import command
from charrnn.errors import UserError, nearest

FLAGS = flags.FlagValues()

_WINDOWS = {
    "data.order": "windows",
    "loop.evaluate_every": 500,
    "loop.save_every": 500,
    "samples.num_chars": 0,
}
_PLAIN = {
    **_WINDOWS,
    "model.units": 256,
    "model.longest_memory": 0,
    "optimizer.learning_rate": 4e-3,
    "optimizer.schedule": "constant",
    "optimizer.warmup_steps": 0,
    "optimizer.averaging": 0.0,
}
"""Of the first study: neither a schedule nor averages."""

Arm = tuple[str, dict[str, object]]


def _arm(trainer: str, **settings: object) -> Arm:
    return trainer, {f"trainer.{name}": value for name, value in settings.items()}


def _soft(teacher: str, **settings: object) -> Arm:
    return _arm("distillation", teacher=teacher, **settings)


def _taught(name: str, teacher: str) -> dict[str, Arm]:
    """Returns the arms of a teacher: forward and reverse, on the text alone and with half of the rows own."""
    reverse = {"divergence": "reverse", "soft_share": 0.5}  # alone, from random weights, it may collapse
    return {
        f"{name}_forward": _soft(teacher, soft_share=1.0),
        f"{name}_forward_own": _soft(teacher, soft_share=1.0, own_share=0.5),
        f"{name}_reverse": _soft(teacher, **reverse),
        f"{name}_reverse_own": _soft(teacher, **reverse, own_share=0.5),
    }


class Teacher(NamedTuple):
    """A run that teaches."""

    seed: int
    corpus: str
    settings: dict[str, object]


_MEMBER = {**_WINDOWS, "model.units": 256}
_SHORT = {**_MEMBER, "data.order": "streams", "loop.steps": 600, "optimizer.decay_steps": 600}
_SHAKESPEARE = {
    **_MEMBER,
    "data.seq_length": 100,
    "model.longest_memory": 0,
    "optimizer.learning_rate": 4e-3,  # of 8e-3, 4e-3 and 2e-3 the best in validation loss, for teacher forcing
}
_LARGE = {
    **_WINDOWS,
    "model.units": 512,
    "model.output_dropout": 0.3,
    "data.seq_length": 96,
    "optimizer.learning_rate": 4e-3,
    "optimizer.decay_steps": 4000,
    "loop.steps": 4000,
}
TEACHERS = {
    "plays_teacher": Teacher(100, "plays", _LARGE),
    **{f"plays_member-{seed}": Teacher(seed, "plays", _MEMBER) for seed in (100, 101, 102, 103)},
    **{f"shakespeare_member-{seed}": Teacher(seed, "shakespeare", _SHAKESPEARE) for seed in (100, 101, 102)},
}
"""The networks that teach, by the folder of their runs. The best checkpoint by validation is read."""

_COIN = {"schedule": "constant", "max_prob": 0.25}
_RISING = {"schedule": "linear", "max_prob": 0.25, "half_step": 1200}
_INPUTS = {
    "coin": _arm("scheduled_sampling", **_COIN),
    "coin_nothing": _arm("scheduled_sampling", **_COIN, after_mistake="nothing"),
}


class Study(NamedTuple):
    """Arms and protocol."""

    folder: str  # of the runs; two studies may share runs
    arms: dict[str, Arm]  # besides teacher forcing
    seeds: int
    corpus: str = "plays"
    settings: dict[str, object] = _MEMBER


def _studies(runs: str) -> dict[str, Study]:
    """Returns the studies by name.

    Args:
        runs: folder of all studies, for the paths of the teachers.
    """
    place = {name: os.path.join(runs, name) for name in TEACHERS}
    source = _taught("source", "source")
    source["source_forward_half"] = _soft("source", soft_share=0.5)
    plays, poet = (
        ",".join(path for name, path in place.items() if name.startswith(f"{corpus}_member"))
        for corpus in ("plays", "shakespeare")
    )
    network = {**_taught("network", place["plays_teacher"]), "ensemble_forward": _soft(plays, soft_share=1.0)}
    curricula = {
        "scheduled_sampling": _arm("scheduled_sampling", **_RISING),
        "open_loop_horizon": _arm("open_loop_horizon", gold=16, max_horizon=8, grow_every=240),
        "spans": _arm("spans", **_RISING, length=8),
        "two_pass": _arm("two_pass", **_RISING),
        "soft_inputs": _arm("soft_inputs", **_RISING, alpha=5),
        "replayed_rollouts": _arm("replayed_rollouts", prob=0.25, batches=25, visits=4),
        "unlikelihood": _arm("unlikelihood", alpha=1, n=8, rollout_share=0.25),
    }
    timetable = {  # the carried state knows the column, so the text stays the right target
        "coin": _INPUTS["coin"],
        "coin_half": _arm("scheduled_sampling", schedule="constant", max_prob=0.5),
        "source_forward": source["source_forward"],
    }
    shakespeare = {
        "coin": _INPUTS["coin"],
        **{
            f"{name}_forward{own}": _soft(teacher, **({"own_share": 0.5} if own else {}))
            for name, teacher in (("ensemble", poet), ("ngram", "ngram"))
            for own in ("", "_own")
        },
    }
    return {
        "curricula": Study("curricula", curricula, 3, settings={**_PLAIN, "loop.steps": 1200}),
        "source": Study("plays_256", {**_INPUTS, **source}, 5),
        "network": Study("plays_256", network, 5),
        "small": Study("plays_32", {**_INPUTS, **source}, 3, settings={**_MEMBER, "model.units": 32}),
        "timetable": Study("timetable", timetable, 5, "timetable", _SHORT),
        "shakespeare": Study("shakespeare", shakespeare, 3, "shakespeare", _SHAKESPEARE),
    }


STUDIES = tuple(_studies(""))

flags.DEFINE_string("study", None, f"Which study: {', '.join(STUDIES)}.", flag_values=FLAGS)
flags.DEFINE_integer("seeds", None, "Number of seeds instead of the study's.", flag_values=FLAGS)
flags.DEFINE_integer("steps", None, "Steps of each run instead of the study's, for a trial.", flag_values=FLAGS)
command.path_flag("runs", "runs/studies", "Folder of all studies.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the text between the study's marks.", FLAGS)


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    if FLAGS.study not in STUDIES:
        raise UserError(f"There is no study {FLAGS.study!r}{nearest(FLAGS.study or '', STUDIES)}.")
    page = Page(FLAGS.page, f"benchmarks.curricula of {FLAGS.study}")
    command.start_tensorflow()
    import trainers
    from trainers.loop.divergence import Diverged
    from trainers.studies.output import PAGE

    study = _studies(FLAGS.runs)[FLAGS.study]
    folder = os.path.join(FLAGS.runs, study.folder)
    try:
        if not _train_teachers(study):
            return command.STOPPED
        found = trainers.study(
            "quickstart",
            arms=study.arms,
            seeds=FLAGS.seeds or study.seeds,
            set=study.settings,
            corpus=study.corpus,
            steps=FLAGS.steps,
            study_dir=folder,
            temperatures=(0.8, 0.9, 1.0),
        )
    except Diverged as error:
        return command.ended(f"{error}.", command.DIVERGED)
    if found is None:
        return command.STOPPED
    with open(os.path.join(folder, PAGE), encoding="utf-8") as file:
        text = file.read()
    if FLAGS.page:
        text = _with_pictures(text, folder)
    page.put(f"{text}\n{machine.describe()}.")
    return command.DONE


def _with_pictures(text: str, folder: str) -> str:
    """Copies the pictures that a text shows to the page's folder, with the study's name before theirs.

    Args:
        text: of the study's page.
        folder: the study's.

    Returns:
        The text with the new names.
    """
    for name in re.findall(r"\]\((\w+\.png)\)", text):
        new = f"study_{FLAGS.study}_{name}"
        shutil.copy(os.path.join(folder, name), os.path.join(os.path.dirname(FLAGS.page) or ".", new))
        text = text.replace(f"]({name})", f"]({new})")
    return text


def _train_teachers(study: Study) -> bool:
    """Trains the networks that the study names as teachers. Returns whether they are complete."""
    from trainers import train

    named = " ".join(str(settings.get("trainer.teacher", "")) for _, settings in study.arms.values())
    wanted = {name: each for name, each in TEACHERS.items() if os.path.join(FLAGS.runs, name) in named}
    return all(
        train(
            "quickstart",
            run_dir=os.path.join(FLAGS.runs, name),
            corpus=teacher.corpus,
            trainer="teacher_forcing",
            seed=teacher.seed,
            verbosity="quiet",
            set=teacher.settings,
        ).finished
        for name, teacher in wanted.items()
    )


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
