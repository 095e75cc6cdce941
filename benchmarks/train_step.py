"""One training step against the same model under Keras `fit`: python -m benchmarks.train_step [--cell=lstm …].

The contestants take turns, some steps each, so that whatever else the machine does hits all of them: closed loop, open
loop at probability 0.5, Keras `fit`, and the matmuls of a step alone, which are the machine's own limit. Prints
medians, and writes them with --json=FILE. Run it on an otherwise idle machine.
"""

import functools
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from charrnn import command
from charrnn.errors import UserError

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS, lower_bound=1)

_string("corpus", "shakespeare", "What to train on.")
_string("cell", "gru", "gru or lstm.")
_string("precision", "float32", "float32, mixed_bfloat16 or mixed_float16.")
flags.DEFINE_boolean("xla", False, "Compile our step, and Keras's, with XLA.", flag_values=FLAGS)
_integer("units", 1024, "Units.")
_integer("turns", 5, "Turns of each contestant.")
_integer("steps", 3, "Steps a turn.")
_string("json", None, "Where to write the figures.")


def main(beside: list[str]) -> int:
    """Measures and prints. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag.")
    command.start_tensorflow()
    contestants = {"closed loop": _ours("teacher_forcing"), "open loop, p = 0.5": _ours("scheduled_sampling")}
    contestants |= {"keras fit": _keras_fit(), "matmuls alone": _matmuls()}
    seconds = {name: [] for name in contestants}
    for turn in contestants.values():
        turn(2)  # tracing and warm-up
    for _ in range(FLAGS.turns):
        for name, turn in contestants.items():
            seconds[name] += turn(FLAGS.steps)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    print(f"{FLAGS.cell} {FLAGS.units}, {FLAGS.precision}{', XLA' if FLAGS.xla else ''}; seconds a step, the median of")
    print(f"{FLAGS.turns} turns of {FLAGS.steps} steps; its time as a multiple of closed loop's")
    for name, median in medians.items():
        print(f"  {name:20} {median:8.4f} {median / medians['closed loop']:6.2f} ×")
    if FLAGS.json:
        settings = {name: FLAGS[name].value for name in ("cell", "precision", "xla", "units", "turns", "steps")}
        with open(FLAGS.json, "w", encoding="utf-8") as file:
            json.dump({**settings, "seconds_per_step": medians}, file, indent=2)
    return command.DONE


def _experiment():
    from experiments.shakespeare_gru import EXPERIMENT
    from trainers.experiment import override

    settings = [f"model.cell={FLAGS.cell}", f"model.units={FLAGS.units}", "optimizer.clip_norm=1"]
    return override(EXPERIMENT, [*settings, f"runtime.precision={FLAGS.precision}", f"runtime.xla={FLAGS.xla}"])


@functools.cache
def _texts():
    import dataclasses

    from trainers.training import load_texts

    return load_texts(dataclasses.replace(_experiment(), corpus=FLAGS.corpus), lambda line: None)


def _timed(step: Callable[[int], object]) -> Callable[[int], list[float]]:
    """A turn: calls `step` with the numbers of steps that go on from turn to turn; -> seconds each."""
    count = 0

    def turn(num_steps: int) -> list[float]:
        nonlocal count
        seconds = []
        for _ in range(num_steps):
            start = time.perf_counter()
            step(count)
            seconds.append(time.perf_counter() - start)
            count += 1
        return seconds

    return turn


def _ours(trainer_name: str) -> Callable[[int], list[float]]:
    """The step of trainers.run: its batch, update and metrics."""
    from trainers.experiment import override, with_trainer
    from trainers.training import make_trainer

    experiment = with_trainer(_experiment(), trainer_name)
    if trainer_name == "scheduled_sampling":
        experiment = override(experiment, ["trainer.schedule=constant", "trainer.max_prob=0.5"])
    trainer = make_trainer(experiment, _texts())
    return _timed(lambda step: float(trainer.train_step(trainer.batch_at(step), False)["nats"]))


def _keras_fit() -> Callable[[int], list[float]]:
    """The same model of stock layers under `fit`; a turn's first step, in which `fit` starts up, does not count."""
    import keras
    import tensorflow as tf

    data, vocabulary_size = _experiment().data, _texts().vocabulary.size
    policy = keras.mixed_precision.DTypePolicy(FLAGS.precision)
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[FLAGS.cell]
    layers = [keras.layers.Embedding(vocabulary_size, 256, dtype=policy)]
    layers += [layer(FLAGS.units, return_sequences=True, dtype=policy)]
    model = keras.Sequential([*layers, keras.layers.Dense(vocabulary_size, dtype="float32")])
    model.build((data.batch_size, data.seq_length))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), loss, jit_compile=FLAGS.xla)
    batches = [_texts().source.batch_at(step)[:2] for step in range(8)]
    inputs, targets = (np.concatenate(column) for column in zip(*batches, strict=True))
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(data.batch_size).repeat().prefetch(2)

    def turn(num_steps: int) -> list[float]:
        stamps = []
        clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: stamps.append(time.perf_counter()))
        model.fit(dataset, steps_per_epoch=num_steps + 1, shuffle=False, verbose=0, callbacks=[clock])
        return np.diff(stamps).tolist()

    return turn


def _matmuls() -> Callable[[int], list[float]]:
    """The matmuls of one step, in the shapes and numbers of the fused recurrence, and nothing else."""
    import tensorflow as tf

    data, vocabulary_size = _experiment().data, _texts().vocabulary.size
    rows, length, units = data.batch_size, data.seq_length, FLAGS.units
    gates = units * {"gru": 3, "lstm": 4}[FLAGS.cell]
    dtype = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}[FLAGS.precision]
    state, wide = tf.ones((rows, units), dtype), tf.ones((rows, gates), dtype)
    kernel, back = tf.ones((units, gates), dtype), tf.ones((gates, units), dtype)
    states, gradients = tf.ones((length * rows, units), dtype), tf.ones((length * rows, gates), dtype)
    one_hot = tf.ones((length * rows, vocabulary_size), dtype)
    outputs, logits = tf.ones((length * rows, units)), tf.ones((length * rows, vocabulary_size))
    readout = tf.ones((units, vocabulary_size))

    @tf.function
    def run():
        def loop(matrix, other):
            # The sum's place in the loop's state keeps the matmuls from being hoisted out or run at once.
            def body(t, total):
                return t + 1, tf.matmul(matrix + total[0, 0], other)

            start = (0, tf.zeros((matrix.shape[0], other.shape[1]), matrix.dtype))
            return tf.while_loop(lambda t, _: t < length, body, start)[1]

        forward, backward = loop(state, kernel), loop(wide, back)
        weights = tf.matmul(states, gradients, transpose_a=True)
        table = tf.matmul(one_hot, gradients, transpose_a=True)
        last = tf.matmul(outputs, readout), tf.matmul(logits, readout, transpose_b=True)
        return forward, backward, weights, table, last, tf.matmul(outputs, logits, transpose_a=True)

    return _timed(lambda step: run()[0].numpy())


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
