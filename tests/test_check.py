"""Tests the command `trainers.check` with a curriculum that meets all requirements and others that each fail one."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from charrnn import command
from trainers import check, checks
from trainers.checks import Trial, same_on_replicas, same_with_xla
from trainers.experiment import Experiment, override, with_trainer

pytestmark = pytest.mark.slow

MINE = """
import tensorflow as tf
from trainers import Trainer

class Third(Trainer):
    def own_input_prob(self, step):
        return 0.3

class Wrong(Third):
    def own_inputs(self, step, batch):
        return tf.zeros([2], tf.bool)

class Liar(Third):
    def own_inputs(self, step, batch):
        return tf.random.stateless_uniform(tf.shape(batch.inputs), [0, tf.cast(step, tf.int32)]) < 0.5

class Sociable(Third):
    def choose(self, logits, noise, gold):
        return tf.roll(super().choose(logits, noise, gold), 1, 0)

class Forgetful(Third):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.calls = 0

    def batch_at(self, step):
        self.calls += 1
        return super().batch_at(self.calls)

class Upwards(Trainer):
    def loss(self, rollout, batch):
        loss, extra = super().loss(rollout, batch)
        return -loss, extra

class Short(Third):
    def batch_at(self, step):
        batch = super().batch_at(step)
        return type(batch)(*(part[:, :3] for part in batch[:3]))

class Changing(Trainer):
    def batch_at(self, step):
        batch = super().batch_at(step)
        return type(batch)(*(part[:, : 32 if step % 2 else 16] for part in batch[:3]))
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Builds a small experiment with a curriculum of MINE."""
    (tmp_path / "my_curricula.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    settings = ["model.units=8", "model.embedding_size=0", "data.seq_length=32", "data.batch_size=8"]
    yield lambda name: override(with_trainer(Experiment("plays:9000"), f"my_curricula:{name}"), settings)
    sys.modules.pop("my_curricula", None)


@pytest.fixture
def texts(small):
    from charrnn.batches.texts import load_texts

    experiment = small("Third")
    return load_texts(experiment.corpus, experiment.data, lambda line: None)


def findings(experiment, texts, folder):
    run = Trial(experiment, texts)
    run.train(12, str(folder))
    looks = (run.traced_once, run.loss_falls, run.gradients_finite, run.share_as_claimed, run.chooses_row_by_row)
    return {look.__name__: look()[0] for look in looks} | {"resumes": run.resumes(str(folder))[0]}


@pytest.mark.parametrize(
    "name, fails",
    [
        ("Liar", {"share_as_claimed"}),
        ("Sociable", {"chooses_row_by_row"}),
        ("Forgetful", {"resumes"}),
        ("Upwards", {"loss_falls"}),
        ("Short", set()),  # a third of the characters that may be own, and fewer of all
        ("Changing", set()),  # two traces for two shapes of batches
    ],
)
def test_each_failure_is_found_and_no_other(small, texts, tmp_path, name, fails):
    """`Third` passes all checks: see `test_the_command_reports_that_all_checks_passed`."""
    found = findings(small(name), texts, tmp_path / name)
    assert {look for look, passed in found.items() if not passed} == fails


def test_noise_from_outside_the_package_fails_the_xla_check(small, texts):
    passed, says = same_with_xla(small("Liar"), texts)
    assert not passed and "charrnn.randomness" in says


def test_noise_from_outside_the_package_fails_the_replica_check(small, texts):
    passed, says = same_on_replicas(small("Liar"), texts)
    assert not passed and "charrnn.randomness" in says


def test_portable_numbers_are_uniform_and_the_same_with_xla():
    draw = lambda seed: checks.portable_uniform([100, 300], seed)  # noqa: E731
    plain, compiled = draw(tf.constant([1, 2])), tf.function(draw, jit_compile=True)(tf.constant([1, 2]))
    assert (plain.numpy() == compiled.numpy()).all()
    assert (plain.numpy() != draw(tf.constant([1, 3])).numpy()).mean() > 0.99
    counts = tf.histogram_fixed_width(plain, [0.0, 1.0], 10).numpy()
    assert ((counts - 3000) ** 2 / 3000).sum() < 30  # chi-square, 9 degrees of freedom
    assert 0 <= plain.numpy().min() and plain.numpy().max() < 1


def test_the_command_reports_that_all_checks_passed(tmp_path):
    """The command runs in its own process, because it configures TensorFlow's devices."""
    (tmp_path / "my_curricula.py").write_text(MINE)
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "CUDA_VISIBLE_DEVICES": "-1"}
    line = [sys.executable, "-m", "trainers.check", "--trainer=my_curricula:Third"]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["ok"] * 10


def test_a_wrong_return_value_of_a_hook_is_reported_in_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_curricula.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert command.run(check.main, check.FLAGS, ["check", "--trainer=my_curricula:Wrong"]) == command.MISTAKE
    out, err = capsys.readouterr()
    sys.modules.pop("my_curricula", None)
    assert out == "" and err.startswith("error: Wrong.own_inputs returned bool [2]") and err.count("\n") == 1
