"""Measures whether a long run leaks memory: python -m benchmarks.memory [--steps=20000] [--rounds=100] [--page=PAGE].

Trains a small model with evaluations, samples, summaries and checkpoints; then repeats evaluations, samples and prompts
of different lengths. Prints the growth of resident memory after a warm-up of a tenth. Exit status: 1 if any of them
grew by 20 MB.
"""

import sys
import tempfile
from collections.abc import Callable

from absl import flags

from benchmarks import machine
from benchmarks.pages import Page, require_nothing
from charrnn import command

FLAGS = flags.FlagValues()
flags.DEFINE_integer("steps", 20_000, "Training steps.", lower_bound=100, flag_values=FLAGS)
flags.DEFINE_integer("rounds", 100, "Repetitions of each use.", lower_bound=10, flag_values=FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)

MAX_MB = 20  # largest growth


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    page = Page(FLAGS.page, "benchmarks.memory")
    command.start_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        grown = {f"{FLAGS.steps:,} steps": train(FLAGS.steps, folder)}
        grown.update(use(folder, FLAGS.rounds))
    rows = [f"| {what} | {megabytes:+.1f} |" for what, megabytes in grown.items()]
    text = "\n".join([f"{machine.describe()}.", "", "| what | resident memory, MB |", "|---|---|", *rows])
    print(text)
    page.put(text)
    return 1 if max(grown.values()) >= MAX_MB else command.DONE


def train(num_steps: int, run_dir: str) -> float:
    """Returns the growth of a run after a tenth of its steps, in MB."""
    from experiments.quickstart import EXPERIMENT
    from trainers.experiment import override
    from trainers.launch.build import run_experiment
    from trainers.reports.console import Console

    every = num_steps // 20
    settings = [
        *("model.units=16", "model.embedding_size=0", "data.batch_size=4", "data.seq_length=16"),
        *("data.validation_chars=2000", "samples.num_chars=50", f"loop.steps={num_steps}", "loop.epochs=0"),
        *(f"loop.{name}={every}" for name in ("log_every", "evaluate_every", "save_every")),
    ]
    watch = _Growth(num_steps)

    class Watching(Console):
        def line(self, text):
            pass

        def progress(self, step, steps):
            watch(step)

    run_experiment(override(EXPERIMENT, settings), "memory", run_dir, console=Watching())
    return watch.megabytes


def use(run_dir: str, rounds: int) -> dict[str, float]:
    """Returns the growth of each use of a trained model after a tenth of the rounds, in MB."""
    from charrnn.batches.carried_state import StatefulPass
    from charrnn.generation import loading
    from charrnn.text.plays import Plays
    from trainers.configs import SamplesConfig
    from trainers.evaluation.evaluation import closed_loop_loss
    from trainers.reports.samples import SampleWriter

    loaded = loading.load(run_dir)
    text = Plays().text(2000, seed=1)
    ids = loaded.vocabulary.encode(text)
    sampling = SampleWriter(SamplesConfig(num_chars=50, from_text=20), loaded.model, loaded.vocabulary, ids)
    generator = loaded.generator()
    return {
        f"{rounds} evaluations": _repeat(lambda i: closed_loop_loss(loaded.model, StatefulPass(ids)), rounds),
        f"{rounds} rounds of samples": _repeat(sampling.write, rounds),
        f"{rounds} prompts of {rounds} lengths": _repeat(lambda i: generator.generate([text[:i]], 20, [i]), rounds),
        f"{rounds} times loaded": _repeat(lambda i: loading.load(run_dir), rounds),
    }


class _Growth:
    """The growth of resident memory since a tenth of the rounds."""

    def __init__(self, rounds: int):
        self._warm, self._before = max(1, rounds // 10), 0.0

    def __call__(self, number: int) -> None:
        if number >= self._warm and not self._before:
            self._before = _resident()

    @property
    def megabytes(self) -> float:
        return _resident() - self._before


def _repeat(function: Callable[[int], object], rounds: int) -> float:
    growth = _Growth(rounds)
    for i in range(1, rounds + 1):
        function(i)
        growth(i)
    return growth.megabytes


def _resident() -> float:
    """Returns the resident memory of this process in MB, after returning unused memory to Linux."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
