"""Provides trainers that several tests use in turn, so that each step is compiled only once."""

from collections.abc import Iterator

from trainers.trainer import Trainer


class Built:
    """A trainer with a copy of all that a test may change: its variables, its attributes, its sources' attributes."""

    def __init__(self, trainer: Trainer):
        self._trainer = trainer
        self._values = [(variable, variable.numpy()) for variable in _variables(trainer)]
        self._attributes = [(part, dict(vars(part))) for part in _parts(trainer)]
        self._lists = [(entry, list(entry)) for entry in _lists(trainer)]

    def as_it_was(self) -> Trainer:
        """Returns the trainer as it was built. Its compiled functions are kept."""
        for part, attributes in self._attributes:
            vars(part).clear()
            vars(part).update(attributes)
        for entry, content in self._lists:
            if entry != content:
                entry[:] = content
        for variable, value in self._values:
            variable.assign(value)
        return self._trainer


def _variables(trainer: Trainer) -> list:
    models = {id(model): model for model in (trainer.model, trainer.averaged)}.values()
    return [*trainer.variables, *trainer.optimizer.variables, *(v for model in models for v in model.variables)]


def _parts(trainer: Trainer) -> Iterator[object]:
    yield trainer
    source = trainer.source
    while source is not None:
        yield source
        source = getattr(source, "_source", None)


def _lists(trainer: Trainer) -> list[list]:
    return [value for part in _parts(trainer) for value in vars(part).values() if isinstance(value, list)]
