"""The command: what it says of a curriculum that does all, and of some that each fail at one thing."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from trainers import checks
from trainers.checks import Trial, same_on_replicas, same_with_xla
from trainers.experiment import Experiment, override, with_trainer

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

class Changing(Trainer):
    def batch_at(self, step):
        batch = super().batch_at(step)
        return type(batch)(*(part[:, : 32 if step % 2 else 16] for part in batch[:3]))
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A curriculum of MINE in a small experiment."""
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
    looks = (run.traced_once, run.loss_falls, run.gradients_finite, run.share_as_claimed)
    return {look.__name__: look()[0] for look in looks} | {"resumes": run.resumes(str(folder))[0]}


@pytest.mark.parametrize(
    "name, fails",
    [
        ("Liar", {"share_as_claimed"}),
        ("Forgetful", {"resumes"}),
        ("Upwards", {"loss_falls"}),
        ("Changing", set()),  # two shapes, two traces
    ],
)
def test_each_failure_is_found_and_no_other(small, texts, tmp_path, name, fails):
    """Third passes them all: see test_the_command."""
    found = findings(small(name), texts, tmp_path / name)
    assert {look for look, passed in found.items() if not passed} == fails


def test_noise_that_is_not_the_packages_is_other_noise_with_xla(small, texts):
    passed, says = same_with_xla(small("Liar"), texts)
    assert not passed and "charrnn.randomness" in says


def test_noise_that_is_not_the_packages_is_the_same_on_each_replica(small, texts):
    passed, says = same_on_replicas(small("Liar"), texts)
    assert not passed and "charrnn.coins" in says


def test_portable_numbers_are_uniform_and_the_same_with_xla():
    draw = lambda seed: checks.portable_uniform([100, 300], seed)  # noqa: E731
    plain, compiled = draw(tf.constant([1, 2])), tf.function(draw, jit_compile=True)(tf.constant([1, 2]))
    assert (plain.numpy() == compiled.numpy()).all()
    assert (plain.numpy() != draw(tf.constant([1, 3])).numpy()).mean() > 0.99
    counts = tf.histogram_fixed_width(plain, [0.0, 1.0], 10).numpy()
    assert ((counts - 3000) ** 2 / 3000).sum() < 30  # chi-square, 9 degrees of freedom
    assert 0 <= plain.numpy().min() and plain.numpy().max() < 1


def run_command(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "trainers.check", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name, status", [("Third", 0), ("Wrong", 2)])
def test_the_command(tmp_path, name, status):
    (tmp_path / "my_curricula.py").write_text(MINE)
    done = run_command(tmp_path, f"--trainer=my_curricula:{name}")
    assert done.returncode == status, done.stderr
    if status == 0:
        assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["ok"] * 9
    else:
        assert done.stdout == "" and done.stderr.startswith("error: Wrong.own_inputs returned bool [2] where")
        assert len(done.stderr.splitlines()) == 1
