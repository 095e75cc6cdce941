"""Tests the settings of the runtime, and the lines that describe the runtime to the user."""

import keras
import numpy
import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers import configs
from trainers.configs import RuntimeConfig
from trainers.launch import runtime
from trainers.launch.runtime import describe


@pytest.fixture
def devices(monkeypatch):
    """Returns a function that makes TensorFlow list these devices; until then, it lists one CPU."""

    def set_devices(*kinds):
        found = [tf.config.LogicalDevice(f"/device:{kind}:{i}", kind) for i, kind in enumerate(kinds)]
        listed = lambda kind=None: [device for device in found if kind in (None, device.device_type)]  # noqa: E731
        monkeypatch.setattr(tf.config, "list_logical_devices", listed)

    set_devices("CPU")
    return set_devices


@pytest.mark.parametrize(
    "field, allowed",
    [
        ("precision", "one of float32, mixed_bfloat16, mixed_float16, auto"),
        ("strategy", "one of auto, one_device"),
        ("recurrence", "one of auto, fused, keras"),
    ],
)
@pytest.mark.parametrize("value", ["magic", "", "FLOAT32", None])
def test_unknown_values_are_refused_with_the_known_ones(field, allowed, value):
    with pytest.raises(UserError, match=f"{field}={value}.* must be {allowed}"):
        RuntimeConfig(**{field: value})


def test_every_allowed_value_is_taken():
    for precision in (*configs.PRECISIONS, "auto"):
        for strategy in configs.STRATEGIES:
            for recurrence in ("auto", "fused", "keras"):
                RuntimeConfig(precision=precision, strategy=strategy, recurrence=recurrence)


@pytest.mark.parametrize(
    "config, line",
    [
        (RuntimeConfig(), "CPU:0, float32; recurrence: fused (the fastest on a CPU)"),
        (RuntimeConfig(recurrence="keras"), "CPU:0, float32; recurrence: keras (as asked for)"),
        (RuntimeConfig(recurrence="fused"), "CPU:0, float32; recurrence: fused (as asked for)"),
        (RuntimeConfig(xla=True), "CPU:0, float32, XLA; recurrence: fused (the fastest on a CPU)"),
        (RuntimeConfig(precision="mixed_bfloat16"), "CPU:0, mixed_bfloat16; recurrence: fused (the fastest on a CPU)"),
    ],
)
def test_one_line_names_device_precision_recurrence_and_reason(devices, monkeypatch, config, line):
    monkeypatch.setattr(runtime, "cpu_has_bfloat16", lambda: True)
    assert list(describe(config)) == [line]


def test_slow_settings_on_a_cpu_are_noted(devices, monkeypatch):
    monkeypatch.setattr(runtime, "cpu_has_bfloat16", lambda: True)

    def notes(**config):
        return [line for line in describe(RuntimeConfig(**config)) if line.startswith("Note: ")]

    (note,) = notes(precision="mixed_bfloat16", xla=True)
    assert "mixed_bfloat16 through XLA is slow on a CPU" in note and "leave out --xla" in note
    (note,) = notes(precision="mixed_float16")
    assert "float16 is slow on a CPU" in note and "--precision=auto" in note
    assert len(notes(precision="mixed_float16", xla=True)) == 2
    assert notes(xla=True) == notes(precision="mixed_bfloat16") == notes() == []


@pytest.mark.parametrize("precision", configs.PRECISIONS)
def test_a_gpu_gets_cudnn_and_no_notes(devices, precision):
    devices("CPU", "GPU")
    (line,) = describe(RuntimeConfig(precision=precision))
    assert line == f"GPU:1, {precision}; recurrence: keras (cuDNN's kernels are the fastest on a GPU)"
    (line,) = describe(RuntimeConfig(precision=precision, xla=True))
    assert line == f"GPU:1, {precision}, XLA; recurrence: fused (XLA cannot compile cuDNN's kernels)"


def test_versions_are_those_of_the_packages():
    assert runtime.versions() == {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": numpy.__version__,
    }
