"""Two layers of 1024 units on tiny Shakespeare, 2.7 times the weights of shakespeare_record: hours on two cores.

    python -m trainers.run --experiment=shakespeare_2x1024

The protocol of shakespeare_record, with a second layer and skip connections. Expect 1.4119 nats per character by
windows after 20 epochs with optimizer.averaging=0.998; shakespeare_record reaches 1.4060 after 44
(docs/notes/results.md).
"""

import dataclasses

from experiments import shakespeare_record

_RECORD = shakespeare_record.EXPERIMENT

EXPERIMENT = dataclasses.replace(
    _RECORD,
    model=dataclasses.replace(_RECORD.model, num_layers=2, skip_connections=True, layer_dropout=0.2),
    data=dataclasses.replace(_RECORD.data, seq_length=64),
    optimizer=dataclasses.replace(_RECORD.optimizer, decay_steps=4800, averaging=0.9975),
    loop=dataclasses.replace(_RECORD.loop, steps=4800, evaluate_every=4800),
)
