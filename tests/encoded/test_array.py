"""Tests `Sharded`, an array in several files, against the same array in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.encoded.array import Sharded

LENGTHS = [5, 0, 1, 300, 0, 94]


@pytest.fixture(scope="module", params=["|u1", "<u2", "<i4"])
def both(request, tmp_path_factory):
    """Returns the array in memory, and the same array in files."""
    whole = np.random.default_rng(0).integers(0, 200, sum(LENGTHS)).astype(request.param)
    folder = tmp_path_factory.mktemp("shards")
    paths = []
    for i, part in enumerate(np.split(whole, np.cumsum(LENGTHS)[:-1])):
        paths.append(str(folder / str(i)))
        part.tofile(paths[-1])
    np.array([0, 5, 5, 120, 400], "<i8").tofile(folder / "borders")
    borders = Sharded.open([str(folder / "borders")], np.dtype("<i8"))
    return whole, Sharded.open(paths, np.dtype(request.param), borders)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    cuts=st.lists(st.tuples(st.integers(-420, 420), st.integers(-420, 420)), max_size=3),
    seed=st.integers(0, 100),
)
def test_positions_and_slices_match_the_array_in_memory(both, cuts, seed):
    whole, sharded = both
    for start, stop in cuts:
        whole, sharded = whole[start:stop], sharded[start:stop]
    assert len(sharded) == len(whole) and sharded.dtype == whole.dtype
    np.testing.assert_array_equal(np.asarray(sharded), whole)
    if len(whole):
        positions = np.random.default_rng(seed).integers(0, len(whole), (3, 7))
        taken = sharded[positions]
        assert taken.dtype == whole.dtype
        np.testing.assert_array_equal(taken, whole[positions])
        assert sharded[len(whole) - 1] == whole[-1]


def test_a_part_has_the_borders_that_lie_in_it(both):
    _, sharded = both
    for start, stop, expected in [(0, 400, [0, 5, 5, 120]), (5, 120, [0, 0]), (1, 121, [4, 4, 119]), (6, 100, [])]:
        assert np.asarray(sharded[start:stop].borders).tolist() == expected
    assert sharded[3:][2:125].borders[np.array([2, 0])].tolist() == [115, 0]


def test_reading_returns_a_copy(both):
    whole, sharded = both
    for read in (np.asarray(sharded), sharded[np.arange(400)]):
        read[:] = 0
    np.testing.assert_array_equal(np.asarray(sharded), whole)


@pytest.mark.parametrize("index", [-1, 400, [0, 400], [[-1]], slice(0, 9, 2)])
def test_positions_beyond_the_array_are_refused(both, index):
    with pytest.raises(IndexError):
        both[1][index]
