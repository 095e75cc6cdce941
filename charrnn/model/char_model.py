"""The model: ids in, logits out, with the recurrent state always explicit.

    model = CharModel(ModelConfig(cell="gru", units=1024), vocabulary_size=66)
    logits, state = model(ids, model.initial_state(batch_size))  # closed loop: reads the ids
    logits, fed, state = model.open_loop(ids, own, choose, noise, state)  # reads its own output wherever `own` is true
    logits, fed, state = model.soft_loop(ids, own, mix, noise, state)  # the same with mixtures, differentiable in them

Closed loop is teacher forcing: the model reads the text. Open loop is free running: it reads its own output.

The weights live in Keras layers. `loops.py` runs them faster than Keras on a CPU; `choose_path` decides.
"""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from charrnn.errors import UserError, require, require_memory
from charrnn.model import dropout, loops
from charrnn.model.cells import CELLS, State
from charrnn.model.config import ModelConfig
from charrnn.model.dropout import Masks
from charrnn.model.soft_loop import soft_loop
from charrnn.model.weights import Layer, Network

States = tuple[State, ...]
"""One state per layer: `(h,)` for a GRU or RNN, `(h, c)` for an LSTM, each `[B, H]` in the compute dtype."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
"""The precisions of a model. Mixed: matmuls in 16 bits; weights and loss in 32."""

PATHS = ("auto", "fused", "keras")
"""The implementations of recurrent layers: `loops.py`, the stock layers, or whichever suits the device."""

_LAYERS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}


def choose_path(requested: str, xla: bool, config: ModelConfig | None = None) -> tuple[str, str]:
    """Decides how recurrent layers run in closed loop.

    Args:
        requested: one of PATHS.
        xla: True if XLA compiles the step, which rules out cuDNN's kernels.
        config: of the model; None: one without zoneout.

    Returns:
        "fused" or "keras", and the reason.

    Raises:
        UserError: the requested path cannot run this model.
    """
    if config and config.state_rates:
        if requested == "keras":
            raise UserError("model.zoneout works with the fused recurrence only: leave runtime.recurrence=auto.")
        return "fused", "Keras's layers have no zoneout"
    if requested != "auto":
        return requested, "as asked for"
    if not tf.config.list_logical_devices("GPU"):
        return "fused", "the fastest on a CPU"
    if xla:
        return "fused", "XLA cannot compile cuDNN's kernels"
    return "keras", "cuDNN's kernels are the fastest on a GPU"


class CharModel(keras.Model):
    """A character-level recurrent language model.

    Args:
        config: the architecture.
        vocabulary_size: V, the number of ids.
        precision: one of PRECISIONS, which are Keras dtype policies. Logits are always float32.
        seed: of the initial weights.
        path: "fused" or "keras", from `choose_path`.

    Raises:
        UserError: the precision is unknown, or the machine has less memory than the weights take.
    """

    def __init__(
        self, config: ModelConfig, vocabulary_size: int, precision: str = "float32", seed: int = 0, path: str = "fused"
    ):
        require("runtime.precision", precision, precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        sizes = "model.units, model.num_layers or model.embedding_size"
        require_memory(4 * config.num_weights(vocabulary_size), "The model", f"set {sizes} lower")
        super().__init__(dtype=precision, name="char_model")
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.recurrence_path = path
        seeds = iter(np.random.SeedSequence(seed).generate_state(3 + 2 * config.num_layers).tolist())
        self.embedding = None
        if config.embedding_size:
            uniform = keras.initializers.RandomUniform(-0.05, 0.05, seed=next(seeds))
            self.embedding = keras.layers.Embedding(
                vocabulary_size, config.embedding_size, uniform, dtype=precision, name="embedding"
            )
            self.embedding.build((None, None))
        widths = [config.embedding_size or vocabulary_size] + [config.units] * (config.num_layers - 1)
        # A tuple, because tf.train.Checkpoint does not look into the lists of a Keras model.
        self.recurrent_layers = tuple(
            _recurrent_layer(config, width, precision, f"{config.cell}_{i}", seeds) for i, width in enumerate(widths)
        )
        glorot = keras.initializers.GlorotUniform(seed=next(seeds))
        self.readout = keras.layers.Dense(vocabulary_size, kernel_initializer=glorot, dtype="float32", name="readout")
        self.readout.build((None, None, config.units))
        self.built = True

    @property
    def state_size(self) -> int:
        """The number of floats in the state of one row."""
        return len(self.recurrent_layers) * CELLS[self.config.cell].num_states * self.config.units

    def copy(self) -> "CharModel":
        """Returns another model with the same weights."""
        twin = CharModel(self.config, self.vocabulary_size, self.dtype_policy.name, path=self.recurrence_path)
        twin.set_weights(self.get_weights())
        return twin

    def initial_state(self, batch_size: int | tf.Tensor) -> States:
        """Returns the zero state of `batch_size` rows."""
        zeros = tf.zeros((batch_size, self.config.units), self.compute_dtype)
        num_states = CELLS[self.config.cell].num_states
        return tuple((zeros,) * num_states for _ in self.recurrent_layers)

    def __call__(
        self, ids: tf.Tensor, state: States | None = None, training: bool | dropout.Key = False
    ) -> tuple[tf.Tensor, States]:
        """Reads ids in closed loop. Eager or graph.

        Replaces Keras's `__call__`, which would cast every weight to the compute dtype, the readout's too.

        Args:
            ids: int32 `[B, T]`.
            state: from `initial_state` or an earlier call; None: the zero state.
            training: False, or True in training; if the model has dropout, the key of the step's masks, int32 `[2]`.

        Returns:
            Logits float32 `[B, T, V]` and the state after the last character.

        Raises:
            UserError: `training` is True, but the model has dropout.
        """
        state = self.initial_state(tf.shape(ids)[0]) if state is None else state
        logits, _, state = self.hidden(ids, state, training)
        return logits, state

    def open_loop(
        self,
        ids: tf.Tensor,
        own: tf.Tensor,
        choose: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor],
        noise: tf.Tensor,
        state: States,
        training: bool | dropout.Key = True,
        last_only: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, States]:
        """Reads its own output wherever `own` is true. Eager or graph.

        The gradient flows through the state, not through the choice of an id.

        Args:
            ids: int32 `[B, T]`, the text.
            own: bool `[B, T]`; the first character of a row is always read from `ids`.
            choose: (logits float32 `[N, V]`, noise `[N, V]`, text int32 `[N]`) -> ids int32 `[N]`: the model's output
                at the position that the logits predict, for N rows. It works row by row.
            noise: float32 `[T, B, V]`, the second argument of `choose` at each position.
            state: from `initial_state` or an earlier call.
            training: as in a call. Dropout also applies to the logits that `choose` gets.
            last_only: True for the logits after the last character only, `[B, 1, V]`.

        Returns:
            Logits float32 `[B, T, V]`, the input ids int32 `[B, T]`, and the state after the last character.

        Raises:
            UserError: `training` is True, but the model has dropout.
        """
        network = self.network(self._masks(ids, training))
        fed, histories = loops.open_loop(network, tf.transpose(ids), tf.transpose(own), choose, noise, state)
        logits, _, state = self._replay(network, fed, state, histories, last_only)
        return logits, tf.transpose(fed), state

    def soft_loop(
        self,
        ids: tf.Tensor,
        own: tf.Tensor,
        mix: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        noise: tf.Tensor,
        state: States,
        training: bool | dropout.Key = True,
    ) -> tuple[tf.Tensor, tf.Tensor, States]:
        """Reads mixtures of characters wherever `own` is true; the gradient flows through them. Eager or graph.

        Args:
            ids: int32 `[B, T]`, the text.
            own: bool `[B, T]`; the first character of a row is always read from `ids`.
            mix: (logits float32 `[B, V]`, noise `[B, V]`) -> float32 `[B, V]`, rows with sum 1: the mixture to read at
                the position that the logits predict. It works row by row, and is differentiable in the logits.
            noise: float32 `[T, B, V]`, the second argument of `mix` at each position.
            state: from `initial_state` or an earlier call.
            training: as in a call.

        Returns:
            Logits float32 `[B, T, V]`, the likeliest ids of the inputs int32 `[B, T]`, and the state after the last
            character.

        Raises:
            UserError: `training` is True, but the model has dropout.
        """
        network = self.network(self._masks(ids, training))
        x, fed, state = soft_loop(network, tf.transpose(ids), tf.transpose(own), mix, noise, state)
        likeliest = tf.argmax(fed, -1, output_type=tf.int32)
        return tf.transpose(network.logits(x), [1, 0, 2]), tf.transpose(likeliest), state

    def hidden(
        self, ids: tf.Tensor, state: States, training: bool | dropout.Key = False, last_only: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, States]:
        """Reads ids as a call does. Eager or graph.

        Args:
            ids: int32 `[B, T]`.
            state: from `initial_state` or an earlier call.
            training: as in a call.
            last_only: True for the logits after the last character only, `[B, 1, V]`.

        Returns:
            Logits float32 `[B, T, V]`, the last layer's outputs `[B, T, H]`, and the state after the last character.
        """
        masks = self._masks(ids, training)
        if self.recurrence_path == "keras":
            return self._closed_loop_keras(ids, state, masks, last_only)
        return self._replay(self.network(masks), tf.transpose(ids), state, [()] * len(state), last_only)

    def network(self, masks: Masks | None = None) -> Network:
        """Returns the weights as the loops read them, in the compute dtype. Differentiable. Eager or graph.

        Args:
            masks: of the step; None: those of an evaluation.
        """
        masks = dropout.nothing(self.config) if masks is None else masks
        cell = CELLS[self.config.cell]
        first, *higher = (
            Layer.from_keras(cell, *map(self._cast, self._weights(i, masks)))._replace(
                mask=masks.outputs[i], keep=masks.keep[i]
            )
            for i in range(self.config.num_layers)
        )
        embedded = first.kernel if self.embedding is None else self._cast(self.embedding.embeddings) @ first.kernel
        if masks.embedding is not None:
            embedded = dropout.times(embedded, masks.embedding)
        first = first._replace(kernel=embedded + first.bias, bias=None)
        kernel, bias = (tf.convert_to_tensor(w) / masks.temperature for w in self.readout.trainable_weights)
        return Network((first, *higher), kernel, bias, self.config.skip_connections)

    def _masks(self, ids: tf.Tensor, training: bool | dropout.Key) -> Masks:
        """Returns the masks for reading `ids` `[B, T]`."""
        if training is False:
            return dropout.nothing(self.config)
        if not self.config.has_dropout:
            return dropout.nothing(self.config)._replace(temperature=1.0)
        if training is True:
            raise UserError("The model has dropout: give training=self.mask_key(), the key of the step's masks.")
        shape = tf.shape(ids)
        batch_size, length = (size or shape[i] for i, size in enumerate(ids.shape))
        return dropout.draw(training, self.config, self.vocabulary_size, batch_size, length)

    def _weights(self, i: int, masks: Masks) -> list[tf.Tensor]:
        """Returns layer i's input kernel, recurrent kernel and bias, float32."""
        kernel, recurrent, bias = map(tf.convert_to_tensor, self.recurrent_layers[i].trainable_weights)
        mask = masks.recurrent[i]
        return [kernel, recurrent if mask is None else recurrent * mask, bias]

    def _replay(self, network, ids, state, histories, last_only):
        """Runs time-major ids `[T, B]` through the layers, one after the other; returns logits, outputs and state."""
        first, *higher = network.layers
        outputs, last = loops.closed_loop(first, first.kernel, state[0], ids=ids, histories=histories[0])
        x, states = network.layer_input(0, outputs, None), [last]
        for i, (layer, start, history) in enumerate(zip(higher, state[1:], histories[1:], strict=True), 1):
            outputs, last = loops.closed_loop(layer, layer.project(x), start, histories=history)
            x = network.layer_input(i, outputs, x)
            states.append(last)
        x = x[-1:] if last_only else x
        return tf.transpose(network.logits(x), [1, 0, 2]), tf.transpose(outputs, [1, 0, 2]), tuple(states)

    def _closed_loop_keras(self, ids, state, masks, last_only):
        """Runs the stock layers: cuDNN on a GPU."""
        if self.embedding is None:
            x = tf.one_hot(ids, self.vocabulary_size, dtype=self.compute_dtype)
        else:
            x = self.embedding(ids)
        if masks.embedding is not None:
            x = dropout.times(x, tf.gather(masks.embedding, ids))
        states = []
        for i, (layer, start) in enumerate(zip(self.recurrent_layers, state, strict=True)):
            if masks.recurrent[i] is None:
                outputs, *last = layer(x, initial_state=list(start))
            else:
                fixed = [tf.convert_to_tensor(variable) for variable in layer.non_trainable_variables]
                weights = self._weights(i, masks)
                (outputs, *last), _ = layer.stateless_call(weights, fixed, x, initial_state=list(start))
            own = outputs if masks.outputs[i] is None else dropout.times(outputs, masks.outputs[i][:, None])
            x = x + own if self.config.skip_connections and i else own
            states.append(tuple(last))
        x = x[:, -1:] if last_only else x
        return self.readout(tf.cast(x, tf.float32)) / masks.temperature, outputs, tuple(states)

    def _cast(self, weight):
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)


def _recurrent_layer(
    config: ModelConfig, width: int, precision: str, name: str, seeds: Iterator[int]
) -> keras.layers.Layer:
    recurrent = keras.initializers.get(config.recurrent_initializer)
    if "seed" in recurrent.get_config():
        recurrent = type(recurrent).from_config({**recurrent.get_config(), "seed": next(seeds)})
    layer = _LAYERS[config.cell](
        config.units,
        return_sequences=True,
        return_state=True,
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        recurrent_initializer=recurrent,
        dtype=precision,
        name=name,
    )
    layer.build((None, None, width))
    if config.longest_memory:
        bias = layer.trainable_weights[2]
        bias.assign(remember(config.cell, bias.numpy(), config.longest_memory))
    return layer


def remember(cell: str, bias: np.ndarray, longest: int) -> np.ndarray:
    """Returns biases with which the units of a GRU or LSTM forget at different rates.

    Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", arXiv 1804.11188: with the gate of the old state
    at sigmoid(ln u) a unit forgets with a time constant of 1 + u; there u is random, here evenly spaced.

    Args:
        cell: "gru" or "lstm".
        bias: Keras's initial biases, `[2, 3H]` or `[4H]`.
        longest: the longest time constant, characters.
    """
    bias = bias.copy()
    units = bias.shape[-1] // CELLS[cell].num_gates
    spread = np.log(np.linspace(1, longest - 1, units))
    if cell == "gru":
        bias[0, :units] = spread
    else:
        bias[:units], bias[units : 2 * units] = -spread, spread
    return bias
