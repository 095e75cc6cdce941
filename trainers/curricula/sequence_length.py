"""Sequence length: short pieces of the text first, whole rows later.

Zaremba & Sutskever 2014, "Learning to Execute", arXiv 1410.4615, who find that easy first alone may do harm, and that
easy first and mixed together, combined, do best.
"""

import dataclasses

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Trainer

MODES = ("easy_first", "mixed", "combined")


class SequenceLength(Trainer):
    """Each row is cut into pieces, which are rows of their own, from the zero state: 4 at first, then 2, then 1.

    "mixed" draws the number of pieces for each step; "combined" tosses a coin between the two. All characters count, so
    that a step is always as large. Teacher forcing; the gradient flows as far as a piece reaches.
    """

    orders = ("windows",)

    @dataclasses.dataclass(frozen=True)
    class Config:
        """Which lengths, and when."""

        mode: str = "combined"  # "easy_first", "mixed" or "combined"
        pieces: tuple[int, ...] = (4, 2, 1)  # each divides data.seq_length
        grow_every: int = 500  # steps

        def __post_init__(self):
            require("trainer.mode", self.mode, self.mode in MODES, f"one of {', '.join(MODES)}")
            right = len(self.pieces) > 0 and min(self.pieces) >= 1
            require("trainer.pieces", self.pieces, right, "a list of whole numbers, each at least 1")
            require("trainer.grow_every", self.grow_every, self.grow_every >= 1, "at least 1")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        length = self.source.batch_at(0).inputs.shape[1]
        right = not any(length % pieces for pieces in self.config.pieces)
        require("trainer.pieces", self.config.pieces, right, f"a list of divisors of data.seq_length={length}")

    def num_pieces(self, step: int) -> int:
        """Into how many pieces the rows of a step are cut. Eager."""
        pieces = self.config.pieces
        coin, drawn = randomness.uniform([2], randomness.seed_for(self.seed, randomness.Purpose.LENGTHS, step)).numpy()
        mixed = {"easy_first": False, "mixed": True, "combined": coin < 0.5}[self.config.mode]
        return pieces[int(drawn * len(pieces)) if mixed else min(step // self.config.grow_every, len(pieces) - 1)]

    def batch_at(self, step: int) -> Batch:
        """The source's, cut. Eager."""
        rows = self.source.batch_at(step)
        length = rows.inputs.shape[1] // self.num_pieces(step)
        return Batch(*(part.reshape(-1, length) for part in rows))
