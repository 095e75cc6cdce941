"""One training step against the same model under Keras `fit`: python -m benchmarks.train_step --experiment=NAME.

    python -m benchmarks.train_step --experiment=shakespeare_gru runtime.precision=mixed_bfloat16

The contestants take turns, some steps each, so that whatever else the machine does hits all of them: closed loop, open
loop at probability 0.5, Keras `fit`, and the matmuls of a step alone, which are the machine's own limit. Prints
medians, and writes them with --json=FILE. Run it on an otherwise idle machine.
"""

import functools
import importlib
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from charrnn import command

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS, lower_bound=1)

_string("experiment", "shakespeare_gru", "Whose model, batches and optimizer.")
_integer("turns", 5, "Turns of each contestant.")
_integer("steps", 3, "Steps a turn.")
_string("json", None, "Where to write the figures.")

Turn = Callable[[int], list[float]]
"""Runs some steps and returns the seconds that each took."""


def main(settings: list[str]) -> int:
    """Measures and prints; `settings` are of the form group.field=value. Returns the exit status."""
    command.start_tensorflow()
    from charrnn.texts import load_texts
    from trainers.experiment import override

    experiment = importlib.import_module(f"experiments.{FLAGS.experiment}").EXPERIMENT
    experiment = override(experiment, settings)
    texts = load_texts(experiment.corpus, experiment.data, lambda line: None)
    contestants = {
        "closed loop": _ours(experiment, texts, "teacher_forcing"),
        "open loop, p = 0.5": _ours(experiment, texts, "scheduled_sampling"),
        "keras fit": _keras_fit(experiment, texts),
        "matmuls alone": _matmuls(experiment, texts),
    }
    medians = {name: float(np.median(seconds)) for name, seconds in _take_turns(contestants).items()}
    print(" ".join([FLAGS.experiment, *settings]))
    print(f"seconds a step, the median of {FLAGS.turns} turns of {FLAGS.steps} steps")
    for name, median in medians.items():
        print(f"  {name:20} {median:8.4f} {median / medians['closed loop']:6.2f} × closed loop")
    if FLAGS.json:
        with open(FLAGS.json, "w", encoding="utf-8") as file:
            measured = {"experiment": FLAGS.experiment, "settings": settings, "seconds_per_step": medians}
            json.dump(measured, file, indent=2)
    return command.DONE


def _take_turns(contestants: dict[str, Turn]) -> dict[str, list[float]]:
    for turn in contestants.values():
        turn(2)  # tracing and warm-up
    seconds = {name: [] for name in contestants}
    for _ in range(FLAGS.turns):
        for name, turn in contestants.items():
            seconds[name] += turn(FLAGS.steps)
    return seconds


def _timed(step: Callable[[int], object]) -> Turn:
    """Calls `step` with the numbers of steps, which go on from turn to turn."""
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


def _ours(experiment, texts, trainer_name: str) -> Turn:
    """The step of trainers.run: its batch, update and metrics."""
    from trainers.experiment import override, with_trainer
    from trainers.training import make_trainer

    experiment = with_trainer(experiment, trainer_name)
    if trainer_name == "scheduled_sampling":
        experiment = override(experiment, ["trainer.schedule=constant", "trainer.max_prob=0.5"])
    trainer = make_trainer(experiment, texts)

    def step(number):
        continues = trainer.source.continues(number)
        return float(trainer.train_step(trainer.batch_at(number), continues)["nats"])

    return _timed(step)


def _keras_fit(experiment, texts) -> Turn:
    """The same model of stock layers under `fit`; a turn's first step, in which `fit` starts up, does not count."""
    import keras
    import tensorflow as tf

    from charrnn.batches import make_source

    model, policy = experiment.model, keras.mixed_precision.DTypePolicy(experiment.runtime.precision)
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}[model.cell]
    size, last = texts.vocabulary.size, experiment.data.targets == "last"
    layers = [keras.layers.Embedding(size, model.embedding_size, dtype=policy)] if model.embedding_size else []
    for i in range(model.num_layers):
        sequences = not last or i + 1 < model.num_layers
        layers.append(layer(model.units, return_sequences=sequences, dtype=policy))
    network = keras.Sequential([*layers, keras.layers.Dense(size, dtype="float32")])
    shape = (experiment.data.batch_size, experiment.data.seq_length)
    network.build(shape if model.embedding_size else (*shape, size))
    optimizer = keras.optimizers.get(experiment.optimizer.name)
    optimizer.global_clipnorm = experiment.optimizer.clip_norm or None
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=experiment.runtime.xla)

    source = make_source(texts.train, experiment.data, experiment.seed)
    batches = [source.batch_at(step) for step in range(min(8, source.steps_per_epoch))]
    inputs, targets, weights = (np.concatenate(column) for column in zip(*batches, strict=True))
    inputs = inputs if model.embedding_size else np.eye(size, dtype=np.float32)[inputs]
    columns = (inputs, targets[:, -1]) if last else (inputs, targets, weights)
    dataset = tf.data.Dataset.from_tensor_slices(columns).batch(experiment.data.batch_size).repeat().prefetch(2)

    def turn(num_steps: int) -> list[float]:
        stamps = []
        clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: stamps.append(time.perf_counter()))
        network.fit(dataset, steps_per_epoch=num_steps + 1, shuffle=False, verbose=0, callbacks=[clock])
        return np.diff(stamps).tolist()

    return turn


def _matmuls(experiment, texts) -> Turn:
    """The matmuls of one step of one layer, in the shapes and numbers of the fused recurrence, and nothing else."""
    import tensorflow as tf

    from charrnn.cells import CELLS

    rows, length, units = experiment.data.batch_size, experiment.data.seq_length, experiment.model.units
    gates, size = units * CELLS[experiment.model.cell].num_gates, texts.vocabulary.size
    dtype = experiment.runtime.precision.removeprefix("mixed_")
    state, wide = tf.ones((rows, units), dtype), tf.ones((rows, gates), dtype)
    kernel, back = tf.ones((units, gates), dtype), tf.ones((gates, units), dtype)
    states, gradients = tf.ones((length * rows, units), dtype), tf.ones((length * rows, gates), dtype)
    one_hot = tf.ones((length * rows, size), dtype)
    outputs, logits, readout = tf.ones((length * rows, units)), tf.ones((length * rows, size)), tf.ones((units, size))

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
