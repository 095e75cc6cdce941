"""The machine: its description, and its limit, the matmuls of a training step alone."""

import importlib.metadata
import importlib.util
import os
import time

from benchmarks.contest import Turn

_RESTRICTIONS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "XLA_FLAGS")


def describe() -> str:
    """Returns the CPU, the package versions, and what restricts the CPU's instructions."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    packages = [name for name in ("tensorflow", "keras", "torch", "jax") if importlib.util.find_spec(name)]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    restricted = [f"{name}={os.environ[name]}" for name in _RESTRICTIONS if name in os.environ]
    return "; ".join([f"{os.cpu_count()} cores of {models[0] if models else 'an unknown CPU'}", versions, *restricted])


def matmuls(experiment: str, settings: list[str]) -> Turn:
    """Runs only the matmuls of a training step, in the shapes of the fused recurrence, layer by layer.

    The gradients of the kernels are computed in two ways, as they are and transposed; the faster one counts.
    """
    import tensorflow as tf

    from benchmarks.ours import resolve
    from charrnn.model.cells import CELLS

    found, texts = resolve(experiment, settings)
    batch_size, length, units = found.data.batch_size, found.data.seq_length, found.model.units
    gates, size = units * CELLS[found.model.cell].num_gates, texts.vocabulary.size
    dtype = found.runtime.precision.removeprefix("mixed_")
    state, wide = tf.ones((batch_size, units), dtype), tf.ones((batch_size, gates), dtype)
    kernel, back = tf.ones((units, gates), dtype), tf.ones((gates, units), dtype)
    states, gradients = tf.ones((length * batch_size, units), dtype), tf.ones((length * batch_size, gates), dtype)
    one_hot = tf.ones((length * batch_size, size), dtype)
    predictions = batch_size if found.data.targets == "last" else length * batch_size
    outputs, logits = tf.ones((predictions, units)), tf.ones((predictions, size))
    readout = tf.ones((units, size))

    def loop(matrix, other):
        # The sum is loop state, so that the matmuls are neither hoisted out nor run in parallel.
        def body(t, total):
            return t + 1, tf.matmul(matrix + total[0, 0], other)

        start = (0, tf.zeros((matrix.shape[0], other.shape[1]), matrix.dtype))
        return tf.while_loop(lambda t, _: t < length, body, start)[1]

    @tf.function
    def run(transposed):
        def kernel_gradient(x):
            pair = (gradients, x) if transposed else (x, gradients)
            return tf.matmul(*pair, transpose_a=True)

        done = []
        for layer in range(found.model.num_layers):
            done += [loop(state, kernel), loop(wide, back), kernel_gradient(states)]
            if layer:  # its inputs: forward, their gradient, and the kernel's
                done += [tf.matmul(states, kernel), tf.matmul(gradients, back), kernel_gradient(states + 1)]
        table = kernel_gradient(one_hot)
        last = tf.matmul(outputs, readout), tf.matmul(logits, readout, transpose_b=True)
        return *done, table, *last, tf.matmul(outputs, logits, transpose_a=True)

    def turn(num_steps: int) -> dict[str, float]:
        seconds = []
        for transposed in (False, True):
            start = time.perf_counter()
            for _ in range(num_steps):
                run(transposed)[0].numpy()
            seconds.append((time.perf_counter() - start) / num_steps)
        return {"seconds": min(seconds)}

    return turn
