"""Builds the Keras optimizer that an experiment names."""

import keras

from trainers.configs import OptimizerConfig, optimizers
from trainers.step.learning_rate import LearningRate


def make_optimizer(config: OptimizerConfig, precision: str) -> keras.optimizers.Optimizer:
    """Returns the optimizer; for mixed_float16 it scales the loss, so that small gradients do not underflow."""
    given = {name: getattr(config, name) for name in ("weight_decay", "beta_2") if getattr(config, name)}
    rate = _learning_rate(config)
    optimizer = optimizers()[config.name.lower()](learning_rate=rate, **given)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    if isinstance(rate, LearningRate):
        optimizer.learning_rate_share = rate.share  # an attribute, so that checkpoints include it
    return optimizer


def slow_down(optimizer: keras.optimizers.Optimizer) -> None:
    """Halves the learning rate, or all later rates of a schedule. Eager."""
    if hasattr(optimizer, "learning_rate_share"):
        optimizer.learning_rate_share.assign(optimizer.learning_rate_share / 2)
    else:
        optimizer.learning_rate = float(optimizer.learning_rate) / 2


def _learning_rate(config: OptimizerConfig) -> float | LearningRate:
    if config.schedule == "constant" and not config.warmup_steps:
        return config.learning_rate
    return LearningRate(
        config.learning_rate, config.schedule, config.warmup_steps, config.decay_steps, config.final_share
    )
