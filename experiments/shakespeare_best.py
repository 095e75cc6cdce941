"""Two layers of 1024 units on tiny Shakespeare, strongly regularised: hours on two cores.

    python -m trainers.run --experiment=shakespeare_best

The protocol of shakespeare_record, with 9.9 million weights: a second layer, skip connections and more dropped. These
settings were never run to the end; what was tried instead did not beat shakespeare_record: docs/results.md.
"""

import dataclasses

from experiments import shakespeare_record

_RECORD = shakespeare_record.EXPERIMENT

EXPERIMENT = dataclasses.replace(
    _RECORD,
    model=dataclasses.replace(
        _RECORD.model,
        num_layers=2,
        skip_connections=True,
        weight_drop=0.4,
        layer_dropout=0.2,
    ),
    optimizer=dataclasses.replace(_RECORD.optimizer, decay_steps=4800, averaging=0.997),
    loop=dataclasses.replace(_RECORD.loop, steps=4800, evaluate_every=4800),
)
