"""Small builders that several test files use."""

import os
import signal

# A shell starts what it runs in the background deaf to Ctrl-C, which some tests press, also in processes of their own.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# With ONEDNN_MAX_CPU_ISA=AVX2, a machine computes as one without AVX-512. TensorFlow asks the processor, not oneDNN,
# for bfloat16, and crashes if only the processor has it. Its own kernels, without oneDNN, do not.
if "ONEDNN_MAX_CPU_ISA" in os.environ:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf

from charrnn.batches.sources import DataConfig, make_source
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from trainers.trainer import Trainer

# The same examples in each run of CI: a random new failure must not block an unrelated change.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Two devices, to try two replicas on; to be said before TensorFlow starts.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture
def make_model():
    """Builds a tiny model. All its weights, biases too, are random: a zero bias would hide a mistake."""

    def make(vocabulary_size=7, precision="float32", seed=0, **config):
        config = ModelConfig(**{"units": 6, "embedding_size": 5, **config})
        model = CharModel(config, vocabulary_size, precision, seed)
        random = np.random.default_rng(seed)
        for weight in model.trainable_variables:
            weight.assign(random.normal(0, 0.5, weight.shape))
        return model

    return make


@pytest.fixture
def make_trainer(make_model):
    """Builds a trainer of a tiny model on random text."""

    def make(cls=Trainer, model=None, optimizer=None, text=None, data=None, **arguments):
        model = make_model() if model is None else model
        text = np.random.default_rng(5).integers(0, model.vocabulary_size, 2000) if text is None else text
        source = make_source(text, DataConfig(**{"seq_length": 5, "batch_size": 3, **(data or {})}), seed=0)
        optimizer = keras.optimizers.Adam(0.01) if optimizer is None else optimizer
        return cls(model, source, optimizer, **arguments)

    return make


@pytest.fixture
def relative_error():
    """The largest difference between two nests of arrays, entry by entry, in units of the entry's largest number."""

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
