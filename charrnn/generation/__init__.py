"""Generation: a trained model writes text."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from charrnn.generation.generator import Generator
    from charrnn.generation.loading import Loaded, load
    from charrnn.sampling import Sampler

__all__ = ["Generator", "Loaded", "Sampler", "load"]
__getattr__ = lazy.attributes(__name__, Generator="generator", Loaded="loading", Sampler="generator", load="loading")
