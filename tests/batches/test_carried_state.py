"""Tests that rows in parallel give the losses of a single row, for a model's memory of any length."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rounding import bound

from charrnn import metrics
from charrnn.batches.carried_state import StatefulPass
from charrnn.batches.evaluation_batches import closed_loop_loss, losses_in_order
from charrnn.batches.sources import Batch


@settings(max_examples=30, deadline=None)
@given(size=st.integers(2, 600), rows=st.integers(1, 9), least=st.integers(1, 50), length=st.integers(1, 20))
@example(size=2, rows=9, least=9, length=20)
@example(size=1 + 9 * 4 * 5, rows=9, least=9, length=4)
def test_each_character_is_counted_once_and_in_order(size, rows, least, length):
    batches = list(StatefulPass(np.arange(size), rows, least, length))
    assert [batch.continues for batch in batches] == [i > 0 for i in range(len(batches))]
    inputs, targets, weights = (np.concatenate(part, 1) for part in zip(*(batch[:3] for batch in batches), strict=True))
    assert len(inputs) <= rows and {batch.inputs.shape for batch in batches} == {(len(inputs), length)}
    assert inputs[weights > 0].tolist() == list(range(size - 1)) and set(np.unique(weights)) <= {0.0, 1.0}
    np.testing.assert_array_equal(targets[weights > 0], inputs[weights > 0] + 1)
    assert (weights[:-1] == 1).all()  # only the last row may be shorter: the state reaches the start of each next row


def stepping(model):
    """Returns a step, and a dict that counts the batches by their number of rows."""
    calls = {}

    @tf.function(autograph=False)
    def graph(batch, state):
        logits, state = model(batch.inputs, state)
        return metrics.cross_entropy(logits, batch.targets, batch.weights), state

    def step(batch, state):
        rows = len(batch.inputs)
        calls[rows] = calls.get(rows, 0) + 1
        return graph(batch, state)

    return step, calls


def forgetting_after(make_model, chars, cell="gru", **arguments):
    """Returns a model with random weights whose gates forget after `chars` characters."""
    model = make_model(cell=cell, units=16, embedding_size=0, **arguments)
    bias = model.recurrent_layers[0].trainable_weights[2]
    value = bias.numpy()
    gate = np.log(chars)  # sigmoid(gate) keeps all but 1 / (1 + chars) of a state
    if cell == "gru":
        value[0, :16] = gate
    else:
        value[:16], value[16:32] = -gate, gate
    bias.assign(value)
    for kernel in model.recurrent_layers[0].trainable_weights[:2]:
        kernel.assign(0.3 * kernel)
    return model


IDS = np.random.default_rng(2).integers(0, 7, 8 * 512)


def passes(rows=8):
    return StatefulPass(IDS, rows, least=64, length=64)


MIXED = [pytest.param(precision, marks=pytest.mark.slow) for precision in ("mixed_float16", "mixed_bfloat16")]


@pytest.mark.parametrize("precision", ["float32", *MIXED])
@pytest.mark.parametrize("cell, chars", [("gru", 10), ("gru", 300), ("gru", 3e3), ("lstm", 300), ("lstm", 1e5)])
def test_the_loss_equals_the_loss_of_a_single_row(make_model, precision, cell, chars):
    """The memory is shorter than a row's 512 characters, about as long, several times as long, or beyond the text."""
    model = forgetting_after(make_model, chars, cell, precision=precision)
    step, _ = stepping(model)
    got, one = (closed_loop_loss(step, model.initial_state, batches) for batches in (passes(), passes(1)))
    without = closed_loop_loss(step, model.initial_state, list(passes()))
    # Each loss errs like a sum of 2 · 16 terms, up or down. The losses themselves are float32.
    allowed = max(bound("float32", 2 * 16), bound(model.compute_dtype, 2 * 16) / np.sqrt(len(IDS)))
    assert got == pytest.approx(one, rel=allowed)
    if chars < 1e5:
        assert abs(without / one - 1) > 2 * allowed  # the state at the start of each row matters


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_model_that_forgets_needs_few_extra_steps(make_model, cell):
    model = forgetting_after(make_model, 10, cell)
    step, calls = stepping(model)
    closed_loop_loss(step, model.initial_state, passes())
    assert calls.keys() == {8} and calls[8] <= len(passes()) + 4


def test_a_model_with_a_very_long_memory_reads_with_a_single_row_to_the_bit(make_model):
    model = forgetting_after(make_model, 1e5)
    step, calls = stepping(model)
    got, one = (losses_in_order(step, model.initial_state, batches) for batches in (passes(16), passes(1)))
    np.testing.assert_array_equal(got, one)
    assert calls == {16: 8 * len(passes(16)), 1: 2 * len(passes(1))}


def test_three_rows_are_read_at_most_three_times(make_model):
    model = forgetting_after(make_model, 1e5)
    step, calls = stepping(model)
    got, one = (closed_loop_loss(step, model.initial_state, batches) for batches in (passes(3), passes(1)))
    assert got == pytest.approx(one, rel=bound("float32", 2 * 16)) and calls[3] <= 3 * len(passes(3))


def test_losses_come_in_the_order_of_the_text(make_model):
    model = forgetting_after(make_model, 300)
    step, _ = stepping(model)
    got = losses_in_order(step, model.initial_state, passes())
    (whole,) = StatefulPass(IDS, rows=1, length=len(IDS) - 1)
    expected, _ = step(Batch(*map(tf.convert_to_tensor, whole)), model.initial_state(1))
    np.testing.assert_allclose(got, expected[0], atol=bound("float32", 64))


def test_several_losses_at_once_equal_each_loss_alone(make_model):
    model = forgetting_after(make_model, 300)
    step, _ = stepping(model)

    def doubled(batch, state):
        nats, state = step(batch, state)
        return tf.reduce_sum(tf.stack([nats, 2 * nats]), -1, keepdims=True), state

    got = closed_loop_loss(doubled, model.initial_state, passes())
    one = closed_loop_loss(step, model.initial_state, passes(1))
    assert got == pytest.approx([one, 2 * one], rel=bound("float32", 2 * 16))


def test_a_model_with_nan_weights_needs_one_extra_step(make_model):
    model = make_model(units=16, embedding_size=0)
    model.readout.bias.assign(np.full(7, np.nan))
    step, calls = stepping(model)
    assert np.isnan(closed_loop_loss(step, model.initial_state, passes())) and calls == {8: len(passes()) + 1}
