"""Character-level recurrent language models: characters in, characters out."""

from typing import TYPE_CHECKING

from charrnn import lazy, moved

if TYPE_CHECKING:
    from charrnn.batches.sources import DataConfig
    from charrnn.generation.loading import Loaded, load
    from charrnn.model.char_model import CharModel
    from charrnn.model.config import ModelConfig
    from charrnn.sampling import Sampler
    from charrnn.text.vocabulary import Vocabulary

__all__ = ["CharModel", "DataConfig", "Loaded", "ModelConfig", "Sampler", "Vocabulary", "load"]
__getattr__ = lazy.attributes(
    __name__,
    CharModel="model.char_model",
    DataConfig="batches.sources",
    Loaded="generation.loading",
    ModelConfig="model.config",
    Sampler="sampling",
    Vocabulary="text.vocabulary",
    load="generation.loading",
)
moved.install()
