"""Tests that passes count each prediction once. test_carried_state.py tests the pass with carried state."""

import itertools

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.batches.evaluation_batches import document_pass, last_pass, passes_for, window_pass
from charrnn.batches.sources import DataConfig, borders, cut, last_only

few = settings(max_examples=30, deadline=None)


def counted_positions(batches):
    """Asserts shapes, weights and targets of batches whose ids are positions. Returns the counted targets, sorted."""
    shapes, counted = set(), []
    for batch in batches:
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
    assert not any(batch.continues for batch in batches)
    starts = [batch.inputs[row, 0] for batch in batches for row in range(len(batch.inputs)) if batch.weights[row, 0]]
    assert starts == list(range(0, length - 1, window))  # ceil((N - 1) / window) windows, from their first character


def documents(lengths):
    """Returns documents of these lengths, all characters different, with the end-of-text id 0 before and after each."""
    ids, following = [0], itertools.count(1)
    for length in lengths:
        ids += [*itertools.islice(following, length), 0]
    return np.array(ids)


@few
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=30), length=st.integers(1, 12), rows=st.integers(1, 9))
def test_document_pass_counts_each_document_once_up_to_its_limit(lengths, length, rows):
    ids = documents(lengths)
    counted, ends, shapes = [], 0, set()
    for batch in document_pass(ids, length, rows):
        assert not batch.continues and (batch.inputs[:, 0] == 0).all()
        shapes.add(batch.inputs.shape)
        targets = batch.targets[batch.weights > 0]
        counted += targets[targets > 0].tolist()
        ends += int((targets == 0).sum())
    assert len(shapes) == 1
    kept = [ids[start + 1 : start + 1 + min(n, length)] for start, n in zip(borders(ids), lengths, strict=False)]
    assert counted == np.concatenate(kept).tolist()
    assert ends == sum(n < length for n in lengths)  # the end of a truncated document is not a target


@few
@given(length=st.integers(2, 200), window=st.integers(1, 12), stride=st.integers(1, 5), rows=st.integers(1, 9))
def test_last_pass_counts_the_character_after_each_window(length, window, stride, rows):
    ids = np.arange(length)
    counted = [
        target for batch in last_pass(ids, window, stride, rows) for target in batch.targets[batch.weights > 0]
    ]
    assert counted == list(range(window, length, stride))


def test_last_only_keeps_the_weight_of_the_last_target():
    batch = last_only(cut(np.arange(20), np.array([0, 5]), 4))
    assert batch.weights.tolist() == [[0, 0, 0, 1]] * 2
    assert batch.targets[batch.weights > 0].tolist() == [4, 9]


def test_the_passes_suit_the_targets():
    ids = np.arange(100) % 7
    assert list(passes_for(ids, DataConfig())) == ["nats_per_char", "nats_per_char_window_256"]
    assert list(passes_for(ids, DataConfig(order="lines"))) == ["nats_per_char"]
    assert list(passes_for(ids, DataConfig(targets="last", seq_length=10))) == ["nats_per_char"]
    assert passes_for(ids[:1], DataConfig()) == passes_for(ids[:9], DataConfig(targets="last", seq_length=10)) == {}
