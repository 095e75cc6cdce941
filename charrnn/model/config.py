"""The settings `model.*`: architecture, initialization and regularization."""

import dataclasses
import functools

import keras
import tensorflow as tf

from charrnn.errors import check_temperature, require
from charrnn.model.cells import CELLS

_RATES = ("weight_drop", "embedding_dropout", "layer_dropout", "output_dropout", "zoneout", "zoneout_cell")
_MOST_LAYERS = 100


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The architecture of a model. Two models with equal configs and vocabularies can share weights."""

    cell: str = "gru"  # recurrent cell: "gru", "lstm" or "rnn"
    units: int = 1024  # hidden units per recurrent layer
    num_layers: int = 1  # number of recurrent layers
    embedding_size: int = 256  # size of the character embedding; 0: one-hot input
    recurrent_initializer: str = "orthogonal"  # name of a Keras initialiser, for the recurrent kernels
    longest_memory: int = 0  # longest memory of the initial gates, characters (see `remember`); 0: Keras's gates
    skip_connections: bool = False  # from the second layer on, output plus input (Wu et al. 2016, arXiv 1609.08144)
    temperature: float = 1.0  # divisor of the logits outside of training (Guo et al. 2017, arXiv 1706.04599)

    # In training only; 0 disables each.
    weight_drop: float = 0.0  # drop probability of a recurrent weight, per step (Merity et al. 2017, arXiv 1708.02182)
    embedding_dropout: float = 0.0  # drop probability of an embedding, per step (Gal & Ghahramani, arXiv 1512.05287)
    layer_dropout: float = 0.0  # drop probability of a unit between layers, the same at all positions (ibid.)
    output_dropout: float = 0.0  # drop probability of a unit before the readout, the same at all positions (ibid.)
    zoneout: float = 0.0  # probability of keeping a unit's state at a position (Krueger et al. 2016, arXiv 1606.01305)
    zoneout_cell: float = 0.0  # the same probability for an LSTM's cell state

    def __post_init__(self):
        require("model.cell", self.cell, self.cell in CELLS, f"one of {', '.join(CELLS)}")
        require("model.units", self.units, self.units >= 1, "at least 1")
        require("model.num_layers", self.num_layers, 1 <= self.num_layers <= _MOST_LAYERS, f"from 1 to {_MOST_LAYERS}")
        require("model.embedding_size", self.embedding_size, self.embedding_size >= 0, "at least 0 (0: one-hot input)")
        # Given anything but a name, Keras would build an arbitrary object.
        known = isinstance(self.recurrent_initializer, str) and _initialises(self.recurrent_initializer)
        allowed = "the name of a Keras initialiser that needs no arguments, such as orthogonal or glorot_uniform"
        require("model.recurrent_initializer", self.recurrent_initializer, known, allowed)
        if self.longest_memory:
            possible, gated = self.longest_memory >= 3, "at least 3, or 0 (Keras's initial gates)"
            allowed = gated if self.cell != "rnn" else "0 for model.cell=rnn, which has no gates"
            require("model.longest_memory", self.longest_memory, possible and self.cell != "rnn", allowed)
        check_temperature("model.temperature", self.temperature)
        for name in _RATES:
            rate = getattr(self, name)
            require(f"model.{name}", rate, 0 <= rate < 1, "at least 0 and below 1")
        if self.zoneout_cell and self.cell != "lstm":
            require("model.zoneout_cell", self.zoneout_cell, False, f"0 because model.cell={self.cell} has none")

    @property
    def has_dropout(self) -> bool:
        """True if training draws random numbers."""
        return any(getattr(self, name) for name in _RATES)

    @property
    def state_rates(self) -> tuple[float, ...]:
        """The zoneout probability of each state; () for no zoneout."""
        rates = (self.zoneout, self.zoneout_cell)[: CELLS[self.cell].num_states]
        return rates if any(rates) else ()

    def dropout_of_layer(self, i: int) -> float:
        """Returns the probability that a unit of layer i is dropped on its way to the layer above."""
        return self.output_dropout if i == self.num_layers - 1 else self.layer_dropout

    def num_weights(self, vocabulary_size: int) -> int:
        """Returns the number of weights in matrices, without biases."""
        width = self.embedding_size or vocabulary_size
        recurrent = (width + self.units + (self.num_layers - 1) * 2 * self.units) * self.units
        ends = vocabulary_size * (self.embedding_size + self.units)
        return CELLS[self.cell].num_gates * recurrent + ends


@functools.cache
def _initialises(name: str) -> bool:
    """Returns True if Keras has an initialiser of this name that needs no arguments."""
    try:
        with tf.Graph().as_default():  # eager mode would start the devices, before a strategy is set up
            keras.initializers.get(name)((2, 2))
    except Exception:  # a missing argument, package or method: a different class for each
        return False
    return True
