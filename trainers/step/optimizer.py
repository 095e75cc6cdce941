"""Keras optimizers by name, and what else decides how gradients become updates."""

import dataclasses
import inspect

import keras

from charrnn.errors import check, check_float32
from trainers.step.learning_rate import SCHEDULES, LearningRate


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become updates."""

    name: str = "adam"  # any Keras optimizer's name
    learning_rate: float = 1e-3  # the highest; the schedule multiplies it
    clip_norm: float = 0.0  # the largest global gradient norm; 0: no limit
    accumulate: int = 1  # parts that a batch is worked on in, one after the other, to save memory
    schedule: str = "constant"  # of the learning rate after the warm-up: "cosine", "linear", "inverse_square_root"
    warmup_steps: int = 0  # in which the learning rate rises evenly; 0: none
    decay_steps: int = 0  # from step 0 to where cosine and linear end; also of a run that is made longer
    final_share: float = 0.0  # of learning_rate, where they end
    weight_decay: float = 0.0  # decoupled (Loshchilov & Hutter 2017, arXiv 1711.05101); 0: the optimizer's own, if any
    beta_2: float = 0.0  # decay of the mean square of gradients; 0: the optimizer's own
    averaging: float = 0.0  # decay of the weights' moving average, the model in all but training; 0: none
    label_smoothing: float = 0.0  # share of the target's probability that is spread over all characters

    def __post_init__(self):
        check_float32("optimizer.learning_rate", self.learning_rate)
        check_float32("optimizer.clip_norm", self.clip_norm, zero="no limit")
        check("optimizer.accumulate", self.accumulate, self.accumulate >= 1, "at least 1")
        check("optimizer.schedule", self.schedule, self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        check("optimizer.warmup_steps", self.warmup_steps, self.warmup_steps >= 0, "at least 0 (0: no warm-up)")
        if self.schedule in ("cosine", "linear"):
            longer = f"above optimizer.warmup_steps={self.warmup_steps} where optimizer.schedule={self.schedule}"
            check("optimizer.decay_steps", self.decay_steps, self.decay_steps > self.warmup_steps, longer)
        for name in ("final_share", "weight_decay", "beta_2", "averaging", "label_smoothing"):
            value = getattr(self, name)
            check(f"optimizer.{name}", value, 0 <= value < 1, "at least 0 and below 1")
        check("optimizer.name", self.name, self.name.lower() in _classes(), f"one of {', '.join(sorted(_classes()))}")
        if self.beta_2:
            having = sorted(name for name, made in _classes().items() if "beta_2" in _arguments(made))
            usable = self.name.lower() in having
            check("optimizer.beta_2", self.beta_2, usable, f"0 unless optimizer.name is one of {', '.join(having)}")


def make_optimizer(config: OptimizerConfig, precision: str) -> keras.optimizers.Optimizer:
    """The optimizer; for mixed_float16 it scales the loss, so that small gradients survive."""
    given = {name: getattr(config, name) for name in ("weight_decay", "beta_2") if getattr(config, name)}
    rate = _learning_rate(config)
    optimizer = _classes()[config.name.lower()](learning_rate=rate, **given)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    if isinstance(rate, LearningRate):
        optimizer.learning_rate_share = rate.share  # so that it is saved with the optimizer
    return optimizer


def slow_down(optimizer: keras.optimizers.Optimizer) -> None:
    """Halves the learning rate, or all of a schedule's from now on. Eager."""
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


def _classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Keras's optimizers by lower-case name; not those that wrap others."""
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type) and issubclass(c, base)]
    return {c.__name__.lower(): c for c in classes if "learning_rate" in _arguments(c) and c is not base}


def _arguments(made: type) -> set[str]:
    return set(inspect.signature(made).parameters)
