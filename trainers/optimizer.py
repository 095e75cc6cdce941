"""Keras optimizers by name."""

import dataclasses
import inspect

import keras

from charrnn.errors import check, check_float32


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become updates."""

    name: str = "adam"  # any Keras optimizer's name
    learning_rate: float = 1e-3
    clip_norm: float = 0.0  # the largest global gradient norm; 0: no limit

    def __post_init__(self):
        check_float32("optimizer.learning_rate", self.learning_rate)
        check_float32("optimizer.clip_norm", self.clip_norm, zero="no limit")
        check("optimizer.name", self.name, self.name.lower() in _classes(), f"one of {', '.join(sorted(_classes()))}")


def make_optimizer(config: OptimizerConfig, precision: str) -> keras.optimizers.Optimizer:
    """The optimizer; for mixed_float16 it scales the loss, so that small gradients survive."""
    optimizer = _classes()[config.name.lower()](learning_rate=config.learning_rate)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def _classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Keras's optimizers by lower-case name; not those that wrap others."""
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type) and issubclass(c, base)]
    taking_a_rate = [c for c in classes if "learning_rate" in inspect.signature(c).parameters]
    return {c.__name__.lower(): c for c in taking_a_rate if c is not base}
