"""Batches from ids."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from charrnn.batches.sources import Batch, DataConfig, Source

__all__ = ["Batch", "DataConfig", "Source"]
__getattr__ = lazy.attributes(__name__, Batch="sources", DataConfig="sources", Source="sources")
