"""Decides when to log, evaluate, write samples, save and stop.

    while step < steps:
        train_steps(batches)                   several in one call, up to the next event
        every log_every, and at the end:       the interval's means to all reports
        every histograms_every, and at the end: weights, and the next step's gradients, to all reports
        every evaluate_every, and at the end:  validation losses to all reports; save if best; samples
        every save_every, and at the end:      save
        no new best in `patience` evaluations? end
        asked to stop?                         save and return, also during an evaluation or sampling
    diverged?  back to the last checkpoint; skip the data since then; half the learning rate
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

_CALL_SECONDS = 1.0  # aim for one call, unless loop.steps_per_loop sets the number of steps
_SUMMED = ("nats", "chars", "chars_read")  # measurements that are summed over steps; the others are averaged


class Loop:
    """Runs a trainer.

    Args:
        trainer: makes the steps.
        config: the intervals.
        checkpoints: saves and restores; holds the state of the loop.
        reports: receive the measurements and the progress.
        measure: step -> (measurements of the validation text, "nats_per_char" among them, or None without such a text;
            sample texts).
        look: raises Stopped if the run was asked to stop; `measure` may raise it too.
        profiler: profiles some steps.
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
        self._state = checkpoints.loop_state
        self._reports, self._measurement, self._look = reports, measure, look
        self._profiler = profiler or Profiler("")
        self._step = 0
        self._affordable = 1  # estimate of the steps in _CALL_SECONDS

    def run(self) -> bool:
        """Trains to `config.steps`, or until it is out of patience. Eager.

        Returns:
            True if the run is complete; False if it was asked to stop. It is saved in either case.

        Raises:
            Diverged: training diverged more than `config.retries` times. The last checkpoint is unchanged.
            NotWritten: the disk is full or unavailable. The last checkpoint is unchanged.
        """
        try:
            complete = self._run()
        except Exception:
            self._reports.end(False)
            raise
        self._reports.end(complete)
        return complete

    def _run(self) -> bool:
        """Trains, and rolls back if it diverges; see `run`."""
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
        self._trainer.source.leave_out(self._state.roll_backs)
        self._reports.start(self._step, self._step - self._state.unmeasured)

    def _finished(self) -> bool:
        """Trains; returns whether the run is complete, rather than asked to stop."""
        try:
            self._advance()
        except Stopped:
            self._save()
            return False
        finally:
            self._profiler.stop()
        return True

    def _advance(self) -> None:
        """Trains to the end, with all events."""
        self._look()  # from here on a signal waits for the next look, and all workers are here
        if self._state.roll_backs and self._state.roll_backs[-1]["to"] == self._step:
            self._write_checkpoint()  # only now, because workers may have restored the one that it replaces
        if self._state.unmeasured:  # the run stopped during an evaluation
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
            if self._due(self._config.save_every):  # last, so that a kill before it loses no line
                self._save()
            if not self._over():
                self._look()

    def _over(self) -> bool:
        """Returns whether the run is complete."""
        return self._step >= self._config.steps or self._state.out_of_patience(self._config.patience)

    def _due(self, interval: int) -> bool:
        """Returns whether an event of every `interval` steps, and of the end, is due."""
        return self._step % interval == 0 or self._over()

    def _train(self) -> None:
        """Makes some steps in one call."""
        trainer, state = self._trainer, self._state
        start = time.perf_counter()
        batches = self._next_batches()
        with self._profiler.around(self._step + 1, self._step + len(batches)):
            state.pending += trainer.train_steps(batches)
        seconds = time.perf_counter() - start
        state.interval_seconds += seconds
        self._affordable = max(1, min(2 * len(batches), int(_CALL_SECONDS * len(batches) / seconds)))
        self._step += len(batches)
        self._reports.progress(self._step, self._config.steps)

    def _next_batches(self) -> list[Batch]:
        """Returns the batches of one call: up to the next event, and of one shape."""
        first = self._step
        end = min(first + (self._config.steps_per_loop or self._affordable), self._next_due())
        batches = [self._trainer.local_batch(first)]
        for step in range(first + 1, end):
            batch = self._trainer.local_batch(step)
            if batch.inputs.shape != batches[0].inputs.shape:
                break
            batches.append(batch)
        return batches

    def _next_due(self) -> int:
        """Returns the next step with an event after it."""
        config, step = self._config, self._step
        intervals = config.log_every, config.evaluate_every, config.save_every, config.histograms_every
        regular = [step + interval - step % interval for interval in intervals if interval]
        borders = (config.profile[0] - 1, config.profile[1]) if config.profile else ()
        return min(config.steps, *regular, *(border for border in borders if border > step))

    def _log(self) -> None:
        """Reports the means since the last log."""
        state, trainer = self._state, self._trainer
        rows = state.pending
        names = dict.fromkeys(name for row in rows for name in row if name not in _SUMMED)
        state.seconds += state.interval_seconds
        nats_per_char = _nats_per_char(rows)
        values = {
            "nats_per_char": nats_per_char,
            "bits_per_char": metrics.bits_per_char(nats_per_char),
            "chars_per_sec": sum(row["chars_read"] for row in rows) / state.interval_seconds,
            # A curriculum that was edited before a resume has rows of other names.
            **{name: _mean([row[name] for row in rows if name in row]) for name in names},
            "own_input_prob": rows[-1]["own_input_prob"],
            "learning_rate": rows[-1]["learning_rate"],
            "skipped_updates": float(trainer.skipped_updates.numpy()),
            "seconds": state.seconds,
            **({"roll_backs": float(len(state.roll_backs))} if state.roll_backs else {}),
        }
        self._reports.scalars(self._step, "train", values)
        self._check_loss()
        state.pending, state.interval_seconds = [], 0.0

    def _show_weights(self) -> None:
        """Reports the weights, and the gradients of the next step."""
        trainer, step = self._trainer, self._step
        gradients = trainer.gradients(trainer.local_batch(step))
        weights = {f"weights/{variable.path}": variable for variable in trainer.model.trainable_variables}
        self._reports.histograms(step, {**weights, **{f"gradients/{path}": g for path, g in gradients.items()}})

    def _measure(self) -> None:
        """Evaluates, and reports losses and samples."""
        state, step = self._state, self._step
        state.unmeasured = True
        values, samples = self._measurement(step)  # may be stopped; nothing is reported before it returns
        state.unmeasured = False
        if values:
            self._reports.scalars(step, "validation", {**values, "seconds": state.seconds})
            if step % self._config.evaluate_every == 0:  # not at an end that a longer run would not have
                self._trainer.on_evaluation(step, values)
                state.count(values["nats_per_char"], self._config.min_delta)
            if values["nats_per_char"] < (math.inf if state.best is None else state.best):
                state.best = values["nats_per_char"]
                self._tell_saved(self._checkpoints.save_best(step))
        self._reports.samples(step, samples)
        if state.out_of_patience(self._config.patience) and step < self._config.steps:
            self._reports.warning(
                f"Stopped early at step {step:,}: no new best validation loss in {state.stale} "
                f"evaluation{'s' * (state.stale > 1)}, after {state.lowest:.4f} nats per character"
            )

    def _save(self) -> None:
        """Saves a state, after checks that it is worth resuming from."""
        self._check_loss()
        check_weights(self._trainer)
        self._reports.flush()
        self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        self._tell_saved(self._checkpoints.save(self._step))

    def _tell_saved(self, path: str | None) -> None:
        if path is not None:
            self._reports.saved(self._step, path)

    def _check_loss(self) -> None:
        """Raises Diverged if the mean loss since the last log shows it."""
        pending = self._state.pending
        if any(row["chars"] for row in pending):
            check_loss(_nats_per_char(pending), self._config.explosion, self._trainer.model.vocabulary_size)

    def _roll_back(self, error: Diverged) -> None:
        """Restores the last checkpoint, skips the data since then, and halves the learning rate."""
        state, at = self._state, self._step
        if len(state.roll_backs) >= self._config.retries:
            self._reports.flush()
            raise Diverged(f"{error} at step {at}") from error
        best = state.best
        self._checkpoints.go_back()
        state.best = best  # its checkpoint still exists
        optimizer, to = self._trainer.optimizer, int(self._trainer.step.numpy())
        slow_down(optimizer)
        state.roll_backs.append({"at": at, "to": to, "why": str(error)})
        self._reports.warning(
            f"Rolled back from step {at:,} to step {to:,} because {error}. Skips the data in between and halves the "
            f"learning rate to {float(optimizer.learning_rate):g} (roll-back {len(state.roll_backs)} of "
            f"{self._config.retries})."
        )
        self._start()


def _nats_per_char(rows: list[dict[str, float]]) -> float:
    """Returns the mean over the targets of all rows; nan if none has a weight."""
    nats, chars = (sum(row[name] for row in rows) for name in ("nats", "chars"))
    return nats / chars if chars else math.nan


def _mean(values: list[float]) -> float:
    """Returns the mean of the finite values: a skipped update has no gradient norm."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
