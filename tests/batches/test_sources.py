"""Tests that batches are pure functions of the step, and which rows an epoch reads."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.batches.sources import Batch, DataConfig, Lines, Streams, Windows, make_source
from charrnn.batches.wrapped import FirstBatches, Skipping
from charrnn.errors import UserError

few = settings(max_examples=25, deadline=None, derandomize=True)


def epoch_of(source, epoch=0):
    """Returns the batches of one epoch."""
    first = epoch * source.steps_per_epoch
    return [source.batch_at(step) for step in range(first, first + source.steps_per_epoch)]


def assert_shifted_rows(batch, length):
    """Asserts that inputs are consecutive and targets one further, all counted, inside the text. Ids are positions."""
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
    """The same step gives the same batch: a second time, from a new source, and in another order of steps."""
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


class Endless:
    """A text of five billion characters, each its position modulo 251. Remembers the last requested positions."""

    def __len__(self):
        return 5 * 10**9

    def __getitem__(self, positions):
        self.asked = positions
        return positions % 251


def test_billions_of_windows_take_no_memory_and_no_time():
    ids, config = Endless(), DataConfig(seq_length=6, batch_size=32, stride=1)
    source = Windows(ids, config, seed=0)
    assert source.num_windows == 5 * 10**9 - 6
    starts = []
    for step in (0, source.steps_per_epoch - 1, source.steps_per_epoch):
        batch = source.batch_at(step)
        starts += ids.asked[:, 0].tolist()
        assert 0 <= ids.asked.min() and ids.asked.max() < len(ids)
        np.testing.assert_array_equal(batch.inputs, ids.asked[:, :-1] % 251)
    assert len(set(starts)) == 96 and min(starts) < 10**9 and max(starts) > 4 * 10**9


def test_windows_never_continue():
    source = Windows(np.arange(100), DataConfig(seq_length=4, batch_size=3), seed=0)
    assert not source.carries_state
    assert not any(source.batch_at(step).continues for step in range(30))


@few
@given(
    length=st.integers(2, 400),
    seq_length=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    epoch=st.integers(0, 10**6),
)
@example(length=2, seq_length=1, batch_size=1, epoch=0)
def test_rows_of_streams_continue_where_they_ended(length, seq_length, batch_size, epoch):
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
    assert length - 1 - read.size < batch_size * seq_length + seq_length  # less than a step plus the range of the shift
    for earlier, later in itertools.pairwise(batches):
        np.testing.assert_array_equal(later.inputs[:, 0], earlier.targets[:, -1])
    first = epoch * source.steps_per_epoch
    continues = [source.batch_at(first + i).continues for i in range(source.steps_per_epoch + 1)]
    assert continues == [i not in (0, source.steps_per_epoch) for i in range(source.steps_per_epoch + 1)]


def test_streams_borders_move():
    """Over the epochs, a border takes every offset within a window."""
    source = Streams(np.arange(100), DataConfig(seq_length=5, batch_size=3, order="streams"), seed=0)
    starts = [int(source.batch_at(epoch * source.steps_per_epoch).inputs[0, 0]) for epoch in range(60)]
    assert {start % 5 for start in starts} == {0, 1, 2, 3, 4}


def test_streams_restart_in_the_given_share_of_rows():
    config = DataConfig(seq_length=2, batch_size=50, order="streams", reset_probability=0.2)
    source = make_source(np.arange(50 * 2 * 41 + 2), config, seed=0)
    continues = np.array([source.batch_at(step).continues for step in range(41)])
    assert source.steps_per_epoch == 41 and not continues[0].any()
    assert abs(1 - continues[1:].mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 2000)
    assert len(np.unique(continues[1:], axis=0)) == 40  # other rows at each step ...
    np.testing.assert_array_equal(make_source(np.arange(4200), config, seed=0).batch_at(7).continues, continues[7])
    other = make_source(np.arange(4200), config, seed=1)
    assert (other.batch_at(7).continues != continues[7]).any()  # ... and for each seed


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


def documents(lengths):
    """Returns documents of these lengths, of 1s, 2s, …, with the end-of-text id 0 before and after each."""
    return np.concatenate([[0], *([number + 1] * length + [0] for number, length in enumerate(lengths))])


@few
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=30), length=st.integers(1, 12), seed=st.integers(0, 9))
def test_lines_are_one_document_a_row_each_once_an_epoch(lengths, length, seed):
    size = 1 + seed % len(lengths)
    source = Lines(documents(lengths), DataConfig(order="lines", seq_length=length, batch_size=size), seed)
    seen = []
    for batch in epoch_of(source):
        for inputs, targets, weights in zip(*batch[:3], strict=True):
            document = targets[0]
            count = int(weights.sum())
            assert count == min(lengths[document - 1] + 1, length) and (weights[:count] == 1).all()
            text = [0] + [document] * lengths[document - 1] + [0]
            assert inputs[:count].tolist() == text[:count]
            assert targets[:count].tolist() == text[1 : count + 1]
            seen.append(document)
    assert len(seen) == len(set(seen)) == len(lengths) // size * size


def test_too_few_documents_are_refused_with_the_figures():
    with pytest.raises(UserError, match=r"2 documents .* data\.batch_size=3"):
        Lines(documents([4, 5]), DataConfig(order="lines", batch_size=3), seed=0)


def test_only_the_last_target_counts_with_targets_last():
    config = DataConfig(seq_length=4, batch_size=2, stride=3, targets="last")
    batch = Windows(np.arange(100), config, seed=0).batch_at(0)
    assert batch.weights.tolist() == [[0, 0, 0, 1]] * 2


def test_nietzsche_has_as_many_windows_as_in_the_original_program():
    config = DataConfig(seq_length=60, batch_size=128, stride=3, targets="last")
    assert Windows(np.zeros(600_893, np.uint8), config, seed=0).num_windows == 200_278


ROWS = [
    DataConfig(seq_length=4, batch_size=6),
    DataConfig(seq_length=4, batch_size=6, targets="last", stride=3),
    DataConfig(seq_length=4, batch_size=6, order="streams"),
    DataConfig(seq_length=4, batch_size=6, order="streams", reset_probability=0.5),
    DataConfig(seq_length=4, batch_size=6, order="lines"),
]


@pytest.mark.parametrize("config", ROWS)
def test_requested_rows_equal_the_rows_of_the_whole_batch(config):
    documents = np.where(np.random.default_rng(0).random(600) < 0.2, 0, np.arange(600)) * (np.arange(600) > 0)
    plain = make_source(np.append(documents, 0) if config.order == "lines" else np.arange(600), config, seed=2)
    for source in (plain, Skipping(FirstBatches(plain, 3))):
        for step in (0, 1, source.steps_per_epoch + 1):
            whole = source.batch_at(step)
            for rows in (range(0, 2), range(2, 6), range(5, 6), range(6)):
                for some, every in zip(source.batch_at(step, rows), whole, strict=True):
                    np.testing.assert_array_equal(some, every[rows.start : rows.stop] if np.ndim(every) else every)


def test_rows_are_made_without_the_others():
    """A batch of a billion rows would not fit into memory."""

    class Endless:
        """A text of any length, read by index."""

        def __len__(self):
            return 10**13

        def __getitem__(self, positions):
            return positions % 251

    streams = DataConfig(seq_length=10, batch_size=10**9, order="streams", reset_probability=0.5)
    for config in (streams, dataclasses.replace(streams, order="windows", reset_probability=0)):
        batch = make_source(Endless(), config, seed=0).batch_at(7, range(10**9 - 4, 10**9))
        assert batch.inputs.shape == (4, 10)
        assert (batch.targets == (batch.inputs + 1) % 251).all()
        assert np.ndim(batch.continues) == 0 or batch.continues.shape == (4,)
