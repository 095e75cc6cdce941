"""Nietzsche in lower case with the weights and the time of nietzsche_lstm: each character is a target.

    python -m trainers.run --experiment=nietzsche_lstm_better

A GRU of 166 units with an embedding of 16, streams of 100 characters, AdamW with a cosine schedule, averaged weights.
Expect a validation loss of 1.34 nats per character, with the state carried.
"""

import dataclasses

from experiments import nietzsche_lstm, shakespeare_record
from trainers.experiment import DataConfig, LoopConfig, ModelConfig

_OPTIMIZER = shakespeare_record.EXPERIMENT.optimizer

EXPERIMENT = dataclasses.replace(
    nietzsche_lstm.EXPERIMENT,
    model=ModelConfig(cell="gru", units=166, embedding_size=16, weight_drop=0.15, output_dropout=0.1),
    data=DataConfig(order="streams", seq_length=100, batch_size=64, lowercase=True),
    optimizer=dataclasses.replace(_OPTIMIZER, learning_rate=4e-3, decay_steps=16_000, averaging=0.998),
    loop=LoopConfig(steps=16_000, log_every=200, evaluate_every=2000, save_every=2000),
)
