"""The same GRU on tiny Shakespeare under scheduled sampling, with an inverse-sigmoid curriculum.

    python -m trainers.run --experiment=shakespeare_gru_scheduled

The share of the network's own characters in what it reads rises from 0.3 % to a quarter in the middle of the 20 epochs,
and stays there: 45 minutes on two cores, no more than teacher forcing. Expect a closed-loop loss a little above that of
shakespeare_gru: the curriculum trains for another goal.
"""

import dataclasses

from experiments import shakespeare_gru
from trainers.curricula.scheduled_sampling import ScheduledSampling

EXPERIMENT = dataclasses.replace(
    shakespeare_gru.EXPERIMENT,
    trainer_class=ScheduledSampling,
    trainer=ScheduledSampling.Config(schedule="inverse_sigmoid", half_step=2000, max_prob=0.25),
)
