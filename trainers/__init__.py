"""The training loop: `Trainer` defines one step, `loop` decides when to log, evaluate, sample, save and stop.

    from trainers import train

    result = train("quickstart", steps=300)

`python -m trainers.run` does the same.
"""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from trainers.launch.start import train
    from trainers.reports.reports import Report
    from trainers.trainer import Rollout, Trainer

__all__ = ["Report", "Rollout", "Trainer", "train"]
_PLACES = {"Report": "reports.reports", "Rollout": "trainer", "Trainer": "trainer", "train": "launch.start"}
__getattr__ = lazy.attributes(__name__, **_PLACES)
