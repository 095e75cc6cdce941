"""The same models in JAX with Optax, if both are installed: one `lax.scan` over time per layer, compiled by XLA."""

import time

from benchmarks.contest import Turn


def fit(experiment: str, settings: list[str]) -> Turn:
    """Trains an experiment's model on its batches; the first step of a turn is not measured."""
    import jax
    import numpy as np
    import optax

    from benchmarks.ours import resolve
    from charrnn.batches.sources import make_source

    found, texts = resolve(experiment, settings)
    size, last = texts.vocabulary.size, found.data.targets == "last"
    rule = {"adam": optax.adam, "rmsprop": optax.rmsprop}[found.optimizer.name](found.optimizer.learning_rate)
    if found.optimizer.clip_norm:
        rule = optax.chain(optax.clip_by_global_norm(found.optimizer.clip_norm), rule)
    dtype = jax.numpy.dtype(found.runtime.precision.removeprefix("mixed_"))
    source = make_source(texts.train, found.data, found.seed)
    batches = [source.batch_at(step)[:3] for step in range(min(8, source.steps_per_epoch))]
    batches = [[jax.numpy.asarray(np.asarray(part).T) for part in batch] for batch in batches]

    def loss(weights, inputs, targets, counted):
        logits = _logits(jax.tree.map(lambda weight: weight.astype(dtype), weights), found.model.cell, inputs, last)
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, targets[-1:] if last else targets)
        counted = counted[-1:] if last else counted
        return (nats * counted).sum() / counted.sum()

    @jax.jit
    def step(weights, state, *batch):
        value, gradients = jax.value_and_grad(loss)(weights, *batch)
        changes, state = rule.update(gradients, state)
        return optax.apply_updates(weights, changes), state, value

    weights = _weights(found.model, size)
    state = rule.init(weights)

    def turn(num_steps: int) -> dict[str, float]:
        nonlocal weights, state
        weights, state, value = step(weights, state, *batches[0])
        value.block_until_ready()
        start = time.perf_counter()
        for number in range(num_steps):
            weights, state, value = step(weights, state, *batches[number % len(batches)])
        value.block_until_ready()
        return {"seconds": (time.perf_counter() - start) / num_steps}

    return turn


def _weights(model, size: int) -> dict:
    """Returns random weights: layers of kernel, recurrent kernel, bias, and recurrent bias."""
    import jax.numpy as jnp
    import numpy as np

    random = np.random.default_rng(0)

    def normal(*shape):
        return jnp.asarray(random.normal(0, shape[0] ** -0.5, shape), jnp.float32)

    gates = {"gru": 3, "lstm": 4, "rnn": 1}[model.cell] * model.units
    widths = [model.embedding_size or size] + [model.units] * (model.num_layers - 1)
    layers = [
        (normal(width, gates), normal(model.units, gates), jnp.zeros(gates), jnp.zeros(gates)) for width in widths
    ]
    embedding = normal(size, model.embedding_size) if model.embedding_size else None
    return {"embedding": embedding, "layers": layers, "readout": (normal(model.units, size), jnp.zeros(size))}


def _logits(weights: dict, cell: str, ids, last: bool):
    """Returns logits float32 `[T, B, V]` for ids `[T, B]`; with `last` those of the last position only."""
    import jax
    import jax.numpy as jnp

    x = None if weights["embedding"] is None else weights["embedding"][ids]
    for kernel, recurrent, bias, recurrent_bias in weights["layers"]:
        projected = (kernel[ids] if x is None else x @ kernel) + bias  # of all steps at once, outside of the scan
        units = recurrent.shape[0]
        zero = jnp.zeros((ids.shape[1], units), recurrent.dtype)

        def gru(h, a, recurrent=recurrent, recurrent_bias=recurrent_bias):
            b = h @ recurrent + recurrent_bias
            (a_z, a_r, a_g), (b_z, b_r, b_g) = jnp.split(a, 3, -1), jnp.split(b, 3, -1)
            z = jax.nn.sigmoid(a_z + b_z)
            h = z * h + (1 - z) * jnp.tanh(a_g + jax.nn.sigmoid(a_r + b_r) * b_g)
            return h, h

        def lstm(state, a, recurrent=recurrent):
            h, c = state
            i, f, g, o = jnp.split(a + h @ recurrent, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        def rnn(h, a, recurrent=recurrent):
            h = jnp.tanh(a + h @ recurrent)
            return h, h

        step = {"gru": gru, "lstm": lstm, "rnn": rnn}[cell]
        _, x = jax.lax.scan(step, (zero, zero) if cell == "lstm" else zero, projected)
    x = x[-1:] if last else x
    kernel, bias = weights["readout"]
    return x.astype(jnp.float32) @ kernel.astype(jnp.float32) + bias.astype(jnp.float32)
