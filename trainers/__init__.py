"""The training loop: `Trainer` says what one step is, `loop` when to log, evaluate, write samples, save and stop.

`train` is the whole of it, from Python.
"""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from trainers.launch.start import train
    from trainers.trainer import Rollout, Trainer

__all__ = ["Rollout", "Trainer", "train"]
__getattr__ = lazy.attributes(__name__, Rollout="trainer", Trainer="trainer", train="launch.start")
