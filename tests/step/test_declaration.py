"""Tests that a curriculum with an unknown or unusable declaration is refused before its first step."""

import dataclasses
import functools
import re
import sys
from pathlib import Path

import pytest

from charrnn import command
from charrnn.errors import UserError
from trainers import check, run
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.experiment import TRAINERS, Experiment, with_trainer
from trainers.step import declaration
from trainers.step.base import BaseTrainer
from trainers.trainer import Trainer


def mine(base=Trainer, **own):
    return type("Mine", (base,), own)


def method(self, *arguments):
    """Takes any arguments."""


@pytest.mark.parametrize(
    "name, meant",
    [
        ("divisible", "needs_whole_batch"),
        ("whole_batches", "needs_whole_batch"),
        ("whole_batch", "needs_whole_batch"),
        ("wholeBatches", "needs_whole_batch"),
        ("order", "orders"),
        ("ORDERS", "orders"),
        ("config", "Config"),
        ("own_input_probs", "own_input_prob"),
        ("own_input_probability", "own_input_prob"),
        ("own_prob", "own_input_prob"),
        ("onw_input_prob", "own_input_prob"),
        ("own_input", "own_inputs"),
        ("ownInputs", "own_inputs"),
        ("on_eval", "on_evaluation"),
        ("on_evaluate", "on_evaluation"),
        ("onEvaluation", "on_evaluation"),
        ("no_step", "on_step"),
        ("on_steps", "on_step"),
        ("batchAt", "batch_at"),
        ("batch_At", "batch_at"),
        ("batches_at", "batch_at"),
        ("foward", "forward"),
        ("chose", "choose"),
        ("losss", "loss"),
        ("losses", "loss"),
        ("compute_loss", "loss"),
    ],
)
def test_a_name_near_a_known_name_is_refused_with_a_suggestion(name, meant):
    value = {"orders": ("windows",), "needs_whole_batch": False, "Config": Trainer.Config}.get(meant, method)
    for base in (Trainer, ScheduledSampling):  # the latter defines some of the right names
        with pytest.raises(UserError, match=rf"^Mine\.{name} .*nearest: {meant}\.$"):
            mine(base, **{name: value})


HELPERS = """
    ramp losses_by_row own_loss choose_k own_rows share prob best kept loss_limit on_device batch_size next_batch
    settings sample greedy step_size forward_twice evaluation_loss input_noise_probability temperature horizon own_text
    last_loss first order config order_of_rows batch batches rows weights reset_state configure own losing stepping
""".split()


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_with_an_unrelated_name_is_accepted(name):
    mine(**{name: method})
    mine(**{name: 0.5, "loss": method})
    mine(ScheduledSampling, **{name: functools.cached_property(method)})


def test_a_near_name_beside_the_right_one_is_a_helper():
    mine(loss=method, losses=method, compute_loss=method)
    mine(own_inputs=method, own_prob=method)


def test_a_mixins_names_are_checked_and_the_packages_own_curricula_pass():
    with pytest.raises(UserError, match=r"^Mine\.divisible "):
        type("Mine", (type("Mixin", (), {"divisible": False}), Trainer), {})
    for name in TRAINERS:
        declaration.check_class(with_trainer(Experiment(), name).trainer_class, Trainer)


@pytest.mark.parametrize("name", ["divisible", "whole_batch"])
def test_an_attribute_of_the_instance_is_found_before_the_first_step(make_trainer, name):
    class Mine(Trainer):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            setattr(self, name, False)
            self.losses, self.loss_fn = [], None

    with pytest.raises(UserError, match=rf"^Mine\.{name} .*nearest: needs_whole_batch"):
        make_trainer(Mine).check(10)


def test_needs_whole_batch_may_be_set_by_the_constructor(make_trainer):
    rows = []

    class Mine(Trainer):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            self.needs_whole_batch = True

        def loss(self, rollout, batch):
            rows.append(batch.inputs.shape[0])
            return super().loss(rollout, batch)

    trainer = make_trainer(Mine, data={"batch_size": 4}, accumulate=2)
    trainer.check(10)
    assert rows == [4]


@pytest.mark.parametrize(
    "hook, value",
    [
        ("own_input_prob", lambda self: 0.5),
        ("own_input_prob", 0.5),
        ("own_input_prob", property(lambda self: 0.5)),
        ("own_inputs", lambda self, step: None),
        ("batch_at", lambda self, step, batch: None),
        ("choose", lambda self, logits: None),
        ("choose", staticmethod(lambda self, logits, noise, gold: None)),
        ("forward", lambda self, batch: None),
        ("loss", lambda self, rollout: None),
        ("loss", lambda self, rollout, batch, step: None),
        ("loss", None),
        ("on_step", lambda self, rollout, *, batch: None),
        ("on_evaluation", lambda self, measured: None),
        ("__init__", lambda self, model, source, optimizer, config: None),
        ("_hooks", method),
        ("_compiled", method),
        *((name, method) for name, value in vars(BaseTrainer).items() if callable(value) and name[0] != "_"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused(hook, value):
    with pytest.raises(UserError, match=rf"^Mine\.{hook} .*\.$") as error:
        mine(**{hook: value})
    assert "\n" not in str(error.value)


def test_a_hook_may_take_its_arguments_in_other_ways():
    mine(batch_at=lambda self, step: None)  # each of several processes takes its rows from the result
    mine(batch_at=lambda self, step, rows=None: None)
    mine(loss=lambda *arguments: None)
    mine(loss=staticmethod(lambda rollout, batch: None))
    mine(loss=classmethod(lambda cls, rollout, batch: None))
    mine(loss=functools.partialmethod(lambda self, weight, rollout, batch: None, 2.0))
    mine(loss=lambda self, rollout, batch, weight=1.0: None)


@pytest.mark.parametrize(
    "orders, said",
    [
        (("window",), "'window'.*nearest: windows"),
        (("windows", "document"), "'document'"),
        ((3,), "3"),
        ((), r"\(\)"),
        ((order for order in ["windows"]), "generator"),
        ("windows", "'windows'"),
        (None, "None"),
    ],
)
def test_orders_that_do_not_exist_are_refused(orders, said):
    with pytest.raises(UserError, match=rf"^Mine\.orders .*{said}"):
        mine(orders=orders)


def test_needs_whole_batch_is_true_or_false():
    with pytest.raises(UserError, match=r"^Mine\.needs_whole_batch "):
        mine(needs_whole_batch="False")


def plain():
    class Config:
        share: float = 0.5

    return Config


def undecorated():
    class Config(ScheduledSampling.Config):
        max_prob = 0.3

    return Config


def required():
    class Config:
        share: float

    return dataclasses.dataclass(frozen=True)(Config)


def untyped():
    class Config:
        share = 0.5

    return dataclasses.dataclass(frozen=True)(Config)


def unknown_type():
    class Config:
        share: "Nowhere" = 0.5  # noqa: F821

    return dataclasses.dataclass(frozen=True)(Config)


@pytest.mark.parametrize(
    "config, said",
    [
        (plain(), "frozen=True"),
        (dataclasses.dataclass(plain()), "frozen=True"),
        (undecorated(), "frozen=True"),
        ({"share": 0.5}, "frozen=True"),
        (untyped(), "share: float"),
        (required(), "share"),
        (unknown_type(), "Nowhere"),
    ],
)
def test_settings_that_cannot_be_set_are_refused(config, said):
    with pytest.raises(UserError, match=rf"^Mine\.Config.*{said}"):
        mine(Config=config)


def test_settings_may_have_constants_methods_and_factories():
    @dataclasses.dataclass(frozen=True)
    class Config:
        pieces: tuple[int, ...] = dataclasses.field(default_factory=tuple)
        _hidden = 3

        @property
        def double(self):
            return 2 * self.pieces

        def prob(self, step):
            return 0.5

    mine(Config=Config)


@pytest.mark.parametrize("main", [run, check], ids=["run", "check"])
@pytest.mark.parametrize("body", ["divisible = False", "orders = ('window',)", "def on_eval(self, step): pass"])
def test_both_commands_report_a_wrong_declaration_and_write_nothing(tmp_path, monkeypatch, capsys, main, body):
    (tmp_path / "faulty.py").write_text(f"from trainers import Trainer\n\nclass Mine(Trainer):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    arguments = ["--experiment=quickstart"] if main is run else []
    assert command.run(main.main, main.FLAGS, ["it", "--trainer=faulty:Mine", *arguments]) == command.MISTAKE
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: Mine.") and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["faulty.py"]


def test_the_page_names_attributes_that_exist():
    page = (Path(__file__).parents[2] / "docs/curricula.md").read_text()
    hooks = re.findall(r"^\| `(\w+)\(", page, re.MULTILINE)
    assert tuple(hooks) == declaration.HOOKS
    bullets = re.findall(r"^- .*(?:\n  .*)*", page, re.MULTILINE)
    assigned = dict(re.findall(r"`(\w+) = (\w+)`", " ".join(bullets)))
    assert assigned == {"needs_whole_batch": "True"}
    mine(**{name: {"True": True, "False": False}[value] for name, value in assigned.items()})
