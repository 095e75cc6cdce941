"""What a model is made of: the settings `model.*`."""

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
    """What a model is made of. Two models with equal configs and vocabularies can share weights."""

    cell: str = "gru"  # "gru", "lstm" or "rnn"
    units: int = 1024  # hidden units of each recurrent layer
    num_layers: int = 1  # recurrent layers
    embedding_size: int = 256  # 0: one-hot input
    recurrent_initializer: str = "orthogonal"  # any Keras initialiser's name
    longest_memory: int = 0  # characters; initial gates remember 1 to this many (see `remember`); 0: Keras's gates
    skip_connections: bool = False  # a layer above the first hands up its input too (Wu et al. 2016, arXiv 1609.08144)
    temperature: float = 1.0  # by which logits are divided outside of training (Guo et al. 2017, arXiv 1706.04599)

    # Probabilities, in training only; 0: none.
    weight_drop: float = 0.0  # of a recurrent weight, the same for a whole step (Merity et al. 2017, arXiv 1708.02182)
    embedding_dropout: float = 0.0  # of a whole embedding, for a whole step (Gal & Ghahramani 2015, 1512.05287)
    layer_dropout: float = 0.0  # of a unit on its way to the layer above, the same at all positions (same source)
    output_dropout: float = 0.0  # of a unit of the last layer before the readout, the same at all positions
    zoneout: float = 0.0  # that a unit keeps its state at a position (Krueger et al. 2016, arXiv 1606.01305)
    zoneout_cell: float = 0.0  # the same for an LSTM's cell state

    def __post_init__(self):
        require("model.cell", self.cell, self.cell in CELLS, f"one of {', '.join(CELLS)}")
        require("model.units", self.units, self.units >= 1, "at least 1")
        require("model.num_layers", self.num_layers, 1 <= self.num_layers <= _MOST_LAYERS, f"from 1 to {_MOST_LAYERS}")
        require("model.embedding_size", self.embedding_size, self.embedding_size >= 0, "at least 0 (0: one-hot input)")
        # From anything but a name Keras would make any object at all.
        known = isinstance(self.recurrent_initializer, str) and _initialises(self.recurrent_initializer)
        allowed = "the name of a Keras initialiser that needs no arguments, such as orthogonal or glorot_uniform"
        require("model.recurrent_initializer", self.recurrent_initializer, known, allowed)
        if self.longest_memory:
            possible, gated = self.longest_memory >= 3, "at least 3, or 0: as Keras has the gates"
            allowed = gated if self.cell != "rnn" else "0 where model.cell=rnn, which has no gates"
            require("model.longest_memory", self.longest_memory, possible and self.cell != "rnn", allowed)
        check_temperature("model.temperature", self.temperature)
        for name in _RATES:
            rate = getattr(self, name)
            require(f"model.{name}", rate, 0 <= rate < 1, "at least 0 and below 1")
        if self.zoneout_cell and self.cell != "lstm":
            require("model.zoneout_cell", self.zoneout_cell, False, f"0 because model.cell={self.cell} has none")

    @property
    def has_dropout(self) -> bool:
        """Whether training draws random numbers."""
        return any(getattr(self, name) for name in _RATES)

    @property
    def state_rates(self) -> tuple[float, ...]:
        """The probability of zoneout of each state; () for none."""
        rates = (self.zoneout, self.zoneout_cell)[: CELLS[self.cell].num_states]
        return rates if any(rates) else ()

    def dropout_of_layer(self, i: int) -> float:
        """The probability that a unit of layer i is dropped on its way up."""
        return self.output_dropout if i == self.num_layers - 1 else self.layer_dropout

    def num_weights(self, vocabulary_size: int) -> int:
        """How many weights there are in matrices; the biases are not counted."""
        width = self.embedding_size or vocabulary_size
        recurrent = (width + self.units + (self.num_layers - 1) * 2 * self.units) * self.units
        ends = vocabulary_size * (self.embedding_size + self.units)
        return CELLS[self.cell].num_gates * recurrent + ends


@functools.cache
def _initialises(name: str) -> bool:
    """Whether Keras has an initialiser of that name, which needs nothing else."""
    try:
        with tf.Graph().as_default():  # eager, it would start TensorFlow, which a strategy must come before
            keras.initializers.get(name)((2, 2))
    except Exception:  # an argument, a package or a method is missing: each tells it otherwise
        return False
    return True
