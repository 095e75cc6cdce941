"""Tests that the rows are cut into pieces of the configured lengths, at the configured steps."""

import numpy as np
import pytest

from charrnn.errors import UserError
from trainers.curricula.sequence_length import SequenceLength

Config = SequenceLength.Config
DATA = {"batch_size": 3, "seq_length": 8}


def test_pieces_are_the_rows_in_order(make_trainer):
    trainer = make_trainer(SequenceLength, config=Config("easy_first", (4, 2, 1), 10), data=DATA)
    for step, shape in ((0, (12, 2)), (9, (12, 2)), (10, (6, 4)), (20, (3, 8)), (10**6, (3, 8))):
        for piece, row in zip(trainer.batch_at(step)[:3], trainer.source.batch_at(step)[:3], strict=True):
            assert piece.shape == shape
            np.testing.assert_array_equal(piece.ravel(), row.ravel())


def test_mixed_and_combined_draw_from_all_pieces(make_trainer):
    for mode, expected in (("mixed", [1 / 3, 1 / 3, 1 / 3]), ("combined", [2 / 3, 1 / 6, 1 / 6])):
        trainer = make_trainer(SequenceLength, config=Config(mode, (4, 2, 1), 10**6), data=DATA)
        drawn = [trainer.num_pieces(step) for step in range(600)]
        assert drawn == [trainer.num_pieces(step) for step in range(600)]  # a function of the step
        for pieces, share in zip((4, 2, 1), expected, strict=True):
            assert abs(np.mean(np.equal(drawn, pieces)) - share) <= 4 * np.sqrt(share * (1 - share) / 600)


def test_a_number_of_pieces_that_does_not_divide_the_length_is_refused(make_trainer):
    with pytest.raises(UserError, match=r"trainer\.pieces=\(1, 3\) .* divisors of data\.seq_length=8"):
        make_trainer(SequenceLength, config=Config("easy_first", (1, 3)), data=DATA)
    for wrong in ((), (0,)):
        with pytest.raises(UserError, match=r"trainer\.pieces"):
            Config(pieces=wrong)
