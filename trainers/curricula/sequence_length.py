"""Sequence length: short sequences first, whole ones later.

    T / 4, T / 2, T characters    the next length after each grow_every steps

Zaremba & Sutskever 2014, "Learning to Execute", arXiv 1410.4615, find that "easy first" alone may do harm, and that a
combination of "easy first" and "mixed" works best.
"""

import dataclasses

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Trainer

MODES = ("easy_first", "mixed", "combined")


class SequenceLength(Trainer):
    """Cuts each sequence into pieces, each with a zero initial state: 4 at first, then 2, then 1.

    "mixed" draws the number of pieces for each step; "combined" tosses a coin between "easy_first" and "mixed". All
    characters are used, so every step has the same size. Teacher forcing; the gradient is truncated to a piece.
    """

    orders = ("windows",)

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The lengths, and their order."""

        mode: str = "combined"  # order of the lengths: "easy_first", "mixed" or "combined"
        pieces: tuple[int, ...] = (4, 2, 1)  # pieces per sequence, each a divisor of data.seq_length
        grow_every: int = 500  # steps between two lengths

        def __post_init__(self):
            require("trainer.mode", self.mode, self.mode in MODES, f"one of {', '.join(MODES)}")
            right = len(self.pieces) > 0 and min(self.pieces) >= 1
            require("trainer.pieces", self.pieces, right, "a list of whole numbers, each at least 1")
            require("trainer.grow_every", self.grow_every, self.grow_every >= 1, "at least 1")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        length = self.source.batch_at(0, range(1)).inputs.shape[1]
        right = not any(length % pieces for pieces in self.config.pieces)
        require("trainer.pieces", self.config.pieces, right, f"a list of divisors of data.seq_length={length}")

    def num_pieces(self, step: int) -> int:
        """Returns the number of pieces per sequence at a step. Eager."""
        pieces = self.config.pieces
        coin, drawn = randomness.uniform([2], randomness.seed_for(self.seed, randomness.Purpose.LENGTHS, step)).numpy()
        mixed = {"easy_first": False, "mixed": True, "combined": coin < 0.5}[self.config.mode]
        return pieces[int(drawn * len(pieces)) if mixed else min(step // self.config.grow_every, len(pieces) - 1)]

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the source's batch, or these rows of it, cut. Eager."""
        whole = self.source.batch_at(step, rows)
        length = whole.inputs.shape[1] // self.num_pieces(step)
        return Batch(*(part.reshape(-1, length) for part in (whole.inputs, whole.targets, whole.weights)))
