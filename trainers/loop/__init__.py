"""When things happen: log, evaluate, save, stop."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from trainers.configs import LoopConfig

__all__ = ["LoopConfig"]
__getattr__ = lazy.attributes(__name__, LoopConfig="loop")
