"""When to log, evaluate, write samples, save and stop.

    while step < steps:
        train_steps(batches)                   several in one call, up to where something is due
        every log_every, and at the end:       the interval's means to all reports
        every histograms_every, and at the end: weights, and the next step's gradients, to all reports
        every evaluate_every, and at the end:  the validation text to all reports; save if it is the best; samples
        every save_every, and at the end:      save
        no new best in `patience` evaluations? that was the end
        asked to stop?                         save, and leave; also in the midst of an evaluation or of sampling
    diverged?  back to the last checkpoint, past the data since then, on at half the learning rate
"""

import math
import time
from collections.abc import Callable

from charrnn import metrics
from charrnn.batches.sources import Batch
from trainers.configs import LoopConfig
from trainers.loop.checkpoints import Checkpoints
from trainers.loop.divergence import Diverged, check_loss, check_weights
from trainers.loop.profiling import Profiler
from trainers.loop.stopping import Stopped
from trainers.reports.reports import Reports
from trainers.reports.samples import Sample
from trainers.step.optimizer import slow_down
from trainers.trainer import Trainer

_CALL_SECONDS = 1.0  # of a call, unless loop.steps_per_loop says how many steps it takes
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
        self._affordable = 1  # steps in _CALL_SECONDS, as far as is known

    def run(self) -> bool:
        """Trains to `config.steps`, or until it is out of patience. Eager.

        Returns:
            Whether it came to its end; false where it was asked to stop. All is saved in either case.

        Raises:
            Diverged: once more than `config.retries` times. The last checkpoint is as it was.
            NotWritten: the disk is full, or gone. The last checkpoint is as it was.
        """
        self._start()
        if self._step == 0 and self._config.retries:
            self._checkpoints.keep_start()
        while True:
            try:
                return self._finished()
            except Diverged as error:
                self._roll_back(error)

    def _start(self) -> None:
        """Drops log entries later than the restored step; they will be written again."""
        self._step = int(self._trainer.step.numpy())
        self._trainer.source.leave_out(self._memory.roll_backs)
        self._reports.start(self._step, self._step - self._memory.unmeasured)

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
        self._look()  # from here on a signal waits until somebody looks, and all workers are here
        if self._memory.roll_backs and self._memory.roll_backs[-1]["to"] == self._step:
            self._checkpoints.save(self._step)  # now that no worker needs what is replaced by it
        if self._memory.unmeasured:  # it was stopped in the midst of that
            self._measure()
            self._save()
        while not self._over():
            self._train()
            if self._due(self._config.log_every):
                self._log()
            if self._config.histograms_every and self._due(self._config.histograms_every):
                self._show_weights()
            if self._due(self._config.evaluate_every):
                self._measure()
            if self._due(self._config.save_every):  # last, so that a kill in between cannot lose a line
                self._save()
            if not self._over():
                self._look()

    def _over(self) -> bool:
        """Whether this is the end."""
        return self._step >= self._config.steps or self._memory.out_of_patience(self._config.patience)

    def _due(self, interval: int) -> bool:
        """Whether what happens at each `interval` steps, and at the end, happens now."""
        return self._step % interval == 0 or self._over()

    def _train(self) -> None:
        """Some steps, in one call."""
        trainer, memory = self._trainer, self._memory
        start = time.perf_counter()
        batches = self._next_batches()
        with self._profiler.around(self._step + 1, self._step + len(batches)):
            memory.pending += trainer.train_steps(batches)
        seconds = time.perf_counter() - start
        memory.interval_seconds += seconds
        self._affordable = max(1, min(2 * len(batches), int(_CALL_SECONDS * len(batches) / seconds)))
        self._step += len(batches)
        self._reports.progress(self._step, self._config.steps)

    def _next_batches(self) -> list[Batch]:
        """As many as one call takes: up to the next step at which something is due, and of one shape."""
        first = self._step
        end = min(first + (self._config.steps_per_loop or self._affordable), self._next_due())
        batches = [self._trainer.batch_at(first)]
        for step in range(first + 1, end):
            batch = self._trainer.batch_at(step)
            if batch.inputs.shape != batches[0].inputs.shape:
                break
            batches.append(batch)
        return batches

    def _next_due(self) -> int:
        """The next step after which something happens."""
        config, step = self._config, self._step
        intervals = config.log_every, config.evaluate_every, config.save_every, config.histograms_every
        regular = [step + interval - step % interval for interval in intervals if interval]
        borders = (config.profile[0] - 1, config.profile[1]) if config.profile else ()
        return min(config.steps, *regular, *(border for border in borders if border > step))

    def _log(self) -> None:
        """The means since the last log, to all reports."""
        memory, trainer = self._memory, self._trainer
        rows = memory.pending
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
        gradients = trainer.gradients(trainer.batch_at(step))
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
                memory.count(values["nats_per_char"], self._config.min_delta)
            if values["nats_per_char"] < (math.inf if memory.best is None else memory.best):
                memory.best = values["nats_per_char"]
                self._checkpoints.save_best(step)
        self._reports.samples(step, samples)
        if memory.out_of_patience(self._config.patience) and step < self._config.steps:
            self._reports.warning(
                f"Stopped early at step {step:,}: no new best validation loss in {memory.stale} "
                f"evaluation{'s' * (memory.stale > 1)}, after {memory.lowest:.4f} nats per character"
            )

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
            nats, chars = (sum(row[name] for row in pending) for name in ("nats", "chars"))
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
        self._reports.warning(
            f"At step {at:,} {error}: back to step {to:,}, without the data in between, at half the learning rate, "
            f"{float(optimizer.learning_rate):g} (roll-back {len(memory.roll_backs)} of {self._config.retries})"
        )
        self._start()


def _mean(values: list[float]) -> float:
    """Of those that are finite: a skipped update has no gradient norm."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
