"""Tests the sources that read another source's batches in another order."""

import numpy as np
import pytest

from charrnn.batches.rows import taken
from charrnn.batches.sources import DataConfig, Streams, make_source
from charrnn.batches.wrapped import FirstBatches, Skipping
from charrnn.errors import UserError

DOCUMENTS = np.array([0, 1, 1, 1, 0, 2, 2, 2, 2, 2, 0, 3, 3, 0, 4, 4, 4, 4, 4, 4, 4] * 5 + [0])


@pytest.mark.parametrize("order", ["windows", "streams", "lines"])
def test_the_first_batches_are_repeated(order):
    ids = DOCUMENTS if order == "lines" else np.arange(200)
    whole = make_source(ids, DataConfig(seq_length=4, batch_size=3, order=order), seed=1)
    source = FirstBatches(whole, 3)
    for step in range(7):
        for a, b in zip(source.batch_at(step), whole.batch_at(step % 3), strict=True):
            np.testing.assert_array_equal(a, b)
    assert (source.batch_at(3).inputs != whole.batch_at(3).inputs).any()  # the wrapped source continues
    carried = [False, True, True] if order == "streams" else [False] * 3
    assert [source.batch_at(step).continues for step in range(7)] == [*carried, *carried, False]
    assert (source.batch_size, source.steps_per_epoch) == (3, whole.steps_per_epoch)
    assert source.carries_state == whole.carries_state
    with pytest.raises(UserError, match=f"must be at most {whole.steps_per_epoch}, the batches of an epoch"):
        FirstBatches(whole, whole.steps_per_epoch + 1)


def test_batches_after_a_roll_back_follow_the_gap():
    source = Streams(np.arange(200), DataConfig(order="streams", seq_length=4, batch_size=2), seed=0)
    skipping = Skipping(source)

    def read(steps):
        return [int(skipping.batch_at(step).inputs[0, 0]) for step in steps]

    plain = [int(source.batch_at(step).inputs[0, 0]) for step in range(20)]
    assert read(range(20)) == plain and skipping.batch_at(5).continues
    skipping.leave_out([{"at": 8, "to": 5}])
    assert read([5, 6, 7]) == plain[8:11]
    assert [skipping.batch_at(step).continues for step in (5, 6)] == [False, True]
    skipping.leave_out([{"at": 8, "to": 5}, {"at": 6, "to": 5}])
    assert read([5, 6]) == plain[9:11]
    skipping.leave_out([])  # as a restore may do
    assert read([5]) == plain[5:6] and skipping.batch_at(5).continues


def test_no_stream_continues_over_a_gap():
    config = DataConfig(order="streams", seq_length=4, batch_size=8, reset_probability=0.5)
    source = Streams(np.arange(400), config, seed=0)
    skipping = Skipping(source)
    skipping.leave_out([{"at": 8, "to": 5}])
    assert source.batch_at(8).continues.any()
    assert not np.any(skipping.batch_at(5).continues)
    np.testing.assert_array_equal(skipping.batch_at(6).continues, source.batch_at(9).continues)


def test_a_source_without_the_argument_rows_makes_its_whole_batch():
    source = Streams(np.arange(400), DataConfig(order="streams", seq_length=4, batch_size=8, reset_probability=0.5), 0)

    class Older:
        batch_size, steps_per_epoch, carries_state, order, last_only = 8, source.steps_per_epoch, True, "streams", False

        def batch_at(self, step):
            return source.batch_at(step)

    for wrapped in (Skipping(Older()), FirstBatches(Older(), 5)):
        for got, right in zip(wrapped.batch_at(3, range(2, 5)), source.batch_at(3, range(2, 5)), strict=True):
            np.testing.assert_array_equal(got, right)
    assert np.ndim(taken(source.batch_at(3)._replace(continues=True), range(2, 5)).continues) == 0
