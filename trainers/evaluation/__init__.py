"""A trained run under all measures, and runs side by side."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from trainers.evaluation.evaluation import evaluate

__all__ = ["evaluate"]
__getattr__ = lazy.attributes(__name__, evaluate="evaluation")
