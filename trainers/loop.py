"""When to log, evaluate, write samples, save and stop.

    while step < steps:
        train_step(batch_at(step))
        every log_every, and at the end:       the interval's means to all reports
        every histograms_every, and at the end: weights, and the next step's gradients, to all reports
        every evaluate_every, and at the end:  the validation text to all reports; save if it is the best; samples
        every save_every, and at the end:      save
        asked to stop?                         save, and leave; also in the midst of an evaluation or of sampling
    diverged?  back to the last checkpoint, past the data since then, on at half the learning rate
"""

import dataclasses
import math
import time
from collections.abc import Callable

from charrnn import metrics
from charrnn.errors import check
from trainers.checkpoints import Checkpoints
from trainers.divergence import Diverged, check_loss, check_weights
from trainers.optimizer import slow_down
from trainers.profiling import Profiler
from trainers.reports import Reports
from trainers.samples import Sample
from trainers.stopping import Stopped
from trainers.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When things happen, in steps but for `epochs`; and what to do when training goes wrong."""

    steps: int = 1000  # in total; raising it goes on with a finished run
    epochs: float = 0.0  # in total, in place of `steps`; 0: `steps` says
    log_every: int = 50
    evaluate_every: int = 0  # 0: each epoch
    save_every: int = 0  # 0: each epoch
    histograms_every: int = 0  # of weights and gradients, for TensorBoard; 0: none
    profile: tuple[int, ...] = ()  # the first and the last step that TensorFlow's profiler records; empty: none
    keep: int = 3  # checkpoints
    explosion: float = 10.0  # a mean loss above so many times log V, that of guessing, has diverged
    retries: int = 3  # times that a run which has diverged goes back to its last checkpoint, at half the learning rate

    def __post_init__(self):
        check("loop.steps", self.steps, 1 <= self.steps < 2**31, "at least 1 and below 2^31")
        check("loop.epochs", self.epochs, 0 <= self.epochs < float("inf"), "at least 0 (0: loop.steps says)")
        check("loop.log_every", self.log_every, self.log_every >= 1, "at least 1")
        check("loop.evaluate_every", self.evaluate_every, self.evaluate_every >= 0, "at least 0 (0: each epoch)")
        check("loop.save_every", self.save_every, self.save_every >= 0, "at least 0 (0: each epoch)")
        check("loop.histograms_every", self.histograms_every, self.histograms_every >= 0, "at least 0 (0: none)")
        right = not self.profile or (len(self.profile) == 2 and 1 <= self.profile[0] <= self.profile[1])
        check("loop.profile", ",".join(map(str, self.profile)), right, "FIRST,LAST, two steps from 1 on")
        check("loop.keep", self.keep, self.keep >= 1, "at least 1")
        check("loop.explosion", self.explosion, self.explosion > 1, "above 1")
        check("loop.retries", self.retries, self.retries >= 0, "at least 0 (0: a run that diverges ends)")

    def in_steps(self, steps_per_epoch: int) -> "LoopConfig":
        """The same with all in steps. UserError where the steps to profile are not among them."""
        steps = max(1, round(self.epochs * steps_per_epoch)) if self.epochs else self.steps
        within = not self.profile or self.profile[1] <= steps
        check("loop.profile", ",".join(map(str, self.profile)), within, f"within the run's {steps:,} steps")
        return dataclasses.replace(
            self,
            steps=steps,
            epochs=0.0,
            evaluate_every=self.evaluate_every or steps_per_epoch,
            save_every=self.save_every or steps_per_epoch,
        )


_SUMMED = ("nats", "chars", "chars_read")  # of a step's measurements; of the others the mean is reported


class Loop:
    """Runs a trainer.

    Args:
        trainer: what a step is.
        config: when things happen.
        checkpoints: where to save; with the loop's own memory.
        reports: where measurements go, and where progress is shown.
        measure: step -> measurements of the validation text, "nats_per_char" among them, or None where there is no such
            text; and sample texts.
        look: raises Stopped if the run was asked to stop; `measure` may raise it too.
        profiler: records some steps.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: LoopConfig,
        checkpoints: Checkpoints,
        reports: Reports,
        measure: Callable[[int], tuple[dict[str, float] | None, list[Sample]]],
        look: Callable[[], None] = lambda: None,
        profiler: Profiler | None = None,
    ):
        self._trainer, self._config, self._checkpoints = trainer, config, checkpoints
        self._memory = checkpoints.memory
        self._reports, self._measurement, self._look = reports, measure, look
        self._profiler = profiler or Profiler("")
        self._step = 0

    def run(self) -> bool:
        """Trains to `config.steps`. Eager.

        Returns:
            Whether it got there; false where it was asked to stop. All is saved in either case.

        Raises:
            Diverged: once more than `config.retries` times. The last checkpoint is as it was.
            NotWritten: the disk is full, or gone. The last checkpoint is as it was.
        """
        self._start()
        while True:
            try:
                return self._finished()
            except Diverged as error:
                self._roll_back(error)

    def _start(self) -> None:
        """From what was restored: what is beyond it is taken out of the reports, and will be written anew."""
        self._step = int(self._trainer.step.numpy())
        self._reports.start(self._step, self._step - self._memory.unmeasured)
        if self._step == 0 and self._config.retries:
            self._checkpoints.keep_start()

    def _finished(self) -> bool:
        """Whether the run came to its end, rather than being asked to stop."""
        try:
            self._advance()
        except Stopped:
            self._save()
            return False
        finally:
            self._profiler.stop()
        return True

    def _advance(self) -> None:
        """Step after step to the end, with all that is due."""
        self._look()  # from here on a signal waits until somebody looks
        if self._memory.unmeasured:  # it was stopped in the midst of that
            self._measure()
            self._save()
        while self._step < self._config.steps:
            self._train()
            if self._due(self._config.log_every):
                self._log()
            if self._config.histograms_every and self._due(self._config.histograms_every):
                self._show_weights()
            if self._due(self._config.evaluate_every):
                self._measure()
            if self._due(self._config.save_every):  # last, so that a kill in between cannot lose a line
                self._save()
            if self._step < self._config.steps:
                self._look()

    def _due(self, interval: int) -> bool:
        """Whether what happens at each `interval` steps, and at the end, happens now."""
        return self._step % interval == 0 or self._step == self._config.steps

    def _train(self) -> None:
        """One step."""
        trainer, memory = self._trainer, self._memory
        start = time.perf_counter()
        batch, continues = trainer.batch_at(self._step), trainer.source.continues(self._step)
        with self._profiler.around(self._step + 1, self._step + 1) as wait_for:
            memory.pending.append(trainer.train_step(batch, continues))
            wait_for(memory.pending[-1])
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
            **({"roll_backs": float(len(memory.roll_backs))} if memory.roll_backs else {}),
        }
        self._reports.scalars(self._step, "train", values)
        self._check_loss()
        memory.pending, memory.interval_seconds = [], 0.0

    def _show_weights(self) -> None:
        """The weights, and the gradients that the next step begins with, to all reports."""
        trainer, step = self._trainer, self._step
        gradients = trainer.gradients(trainer.batch_at(step), trainer.source.continues(step))
        weights = {f"weights/{variable.path}": variable for variable in trainer.model.trainable_variables}
        self._reports.histograms(step, {**weights, **{f"gradients/{path}": g for path, g in gradients.items()}})

    def _measure(self) -> None:
        """The validation text and the samples, to all reports."""
        memory, step = self._memory, self._step
        memory.unmeasured = True
        values, samples = self._measurement(step)  # where this is stopped, nothing of it was written
        memory.unmeasured = False
        if values:
            self._reports.scalars(step, "validation", {**values, "seconds": memory.seconds})
            if step % self._config.evaluate_every == 0:  # not at an end which a longer run would not have
                self._trainer.on_evaluation(step, values)
            if values["nats_per_char"] < (math.inf if memory.best is None else memory.best):
                memory.best = values["nats_per_char"]
                self._checkpoints.save_best(step)
        self._reports.samples(step, samples)

    def _save(self) -> None:
        """All of a state that is good: to go on from, or back to."""
        self._check_loss()
        check_weights(self._trainer)
        self._reports.flush()
        self._checkpoints.save(self._step)

    def _check_loss(self) -> None:
        """Raises Diverged where the mean since the last log is not what a loss can be."""
        pending = self._memory.pending
        if pending:
            nats, chars = (sum(float(row[name]) for row in pending) for name in ("nats", "chars"))
            check_loss(nats / chars, self._config.explosion, self._trainer.model.vocabulary_size)

    def _roll_back(self, error: Diverged) -> None:
        """Back to the last checkpoint, past the data since then, and on more slowly."""
        memory, at = self._memory, self._step
        if len(memory.roll_backs) >= self._config.retries:
            self._reports.flush()
            raise Diverged(f"{error} at step {at}") from error
        best = memory.best
        self._checkpoints.go_back()
        memory.best = best  # its checkpoint is still there
        optimizer, to = self._trainer.optimizer, int(self._trainer.step.numpy())
        slow_down(optimizer)
        memory.roll_backs.append({"at": at, "to": to, "why": str(error)})
        self._checkpoints.save(to)
        self._reports.warning(
            f"At step {at:,} {error}: back to step {to:,}, without the data in between, at half the learning rate, "
            f"{float(optimizer.learning_rate):g} (roll-back {len(memory.roll_backs)} of {self._config.retries})"
        )
        self._start()


def _mean(values: list[float]) -> float:
    """Of those that are finite: a skipped update has no gradient norm."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
