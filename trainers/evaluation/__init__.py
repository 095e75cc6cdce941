"""Evaluation of a trained run, and comparison of several runs."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from trainers.evaluation.evaluation import evaluate

__all__ = ["evaluate"]
__getattr__ = lazy.attributes(__name__, evaluate="evaluation")
