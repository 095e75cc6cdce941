"""The settings of the loop, the optimizer, the samples and the runtime: one frozen dataclass per group."""

import dataclasses
import inspect

import keras

from charrnn.errors import check_epsilon, check_float32, check_temperature, require
from charrnn.model.char_model import PATHS, PRECISIONS

RATE_SCHEDULES = ("constant", "cosine", "linear", "inverse_square_root")
_MAX_SAMPLE_CHARS = 100_000  # training waits for samples
_MOST_REPLICAS = 256  # virtual ones, of which each is a device
_PRECISIONS = (*PRECISIONS, "auto")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When the loop logs, evaluates, saves and stops; what it does if training diverges."""

    steps: int = 1000  # total optimizer steps; a higher number continues a finished run
    epochs: float = 0.0  # total epochs, instead of `steps`; 0: `steps` is used
    log_every: int = 50  # steps between log lines, which hold means over them
    evaluate_every: int = 0  # steps between evaluations; 0: one epoch
    save_every: int = 0  # steps between checkpoints; 0: one epoch
    steps_per_loop: int = 0  # most steps per call of the compiled loop; 0: as many as take about one second
    histograms_every: int = 0  # steps between TensorBoard histograms of weights and gradients; 0: none
    profile: tuple[int, ...] = ()  # first and last step that TensorFlow's profiler records; empty: none
    keep: int = 3  # checkpoints kept, the newest ones
    patience: int = 0  # evaluations in a row without a new best loss after which the run stops; 0: no early stop
    min_delta: float = 0.0  # improvement that counts as a new best loss for `patience`, in nats per character
    explosion: float = 10.0  # multiple of log V (the loss of guessing) above which a mean loss counts as diverged
    retries: int = 3  # roll-backs to the last checkpoint after divergence; each halves the learning rate

    def __post_init__(self):
        require("loop.steps", self.steps, 1 <= self.steps < 2**31, "at least 1 and below 2^31")
        require("loop.epochs", self.epochs, 0 <= self.epochs < float("inf"), "at least 0 (0: loop.steps is used)")
        require("loop.log_every", self.log_every, self.log_every >= 1, "at least 1")
        require("loop.evaluate_every", self.evaluate_every, self.evaluate_every >= 0, "at least 0 (0: one epoch)")
        require("loop.save_every", self.save_every, self.save_every >= 0, "at least 0 (0: one epoch)")
        require("loop.steps_per_loop", self.steps_per_loop, self.steps_per_loop >= 0, "at least 0 (0: one second's)")
        require("loop.histograms_every", self.histograms_every, self.histograms_every >= 0, "at least 0 (0: none)")
        right = not self.profile or (len(self.profile) == 2 and 1 <= self.profile[0] <= self.profile[1])
        require("loop.profile", ",".join(map(str, self.profile)), right, "FIRST,LAST, two steps, FIRST at least 1")
        require("loop.keep", self.keep, self.keep >= 1, "at least 1")
        require("loop.patience", self.patience, self.patience >= 0, "at least 0 (0: no early stop)")
        require("loop.min_delta", self.min_delta, 0 <= self.min_delta < float("inf"), "at least 0")
        require("loop.explosion", self.explosion, self.explosion > 1, "above 1")
        require("loop.retries", self.retries, self.retries >= 0, "at least 0 (0: divergence ends the run)")

    def in_steps(self, steps_per_epoch: int) -> "LoopConfig":
        """Returns the config with epochs converted to steps.

        Args:
            steps_per_epoch: number of steps.

        Raises:
            UserError: the epochs are too many, or the steps to profile are beyond the end of the run.
        """
        most = f"below 2^31 steps, at {steps_per_epoch:,} an epoch"
        require("loop.epochs", self.epochs, self.epochs * steps_per_epoch < 2**31 - 1, most)
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
    """The optimizer, its learning rate, and regularisation of the loss."""

    name: str = "adam"  # name of a Keras optimizer
    learning_rate: float = 1e-3  # peak learning rate; the schedule multiplies it
    clip_norm: float = 0.0  # largest global gradient norm; 0: no clipping
    accumulate: int = 1  # gradient accumulation: parts of a batch that are computed one after the other
    schedule: str = "constant"  # learning rate after the warm-up: "constant", "cosine", "linear", "inverse_square_root"
    warmup_steps: int = 0  # steps of linear learning-rate warm-up; 0: none
    decay_steps: int = 0  # step at which cosine and linear end, independent of loop.steps
    final_share: float = 0.0  # final learning rate of cosine and linear, as a share of learning_rate
    weight_decay: float = 0.0  # decoupled (Loshchilov & Hutter 2017, arXiv 1711.05101); 0: the optimizer's default
    beta_2: float = 0.0  # decay of the mean square of gradients; 0: the optimizer's default
    averaging: float = 0.0  # decay of the moving average of the weights, used for evaluation and samples; 0: none
    label_smoothing: float = 0.0  # share of the target probability that is spread over all characters

    def __post_init__(self):
        check_float32("optimizer.learning_rate", self.learning_rate)
        check_float32("optimizer.clip_norm", self.clip_norm, zero="no clipping")
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
    """The samples written at each evaluation: every prompt at every temperature."""

    prompts: tuple[str, ...] = ("\n",)  # start of each sample, at least one character
    from_text: int = 0  # length of one more prompt from a random place of the training text, in characters; 0: none
    temperatures: tuple[float, ...] = (0.5, 0.8, 1.0)  # sampling temperatures; 0: greedy
    num_chars: int = 300  # length of a sample after the prompt, in characters; 0: no samples
    seed: int = 0  # seed of the first prompt; prompt i uses seed + i
    epsilon: float = 0.0  # least probability of a character that may be written, after the temperature; 0: any

    def __post_init__(self):
        for temperature in self.temperatures:
            check_temperature("samples.temperatures", temperature, zero="greedy")
        require("samples.prompts", self.prompts, all(self.prompts), "texts of at least one character")
        require("samples.from_text", self.from_text, self.from_text >= 0, "at least 0 (0: none)")
        few = 0 <= self.num_chars <= _MAX_SAMPLE_CHARS
        require("samples.num_chars", self.num_chars, few, f"from 0 to {_MAX_SAMPLE_CHARS} (0: no samples)")
        check_epsilon("samples.epsilon", self.epsilon)
        require("samples.seed", self.seed, 0 <= self.seed < 2**31, "at least 0 and below 2^31")


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """Precision, compilation and devices: they change speed and rounding, not the computation."""

    precision: str = "float32"  # "float32", "mixed_bfloat16", "mixed_float16", or "auto": mixed_bfloat16 if the machine
    # has instructions for it, else float32
    xla: bool = False  # compile the step with XLA
    strategy: str = "auto"  # "one_device"; "mirrored": all GPUs of this machine; "multi_worker": the machines in
    # TF_CONFIG; "tpu"; "auto": whichever of the first three is available
    virtual_replicas: int = 0  # CPU devices to create, to try "mirrored" without GPUs; 0: none
    worker_timeout: float = 300.0  # seconds that workers wait for each other at the start
    recurrence: str = "auto"  # "fused", "keras", or "auto": the faster one on the device

    def __post_init__(self):
        require("--precision", self.precision, self.precision in _PRECISIONS, f"one of {', '.join(_PRECISIONS)}")
        require("--strategy", self.strategy, self.strategy in STRATEGIES, f"one of {', '.join(STRATEGIES)}")
        few = 0 <= self.virtual_replicas <= _MOST_REPLICAS
        require("runtime.virtual_replicas", self.virtual_replicas, few, f"from 0 to {_MOST_REPLICAS} (0: none)")
        possible = 0 < self.worker_timeout <= 1e6  # sockets take no longer times
        require("runtime.worker_timeout", self.worker_timeout, possible, "above 0 and at most 1e6")
        require("runtime.recurrence", self.recurrence, self.recurrence in PATHS, f"one of {', '.join(PATHS)}")


def optimizers() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Returns Keras's optimizers by lower-case name, without those that wrap others."""
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type) and issubclass(c, base)]
    return {c.__name__.lower(): c for c in classes if "learning_rate" in optimizer_arguments(c) and c is not base}


def optimizer_arguments(made: type) -> set[str]:
    """Returns the names of the arguments of a class."""
    return set(inspect.signature(made).parameters)
