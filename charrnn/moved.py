"""Keeps the old names of moved modules importable.

    from charrnn.open_loop import Protocol       # the module charrnn.measures.open_loop
"""

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_CURRICULA = """
    scheduled_sampling by_position open_loop_horizon spans two_pass soft_inputs confidence_aware accuracy_driven
    validation_gated replayed_rollouts sequence_length self_paced unlikelihood state_matching
""".split()

NAMES = {
    "charrnn.cells": "charrnn.model.cells",
    "charrnn.coins": "trainers.step.coins",
    "charrnn.loading": "charrnn.generation.loading",
    "charrnn.model_config": "charrnn.model.config",
    "charrnn.open_loop": "charrnn.measures.open_loop",
    "charrnn.recurrence": "charrnn.model.loops",
    "charrnn.schedules": "trainers.curricula.schedules",
    "charrnn.texts": "charrnn.batches.texts",
    "charrnn.vocabulary": "charrnn.text.vocabulary",
    "trainers.optimizer": "trainers.step.optimizer",
    "trainers.result": "trainers.launch.result",
    "trainers.runtime": "trainers.launch.runtime",
    "trainers.samples": "trainers.reports.samples",
    "trainers.starting": "trainers.launch.start",
    **{f"trainers.{name}": f"trainers.curricula.{name}" for name in _CURRICULA},
}
"""The module names in earlier documentation, and the current ones."""


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module by its old name. Returns the same module object as for the new name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns a spec for an old name, None for other names."""
        return ModuleSpec(fullname, self) if fullname in NAMES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Imports the module by its new name."""
        module = importlib.import_module(NAMES[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restores the module's own spec, which the import system has replaced by the old name's."""
        assert module.__spec__
        module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Makes the old names importable. Idempotent."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())
