"""The loop over mixtures of characters, differentiable in them; time-major, as in `loops.py`.

    outputs, fed, states = soft_loop(network, ids, own, mix, noise, states)

The input of a position depends on the network's output at the position before, so the backward loop runs all layers
together, step by step. Each weight gradient is still one matmul over all T·B rows, done after the loop.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from charrnn.model import cells, loops
from charrnn.model.cells import State
from charrnn.model.row_groups import join, num_groups, split
from charrnn.model.weights import Network


def soft_loop(
    network: Network,
    ids: tf.Tensor,
    own: tf.Tensor,
    mix: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    noise: tf.Tensor,
    states: Sequence[State],
) -> tuple[tf.Tensor, tf.Tensor, tuple[State, ...]]:
    """Runs all layers together, reading mixtures of characters wherever `own` is true; the gradient flows through them.

    Args:
        network: the weights.
        ids: int32 `[T, B]`, the text.
        own: bool `[T, B]`; the first row is ignored, because there is no output yet.
        mix: (logits `[B, V]`, noise `[B, V]`) -> `[B, V]`, rows with sum 1: the network reads this mixture of the
            table's rows. It works row by row, and is differentiable in the logits.
        noise: `[T, B, V]`, the second argument of `mix` at each position.
        states: each layer's state before the first character.

    Returns:
        The inputs of the readout `[T, B, H]`, the mixtures that the network read `[T, B, V]` in the compute dtype, and
        the states after the last character. Differentiable in `network.weights` and `states`.
    """
    text = tf.one_hot(ids, network.layers[0].kernel.shape[0], dtype=network.layers[0].kernel.dtype)
    groups = num_groups(states[0])
    parts = zip(
        network.in_groups(groups), split((text, own, noise), groups, 1), split(tuple(states), groups, 0), strict=True
    )
    outputs, fed, ends = zip(*(_soft_loop(part, *steps, start, mix) for part, steps, start in parts), strict=True)
    return join(outputs, 1), join(fed, 1), join(ends, 0)


def _soft_loop(network, text, own, noise, states, mix):
    """Runs `soft_loop` for one group of rows, over the text as mixtures `[T, B, V]`."""
    num_steps, num_weights = loops.length(text), len(network.weights)

    @tf.custom_gradient
    def run(*inputs):
        def choose(logits, noise, text):
            return tf.cast(mix(logits, noise), text.dtype)

        start = tf.nest.pack_sequence_as(states, inputs[num_weights:])
        fed, histories = loops.open_loop_of_group(network, text, own, noise, start, choose)
        outputs = [history.states[0].stack() for history in histories]
        read_out = network.output(outputs)

        def gradient(d_output, _, *d_last):
            d_last = tf.nest.pack_sequence_as(states, d_last)
            d_gates, d_logits, d_start = _soft_backward(network, own, noise, mix, histories, read_out, d_output, d_last)
            x, d_weights = fed, []
            for i, (layer, output, d_layer) in enumerate(zip(network.layers, outputs, d_gates, strict=True)):
                d_x = cells.input_gradient(d_layer)
                d_weights.append(loops.kernel_gradient(x, d_x))
                if layer.bias is not None:
                    d_weights.append(tf.reduce_sum(d_x, [0, 1]))
                d_weights += loops.recurrent_gradients(layer.recurrent, output, d_layer[0])
                x = network.layer_input(i, output[1:], x)
            d_readout = loops.kernel_gradient(tf.cast(x, d_logits.dtype), d_logits), tf.reduce_sum(d_logits, [0, 1])
            return (*d_weights, *d_readout, *tf.nest.flatten(d_start))

        last = [history.last(num_steps) for history in histories]
        return (read_out[1:], fed, *tf.nest.flatten(last)), gradient

    outputs, fed, *last = run(*network.weights, *tf.nest.flatten(states))
    return outputs, fed, tf.nest.pack_sequence_as(states, last)


def _soft_backward(network, own, noise, mix, histories, outputs, d_outputs, d_last):
    """Runs all layers backward together.

    Returns:
        The gradients of each layer's gates, `[T, B, …]`; of the logits after each character, `[T, B, V]`, through the
        mixture at the next one; and of the states before the first character.
    """
    layers, num_steps = network.layers, loops.length(d_outputs)
    transposed = [(tf.transpose(layer.kernel), tf.transpose(layer.recurrent[0])) for layer in layers]
    from_logits = tf.transpose(network.output_kernel)
    logits = network.logits(outputs)  # entry t: the prediction of position t; entry 0 is never read
    own = tf.logical_and(own, tf.range(num_steps)[:, None] > 0)[:, :, None]

    def body(t, d_logits, d_states, d_all_logits, arrays):
        d_all_logits = d_all_logits.write(t, d_logits)
        d_read = d_outputs[t] + tf.cast(tf.matmul(d_logits, from_logits), d_outputs.dtype)
        d_states, arrays = list(d_states), list(arrays)
        for i in reversed(range(len(layers))):
            to_input, to_state = transposed[i]
            d_output = layers[i].masked(d_read)
            d_gates, d_states[i] = loops.step_back(layers[i], histories[i], to_state, t, d_output, d_states[i])
            arrays[i] = loops.write(arrays[i], t, d_gates)
            d_below = tf.matmul(cells.input_gradient(d_gates), to_input)  # layer i's input; for i = 0 the mixture
            d_read = d_read + d_below if network.skip and i else d_below
        with tf.GradientTape() as tape:
            prediction = logits[t]
            tape.watch(prediction)
            mixture = mix(prediction, noise[t])
        d_mixture = tf.where(own[t], tf.cast(d_read, mixture.dtype), 0)
        d_logits = tape.gradient(mixture, prediction, d_mixture, unconnected_gradients="zero")
        return t - 1, d_logits, tuple(d_states), d_all_logits, tuple(arrays)

    arrays = tuple(loops.gradient_arrays(layer, d_outputs, num_steps) for layer in layers)
    none = tf.zeros_like(logits[0])
    start = (tf.convert_to_tensor(num_steps - 1), none, tuple(d_last), loops.array(num_steps, none), arrays)
    loop = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=num_steps)
    _, _, d_start, d_all_logits, arrays = loop
    return tf.nest.map_structure(lambda array: array.stack(), arrays), d_all_logits.stack(), d_start
