"""When to log, evaluate, write samples, save and stop.

    while step < steps:
        train_step(batch_at(step))
        every log_every, and at the end:       the interval's means to all reports
        every evaluate_every, and at the end:  the validation text to all reports; save if it is the best; samples
        every save_every, and at the end:      save
        asked to stop?                         save, and leave
"""

import dataclasses
import math
import time
from collections.abc import Callable

from charrnn import metrics
from charrnn.errors import check
from trainers.checkpoints import Checkpoints
from trainers.reports import Reports
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
        check("loop.steps", self.steps, self.steps >= 1, "at least 1")
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


_SUMMED = ("nats", "chars", "chars_read")  # of a step's measurements; of the others the mean is reported


class Diverged(ArithmeticError):
    """The loss is not finite."""


class Loop:
    """Runs a trainer.

    Args:
        trainer: what a step is.
        config: when things happen.
        checkpoints: where to save; with the loop's own memory.
        reports: where measurements go, and where progress is shown.
        measure: step -> measurements of the validation text, "nats_per_char" among them, or None where there is no such
            text; and sample texts.
        stopping: -> whether the run was asked to stop.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: LoopConfig,
        checkpoints: Checkpoints,
        reports: Reports,
        measure: Callable[[int], tuple[dict[str, float] | None, list[Sample]]],
        stopping: Callable[[], bool] = lambda: False,
    ):
        self._trainer, self._config, self._checkpoints = trainer, config, checkpoints
        self._memory = checkpoints.memory
        self._reports, self._look, self._stopping = reports, measure, stopping
        self._step = 0

    def run(self) -> bool:
        """Trains to `config.steps`. Eager.

        Returns:
            Whether it got there; false where it was asked to stop. All is saved in either case.

        Raises:
            Diverged: the loss is not finite. Nothing is saved then.
        """
        self._step, steps = int(self._trainer.step.numpy()), self._config.steps
        while self._step < steps:
            self._train()
            if self._due(self._config.log_every):
                self._log()
            if self._due(self._config.evaluate_every):
                self._measure()
            if self._due(self._config.save_every):  # last, so that a kill in between cannot lose a line
                self._save()
            if self._stopping() and self._step < steps:
                self._save()
                return False
        return True

    def _due(self, interval: int) -> bool:
        """Whether what happens at each `interval` steps, and at the end, happens now."""
        return self._step % interval == 0 or self._step == self._config.steps

    def _train(self) -> None:
        """One step."""
        trainer, memory = self._trainer, self._memory
        start = time.perf_counter()
        batch, continues = trainer.batch_at(self._step), trainer.source.continues(self._step)
        memory.pending.append(trainer.train_step(batch, continues))
        memory.interval_seconds += time.perf_counter() - start
        self._step += 1
        self._reports.progress(self._step, self._config.steps)

    def _log(self) -> None:
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
        self._reports.scalars(self._step, "train", values)
        if not math.isfinite(nats):
            self._reports.flush()
            raise Diverged(f"the loss is {nats} at step {self._step}")

    def _measure(self) -> None:
        """The validation text and the samples, to all reports."""
        memory, step = self._memory, self._step
        values, samples = self._look(step)
        if values:
            self._reports.scalars(step, "validation", {**values, "seconds": memory.seconds})
            if step % self._config.evaluate_every == 0:  # not at an end which a longer run would not have
                self._trainer.on_evaluation(step, values)
            if memory.best is None or values["nats_per_char"] < memory.best:
                memory.best = values["nats_per_char"]
                self._checkpoints.save_best(step)
        self._reports.samples(step, samples)

    def _save(self) -> None:
        self._reports.flush()
        self._checkpoints.save(self._step)


def _mean(values: list[float]) -> float:
    """Of those that are finite: a skipped update has no gradient norm."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
