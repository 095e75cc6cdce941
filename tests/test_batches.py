"""Batches are pure functions of the step, and passes count every character once."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn import metrics
from charrnn.batches import Batch, DataConfig, Streams, Windows, cut, make_source, stateful_pass, window_pass
from charrnn.errors import UserError

few = settings(max_examples=25, deadline=None, derandomize=True)


def epoch_of(source, epoch=0):
    """The batches of one epoch."""
    first = epoch * source.steps_per_epoch
    return [source.batch_at(step) for step in range(first, first + source.steps_per_epoch)]


def assert_shifted_rows(batch, length):
    """With ids = positions: consecutive inputs, targets one further, all of them counted, inside the text."""
    np.testing.assert_array_equal(batch.inputs, batch.inputs[:, :1] + np.arange(batch.inputs.shape[1]))
    np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
    assert batch.inputs.min() >= 0 and batch.targets.max() < length
    assert batch.inputs.dtype == batch.targets.dtype == np.int32
    assert batch.weights.dtype == np.float32 and (batch.weights == 1).all()
    assert batch.inputs.shape == batch.targets.shape == batch.weights.shape


@few
@given(
    length=st.integers(2, 400),
    seq_length=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    stride=st.integers(0, 15),
    epoch=st.integers(0, 10**6),
)
@example(length=2, seq_length=1, batch_size=1, stride=0, epoch=0)
def test_windows_of_an_epoch_are_distinct_and_cover_all_but_less_than_a_batch(
    length, seq_length, batch_size, stride, epoch
):
    config = DataConfig(seq_length=seq_length, batch_size=batch_size, stride=stride)
    every = stride or seq_length
    all_starts = [start for start in range(0, length, every) if start + seq_length + 1 <= length]
    if len(all_starts) < batch_size:
        with pytest.raises(UserError):
            Windows(np.arange(length), config, seed=1)
        return
    source = Windows(np.arange(length), config, seed=1)
    starts = []
    for batch in epoch_of(source, epoch):
        assert batch.inputs.shape == (batch_size, seq_length)
        assert_shifted_rows(batch, length)
        starts.extend(batch.inputs[:, 0])
    assert len(set(starts)) == len(starts)
    assert set(starts) <= set(all_starts)
    assert 0 <= len(all_starts) - len(starts) < batch_size


def test_windows_order_is_a_function_of_seed_and_epoch():
    config, ids = DataConfig(seq_length=4, batch_size=3), np.arange(4 * 32)  # 31 windows, of which 30 are read

    def order(seed, epoch):
        return [int(start) for batch in epoch_of(Windows(ids, config, seed), epoch) for start in batch.inputs[:, 0]]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != sorted(order(0, 0))
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(4)}) == 12
    left_out = [set(range(0, 124, 4)) - set(order(0, epoch)) for epoch in range(8)]
    assert len(set.union(*left_out)) > 2  # not the same window each epoch


@pytest.mark.parametrize("order", ["windows", "streams"])
def test_batches_are_pure(order):
    """The same step gives the same batch: again, from a new source, and whatever was asked for before."""
    config, ids = DataConfig(seq_length=4, batch_size=3, order=order), np.arange(200)
    source = make_source(ids, config, seed=7)
    steps = [0, 1, 2 * source.steps_per_epoch + 1, 10**6]
    first = [source.batch_at(step) for step in steps]
    for again in (source, make_source(ids, config, seed=7)):
        for step, batch in reversed(list(zip(steps, first, strict=True))):
            for a, b in zip(again.batch_at(step), batch, strict=True):
                np.testing.assert_array_equal(a, b)
    others = [make_source(ids, config, seed=seed).batch_at(0).inputs for seed in range(8)]
    assert any((other != first[0].inputs).any() for other in others)


def test_windows_never_continue():
    source = Windows(np.arange(100), DataConfig(seq_length=4, batch_size=3), seed=0)
    assert not source.carries_state
    assert not any(source.continues(step) for step in range(30))


@few
@given(
    length=st.integers(2, 400),
    seq_length=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    epoch=st.integers(0, 10**6),
)
@example(length=2, seq_length=1, batch_size=1, epoch=0)
def test_streams_rows_go_on_where_they_ended(length, seq_length, batch_size, epoch):
    config = DataConfig(seq_length=seq_length, batch_size=batch_size, order="streams")
    if length < seq_length + batch_size * seq_length:
        with pytest.raises(UserError):
            Streams(np.arange(length), config, seed=1)
        return
    source = Streams(np.arange(length), config, seed=1)
    batches = epoch_of(source, epoch)
    read = np.concatenate([batch.inputs for batch in batches], 1)
    assert read.shape == (batch_size, source.steps_per_epoch * seq_length)
    targets = np.concatenate([batch.targets for batch in batches], 1)
    assert_shifted_rows(Batch(read, targets, np.ones(read.shape, np.float32)), length)
    assert len(np.unique(read)) == read.size  # rows do not overlap
    assert length - 1 - read.size < batch_size * seq_length + seq_length  # less than a step and the room to move
    for earlier, later in itertools.pairwise(batches):
        np.testing.assert_array_equal(later.inputs[:, 0], earlier.targets[:, -1])
    first = epoch * source.steps_per_epoch
    continues = [source.continues(first + i) for i in range(source.steps_per_epoch + 1)]
    assert continues == [i not in (0, source.steps_per_epoch) for i in range(source.steps_per_epoch + 1)]


def test_streams_borders_move():
    """Each offset of a border within a window comes up over the epochs."""
    source = Streams(np.arange(100), DataConfig(seq_length=5, batch_size=3, order="streams"), seed=0)
    starts = [int(source.batch_at(epoch * source.steps_per_epoch).inputs[0, 0]) for epoch in range(60)]
    assert {start % 5 for start in starts} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("order, enough", [("windows", 1 + 3 * 4), ("streams", 1 + 3 * 4 + 3)])
def test_too_short_a_text_is_refused_with_the_figures(order, enough):
    config = DataConfig(seq_length=4, batch_size=3, order=order)
    assert make_source(np.arange(enough), config, seed=0).steps_per_epoch == 1
    with pytest.raises(UserError) as error:
        make_source(np.arange(enough - 1), config, seed=0)
    for figure in (f"{enough - 1} characters", f"needs {enough}", "data.batch_size=3", "data.seq_length=4"):
        assert figure in str(error.value)


def test_the_figure_named_for_strided_windows_is_enough():
    config = DataConfig(seq_length=4, batch_size=3, stride=2)
    assert Windows(np.arange(1 + 4 + 2 * 2), config, seed=0).steps_per_epoch == 1
    with pytest.raises(UserError, match="needs 9"):
        Windows(np.arange(8), config, seed=0)


@pytest.mark.parametrize(
    "field, value",
    [("seq_length", 0), ("batch_size", 0), ("order", "shuffled"), ("stride", -1), ("vocabulary", "words")],
)
def test_config_refuses(field, value):
    with pytest.raises(UserError, match=rf"data\.{field}={value}"):
        DataConfig(**{field: value})


def counted_positions(batches):
    """With ids = positions: every target which counts, sorted; checks shapes and weights on the way."""
    shapes, counted = set(), []
    for batch, _ in batches:
        shapes.add((batch.inputs.shape, batch.targets.shape, batch.weights.shape))
        assert set(np.unique(batch.weights)) <= {0.0, 1.0}
        counts = batch.weights == 1
        np.testing.assert_array_equal(batch.targets[counts], batch.inputs[counts] + 1)
        counted.extend(batch.targets[counts])
    assert len(shapes) == 1
    return sorted(counted)


@few
@given(length=st.integers(2, 300), window=st.integers(1, 20), rows=st.integers(1, 9))
@example(length=2, window=20, rows=9)
@example(length=201, window=10, rows=5)
def test_window_pass_counts_each_character_once(length, window, rows):
    batches = list(window_pass(np.arange(length), window, rows))
    assert counted_positions(batches) == list(range(1, length))
    assert not any(continues for _, continues in batches)
    starts = [batch.inputs[row, 0] for batch, _ in batches for row in range(len(batch.inputs)) if batch.weights[row, 0]]
    assert starts == list(range(0, length - 1, window))  # ceil((N - 1) / window) windows, from their first character


@few
@given(length=st.integers(2, 600), rows=st.integers(1, 9), warm_up=st.integers(0, 9), chars=st.integers(1, 20))
@example(length=2, rows=9, warm_up=9, chars=20)
@example(length=8, rows=9, warm_up=9, chars=4)
@example(length=1 + 8 * 9 * 4, rows=9, warm_up=9, chars=4)
@example(length=100, rows=4, warm_up=0, chars=7)
def test_stateful_pass_counts_each_character_once(length, rows, warm_up, chars):
    batches = list(stateful_pass(np.arange(length), rows, warm_up, chars))
    assert counted_positions(batches) == list(range(1, length))
    assert [continues for _, continues in batches] == [i > 0 for i in range(len(batches))]
    for row in range(len(batches[0][0].inputs)):
        read = np.concatenate([batch.inputs[row] for batch, _ in batches])
        counts = np.flatnonzero(np.concatenate([batch.weights[row] for batch, _ in batches]))
        if len(counts):  # it read on without a gap from its start, and `warm_up` characters before any that counts
            np.testing.assert_array_equal(read[: counts[-1] + 1], read[0] + np.arange(counts[-1] + 1))
            assert counts[0] == (warm_up if row else 0)


def test_stateful_pass_equals_one_long_pass(make_model):
    """A tiny network forgets what was 40 characters ago to 1e-6 of its loss, and needs the last few."""
    model = make_model()
    ids = np.random.default_rng(2).integers(0, 7, 4 * 8 * 40 + 1)

    def nats(batches):
        total, state = 0.0, None
        for batch, continues in batches:
            logits, state = model(tf.constant(batch.inputs), state if continues else None)
            total += float(metrics.nats(logits, batch.targets, batch.weights))
        return total / (len(ids) - 1)

    whole = nats([(cut(ids, np.array([0]), len(ids) - 1), False)])
    by_rows = list(stateful_pass(ids, rows=4, warm_up=40, length=64))
    assert len(by_rows[0][0].inputs) == 4
    assert nats(stateful_pass(ids, rows=1, warm_up=40, length=64)) == pytest.approx(whole, rel=1e-6)
    assert nats(by_rows) == pytest.approx(whole, rel=1e-6)
    assert abs(nats(window_pass(ids, window=8, rows=4)) / whole - 1) > 1e-4  # the state does matter
