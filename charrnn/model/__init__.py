"""The model: from ids to logits."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from charrnn.model.char_model import CharModel
    from charrnn.model.config import ModelConfig

__all__ = ["CharModel", "ModelConfig"]
__getattr__ = lazy.attributes(__name__, CharModel="char_model", ModelConfig="config")
