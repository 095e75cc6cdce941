"""The training loop: `Trainer` defines one step, `loop` decides when to log, evaluate, sample, save and stop.

    from trainers import train

    result = train("quickstart", steps=300)

`python -m trainers.run` does the same. `trainers.study` compares curricula, like `python -m trainers.study`.
"""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from trainers.launch.start import train
    from trainers.reports.reports import Report
    from trainers.studies.start import study
    from trainers.trainer import Rollout, Trainer

__all__ = ["Report", "Rollout", "Trainer", "study", "train"]
_PLACES = {
    "Report": "reports.reports",
    "Rollout": "trainer",
    "Trainer": "trainer",
    "study": "studies.start",
    "train": "launch.start",
}
__getattr__ = lazy.attributes(__name__, **_PLACES)
