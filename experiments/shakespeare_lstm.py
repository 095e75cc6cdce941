"""An LSTM on tiny Shakespeare, with the state carried from batch to batch.

    python -m trainers.run --experiment=shakespeare_lstm

Embedding 256, 1024 units, batch 64, 100 characters, Adam 1e-3, 10 epochs of 156 steps: 28 minutes on two cores.
Expect a validation loss of 1.85, 1.70 and 1.61 nats per character after two, three and four epochs, and its best, 1.49,
after eight.
"""

import dataclasses

from experiments import shakespeare_gru
from trainers.experiment import DataConfig, LoopConfig, ModelConfig

EXPERIMENT = dataclasses.replace(
    shakespeare_gru.EXPERIMENT,
    model=ModelConfig(cell="lstm", units=1024, embedding_size=256, recurrent_initializer="glorot_uniform"),
    data=DataConfig(order="streams", seq_length=100, batch_size=64),
    loop=LoopConfig(epochs=10, log_every=26, save_every=78),
)
