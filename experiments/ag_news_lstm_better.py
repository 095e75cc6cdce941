"""Headlines of AG News with the weights and the time of ag_news_lstm.

    python -m trainers.run --experiment=ag_news_lstm_better

A GRU of 176 units with an embedding of 16, batches of 32 titles, AdamW with a cosine schedule, averaged weights.
"""

import dataclasses

from experiments import ag_news_lstm, nietzsche_lstm_better
from trainers.experiment import ModelConfig

_NIETZSCHE, _ORIGINAL = nietzsche_lstm_better.EXPERIMENT, ag_news_lstm.EXPERIMENT

EXPERIMENT = dataclasses.replace(
    _ORIGINAL,
    model=ModelConfig(cell="gru", units=176, embedding_size=16),
    data=dataclasses.replace(_ORIGINAL.data, batch_size=32),
    optimizer=dataclasses.replace(_NIETZSCHE.optimizer, decay_steps=8000),
    loop=dataclasses.replace(_NIETZSCHE.loop, steps=8000),
)
