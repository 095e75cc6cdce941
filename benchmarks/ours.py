"""charrnn as a contestant."""

import dataclasses
import importlib
import os
import pkgutil
import tempfile
import time
from typing import TYPE_CHECKING

import experiments
from benchmarks.contest import Turn
from charrnn.errors import UserError, nearest

if TYPE_CHECKING:
    from charrnn.batches.texts import Texts
    from trainers.experiment import Experiment


def resolve(experiment: str, settings: list[str], trainer: str = "", corpus: str = "") -> "tuple[Experiment, Texts]":
    """Returns an experiment with the given changes, and its texts."""
    from charrnn.batches.texts import load_texts
    from trainers.experiment import override, with_trainer
    from trainers.launch import precision

    names = [module.name for module in pkgutil.iter_modules(experiments.__path__)]
    if experiment not in names:
        raise UserError(f"There is no experiment {experiment!r}{nearest(experiment, names)}.")
    found = importlib.import_module(f"experiments.{experiment}").EXPERIMENT
    found = with_trainer(found, trainer) if trainer else found
    found = dataclasses.replace(override(found, settings), corpus=corpus or found.corpus)
    found, _ = precision.resolved(found)
    return found, load_texts(found.corpus, found.data, lambda line: None)


def train(experiment: str, settings: list[str], trainer: str = "teacher_forcing", corpus: str = "") -> Turn:
    """Runs the loop of trainers.run with metrics, log lines, summaries and checkpoints.

    Measures "seconds" per step, and "step_seconds", the part within `train_steps`. The first call of a turn and the
    checkpoint at its end are not measured.
    """
    from trainers.launch.build import make_trainer
    from trainers.loop.checkpoints import Checkpoints
    from trainers.loop.loop import Loop
    from trainers.reports.console import Console
    from trainers.reports.records import Records
    from trainers.reports.reports import Reports
    from trainers.reports.summaries import Summaries

    found, texts = resolve(experiment, settings, trainer, corpus)
    built = make_trainer(found, texts)
    run_dir = tempfile.TemporaryDirectory()
    checkpoints = Checkpoints(run_dir.name, built, keep=1)
    written = [Records(run_dir.name), Summaries(run_dir.name)]
    inside, train_steps = [], built.train_steps

    def timed(*args):
        start = time.perf_counter()
        measured = train_steps(*args)
        inside.append(time.perf_counter() - start)
        return measured

    built.train_steps = timed

    class Clock(Console):
        def progress(self, step, steps):
            super().progress(step, steps)
            stamps.append((step, time.perf_counter()))

    stamps = []

    def turn(num_steps: int) -> dict[str, float]:
        stamps.clear()
        inside.clear()
        steps = int(built.step) + max(1, found.loop.steps_per_loop) + num_steps
        config = dataclasses.replace(found.loop, steps=steps, epochs=0.0, evaluate_every=2**31, save_every=2**31)
        with open(os.path.join(run_dir.name, "console"), "a") as stream:
            Loop(built, config, checkpoints, Reports(Clock(stream), written), lambda step: (None, [])).run()
        (first, start), *_, (last, end) = stamps
        return {"seconds": (end - start) / (last - first), "step_seconds": sum(inside[1:]) / (last - first)}

    return turn


def generate(
    batch_size: int, num_chars: int, xla: bool | None = None, units: int = 1024, compile_each: bool = False
) -> Turn:
    """Generates `num_chars` characters after one character, with the tutorial's model, untrained.

    Measures "seconds" per text, with tracing and compiling for each if `compile_each`; and "first_seconds", the time to
    the first character of the process.
    """
    from charrnn.generation.generator import Generator
    from charrnn.model.char_model import CharModel
    from charrnn.model.config import ModelConfig
    from charrnn.text.vocabulary import Vocabulary

    vocabulary = Vocabulary([chr(33 + i) for i in range(65)])
    model = CharModel(ModelConfig(units=units), vocabulary.size)
    kept = Generator(model, vocabulary, xla=xla)
    start = time.perf_counter()
    kept.generate(["A"] * batch_size, 1, range(batch_size))
    first_seconds = time.perf_counter() - start

    def turn(num_texts: int) -> dict[str, float]:
        start = time.perf_counter()
        for seed in range(num_texts):
            generator = Generator(model, vocabulary, xla=xla) if compile_each else kept
            generator.generate(["A"] * batch_size, num_chars, range(seed, seed + batch_size))
        return {"seconds": (time.perf_counter() - start) / num_texts, "first_seconds": first_seconds}

    return turn
