"""When to log, evaluate, write samples, save and stop.

    while step < steps:
        train_step(batch_at(step))
        every log_every:       the interval's means to all reports
        every evaluate_every:  the validation text to all reports; save if it is the best; samples
        every save_every:      save
        asked to stop?         save, and leave
    log, evaluate, save
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from charrnn import metrics
from charrnn.errors import check
from trainers.checkpoints import Checkpoints
from trainers.progress import Console
from trainers.samples import Sample
from trainers.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """All in steps, but for `epochs`."""

    steps: int = 1000  # in total; raising it goes on with a finished run
    epochs: float = 0.0  # in total, in place of `steps`; 0: `steps` says
    log_every: int = 50
    evaluate_every: int = 0  # 0: each epoch
    save_every: int = 0  # 0: each epoch
    keep: int = 3  # checkpoints

    def __post_init__(self):
        check("loop.steps", self.steps, 1 <= self.steps < 2**31, "at least 1 and below 2^31")
        check("loop.epochs", self.epochs, 0 <= self.epochs < float("inf"), "at least 0 (0: loop.steps says)")
        check("loop.log_every", self.log_every, self.log_every >= 1, "at least 1")
        check("loop.evaluate_every", self.evaluate_every, self.evaluate_every >= 0, "at least 0 (0: each epoch)")
        check("loop.save_every", self.save_every, self.save_every >= 0, "at least 0 (0: each epoch)")
        check("loop.keep", self.keep, self.keep >= 1, "at least 1")

    def in_steps(self, steps_per_epoch: int) -> "LoopConfig":
        """The same with all in steps."""
        return dataclasses.replace(
            self,
            steps=max(1, round(self.epochs * steps_per_epoch)) if self.epochs else self.steps,
            epochs=0.0,
            evaluate_every=self.evaluate_every or steps_per_epoch,
            save_every=self.save_every or steps_per_epoch,
        )


class Report(Protocol):
    """Where measurements and samples go."""

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """The values of a split, "train" or "validation"."""

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Sample texts."""

    def flush(self) -> None:
        """Writes what is buffered."""


_SUMMED = ("nats", "chars", "chars_read")  # of a step's measurements; of the others the mean is reported


class Diverged(ArithmeticError):
    """The loss is not finite."""


class Loop:
    """Runs a trainer.

    Args:
        trainer: what a step is.
        config: when things happen.
        checkpoints: where to save; with the loop's own memory.
        reports: where measurements go.
        console: where progress is shown.
        evaluate: -> measurements of the validation text, "nats_per_char" among them; None where there is no such text.
        write_samples: step -> sample texts.
        stopping: -> whether the run was asked to stop.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: LoopConfig,
        checkpoints: Checkpoints,
        reports: Sequence[Report],
        console: Console,
        evaluate: Callable[[], dict[str, float]] | None,
        write_samples: Callable[[int], list[Sample]],
        stopping: Callable[[], bool] = lambda: False,
    ):
        self._trainer, self._config, self._checkpoints = trainer, config, checkpoints
        self._memory = checkpoints.memory
        self._reports, self._console = reports, console
        self._evaluate, self._write_samples, self._stopping = evaluate, write_samples, stopping
        self._evaluated_at = -1

    def run(self) -> bool:
        """Trains to `config.steps`. Eager.

        Returns:
            Whether it got there; false where it was asked to stop. All is saved in either case.

        Raises:
            Diverged: the loss is not finite. Nothing is saved then.
        """
        trainer, config = self._trainer, self._config
        step = int(trainer.step.numpy())
        if step >= config.steps:
            return True
        while step < config.steps:
            start = time.perf_counter()
            self._memory.pending.append(trainer.train_step(trainer.batch_at(step), trainer.source.continues(step)))
            self._memory.interval_seconds += time.perf_counter() - start
            step += 1
            self._console.progress(step, config.steps)
            if step % config.log_every == 0:
                self._log(step)
            if step % config.evaluate_every == 0:
                self._measure(step)
            if step == config.steps:
                break  # saved only after the last evaluation, so that a kill in between cannot lose it
            if self._stopping():
                self._save(step)
                return False
            if step % config.save_every == 0:
                self._save(step)
        if self._memory.pending:
            self._log(step)
        if self._evaluated_at != step:
            self._measure(step)
        self._save(step)
        return True

    def _log(self, step: int) -> None:
        """The means since the last log, to all reports."""
        memory, trainer = self._memory, self._trainer
        rows = [{name: float(value) for name, value in row.items()} for row in memory.pending]
        memory.seconds += memory.interval_seconds
        nats, chars, chars_read = (sum(row[name] for row in rows) for name in _SUMMED)
        values = {
            "nats_per_char": nats / chars,
            "bits_per_char": metrics.bits_per_char(nats / chars),
            "chars_per_sec": chars_read / memory.interval_seconds,
            **{name: _mean([row[name] for row in rows]) for name in rows[0] if name not in _SUMMED},
            "own_input_prob": rows[-1]["own_input_prob"],
            "learning_rate": rows[-1]["learning_rate"],
            "skipped_updates": float(trainer.skipped_updates.numpy()),
            "seconds": memory.seconds,
        }
        memory.pending, memory.interval_seconds = [], 0.0
        self._report(step, "train", values)
        if not math.isfinite(nats):
            for report in self._reports:
                report.flush()
            raise Diverged(f"the loss is {nats} at step {step}")

    def _measure(self, step: int) -> None:
        """The validation text and the samples, to all reports."""
        self._evaluated_at = step
        if self._evaluate:
            values = self._evaluate()
            self._report(step, "validation", {**values, "seconds": self._memory.seconds})
            if step % self._config.evaluate_every == 0:  # not at an end which a longer run would not have
                self._trainer.on_evaluation(step, values)
            if self._memory.best is None or values["nats_per_char"] < self._memory.best:
                self._memory.best = values["nats_per_char"]
                self._checkpoints.save_best(step)
        samples = self._write_samples(step)
        for report in self._reports:
            report.samples(step, samples)

    def _report(self, step: int, split: str, values: dict[str, float]) -> None:
        for report in self._reports:
            report.scalars(step, split, values)

    def _save(self, step: int) -> None:
        for report in self._reports:
            report.flush()
        self._checkpoints.save(step)


def _mean(values: list[float]) -> float:
    """Of those that are finite: a skipped update has no gradient norm."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
