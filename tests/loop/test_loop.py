"""Tests the training loop: the schedule of its events, interrupts, roll-backs and early stopping."""

import functools
import itertools
import re
import types

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import UserError
from trainers.configs import LoopConfig
from trainers.loop.checkpoints import Checkpoints, LoopState
from trainers.loop.divergence import Diverged
from trainers.loop.loop import _SUMMED, Loop
from trainers.loop.stopping import Stopped
from trainers.reports.samples import Sample
from trainers.step.hook_checks import RESERVED
from trainers.trainer import Trainer


class Notes:
    """Reports that record their calls."""

    def __init__(self):
        self.lines = []

    def scalars(self, step, split, values):
        self.lines.append((split, step, values))

    def samples(self, step, samples):
        self.lines.append(("samples", step, samples))

    def flush(self):
        self.lines.append(("flush",))

    def start(self, step, measured):
        self.started = (step, measured)

    def progress(self, step, steps):
        self.lines.append(("progress", step, steps))

    def warning(self, text):
        self.lines.append(("line", text))

    def histograms(self, step, values):
        self.lines.append(("histograms", step, values))

    def saved(self, step, path):
        self.lines.append(("saved", step, path))

    def end(self, complete):
        self.lines.append(("end", complete))

    def of(self, kind):
        return [line[1:] for line in self.lines if line[0] == kind]


@pytest.fixture
def make_loop(make_trainer, tmp_path):
    """Builds a loop; returns it, its notes, its trainer and its checkpoints. `losses` are its validation losses."""

    def make(losses=(3.0, 1.0, 2.0), look=lambda: None, trainer=None, **config):
        trainer, notes = trainer or make_trainer(), Notes()
        defaults = {"steps": 6, "log_every": 3, "evaluate_every": 2, "save_every": 4, "steps_per_loop": 1}
        config = LoopConfig(**{**defaults, **config})
        checkpoints = Checkpoints(str(tmp_path), trainer, config.keep)
        losses = itertools.cycle(losses)

        def measure(step):
            return {"nats_per_char": next(losses)}, [Sample("a", 1.0, 0, "b")]

        loop = Loop(trainer, config, checkpoints, notes, measure, look)
        return loop, notes, trainer, checkpoints

    return make


def stop_at(count):
    """Returns a function that raises Stopped at its `count`-th call."""
    calls = itertools.count(1)

    def look():
        if next(calls) == count:
            raise Stopped

    return look


def test_weights_and_the_next_steps_gradients_are_shown_when_due(make_loop, make_trainer):
    trainer = make_trainer()
    loop, notes, *_ = make_loop(trainer=trainer, histograms_every=4, log_every=1)
    loop.run()
    assert [step for step, _ in notes.of("histograms")] == [4, 6]
    shown = notes.of("histograms")[0][1]
    paths = [variable.path for variable in trainer.model.trainable_variables]
    assert list(shown) == [f"{kind}/{path}" for kind in ("weights", "gradients") for path in paths]
    norm = float(tf.linalg.global_norm([shown[f"gradients/{path}"] for path in paths]))
    fifth = next(values for step, values in notes.of("train") if step == 5)
    assert norm == pytest.approx(fifth["gradient_norm"], rel=rounding.MODEL)
    assert trainer._compiled.gradients.experimental_get_tracing_count() == 1
    loop, notes, unwatched, _ = make_loop(log_every=1)
    loop.run()
    assert not notes.of("histograms") and unwatched._compiled.gradients.experimental_get_tracing_count() == 0
    for a, b in zip(unwatched.model.get_weights(), trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def saved(tmp_path, folder="checkpoints"):
    return tf.train.get_checkpoint_state(str(tmp_path / folder)).all_model_checkpoint_paths


def test_each_event_happens_at_its_steps(make_loop, tmp_path):
    loop, notes, trainer, _ = make_loop()
    assert loop.run() is True
    assert int(trainer.step.numpy()) == 6
    assert [step for step, _ in notes.of("train")] == [3, 6]
    assert [(step, v["nats_per_char"]) for step, v in notes.of("validation")] == [(2, 3.0), (4, 1.0), (6, 2.0)]
    assert [step for step, _ in notes.of("samples")] == [2, 4, 6]
    assert notes.of("progress") == [(step, 6) for step in range(1, 7)]
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-4", "step-6"]
    assert [path.rpartition("/")[2] for path in saved(tmp_path, "best")] == ["step-4"]


def test_reports_are_told_of_each_checkpoint_once_it_is_there_and_of_the_end(make_loop, tmp_path):
    there = []
    loop, notes, _, _ = make_loop(look=stop_at(6))
    notes.saved = lambda step, path: there.append((step, path, bool(tf.train.list_variables(path))))
    loop.run()
    told = [(2, "best/step-2"), (4, "best/step-4"), (4, "checkpoints/step-4"), (5, "checkpoints/step-5")]
    assert there == [(step, str(tmp_path / name), True) for step, name in told]
    assert notes.of("end") == [(False,)]
    rest, notes, _, checkpoints = make_loop()
    checkpoints.restore()
    rest.run()
    assert [(step, path.rpartition("/")[2]) for step, path in notes.of("saved")] == [(6, "step-6")]
    assert notes.of("end") == [(True,)] and notes.lines[-1] == ("end", True)


def test_reports_are_told_of_an_end_by_an_error(make_loop, make_trainer):
    class Broken(Trainer):
        def batch_at(self, step):
            if step == 3:
                raise RuntimeError
            return super().batch_at(step)

    loop, notes, _, _ = make_loop(trainer=make_trainer(Broken))
    with pytest.raises(RuntimeError):
        loop.run()
    assert notes.of("end") == [(False,)]


def test_a_last_step_off_schedule_is_logged_evaluated_and_saved(make_loop, tmp_path):
    loop, notes, _, _ = make_loop(steps=5, log_every=3, evaluate_every=100, save_every=100)
    loop.run()
    assert [step for step, _ in notes.of("train")] == [3, 5]
    assert [step for step, _ in notes.of("validation")] == [5]
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-5"]


def test_a_call_takes_several_steps_up_to_the_next_event(make_loop):
    loop, notes, _, _ = make_loop(steps=15, log_every=10, evaluate_every=6, save_every=100, steps_per_loop=4)
    loop.run()
    assert [step for step, _ in notes.of("progress")] == [4, 6, 10, 12, 15]
    assert [step for step, _ in notes.of("train")] == [10, 15]
    assert [step for step, _ in notes.of("validation")] == [6, 12, 15]


def test_the_number_of_steps_in_a_call_changes_nothing(make_trainer, make_loop, tmp_path):
    """The losses and the variables stay equal, even if the run is interrupted and resumes with another number."""
    make_trainer = functools.partial(make_trainer, data={"order": "streams", "reset_probability": 0.5})
    one, notes, trainer, _ = make_loop(trainer=make_trainer(), steps=7, save_every=7)
    one.run()
    cut = make_loop(trainer=make_trainer(), steps=7, save_every=100, steps_per_loop=0, look=stop_at(3))
    assert cut[0].run() is False
    rest = make_loop(trainer=make_trainer(), steps=7, save_every=100, steps_per_loop=3)
    assert rest[3].restore() and 0 < int(rest[2].step.numpy()) < 7
    rest[0].run()
    untimed = [[(step, values["nats_per_char"]) for step, values in n.of("train")] for n in (notes, cut[1], rest[1])]
    assert untimed[0] == untimed[1] + untimed[2]
    for got, expected in zip(rest[2].variables, trainer.variables, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_call_takes_batches_of_one_shape(make_trainer, make_loop):
    class Halves(Trainer):
        def batch_at(self, step):
            batch = super().batch_at(step)
            return Batch(*(part.reshape(-1, 2) for part in batch[:3])) if step in (2, 3) else batch

    trainer = make_trainer(Halves, data={"seq_length": 4})
    loop, notes, _, _ = make_loop(trainer=trainer, log_every=6, evaluate_every=6, save_every=6, steps_per_loop=6)
    loop.run()
    assert [step for step, _ in notes.of("progress")] == [2, 4, 6]


def test_without_steps_per_loop_a_call_takes_about_a_second(make_trainer, make_loop, monkeypatch):
    """A fake clock counts 0.25 seconds per step, and 0.5 in calls that start at step 10 or later."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("trainers.loop.loop.time", types.SimpleNamespace(perf_counter=lambda: clock.now))

    trainer = make_trainer()
    train_steps = trainer.train_steps

    def slow(batches):
        clock.now += (0.25 if trainer.step < 10 else 0.5) * len(batches)
        return train_steps(batches)

    trainer.train_steps = slow
    far = {"log_every": 100, "evaluate_every": 100, "save_every": 100}
    loop, notes, _, _ = make_loop(trainer=trainer, steps=20, steps_per_loop=0, **far)
    loop.run()
    assert [step for step, _ in notes.of("progress")] == [1, 3, 7, 11, 15, 17, 19, 20]


def test_the_logged_loss_is_the_mean_over_all_characters_of_the_interval(make_loop, make_trainer):
    loop, notes, _, _ = make_loop(steps=3)
    loop.run()
    twin = make_trainer()
    measured = [twin.train_step(twin.batch_at(step)) for step in range(3)]
    nats, chars = (sum(float(m[name]) for m in measured) for name in ("nats", "chars"))
    ((_, values),) = notes.of("train")
    assert values["nats_per_char"] == pytest.approx(nats / chars, rel=1e-12)
    norms = [float(m["gradient_norm"]) for m in measured]
    assert values["gradient_norm"] == pytest.approx(sum(norms) / 3, rel=1e-12)
    assert values["chars_per_sec"] == pytest.approx(chars / values["seconds"])


def test_each_log_begins_another_interval(make_loop):
    (each, every, *_), (third, thirds, *_) = make_loop(log_every=1), make_loop(log_every=3)
    each.run()
    third.run()
    nats = [values["nats_per_char"] for _, values in every.of("train")]
    means = [sum(nats[:3]) / 3, sum(nats[3:]) / 3]
    assert [values["nats_per_char"] for _, values in thirds.of("train")] == pytest.approx(means, rel=1e-12)


def test_a_run_asked_to_stop_saves_after_the_step_and_resumes_within_the_interval(make_loop, make_trainer, tmp_path):
    """A log interval with an interrupt gives the same log as one without."""
    loop, _, _, _ = make_loop(look=stop_at(3), evaluate_every=100)
    assert loop.run() is False
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-2"]

    loop, notes, trainer, checkpoints = make_loop(evaluate_every=100)
    assert checkpoints.restore() and int(trainer.step.numpy()) == 2
    assert len(checkpoints.loop_state.pending) == 2
    loop.run()
    uncut = make_loop(evaluate_every=100)
    uncut[0].run()
    timed = ("seconds", "chars_per_sec")
    first, second = (
        [(step, {k: v for k, v in values.items() if k not in timed}) for step, values in n.of("train")]
        for n in (notes, uncut[1])
    )
    assert first == second


class Logging(Trainer):
    """A curriculum that logs the number of its step under a name."""

    logs = "before"

    def loss(self, rollout, batch):
        loss, extra = super().loss(rollout, batch)
        return loss, {**extra, self.logs: tf.cast(self.step, tf.float32)}


class LoggingMore(Logging):
    logs = "after"


def test_a_curriculum_that_logs_other_names_since_a_stop_logs_the_mean_of_the_steps_that_have_each(
    make_loop, make_trainer
):
    assert make_loop(look=stop_at(3), trainer=make_trainer(Logging))[0].run() is False
    loop, notes, _, checkpoints = make_loop(trainer=make_trainer(LoggingMore))
    assert checkpoints.restore()
    loop.run()
    (_, first), (_, second) = notes.of("train")
    assert (first["before"], first["after"]) == (0.5, 2.0)  # steps 0 and 1, and step 2
    assert second["after"] == 4.0 and "before" not in second


def test_an_interval_without_weighted_targets_has_no_loss_and_has_not_diverged(make_loop, make_trainer):
    trainer = make_trainer()
    spoilt(trainer, 0.0, 0, 1, 2)
    loop, notes, _, checkpoints = make_loop(trainer=trainer, save_every=2)
    assert loop.run() is True and not checkpoints.loop_state.roll_backs
    (_, without), (_, weighted) = notes.of("train")
    assert np.isnan([without["nats_per_char"], without["bits_per_char"]]).all() and without["chars_per_sec"] > 0
    assert 0 < weighted["nats_per_char"] < 5


def test_a_run_asked_to_stop_at_the_last_step_finishes(make_loop):
    loop, notes, _, _ = make_loop(steps=3, evaluate_every=100, look=stop_at(4))
    assert loop.run() is True
    assert [step for step, _ in notes.of("validation")] == [3]


def test_the_last_step_is_not_saved_before_it_is_evaluated(make_loop, tmp_path, monkeypatch):
    loop, notes, _, checkpoints = make_loop(steps=4, save_every=4, evaluate_every=100)
    monkeypatch.setattr(checkpoints, "save", lambda step: notes.lines.append(("save", step)))
    loop.run()
    kinds = [line[0] for line in notes.lines]
    assert kinds.count("save") == 1 and kinds.index("validation") < kinds.index("save")
    assert kinds[kinds.index("save") - 1] == "flush"  # a kill between the two repeats log entries and loses none


def test_the_best_loss_is_remembered_over_a_resume(make_loop, tmp_path):
    make_loop(losses=(1.0,), steps=2)[0].run()
    loop, _, _, checkpoints = make_loop(losses=(2.0,), steps=4)
    checkpoints.restore()
    loop.run()
    assert [path.rpartition("/")[2] for path in saved(tmp_path, "best")] == ["step-2"]


def test_the_best_loss_is_remembered_over_a_roll_back(make_loop, make_trainer, tmp_path):
    trainer = make_trainer()
    poisoned(trainer, 2)
    loop, _, _, checkpoints = make_loop(losses=(1.0, 2.0), trainer=trainer, steps=4, save_every=100)
    assert loop.run() is True
    assert [each["at"] for each in checkpoints.loop_state.roll_backs] == [3] and checkpoints.loop_state.best == 1.0
    assert [path.rpartition("/")[2] for path in saved(tmp_path, "best")] == ["step-2"]


def test_a_finished_run_does_nothing(make_loop):
    make_loop()[0].run()
    loop, notes, _, checkpoints = make_loop()
    checkpoints.restore()
    assert loop.run() is True and notes.lines == [("end", True)]


def test_a_non_finite_loss_ends_the_run_and_saves_nothing(make_loop, make_trainer, tmp_path):
    class Broken(make_trainer().__class__):
        def forward(self, batch, state):
            rollout = super().forward(batch, state)
            return rollout._replace(logits=rollout.logits * tf.where(self.step < 4, 1.0, float("nan")))

    loop, _, _, _ = make_loop(trainer=make_trainer(Broken), save_every=2, retries=0)
    with pytest.raises(Diverged, match="step 6"):
        loop.run()
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-2", "step-4"]


def timeless(lines):
    timed = ("seconds", "chars_per_sec")
    return [(step, {k: v for k, v in values.items() if k not in timed}) for step, values in lines]


def test_an_evaluation_stopped_in_its_midst_is_done_again_and_nothing_is_half_written(make_loop, tmp_path):
    loop, notes, trainer, _ = make_loop()
    inner = loop._measurement

    def measure(step):
        if step == 4:
            raise Stopped
        return inner(step)

    loop._measurement = measure
    assert loop.run() is False
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["stopped-4"]
    assert [step for step, _ in notes.of("validation")] == [step for step, _ in notes.of("samples")] == [2]

    loop, again, trainer, checkpoints = make_loop(losses=(1.0, 2.0))
    assert checkpoints.restore() and int(trainer.step.numpy()) == 4
    assert loop.run() is True
    assert again.started == (4, 3)  # drops log entries of step 4's evaluation, which a kill may have left
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["stopped-4", "step-4", "step-6"]
    uncut = make_loop()
    uncut[0].run()
    for kind in ("train", "validation"):
        assert timeless(notes.of(kind) + again.of(kind)) == timeless(uncut[1].of(kind))


def poisoned(trainer, *steps):
    """Gives the source's batches of these steps NaN weights; returns a list of the steps that are read."""
    return spoilt(trainer, float("nan"), *steps)


def spoilt(trainer, weight, *steps):
    """Gives the targets of these steps' batches another weight; returns a list of the steps that are read."""
    source, read = trainer.source._source, []  # below the source that skips batches after a roll-back
    batch_at = source.batch_at

    def batch(step):
        read.append(step)
        found = batch_at(step)
        return found._replace(weights=found.weights * np.float32(weight)) if step in steps else found

    source.batch_at = batch
    return read


def test_a_run_rolls_back_and_skips_a_bad_batch(make_loop, make_trainer, tmp_path):
    trainer = make_trainer()
    read = poisoned(trainer, 4)
    loop, notes, _, checkpoints = make_loop(trainer=trainer, steps=9, save_every=2)
    assert loop.run() is True
    assert read == [0, 1, 2, 3, 4, 5, *range(6, 11)]  # rolls back at step 6 to step 4, then skips batches 4 and 5
    assert checkpoints.loop_state.roll_backs == [
        {"at": 6, "to": 4, "why": "the loss is nan nats per character"},
    ]
    assert float(trainer.optimizer.learning_rate) == pytest.approx(0.005)
    (line,) = (line for (line,) in notes.of("line"))
    assert re.search("step 6 .*step 4 .*nan nats.* 0.005 .*1 of 3", line)
    assert notes.started == (4, 4)
    assert [v.get("roll_backs") for _, v in notes.of("train")] == [None, None, 1.0, 1.0]
    logged = set().union({"step", "split"}, _SUMMED, *(values for _, values in notes.of("train")))
    assert logged == set(RESERVED)
    assert saved(tmp_path)[-1].endswith("retry-1-step-9")


def test_a_resume_after_a_roll_back_is_exact(make_loop, make_trainer, tmp_path):
    def run(**config):
        trainer = make_trainer(data={"order": "streams"})
        poisoned(trainer, 4)
        loop, notes, _, checkpoints = make_loop(trainer=trainer, steps=9, save_every=2, **config)
        checkpoints.restore()
        loop.run()
        return trainer.model.trainable_variables, notes, loop

    cut = run(look=stop_at(9))  # two steps after the roll-back
    weights, notes, _ = run()
    assert notes.started == (6, 6)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    uncut, lines, _ = run()
    for a, b in zip(weights, uncut, strict=True):
        np.testing.assert_array_equal(a, b)
    assert timeless(notes.of("train")) == timeless(lines.of("train"))[-len(notes.of("train")) :]
    assert len(cut[1].of("line")) == 1 and not notes.of("line")


def test_a_poisoned_optimizer_is_never_saved(make_loop, make_trainer, tmp_path):
    trainer = make_trainer()
    loop, _, _, checkpoints = make_loop(trainer=trainer, steps=6, log_every=6, save_every=2, evaluate_every=3)
    inner, poison = loop._measurement, [float("nan")]

    def measure(step):
        if poison:
            trainer.optimizer.variables[-1].assign(trainer.optimizer.variables[-1] + poison.pop())
        return inner(step)

    loop._measurement = measure
    assert loop.run() is True
    (roll_back,) = checkpoints.loop_state.roll_backs
    assert (roll_back["at"], roll_back["to"]) == (4, 2)
    for path in saved(tmp_path):
        reader = tf.train.load_checkpoint(path)
        for name, dtype in reader.get_variable_to_dtype_map().items():
            assert not dtype.is_floating or np.isfinite(reader.get_tensor(name)).all()


def test_before_the_first_save_a_run_rolls_back_to_the_start(make_loop, make_trainer):
    trainer = make_trainer()
    read = poisoned(trainer, 1)
    loop, _, _, checkpoints = make_loop(trainer=trainer, steps=6, save_every=100)
    assert loop.run() is True
    assert read == [0, 1, 2, *range(3, 9)] and checkpoints.loop_state.roll_backs[0]["to"] == 0


def test_a_loss_far_above_guessing_has_diverged_and_retries_are_bounded(make_loop, make_trainer, tmp_path):
    class Exploding(make_trainer().__class__):
        def forward(self, batch, state):
            rollout = super().forward(batch, state)
            return rollout._replace(logits=rollout.logits * tf.where(self.step < 4, 1.0, 1e6))

    loop, notes, trainer, checkpoints = make_loop(trainer=make_trainer(Exploding), save_every=2, retries=2)
    with pytest.raises(Diverged, match="nats per character at step 6"):
        loop.run()
    assert len(notes.of("line")) == 2
    names = [path.rpartition("/")[2] for path in saved(tmp_path)]
    assert names == ["step-4", "retry-1-step-4", "retry-2-step-4"]
    assert checkpoints.restore() and int(trainer.step.numpy()) == 4
    assert float(trainer.optimizer.learning_rate) == pytest.approx(0.0025)


def test_a_curriculum_is_told_of_each_evaluation(make_loop, make_trainer):
    class Watching(make_trainer().__class__):
        told = ()

        def on_evaluation(self, step, measured):
            self.told += ((step, measured["nats_per_char"]),)

    loop, _, trainer, _ = make_loop(trainer=make_trainer(Watching))
    loop.run()
    assert tuple(trainer.told) == ((2, 3.0), (4, 1.0), (6, 2.0))
    loop, notes, trainer, checkpoints = make_loop(trainer=make_trainer(Watching), steps=5)
    loop.run()
    assert [step for step, _ in notes.of("validation")] == [2, 4, 5]
    assert [step for step, _ in trainer.told] == [2, 4]  # a longer run has no evaluation after step 5
    assert checkpoints.loop_state.lowest == 1.0 and checkpoints.loop_state.stale == 0


FALLS_AND_RISES = (3.0, 1.0, 2.0, 1.5, 1.0, 0.5)  # at steps 2, 4, …


def test_a_run_ends_and_saves_after_patience_evaluations_without_a_new_best(make_loop, tmp_path):
    loop, notes, trainer, checkpoints = make_loop(FALLS_AND_RISES, steps=20, patience=3, log_every=4, save_every=100)
    assert loop.run() is True
    assert int(trainer.step.numpy()) == 10 and checkpoints.loop_state.stale == 3
    assert [step for step, _ in notes.of("validation")] == [2, 4, 6, 8, 10]
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-10"]
    assert [path.rpartition("/")[2] for path in saved(tmp_path, "best")] == ["step-4"]
    (said,) = [line for (line,) in notes.of("line")]
    best = "no new best validation loss in 3 evaluations, after 1.0000 nats per character"
    assert said == f"Stopped early at step 10: {best}"


@pytest.mark.parametrize(
    ("min_delta", "stale"), [(0.0, [0, 0, 0, 0, 1, 0]), (0.05, [0, 0, 0, 1, 2, 3]), (0.25, [0, 1, 0, 1, 2, 3])]
)
def test_a_new_best_must_be_below_by_more_than_min_delta(min_delta, stale):
    state, counted = LoopState(), []
    state.count(float("nan"), min_delta)
    assert (state.lowest, state.stale) == (None, 1)
    for loss in (2.0, 1.8, 1.7, 1.69, float("nan"), 1.68):
        state.count(loss, min_delta)
        counted.append(state.stale)
        assert [state.out_of_patience(p) for p in (0, 2)] == [False, state.stale >= 2]
    assert counted == stale


def test_a_run_that_ended_early_does_nothing_until_it_has_more_patience(make_loop):
    """An interrupted run resumes the count of evaluations.

    With more patience, the run then has the same logs and weights as a run that never ended early.
    """
    make_loop(FALLS_AND_RISES, steps=20, patience=2, look=stop_at(7))[0].run()
    loop, notes, _, checkpoints = make_loop(FALLS_AND_RISES[3:], steps=20, patience=2)
    checkpoints.restore()
    assert checkpoints.loop_state.stale == 1 and checkpoints.loop_state.lowest == 1.0
    assert loop.run() is True and [step for step, _ in notes.of("validation")] == [8]

    loop, again, _, checkpoints = make_loop(steps=20, patience=2)
    checkpoints.restore()
    assert loop.run() is True and again.lines == [("end", True)]
    loop, more, trainer, checkpoints = make_loop(FALLS_AND_RISES[4:] + (2.0,) * 9, steps=20, patience=4)
    checkpoints.restore()
    assert loop.run() is True and [step for step, _ in more.of("validation")] == [10, 12, 14, 16, 18, 20]
    uncut = make_loop(FALLS_AND_RISES + (2.0,) * 9, steps=20, patience=4)
    uncut[0].run()
    assert timeless(more.of("train")) == timeless(uncut[1].of("train"))[-5:] and len(more.of("train")) == 5
    for a, b in zip(trainer.model.trainable_variables, uncut[2].model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("field", ["steps", "log_every", "keep"])
def test_settings_below_one_are_refused(field):
    with pytest.raises(UserError, match=f"loop.{field}=0"):
        LoopConfig(**{field: 0})


def test_epochs_become_steps():
    config = LoopConfig(steps=7, epochs=2.5, save_every=3).in_steps(steps_per_epoch=10)
    assert (config.steps, config.evaluate_every, config.save_every) == (25, 10, 3)
    assert LoopConfig(steps=7).in_steps(10).steps == 7
    assert config.in_steps(100) == config
