"""Does a curriculum help open-loop output? python -m benchmarks.curricula [--json=FILE] [--page=docs/curricula.md].

    python -m benchmarks.curricula --corpora=plays --curricula=spans,my_module:MyTrainer --seeds=1 --steps=200

Trains a GRU of 256 units under teacher forcing and under each curriculum, on each corpus and with each training seed,
for as many steps on the same batches; and measures each run as `trainers.evaluate` does. Runs are kept in --runs, and
so is what was measured of them: stopped by Ctrl-C, the same command goes on, and a finished study is only shown. All
of it takes an hour on two cores. What the columns are: docs/measures.md.
"""

import dataclasses
import functools
import io
import json
import os
import sys
import time
from typing import NamedTuple

from absl import flags

from benchmarks import machine
from benchmarks.pages import Page
from charrnn import command
from charrnn.errors import UserError, check

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_list = functools.partial(flags.DEFINE_list, flag_values=FLAGS)

BASELINE = "teacher_forcing"
_RISING = "trainer.schedule=linear trainer.max_prob=0.25 trainer.half_step={steps}"
STUDIED = {
    "scheduled_sampling": _RISING,
    "open_loop_horizon": "trainer.gold=16 trainer.max_horizon=8 trainer.grow_every={fifth}",
    "spans": f"{_RISING} trainer.length=8",
    "two_pass": _RISING,
    "soft_inputs": f"{_RISING} trainer.alpha=5",
    "replayed_rollouts": "trainer.prob=0.25 trainer.batches=25 trainer.visits=4",
    "unlikelihood": "trainer.alpha=1 trainer.n=8 trainer.rollout_share=0.25",
}
"""By curriculum, its settings in a run of so many steps; others have their own defaults.

The rising probability reaches a quarter in the middle of the run and stays there.
"""
_SETTINGS = """
    model.units=256 model.embedding_size=0 data.seq_length=64 data.batch_size=32 optimizer.learning_rate=4e-3
    optimizer.clip_norm=1 samples.num_chars=0 loop.steps={steps} loop.evaluate_every={quarter} loop.save_every={quarter}
"""

_list("corpora", ["plays", "shakespeare"], "What to train on.")
_list("curricula", list(STUDIED), "What to compare with teacher forcing: names, or module:Class.")
_integer("seeds", 3, "Training seeds, from 0 on; below 3 nothing is tested.", lower_bound=1)
_integer("steps", 1200, "Of each run.", lower_bound=20)
_integer("num_rollouts", 100, "How many texts each model writes.")
_integer("num_chars", 1000, "How many characters each.")
_list("temperatures", ["0.7", "0.8", "0.9", "1", "1.1"], "Where to measure quality and variety.")
_string("runs", "runs/curricula", "The folder of the run directories.")
_string("json", None, "Where to write the figures.")
_string("page", None, "A Markdown page that takes the tables between its marks.")


class Planned(NamedTuple):
    """A run of the study."""

    corpus: str
    curriculum: str
    experiment: object  # trainers.experiment.Experiment
    run_dir: str


def main(beside: list[str]) -> int:
    """Trains, measures, and prints the tables. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag: give --curricula={beside[0]} to study it.")
    page = Page(FLAGS.page, "benchmarks.curricula")
    command.start_tensorflow()
    from charrnn.open_loop import Protocol
    from trainers.comparison import Run

    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars)
    plan = _plan(protocol)
    stop, runs = command.Stop(), {}
    for number, planned in enumerate(plan):
        start = time.perf_counter()
        finished, evaluation = _run(planned, protocol, stop)
        if not finished:
            print(f"Stopped and saved in {FLAGS.runs}; run the same command to go on.", file=sys.stderr)
            return command.STOPPED
        loss, took = evaluation.report.measures["nats_per_char"].value, time.perf_counter() - start
        print(f"{number + 1}/{len(plan)} {planned.run_dir}: {loss:.4f} nats per character, {took:.0f} s", flush=True)
    return command.DONE


def _plan(protocol) -> list[Planned]:
    """All runs, seed by seed. What cannot be is refused before the first one starts."""
    from charrnn.texts import load_texts
    from trainers.experiment import Experiment, override, with_trainer

    parts = {"steps": FLAGS.steps, "quarter": FLAGS.steps // 4, "fifth": FLAGS.steps // 5}
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
    place = f"{os.path.basename(corpus)}-{name}-{FLAGS.steps}-{seed}"
    return os.path.join(FLAGS.runs, place.replace(":", "-"))


def _run(planned: Planned, protocol, stop) -> tuple[bool, object]:
    """Trains and measures a run, or only what is left of that: whether it is finished, and the Evaluation."""
    from trainers.evaluation import kept_or_evaluated
    from trainers.progress import Console
    from trainers.training import train

    silent = Console(io.StringIO())
    finished = train(planned.experiment, "curricula", planned.run_dir, "auto", silent, stop.asked)
    if not finished or stop.asked():
        return False, None
    temperatures = [float(text) for text in FLAGS.temperatures]
    return True, kept_or_evaluated(planned.run_dir, protocol, None, "newest", temperatures)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
