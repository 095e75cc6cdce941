"""Keras optimizers by name."""

import dataclasses

import keras

from charrnn.errors import check


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become updates."""

    name: str = "adam"  # any Keras optimizer's name
    learning_rate: float = 1e-3
    clip_norm: float = 0.0  # the largest global gradient norm; 0: no limit

    def __post_init__(self):
        check("optimizer.learning_rate", self.learning_rate, 0 < self.learning_rate < float("inf"), "above 0")
        check("optimizer.clip_norm", self.clip_norm, 0 <= self.clip_norm < float("inf"), "at least 0 (0: no limit)")
        make_optimizer(self, "float32")


def make_optimizer(config: OptimizerConfig, precision: str) -> keras.optimizers.Optimizer:
    """The optimizer; for mixed_float16 it scales the loss, so that small gradients survive."""
    try:
        description = {"class_name": config.name, "config": {"learning_rate": config.learning_rate}}
        optimizer = keras.optimizers.get(description)
    except (ValueError, TypeError, KeyError):  # KeyError: the names of wrappers around other optimizers
        optimizer = None
    usable = type(optimizer) not in (type(None), keras.optimizers.Optimizer)  # the latter is the abstract parent
    check("optimizer.name", config.name, usable, "adam, adamw, rmsprop, sgd or another Keras optimizer's name")
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer
