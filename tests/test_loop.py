"""When things happen, with parts that only take notes."""

import itertools

import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.checkpoints import Checkpoints
from trainers.divergence import Diverged, Skipping
from trainers.loop import Loop, LoopConfig
from trainers.samples import Sample
from trainers.stopping import Stopped


class Notes:
    """Reports that write down what they are told."""

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

    def line(self, text):
        self.lines.append(("line", text))

    def of(self, kind):
        return [line[1:] for line in self.lines if line[0] == kind]


@pytest.fixture
def make_loop(make_trainer, tmp_path):
    """Builds a loop: -> it, its notes, its trainer, its checkpoints. The validation loss falls, then rises."""

    def make(losses=(3.0, 1.0, 2.0), look=lambda: None, trainer=None, **config):
        trainer, notes = trainer or make_trainer(), Notes()
        config = LoopConfig(**{"steps": 6, "log_every": 3, "evaluate_every": 2, "save_every": 4, **config})
        checkpoints = Checkpoints(str(tmp_path), trainer, config.keep)
        trainer.source = Skipping(trainer.source, checkpoints.memory.roll_backs)
        losses = itertools.cycle(losses)

        def measure(step):
            return {"nats_per_char": next(losses)}, [Sample("a", 1.0, 0, "b")]

        loop = Loop(trainer, config, checkpoints, notes, measure, look)
        return loop, notes, trainer, checkpoints

    return make


def stop_at(count):
    """Raises Stopped when it is called for the `count`-th time."""
    calls = itertools.count(1)

    def look():
        if next(calls) == count:
            raise Stopped

    return look


def saved(tmp_path, folder="checkpoints"):
    return tf.train.get_checkpoint_state(str(tmp_path / folder)).all_model_checkpoint_paths


def test_each_thing_happens_at_its_steps(make_loop, tmp_path):
    loop, notes, trainer, _ = make_loop()
    assert loop.run() is True
    assert int(trainer.step.numpy()) == 6
    assert [step for step, _ in notes.of("train")] == [3, 6]
    assert [(step, v["nats_per_char"]) for step, v in notes.of("validation")] == [(2, 3.0), (4, 1.0), (6, 2.0)]
    assert [step for step, _ in notes.of("samples")] == [2, 4, 6]
    assert notes.of("progress") == [(step, 6) for step in range(1, 7)]
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-4", "step-6"]
    assert [path.rpartition("/")[2] for path in saved(tmp_path, "best")] == ["step-4"]


def test_a_last_step_off_schedule_is_logged_evaluated_and_saved(make_loop, tmp_path):
    loop, notes, _, _ = make_loop(steps=5, log_every=3, evaluate_every=100, save_every=100)
    loop.run()
    assert [step for step, _ in notes.of("train")] == [3, 5]
    assert [step for step, _ in notes.of("validation")] == [5]
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-5"]


def test_the_logged_loss_is_the_mean_over_all_characters_of_the_interval(make_loop, make_trainer):
    loop, notes, _, _ = make_loop(steps=3)
    loop.run()
    twin = make_trainer()
    measured = [twin.train_step(twin.batch_at(step), False) for step in range(3)]
    nats, chars = (sum(float(m[name]) for m in measured) for name in ("nats", "chars"))
    ((_, values),) = notes.of("train")
    assert values["nats_per_char"] == pytest.approx(nats / chars, rel=1e-12)
    norms = [float(m["gradient_norm"]) for m in measured]
    assert values["gradient_norm"] == pytest.approx(sum(norms) / 3, rel=1e-12)
    assert values["chars_per_sec"] == pytest.approx(chars / values["seconds"])


def test_asked_to_stop_it_saves_after_the_step_and_goes_on_with_the_same_interval(make_loop, make_trainer, tmp_path):
    """A log interval that a stop cuts in two gives the same line as one that was not cut."""
    loop, _, _, _ = make_loop(look=stop_at(2), evaluate_every=100)
    assert loop.run() is False
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-2"]

    loop, notes, trainer, checkpoints = make_loop(evaluate_every=100)
    assert checkpoints.restore() and int(trainer.step.numpy()) == 2
    assert len(checkpoints.memory.pending) == 2
    loop.run()
    uncut = make_loop(evaluate_every=100)
    uncut[0].run()
    timed = ("seconds", "chars_per_sec")
    first, second = (
        [(step, {k: v for k, v in values.items() if k not in timed}) for step, values in n.of("train")]
        for n in (notes, uncut[1])
    )
    assert first == second


def test_asked_to_stop_at_the_last_step_it_finishes(make_loop):
    loop, notes, _, _ = make_loop(steps=3, evaluate_every=100, look=stop_at(3))
    assert loop.run() is True
    assert [step for step, _ in notes.of("validation")] == [3]


def test_the_last_step_is_not_saved_before_it_is_evaluated(make_loop, tmp_path, monkeypatch):
    loop, notes, _, checkpoints = make_loop(steps=4, save_every=4, evaluate_every=100)
    monkeypatch.setattr(checkpoints, "save", lambda step: notes.lines.append(("save", step)))
    loop.run()
    kinds = [line[0] for line in notes.lines]
    assert kinds.count("save") == 1 and kinds.index("validation") < kinds.index("save")


def test_the_best_is_remembered_over_a_resume(make_loop, tmp_path):
    make_loop(losses=(1.0,), steps=2)[0].run()
    loop, _, _, checkpoints = make_loop(losses=(2.0,), steps=4)
    checkpoints.restore()
    loop.run()
    assert [path.rpartition("/")[2] for path in saved(tmp_path, "best")] == ["step-2"]


def test_a_finished_run_does_nothing(make_loop):
    make_loop()[0].run()
    loop, notes, _, checkpoints = make_loop()
    checkpoints.restore()
    assert loop.run() is True and notes.lines == []


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing(make_loop, make_trainer, tmp_path):
    class Broken(make_trainer().__class__):
        def forward(self, batch, state):
            rollout = super().forward(batch, state)
            return rollout._replace(logits=rollout.logits * tf.where(self.step < 4, 1.0, float("nan")))

    loop, _, _, _ = make_loop(trainer=make_trainer(Broken), save_every=2, retries=0)
    with pytest.raises(Diverged, match="step 6"):
        loop.run()
    assert [path.rpartition("/")[2] for path in saved(tmp_path)] == ["step-2", "step-4"]


def test_a_curriculum_is_told_of_each_evaluation(make_loop, make_trainer):
    class Watching(make_trainer().__class__):
        told = ()

        def on_evaluation(self, step, measured):
            self.told += ((step, measured["nats_per_char"]),)

    loop, _, trainer, _ = make_loop(trainer=make_trainer(Watching))
    loop.run()
    assert tuple(trainer.told) == ((2, 3.0), (4, 1.0), (6, 2.0))
    loop, notes, trainer, _ = make_loop(trainer=make_trainer(Watching), steps=5)
    loop.run()
    assert [step for step, _ in notes.of("validation")] == [2, 4, 5]
    assert [step for step, _ in trainer.told] == [2, 4]  # a longer run has no evaluation after step 5


@pytest.mark.parametrize("field", ["steps", "log_every", "keep"])
def test_settings_below_one_are_refused(field):
    with pytest.raises(UserError, match=f"loop.{field}=0"):
        LoopConfig(**{field: 0})


def test_epochs_become_steps():
    config = LoopConfig(steps=7, epochs=2.5, save_every=3).in_steps(steps_per_epoch=10)
    assert (config.steps, config.evaluate_every, config.save_every) == (25, 10, 3)
    assert LoopConfig(steps=7).in_steps(10).steps == 7
    assert config.in_steps(100) == config
