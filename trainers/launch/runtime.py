"""The runtime of a run: precision, XLA, devices."""

from collections.abc import Iterator

import keras
import numpy
import tensorflow as tf

from charrnn.model.char_model import choose_path
from charrnn.model.config import ModelConfig
from trainers.configs import RuntimeConfig
from trainers.launch.precision import cpu_has_bfloat16


def describe(config: RuntimeConfig, model: ModelConfig | None = None) -> Iterator[str]:
    """Yields lines on the runtime for the user.

    Args:
        config: the runtime.
        model: the model's settings, for the choice of the recurrence.
    """
    path, why = choose_path(config.recurrence, config.xla, model)
    device = (tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"))[0]
    device = device.name.split("device:")[-1]
    yield f"{device}, {config.precision}{', XLA' if config.xla else ''}; recurrence: {path} ({why})"
    on_cpu = not tf.config.list_logical_devices("GPU")
    if on_cpu and config.xla and config.precision != "float32":
        yield f"Note: {config.precision} through XLA is slow on a CPU; leave out --xla"
    if on_cpu and config.precision == "mixed_float16":
        yield "Note: float16 is slow on a CPU; use --precision=auto"
    if on_cpu and config.precision == "mixed_bfloat16" and not cpu_has_bfloat16():
        yield "Note: bfloat16 is slower than float32 on this CPU, without instructions for it; use float32 next time"


def versions() -> dict[str, str]:
    """Returns the versions of the packages that affect the numbers of a run."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": numpy.__version__}
