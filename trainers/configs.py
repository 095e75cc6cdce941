"""The settings of the loop, the optimizer, the samples and the runtime; each group is one frozen dataclass."""

import dataclasses
import inspect

import keras

from charrnn.errors import check_float32, check_temperature, require
from charrnn.model.char_model import PATHS, PRECISIONS

RATE_SCHEDULES = ("constant", "cosine", "linear", "inverse_square_root")
_MAX_SAMPLE_CHARS = 100_000  # of a sample: training waits for it
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When things happen, in steps but for `epochs`; and what to do when training goes wrong."""

    steps: int = 1000  # total optimizer steps; a higher number resumes a finished run
    epochs: float = 0.0  # total epochs, instead of `steps`; 0: `steps` decides
    log_every: int = 50  # steps whose means are one line of the log
    evaluate_every: int = 0  # 0: each epoch
    save_every: int = 0  # 0: each epoch
    steps_per_loop: int = 0  # largest number of steps in one call; 0: about one second's, so that signals are heard
    histograms_every: int = 0  # steps between TensorBoard histograms of weights and gradients; 0: none
    profile: tuple[int, ...] = ()  # the first and the last step that TensorFlow's profiler records; empty: none
    keep: int = 3  # checkpoints kept, the newest ones
    patience: int = 0  # the run ends after this many evaluations in a row without a new best loss; 0: never
    min_delta: float = 0.0  # nats per character by which a loss must be below the best to be a new one, for `patience`
    explosion: float = 10.0  # the run has diverged if its mean loss exceeds this many times log V (guessing)
    retries: int = 3  # roll-backs to the last checkpoint after divergence, each halving the learning rate

    def __post_init__(self):
        require("loop.steps", self.steps, 1 <= self.steps < 2**31, "at least 1 and below 2^31")
        require("loop.epochs", self.epochs, 0 <= self.epochs < float("inf"), "at least 0 (0: loop.steps says)")
        require("loop.log_every", self.log_every, self.log_every >= 1, "at least 1")
        require("loop.evaluate_every", self.evaluate_every, self.evaluate_every >= 0, "at least 0 (0: each epoch)")
        require("loop.save_every", self.save_every, self.save_every >= 0, "at least 0 (0: each epoch)")
        require("loop.steps_per_loop", self.steps_per_loop, self.steps_per_loop >= 0, "at least 0 (0: a second's)")
        require("loop.histograms_every", self.histograms_every, self.histograms_every >= 0, "at least 0 (0: none)")
        right = not self.profile or (len(self.profile) == 2 and 1 <= self.profile[0] <= self.profile[1])
        require("loop.profile", ",".join(map(str, self.profile)), right, "FIRST,LAST, two steps from 1 on")
        require("loop.keep", self.keep, self.keep >= 1, "at least 1")
        require("loop.patience", self.patience, self.patience >= 0, "at least 0 (0: no limit)")
        require("loop.min_delta", self.min_delta, 0 <= self.min_delta < float("inf"), "at least 0")
        require("loop.explosion", self.explosion, self.explosion > 1, "above 1")
        require("loop.retries", self.retries, self.retries >= 0, "at least 0 (0: a run that diverges ends)")

    def in_steps(self, steps_per_epoch: int) -> "LoopConfig":
        """The same with all in steps. UserError where the steps to profile are not among them."""
        steps = max(1, round(self.epochs * steps_per_epoch)) if self.epochs else self.steps
        within = not self.profile or self.profile[1] <= steps
        require("loop.profile", ",".join(map(str, self.profile)), within, f"within the run's {steps:,} steps")
        return dataclasses.replace(
            self,
            steps=steps,
            epochs=0.0,
            evaluate_every=self.evaluate_every or steps_per_epoch,
            save_every=self.save_every or steps_per_epoch,
        )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become updates."""

    name: str = "adam"  # any Keras optimizer's name
    learning_rate: float = 1e-3  # the highest; the schedule multiplies it
    clip_norm: float = 0.0  # the largest global gradient norm; 0: no limit
    accumulate: int = 1  # parts that a batch is worked on in, one after the other, to save memory
    schedule: str = "constant"  # learning rate after the warm-up: "cosine", "linear", "inverse_square_root"
    warmup_steps: int = 0  # steps of linear learning-rate warm-up; 0: none
    decay_steps: int = 0  # step at which cosine and linear end, independent of loop.steps
    final_share: float = 0.0  # final learning rate of cosine and linear, as a share of learning_rate
    weight_decay: float = 0.0  # decoupled (Loshchilov & Hutter 2017, arXiv 1711.05101); 0: the optimizer's own, if any
    beta_2: float = 0.0  # decay of the mean square of gradients; 0: the optimizer's own
    averaging: float = 0.0  # decay of the weights' moving average, the model in all but training; 0: none
    label_smoothing: float = 0.0  # share of the target's probability that is spread over all characters

    def __post_init__(self):
        check_float32("optimizer.learning_rate", self.learning_rate)
        check_float32("optimizer.clip_norm", self.clip_norm, zero="no limit")
        require("optimizer.accumulate", self.accumulate, self.accumulate >= 1, "at least 1")
        known = self.schedule in RATE_SCHEDULES
        require("optimizer.schedule", self.schedule, known, f"one of {', '.join(RATE_SCHEDULES)}")
        require("optimizer.warmup_steps", self.warmup_steps, self.warmup_steps >= 0, "at least 0 (0: no warm-up)")
        if self.schedule in ("cosine", "linear"):
            longer = f"above optimizer.warmup_steps={self.warmup_steps} where optimizer.schedule={self.schedule}"
            require("optimizer.decay_steps", self.decay_steps, self.decay_steps > self.warmup_steps, longer)
        for name in ("final_share", "weight_decay", "beta_2", "averaging", "label_smoothing"):
            value = getattr(self, name)
            require(f"optimizer.{name}", value, 0 <= value < 1, "at least 0 and below 1")
        known = self.name.lower() in optimizers()
        require("optimizer.name", self.name, known, f"one of {', '.join(sorted(optimizers()))}")
        if self.beta_2:
            having = sorted(name for name, made in optimizers().items() if "beta_2" in optimizer_arguments(made))
            usable = self.name.lower() in having
            require("optimizer.beta_2", self.beta_2, usable, f"0 unless optimizer.name is one of {', '.join(having)}")


@dataclasses.dataclass(frozen=True)
class SamplesConfig:
    """What is sampled at each evaluation: every prompt at every temperature."""

    prompts: tuple[str, ...] = ("\n",)  # texts that a sample begins with, at least one character each
    from_text: int = 0  # one prompt more: this many characters of the training text, at each evaluation from elsewhere
    temperatures: tuple[float, ...] = (0.5, 0.8, 1.0)  # sampling temperatures; 0: greedy
    num_chars: int = 300  # 0: no samples
    seed: int = 0  # of the first prompt; each next one has the next

    def __post_init__(self):
        for temperature in self.temperatures:
            check_temperature("samples.temperatures", temperature, zero="the likeliest character always")
        require("samples.prompts", self.prompts, all(self.prompts), "texts of at least one character")
        require("samples.from_text", self.from_text, self.from_text >= 0, "at least 0 (0: none)")
        few = 0 <= self.num_chars <= _MAX_SAMPLE_CHARS
        require("samples.num_chars", self.num_chars, few, f"from 0 to {_MAX_SAMPLE_CHARS} (0: no samples)")
        require("samples.seed", self.seed, 0 <= self.seed < 2**31, "at least 0 and below 2^31")


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
        require("--precision", self.precision, self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        require("--strategy", self.strategy, self.strategy in STRATEGIES, f"one of {', '.join(STRATEGIES)}")
        require("runtime.virtual_replicas", self.virtual_replicas, self.virtual_replicas >= 0, "at least 0 (0: none)")
        require("runtime.worker_timeout", self.worker_timeout, self.worker_timeout > 0, "above 0")
        require("runtime.recurrence", self.recurrence, self.recurrence in PATHS, f"one of {', '.join(PATHS)}")


def optimizers() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Keras's optimizers by lower-case name; not those that wrap others."""
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type) and issubclass(c, base)]
    return {c.__name__.lower(): c for c in classes if "learning_rate" in optimizer_arguments(c) and c is not base}


def optimizer_arguments(made: type) -> set[str]:
    """Returns the names of a class's arguments."""
    return set(inspect.signature(made).parameters)
