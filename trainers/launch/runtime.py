"""On what a run runs: precision, XLA, devices."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy
import tensorflow as tf

from charrnn.errors import check
from charrnn.model.char_model import PATHS, PRECISIONS, choose_path
from charrnn.model.config import ModelConfig

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """What changes the speed and the rounding of a run, but not what is computed."""

    precision: str = "float32"  # or "mixed_bfloat16", "mixed_float16"
    xla: bool = False  # compile the step
    strategy: str = "auto"  # "one_device"; "mirrored": all GPUs of this machine; "multi_worker": the machines that
    # TF_CONFIG names; "tpu"; "auto": whichever of the first three is there
    virtual_replicas: int = 0  # CPU devices to make of this machine's one, to try "mirrored" on; 0: none
    worker_timeout: float = 300.0  # seconds that workers wait for each other at the start
    recurrence: str = "auto"  # "fused", "keras", or whichever suits the device

    def __post_init__(self):
        check("--precision", self.precision, self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        check("--strategy", self.strategy, self.strategy in STRATEGIES, f"one of {', '.join(STRATEGIES)}")
        check("runtime.virtual_replicas", self.virtual_replicas, self.virtual_replicas >= 0, "at least 0 (0: none)")
        check("runtime.worker_timeout", self.worker_timeout, self.worker_timeout > 0, "above 0")
        check("runtime.recurrence", self.recurrence, self.recurrence in PATHS, f"one of {', '.join(PATHS)}")


def describe(config: RuntimeConfig, model: ModelConfig | None = None) -> Iterator[str]:
    """What the user should know of how the run runs, a line each."""
    path, why = choose_path(config.recurrence, config.xla, model)
    device = (tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"))[0]
    device = device.name.split("device:")[-1]
    yield f"{device}, {config.precision}{', XLA' if config.xla else ''}; recurrence: {path} ({why})"
    on_cpu = not tf.config.list_logical_devices("GPU")
    if on_cpu and config.xla and config.precision != "float32":
        yield f"Note: {config.precision} through XLA is slow on a CPU; without --xla it is the fastest"
    if on_cpu and config.precision == "mixed_float16":
        yield "Note: float16 is slow on a CPU; use --precision=mixed_bfloat16"


def versions() -> dict[str, str]:
    """The packages that a run's numbers depend on."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": numpy.__version__}

