"""Sources that read another source's batches in another order."""

from collections.abc import Iterable

from charrnn.batches.rows import asked
from charrnn.batches.sources import Batch, Source
from charrnn.errors import require


class FirstBatches:
    """The first batches of a source, repeated. The carried state starts from zero with each repetition.

    An epoch has the source's length, so that events once per epoch keep their frequency.

    Args:
        source: the source.
        count: the number of batches.

    Raises:
        UserError: the source has fewer batches per epoch.
    """

    def __init__(self, source: Source, count: int):
        self._source, self._count = source, count
        self.batch_size, self.carries_state, self.order = source.batch_size, source.carries_state, source.order
        self.steps_per_epoch, self.last_only = source.steps_per_epoch, source.last_only
        allowed = f"at most {self.steps_per_epoch}, the batches of an epoch"
        require("data.overfit_batches", count, count <= self.steps_per_epoch, allowed)

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step, or the rows with these indices. Eager, pure."""
        return asked(self._source.batch_at, step % self._count, rows)


class Skipping:
    """A source without the batches that a run has rolled back over: a step after them reads the batch that follows.

    The carried state starts from zero after a gap.

    Args:
        source: the source of the batches.
    """

    def __init__(self, source: Source):
        self._source, self._num_skipped, self._gap = source, 0, None
        self.batch_size, self.carries_state, self.order = source.batch_size, source.carries_state, source.order
        self.steps_per_epoch, self.last_only = source.steps_per_epoch, source.last_only

    def leave_out(self, roll_backs: Iterable[dict]) -> None:
        """Leaves out the batches of these roll-backs, and no others.

        Args:
            roll_backs: each with the step "at" which training had diverged, and the step that it went back "to".
        """
        roll_backs = list(roll_backs)
        self._num_skipped = sum(each["at"] - each["to"] for each in roll_backs)
        self._gap = roll_backs[-1]["to"] if roll_backs else None

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step, or the rows with these indices. Eager, pure between calls of `leave_out`."""
        batch = asked(self._source.batch_at, step + self._num_skipped, rows)
        return batch._replace(continues=False) if step == self._gap else batch
