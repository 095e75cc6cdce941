"""Fixtures that several test files use. `conftest.py` sets up the process before it imports them."""

import collections
import fcntl
import hashlib
import io
import os
import shutil

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf

from charrnn.batches.sources import DataConfig, make_source
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from tests.reuse import Built
from trainers.launch.build import run_experiment
from trainers.reports.console import Console
from trainers.trainer import Trainer

# CI runs the same examples each time, because a random new failure must not block an unrelated change.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Two devices, for tests with two replicas. They must be configured before TensorFlow starts.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


_BUILT = collections.defaultdict(list)
"""Trainers of this process by class and arguments, because compiling one takes a hundred times as long as a step."""


@pytest.fixture
def make_model():
    """Builds a tiny model. All weights are random, biases included, because a zero bias would hide a mistake.

    The weights of an RNN are small enough that a rounding error does not grow over time. With a standard deviation of
    0.5, three layers multiply it by 13 in 12 steps.
    """

    def make(vocabulary_size=7, precision="float32", seed=0, **config):
        config = ModelConfig(**{"units": 6, "embedding_size": 5, **config})
        model = CharModel(config, vocabulary_size, precision, seed)
        random = np.random.default_rng(seed)
        for weight in model.trainable_variables:
            weight.assign(random.normal(0, 0.3 if config.cell == "rnn" else 0.5, weight.shape))
        return model

    return make


@pytest.fixture
def make_trainer(make_model):
    """Builds a trainer of a tiny model on random text. A trainer that an earlier test built is reset and reused."""
    taken = collections.Counter()

    def make(cls=Trainer, model=None, optimizer=None, text=None, data=None, **arguments):
        def build():
            built = make_model() if model is None else model
            ids = np.random.default_rng(5).integers(0, built.vocabulary_size, 2000) if text is None else text
            source = make_source(ids, DataConfig(**{"seq_length": 5, "batch_size": 3, **(data or {})}), seed=0)
            return cls(built, source, keras.optimizers.Adam(0.01) if optimizer is None else optimizer, **arguments)

        ours = cls.__module__.startswith("trainers.") and not tf.distribute.has_strategy()
        if not (ours and model is optimizer is text is None):
            return build()
        key = cls, repr(data), repr(arguments)
        taken[key] += 1
        if len(_BUILT[key]) < taken[key]:
            _BUILT[key].append(Built(build()))
        return _BUILT[key][taken[key] - 1].as_it_was()

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Trains an experiment to its end, once per session. Each call returns a copy of the run directory."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared  # the folder of all workers

    def make(experiment, run_dir):
        first = shared / f"finished-{hashlib.sha256(repr(experiment).encode()).hexdigest()[:16]}"
        with open(f"{first}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not first.exists():
                assert run_experiment(experiment, "tiny", f"{first}.begun", console=Console(io.StringIO()))
                os.rename(f"{first}.begun", first)
        return shutil.copytree(first, run_dir)

    return make


@pytest.fixture
def relative_error():
    """Returns the largest difference between two nests of arrays, relative to the largest number of each array."""

    def measure(got, expected):
        got, expected = tf.nest.flatten(got), tf.nest.flatten(expected)
        assert len(got) == len(expected)
        errors = [0.0]
        for a, b in zip(got, expected, strict=True):
            a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
            assert a.shape == b.shape and np.isfinite(a).all() and np.isfinite(b).all()
            errors.append(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
        return max(errors)

    return measure
