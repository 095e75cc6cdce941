"""Tests the properties that all curricula of the package share."""

import ast
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.errors import UserError
from trainers.experiment import TRAINERS, Experiment, with_trainer
from trainers.loop.checkpoints import Checkpoints
from trainers.trainer import Trainer

NOTHING_OWN = {
    "teacher_forcing": {},
    "scheduled_sampling": {"schedule": "constant", "max_prob": 0.0},
    "by_position": {"schedule": "constant", "max_prob": 0.0},
    "open_loop_horizon": {"grow_every": 1, "max_horizon": 0},
    "spans": {"schedule": "constant", "max_prob": 0.0, "length": 2},
    "two_pass": {"schedule": "constant", "max_prob": 0.0},
    "soft_inputs": {"schedule": "constant", "max_prob": 0.0},
    "confidence_aware": {"own_above": 1.0, "noise_above": 1.0},
    "accuracy_driven": {"beta": 0.0},
    "validation_gated": {},
    "replayed_rollouts": {"prob": 0.0, "batches": 2, "visits": 1},
    "sequence_length": {"pieces": (1,)},
    "self_paced": {"start_share": 1.0},
    "unlikelihood": {"rollout_share": 0.0, "n": 2, "gold": 2},
    "state_matching": {"schedule": "constant", "max_prob": 0.0},
    "distillation": {"soft_share": 0.0, "own_share": 0.0},
}
"""The settings under which a curriculum is teacher forcing."""

ADAPTIVE = {
    "accuracy_driven": {"beta": 0.9, "decay": 0.5},
    "validation_gated": {"increment": 0.3},
    "replayed_rollouts": {"prob": 0.5, "batches": 2, "visits": 3},
}
"""Curricula with a memory of their own."""

COMMON = ("nats", "chars", "chars_read", "gradient_norm", "own_input_prob", "own_input_share", "learning_rate")


def class_of(name):
    return with_trainer(Experiment(), name).trainer_class


def train(trainer, first, end):
    measured = []
    for step in range(first, end):
        numbers = trainer.train_step(trainer.batch_at(step))
        measured.append({name: float(value) for name, value in numbers.items()})
    return measured


@pytest.mark.parametrize(
    "name, field",
    [
        *[("open_loop_horizon", "gold"), ("open_loop_horizon", "max_horizon"), ("unlikelihood", "gold")],
        *[("unlikelihood", "n"), ("spans", "length"), ("distillation", "beginning")],
    ],
)
def test_a_number_of_characters_that_overflows_int32_is_refused(name, field):
    with pytest.raises(UserError, match=rf"^trainer\.{field}=3000000000 is not possible: it must be from . to 1000"):
        class_of(name).Config(**{field: 3_000_000_000})


def test_every_name_has_its_class_with_defaults():
    assert set(NOTHING_OWN) == set(TRAINERS)
    for name in TRAINERS:
        assert issubclass(class_of(name), Trainer) and class_of(name).Config()


def test_no_curriculum_has_a_loop_over_time():
    """The only `for` loops are over passes and over the characters of an n-gram."""
    for name in set(TRAINERS) - {"teacher_forcing"}:
        module = importlib.import_module(f"trainers.curricula.{name}")
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        loops = {ast.unparse(node.iter) for node in ast.walk(tree) if isinstance(node, ast.For)}
        assert loops <= {"range(self.config.passes - 1)", "range(n)"}, name
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.While)]
        assert "while_loop" not in ast.unparse(tree)


@pytest.fixture(scope="module")
def forced():
    """Stores, for each cell, the measurements of two steps of teacher forcing and the weights after them."""
    return {}


@pytest.mark.parametrize("name", sorted(set(NOTHING_OWN) - {"teacher_forcing"}))
def test_a_curriculum_with_neutral_settings_equals_teacher_forcing_to_the_bit(make_model, make_trainer, forced, name):
    cell = "lstm" if name in ("soft_inputs", "two_pass") else "gru"
    if cell not in forced:
        trainer = make_trainer(Trainer, model=make_model(cell=cell))
        forced[cell] = (train(trainer, 0, 2), trainer.model.get_weights())
    cls = class_of(name)
    trainer = make_trainer(cls, model=make_model(cell=cell), config=cls.Config(**NOTHING_OWN[name]))
    measured, (expected, weights) = train(trainer, 0, 2), forced[cell]
    assert [{key: step[key] for key in COMMON} for step in measured] == expected
    for got, wanted in zip(trainer.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTIVE)
def test_an_adaptive_curriculum_resumes_to_the_bit(make_trainer, tmp_path, name):
    cls = class_of(name)

    def make():
        trainer = make_trainer(cls, config=cls.Config(**ADAPTIVE[name]))
        return trainer, Checkpoints(str(tmp_path), trainer, keep=3)

    def go_on(trainer, first, end):
        measured = train(trainer, first, end)
        trainer.on_evaluation(end, {"nats_per_char": 2.0 - end / 10})
        return measured

    trainer, checkpoints = make()
    go_on(trainer, 0, 3)
    checkpoints.save(3)
    expected = go_on(trainer, 3, 6) + go_on(trainer, 6, 7)
    resumed, checkpoints = make()
    assert checkpoints.restore()
    assert go_on(resumed, 3, 6) + go_on(resumed, 6, 7) == expected
    assert any(numbers["own_input_share"] > 0 for numbers in expected)
    for got, wanted in zip(resumed.variables, trainer.variables, strict=True):
        np.testing.assert_array_equal(got, wanted)
    for got, wanted in zip(resumed.model.get_weights(), trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    "name, order", [("replayed_rollouts", "streams"), ("sequence_length", "streams"), ("sequence_length", "lines")]
)
def test_an_order_that_a_curriculum_cannot_work_with_is_refused(make_trainer, name, order):
    text = np.resize([0, 1, 2, 3], 2000)
    with pytest.raises(ValueError, match=f"{class_of(name).__name__} works with data.order=windows"):
        make_trainer(class_of(name), text=text, data={"order": order})


@pytest.mark.slow
def test_carried_states_are_the_states_of_the_text(make_trainer):
    """Without own inputs, streams carry the state of teacher forcing, in two curricula that override `forward`."""
    for name in ("soft_inputs", "state_matching"):
        cls = class_of(name)
        trainer = make_trainer(cls, config=cls.Config(**NOTHING_OWN[name]), data={"order": "streams"})
        before = trainer.model.get_weights()
        train(trainer, 0, 1)
        after = [tf.identity(entry) for entry in tf.nest.flatten(trainer.carried)]
        trainer.model.set_weights(before)
        _, state = trainer.model(tf.constant(trainer.batch_at(0).inputs))
        for got, wanted in zip(after, tf.nest.flatten(state), strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_the_page_names_all_curricula_and_its_example_works_as_described(make_trainer):
    page = (Path(__file__).parents[2] / "docs/curricula.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|", page.partition("## One of your own")[0], re.MULTILINE)
    assert named == list(TRAINERS)
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class AfterMistakes" in code)
    space = {}
    exec(code, space)
    own = space["AfterMistakes"]
    trainer = make_trainer(own, config=own.Config(prob=0.5, weight=0.0))
    trainer.check(10)
    batch = trainer.batch_at(0)
    rollout = trainer.forward(batch, trainer.model.initial_state(len(batch.inputs)))
    loss, logged = trainer.loss(rollout, batch)
    logits = rollout.logits.numpy()
    nats = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, batch.targets[..., None], -1)[..., 0]
    mistaken = rollout.fed.numpy() != batch.inputs
    assert 0 < mistaken.mean() < 0.5 and float(logged["mistaken"]) == pytest.approx(mistaken.mean())
    assert float(loss) == pytest.approx(nats[~mistaken].mean(), rel=rounding.MODEL)


@pytest.mark.parametrize("name", [*NOTHING_OWN])
def test_each_of_several_processes_gets_its_rows_of_the_batch(make_trainer, name):
    cls = class_of(name)
    trainer = make_trainer(cls, config=cls.Config(), data={"batch_size": 6, "seq_length": 8})
    for step in (0, 3):
        whole = trainer.batch_at(step)
        times = len(whole.inputs) // 6  # rows that the curriculum makes of one row of the source
        for some, every in zip(trainer.batch_at(step, range(2, 4))[:3], whole[:3], strict=True):
            np.testing.assert_array_equal(some, every[2 * times : 4 * times])
