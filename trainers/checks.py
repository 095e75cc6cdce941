"""Requirements of a curriculum: each check returns whether it is met, and a sentence."""

import math

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.batches.evaluation_batches import passes_for
from charrnn.batches.texts import Texts
from trainers.configs import RuntimeConfig
from trainers.distribution.strategies import make_strategy
from trainers.experiment import Experiment, override
from trainers.launch.build import make_trainer
from trainers.loop.checkpoints import Checkpoints
from trainers.trainer import Trainer

Finding = tuple[bool, str]


class Trial:
    """A short training run, whose measurements are checked.

    Args:
        experiment: the experiment.
        texts: its texts.
    """

    def __init__(self, experiment: Experiment, texts: Texts):
        self._experiment, self._texts = experiment, texts
        self.trainer = make_trainer(experiment, texts)
        self.measured: list[dict[str, float]] = []
        self._shapes: set[tuple[int, ...]] = set()
        self._before = self._after = math.nan

    def train(self, num_steps: int, folder: str) -> Finding:
        """Trains, with a checkpoint half-way and some evaluations, like the loop."""
        checkpoints = Checkpoints(folder, self.trainer, keep=1)
        self._before = self._evaluate(self.trainer)
        self.measured = self._steps(self.trainer, 0, num_steps // 2)
        checkpoints.save(num_steps // 2)
        self.measured += self._steps(self.trainer, num_steps // 2, num_steps)
        self._after = self._evaluate(self.trainer)
        return True, f"{num_steps} steps of {type(self.trainer).__name__}"

    def traced_once(self) -> Finding:
        """Checks that the step was traced once per shape of a batch."""
        traces = self.trainer._compiled.one.experimental_get_tracing_count()
        return traces == len(self._shapes), f"{traces} for {len(self._shapes)} shapes of batches"

    def loss_falls(self) -> Finding:
        """Checks that the loss on the validation text decreased (closed loop: teacher forcing)."""
        return self._after < self._before, f"{self._before:.3f} -> {self._after:.3f} nats per character, closed loop"

    def gradients_finite(self) -> Finding:
        """Checks that all gradients were finite."""
        norms = [step["gradient_norm"] for step in self.measured]
        return bool(np.isfinite(norms).all()), f"norms {min(norms):.3g} to {max(norms):.3g}"

    def share_as_claimed(self) -> Finding:
        """Checks the share of own characters against `own_input_prob`: within 4 standard errors plus one per batch."""
        names = "own_input_share", "own_input_prob", "rows", "length"
        found = np.array([[step[name] for name in names] for step in self.measured if step["length"] > 1])
        if len(found) < 2:
            return True, "a row has one character, which is the text's"
        shares, claimed, rows, length = found.T
        shares = shares * length / (length - 1)  # the first character of a row is the text's
        if type(self.trainer).own_input_prob is Trainer.own_input_prob:
            return True, f"{shares.mean():.3f} on average; own_input_prob claims nothing"
        off = (shares - claimed).mean()
        allowed = 4 * (shares - claimed).std(ddof=1) / math.sqrt(len(shares))
        allowed += (1 / (rows * (length - 1))).mean()
        return bool(abs(off) <= allowed), f"{shares.mean():.3f}, claimed {claimed.mean():.3f} ± {allowed:.3f}"

    def chooses_row_by_row(self) -> Finding:
        """Checks that `choose` gives each half of some rows what it gives them together."""
        rows, size = 8, self._texts.vocabulary.size
        logits, noise, gold = (randomness.gumbel([rows, size], [i, 0]) for i in range(3))
        gold = tf.argmax(gold, -1, output_type=tf.int32)
        choose = tf.function(self.trainer.choose, autograph=False)
        together = choose(logits, noise, gold)
        alone = tf.concat([choose(logits[half], noise[half], gold[half]) for half in (slice(4), slice(4, rows))], 0)
        if bool(tf.reduce_all(together == alone)):
            return True, "choose looks at one row only"
        return False, "choose gives a row another character if other rows are with it; it must look at one row only"

    def resumes(self, folder: str) -> Finding:
        """Checks that a run resumed from the half-way checkpoint ends with the same bits."""
        trainer = make_trainer(self._experiment, self._texts)
        Checkpoints(folder, trainer, keep=1).restore()
        start = int(trainer.step.numpy())
        again = self._steps(trainer, start, len(self.measured))
        if again != self.measured[start:]:
            first = next(i for i, (a, b) in enumerate(zip(again, self.measured[start:], strict=True)) if a != b)
            return False, f"other numbers from step {start + first} on, after a resume at step {start}"
        pairs = zip(_state_of(trainer), _state_of(self.trainer), strict=True)
        same = all(np.array_equal(a, b) for a, b in pairs)
        return same, f"{len(again)} steps after step {start}" if same else "other weights or variables at the end"

    def _steps(self, trainer: Trainer, first: int, end: int) -> list[dict[str, float]]:
        measured = []
        for step in range(first, end):
            batch = trainer.batch_at(step)
            self._shapes.add(batch.inputs.shape)
            rows, length = batch.inputs.shape
            numbers = {**trainer.train_step(batch), "rows": rows, "length": length}
            measured.append({name: float(value) for name, value in numbers.items()})
            if step % 10 == 4:  # not at the step of the checkpoint
                trainer.on_evaluation(step + 1, {"nats_per_char": self._evaluate(trainer)})
        return measured

    def _evaluate(self, trainer: Trainer) -> float:
        first = next(iter(passes_for(self._texts.validation, self._experiment.data).values()))
        return trainer.evaluate(first())["nats_per_char"]


def same_on_replicas(experiment: Experiment, texts: Texts) -> Finding:
    """Checks that two virtual CPU replicas give the numbers of one device, up to rounding."""
    one = _second_step(make_trainer(experiment, texts))
    with make_strategy(RuntimeConfig(strategy="mirrored", virtual_replicas=2)).scope():
        two = _second_step(make_trainer(experiment, texts))
    return _same(one, two, "on two", "random numbers must come from charrnn.randomness or the trainer's noise")


def same_with_xla(experiment: Experiment, texts: Texts) -> Finding:
    """Checks that XLA gives the same numbers up to rounding, from the same random numbers."""
    drawn, randomness.draw = randomness.draw, portable_uniform
    try:
        plain, compiled = (
            _second_step(make_trainer(override(experiment, [f"runtime.xla={xla}"]), texts)) for xla in ("false", "true")
        )
    finally:
        randomness.draw = drawn
    return _same(plain, compiled, "with XLA", "random numbers must come from charrnn.randomness")


def _second_step(trainer: Trainer) -> dict[str, float]:
    """Returns the measurements of the second step, after the first has changed the weights."""
    for step in range(2):
        numbers = trainer.train_step(trainer.batch_at(step))
    return {name: float(value) for name, value in numbers.items()}


def _same(plain: dict[str, float], other: dict[str, float], how: str, remedy: str) -> Finding:
    worst = max(plain, key=lambda name: _difference(plain[name], other[name]))
    same = _difference(plain[worst], other[worst]) < 1e-3
    says = f"{worst} {plain[worst]:.6g}, {how} {other[worst]:.6g}"
    return same, says if same else f"{says}; {remedy}"


def portable_uniform(shape: tf.Tensor, seed: tf.Tensor, starts: tf.Tensor | None = None) -> tf.Tensor:
    """Returns uniform numbers in [0, 1), equal with and without XLA: Wang's hash of seed and index.

    Args:
        shape: the shape.
        seed: int32 `[2]`.
        starts: as in `randomness.draw`.
    """

    def mixed(x: tf.Tensor) -> tf.Tensor:
        x = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(x, 61), tf.bitwise.right_shift(x, 16)) * 9
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, 4)) * 0x27D4EB2D
        return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, 15))

    first, second = tf.unstack(tf.bitcast(seed, tf.uint32))
    places = tf.range(tf.reduce_prod(shape)) if starts is None else starts[:, None] + tf.range(shape[1], dtype=tf.int64)
    bits = mixed(tf.bitwise.bitwise_xor(mixed(tf.cast(places, tf.uint32) + first), second))
    return tf.reshape(tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) / 2**24, shape)


def _difference(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-6) if math.isfinite(a) and math.isfinite(b) else math.inf


def _state_of(trainer: Trainer) -> list[np.ndarray]:
    return [v.numpy() for v in (*trainer.model.trainable_variables, *trainer.optimizer.variables, *trainer.variables)]
