"""The same models from Keras layers with `fit`, and the loop of the text-generation tutorial."""

import itertools
import time

import numpy as np

from benchmarks.contest import Turn


def fit(experiment: str, settings: list[str]) -> Turn:
    """Trains an experiment's model with `fit`; the first step of a turn is not measured."""
    import keras
    import tensorflow as tf

    from benchmarks.ours import resolve
    from charrnn.batches.sources import make_source

    found, texts = resolve(experiment, settings)
    model, policy = found.model, keras.mixed_precision.DTypePolicy(found.runtime.precision)
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}[model.cell]
    size, last = texts.vocabulary.size, found.data.targets == "last"
    layers = [keras.layers.Embedding(size, model.embedding_size, dtype=policy)] if model.embedding_size else []
    for i in range(model.num_layers):
        sequences = not last or i + 1 < model.num_layers
        layers.append(layer(model.units, return_sequences=sequences, dtype=policy))
    network = keras.Sequential([*layers, keras.layers.Dense(size, dtype="float32")])
    shape = (found.data.batch_size, found.data.seq_length)
    network.build(shape if model.embedding_size else (*shape, size))
    optimizer = keras.optimizers.get(found.optimizer.name)
    optimizer.global_clipnorm = found.optimizer.clip_norm or None
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=found.runtime.xla)

    source = make_source(texts.train, found.data, found.seed)
    batches = [source.batch_at(step)[:3] for step in range(min(8, source.steps_per_epoch))]
    inputs, targets, weights = (np.concatenate(column) for column in zip(*batches, strict=True))
    inputs = inputs if model.embedding_size else np.eye(size, dtype=np.float32)[inputs]
    columns = (inputs, targets[:, -1]) if last else (inputs, targets, weights)
    dataset = tf.data.Dataset.from_tensor_slices(columns).batch(found.data.batch_size).repeat().prefetch(2)

    def turn(num_steps: int) -> dict[str, float]:
        stamps = []
        clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: stamps.append(time.perf_counter()))
        network.fit(dataset, steps_per_epoch=num_steps + 1, shuffle=False, verbose=0, callbacks=[clock])
        return {"seconds": (stamps[-1] - stamps[0]) / num_steps}

    return turn


def generate(batch_size: int, num_chars: int) -> Turn:
    """Generates like the tutorial: one graph call per character, strings in and strings out."""
    import keras
    import tensorflow as tf

    vocabulary = [chr(33 + i) for i in range(65)]
    embedding, dense = keras.layers.Embedding(66, 256), keras.layers.Dense(66)
    gru = keras.layers.GRU(1024, return_sequences=True, return_state=True)
    to_ids = keras.layers.StringLookup(vocabulary=vocabulary, mask_token=None)
    to_chars = keras.layers.StringLookup(vocabulary=to_ids.get_vocabulary(), invert=True, mask_token=None)
    mask = tf.constant([float("-inf")] + [0.0] * 65)  # the unknown character is never written

    @tf.function
    def one_step(chars, state):
        ids = to_ids(tf.strings.unicode_split(chars, "UTF-8")).to_tensor()
        outputs, state = gru(embedding(ids), initial_state=state)
        logits = dense(outputs)[:, -1] + mask
        return to_chars(tf.squeeze(tf.random.categorical(logits, 1), -1)), state

    def turn(num_texts: int) -> dict[str, float]:
        start = time.perf_counter()
        for _ in range(num_texts):
            chars, state, texts = tf.constant(["A"] * batch_size), tf.zeros((batch_size, 1024)), []
            for _ in range(num_chars):
                chars, state = one_step(chars, state)
                texts.append(chars)
            tf.strings.join(texts).numpy()
        return {"seconds": (time.perf_counter() - start) / num_texts}

    return turn


def start(path: str, started: float) -> list[float]:
    """Runs the tutorial's program. Returns seconds of: imports, data and model, first step, second step."""
    import keras
    import tensorflow as tf

    stamps = [started, time.time()]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    ids_of = {character: i + 1 for i, character in enumerate(sorted(set(text)))}
    ids = np.array([ids_of[character] for character in text], np.int32)
    count, size = (len(ids) - 1) // 100, len(ids_of) + 1
    inputs, targets = ids[: count * 100].reshape(count, 100), ids[1 : count * 100 + 1].reshape(count, 100)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets)).shuffle(10000).batch(64, drop_remainder=True)
    gru = keras.layers.GRU(1024, return_sequences=True)
    network = keras.Sequential([keras.layers.Embedding(size, 256), gru, keras.layers.Dense(size)])
    network.build((64, 100))
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stamps.append(time.time())
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: stamps.append(time.time()))
    network.fit(dataset.prefetch(2), steps_per_epoch=2, verbose=0, callbacks=[clock])
    return [after - before for before, after in itertools.pairwise(stamps)]
