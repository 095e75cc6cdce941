"""Studies whether curricula improve free running (open loop): python -m benchmarks.curricula [--json=FILE].

    python -m benchmarks.curricula --corpora=plays --curricula=spans,my_module:MyTrainer --seeds=1 --steps=200

Trains a GRU of 256 units with teacher forcing and with each curriculum, on each corpus and with each training seed, for
the same number of steps on the same batches, and evaluates each run like `trainers.evaluate`. Runs and measurements
stay in --runs: after Ctrl-C the same command resumes, and a finished study is only printed. The study takes an hour on
two cores. docs/notes/measures.md explains the columns.
"""

import dataclasses
import functools
import io
import os
import sys
import time
from typing import NamedTuple

from absl import flags

from benchmarks import machine
from benchmarks.pages import Figures, Page
from charrnn import command, run_files
from charrnn.errors import UserError

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)
_list = functools.partial(flags.DEFINE_list, flag_values=FLAGS)

BASELINE = "teacher_forcing"
_RISING = "trainer.schedule=linear trainer.max_prob={prob} trainer.half_step={half_step}"
STUDIED = {
    "scheduled_sampling": _RISING,
    "open_loop_horizon": "trainer.gold=16 trainer.max_horizon=8 trainer.grow_every={fifth}",
    "spans": f"{_RISING} trainer.length=8",
    "two_pass": _RISING,
    "soft_inputs": f"{_RISING} trainer.alpha=5",
    "replayed_rollouts": "trainer.prob={prob} trainer.batches=25 trainer.visits=4",
    "unlikelihood": "trainer.alpha=1 trainer.n=8 trainer.rollout_share={prob}",
}
"""Settings by curriculum; others use their defaults. A rising probability reaches --own half-way."""
MEASURES = (
    "nats_per_char excess_error_1000 reference_loss reference_loss_drift entropy_drift recovery_200 reverse_loss "
    "curve_gap valid_words"
).split()
"""The measures on the page, which are tested. The JSON file has all."""
TEMPERATURES = (0.7, 0.8, 0.9, 1.0, 1.1)
"""Temperatures of the sweep of quality and diversity."""
_SETTINGS = """
    model.units=256 model.embedding_size=0 data.seq_length=64 data.batch_size=32 optimizer.learning_rate=4e-3
    optimizer.clip_norm=1 samples.num_chars=0 loop.steps={steps} loop.evaluate_every={quarter} loop.save_every={quarter}
"""

_list("corpora", ["plays", "shakespeare"], "Corpora to train on.")
_list("curricula", list(STUDIED), "Curricula to compare with teacher forcing: names, or module:Class.")
_integer("seeds", 3, "Number of training seeds; below 3 there are no tests.", lower_bound=1)
_integer("steps", 1200, "Steps per run.", lower_bound=20)
_float("own", 0.25, "Largest share of own characters, for curricula with such a setting.", lower_bound=0, upper_bound=1)
_integer("num_rollouts", 100, "Number of rollouts per run.")
_integer("num_chars", 1000, "Characters per rollout.")
command.path_flag("runs", "runs/curricula", "Folder of the run directories.", FLAGS)
command.path_flag("json", None, "JSON file for the figures.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the tables between the marks.", FLAGS)


class Planned(NamedTuple):
    """A run of the study."""

    corpus: str
    curriculum: str
    experiment: object  # trainers.experiment.Experiment
    run_dir: str


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag: give --curricula={beside[0]} to study it.")
    page, figures = Page(FLAGS.page, "benchmarks.curricula"), Figures(FLAGS.json)
    command.start_tensorflow()
    from charrnn.measures.open_loop import Protocol
    from trainers.loop.divergence import Diverged
    from trainers.loop.stopping import Stop, Stopped

    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars)
    plan = _plan(protocol)
    stop, evaluations = Stop(), []
    with stop.listen():
        for number, planned in enumerate(plan):
            start = time.perf_counter()
            try:
                evaluations.append(_run(planned, protocol, stop.look))
            except Diverged as error:
                print(f"error: {planned.run_dir} diverged: {error}; leave {planned.curriculum} out.", file=sys.stderr)
                return command.DIVERGED
            except Stopped:
                print(f"Stopped and saved in {FLAGS.runs}; run the same command to resume.", file=sys.stderr)
                return command.STOPPED
            loss, took = evaluations[-1].report.measures["nats_per_char"].value, time.perf_counter() - start
            said = f"{number + 1}/{len(plan)} {planned.run_dir}: {loss:.4f} nats per character, {took:.0f} s"
            print(said, flush=True)
    text, found = _compare(plan, evaluations)
    print(f"\n{text}")
    figures.put(found)
    page.put(text)
    return command.DONE


def _plan(protocol) -> list[Planned]:
    """Returns all runs, seed by seed; refuses mistakes before the first one starts."""
    from charrnn.batches.texts import load_texts
    from trainers.experiment import Experiment, override, with_trainer

    parts = {"steps": FLAGS.steps, "quarter": FLAGS.steps // 4, "fifth": FLAGS.steps // 5, "prob": FLAGS.own}
    parts["half_step"] = round(FLAGS.steps / (4 * FLAGS.own)) if FLAGS.own else FLAGS.steps
    found = {}
    for corpus in FLAGS.corpora:
        for name in (BASELINE, *FLAGS.curricula):
            settings = f"{_SETTINGS} {STUDIED.get(name, '')}".format(**parts).split()
            found[corpus, name] = override(with_trainer(Experiment(corpus=corpus), name), settings)
        protocol.pieces(load_texts(corpus, found[corpus, BASELINE].data, lambda line: None).validation)
    return [
        Planned(corpus, name, dataclasses.replace(experiment, seed=seed), _run_dir(corpus, name, seed))
        for seed in range(FLAGS.seeds)
        for (corpus, name), experiment in found.items()
    ]


def _run_dir(corpus: str, name: str, seed: int) -> str:
    own = "" if name == BASELINE else f"-{FLAGS.own:g}"
    place = f"{os.path.basename(corpus)}-{name}{own}-{FLAGS.steps}-{seed}"
    return os.path.join(FLAGS.runs, place.replace(":", "-"))


def _run(planned: Planned, protocol, look):
    """Trains and evaluates a run, or what is left of it. Returns its Evaluation; raises Stopped if asked to stop."""
    from trainers.evaluation.measures_file import read_or_evaluate
    from trainers.launch.build import run_experiment
    from trainers.loop.stopping import Stopped
    from trainers.reports.console import Console

    if not run_experiment(planned.experiment, "curricula", planned.run_dir, console=Console(io.StringIO()), look=look):
        raise Stopped
    look()
    return read_or_evaluate(planned.run_dir, protocol, None, "newest", TEMPERATURES)


def _compare(plan: list[Planned], evaluations: list) -> tuple[str, dict]:
    """Returns Markdown, a section per corpus, and all figures."""
    from trainers.evaluation import comparison, tables

    parts, corpora = [_how(plan)], {}
    for corpus in FLAGS.corpora:
        measured = zip(plan, evaluations, strict=True)
        runs = [
            comparison.MeasuredRun(planned.run_dir, run_files.read_config(planned.run_dir), evaluation)
            for planned, evaluation in measured
            if planned.corpus == corpus
        ]
        compared = comparison.compare(comparison.with_curve_gaps(runs), MEASURES)
        parts += [f"### `{corpus}`", tables.by_group(compared), tables.sweep_table(compared)]
        corpora[corpus] = {group.name: _figures(group, compared) for group in compared.groups}
    flags_given = {name: FLAGS[name].value for name in ("steps", "seeds", "own", "num_rollouts", "num_chars")}
    return "\n\n".join(parts), {"machine": machine.describe(), **flags_given, "corpora": corpora}


def _how(plan: list[Planned]) -> str:
    first = plan[0].experiment
    chars = FLAGS.steps * first.data.batch_size * first.data.seq_length
    lines = [
        f"{FLAGS.steps:,} steps of {first.data.batch_size} × {first.data.seq_length} characters, {chars:,} in all; "
        f"training seeds: {FLAGS.seeds}; {FLAGS.num_rollouts} rollouts of {FLAGS.num_chars:,} characters a run; "
        f"{machine.describe()}.",
        "",
    ]
    for name in FLAGS.curricula:
        settings = dataclasses.asdict(next(run.experiment.trainer for run in plan if run.curriculum == name))
        lines.append(f"- `{name}`: " + ", ".join(f"{key} {value}" for key, value in settings.items()))
    return "\n".join(lines)


def _figures(group, compared) -> dict:
    """Returns the measures of a curriculum by seed, and its differences from teacher forcing."""
    differences = {
        name: compared.differences[group.name, name]._asdict()
        for name in compared.measures
        if (group.name, name) in compared.differences
    }
    seeds = {
        seed: {name: measure._asdict() for name, measure in run.measures.items()} for seed, run in group.runs.items()
    }
    sweeps = {seed: list(run.evaluation.sweep.items()) for seed, run in group.runs.items()}
    return {"seeds": seeds, "sweeps": sweeps, "differences": differences}


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
