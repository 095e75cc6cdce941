"""Tests the masks of own inputs: their share, positions and runs, within 4 to 4.5 standard errors of the formula."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from charrnn.randomness import part_of_batch
from trainers.step import coins

SHAPE = B, T = 400, 50


def seed(number=0):
    return tf.constant([3, number])


def assert_share(mask, prob, draws):
    assert abs(np.mean(mask) - prob) <= 4 * np.sqrt(prob * (1 - prob) / draws)


@pytest.mark.parametrize("prob", [0.0, 0.2, 1.0])
def test_each_character_has_its_own_coin(prob):
    own = coins.per_character(SHAPE, prob, seed()).numpy()
    assert own.shape == SHAPE
    assert_share(own, prob, B * T)
    pairs = own[:, :-1] & own[:, 1:]  # neighbours are independent
    assert abs(pairs.mean() - prob**2) <= 4 * np.sqrt(2 * prob**2 / pairs.size)


def test_the_probability_may_differ_by_position():
    prob = np.linspace(0, 1, T).astype(np.float32)
    own = coins.per_character(SHAPE, prob, seed()).numpy().mean(0)
    assert own[0] == 0 and own[-1] == 1
    assert np.all(np.abs(own - prob) <= 4.5 * np.sqrt(prob * (1 - prob) / B))


def test_each_row_has_one_coin():
    own = coins.per_row(SHAPE, 0.3, seed()).numpy()
    assert own.shape == SHAPE and (own == own[:, :1]).all()
    assert_share(own[:, 0], 0.3, B)


@pytest.mark.parametrize("prob", [0.0, 0.25, 0.333, 1.0])
def test_an_exact_count_leaves_out_first_characters(prob):
    masks = [coins.exact_count((6, 11), prob, seed(number)).numpy() for number in range(200)]
    assert {mask.sum() for mask in masks} == {round(prob * 60)}
    assert not any(mask[:, 0].any() for mask in masks)
    often = np.mean(masks, 0)[:, 1:]  # all other positions equally often
    assert np.abs(often - round(prob * 60) / 60).max() <= 4.5 * np.sqrt(0.25 / 200)


@pytest.mark.parametrize("length", [1, 4])
def test_spans_have_their_probability_everywhere_and_their_length(length):
    own = np.concatenate([coins.spans(SHAPE, 0.3, length, seed(number)).numpy() for number in range(5)])
    assert own.shape == (5 * B, T)
    by_position = own.mean(0)
    assert np.abs(by_position - 0.3).max() <= 4.5 * np.sqrt(0.3 * 0.7 / len(own))  # at the first positions too
    lengths = [[(is_own, len(list(run))) for is_own, run in itertools.groupby(row)] for row in own]
    whole = [count for row in lengths for is_own, count in row[1:-1] if is_own]  # a row's ends may cut runs off
    assert min(whole) == length


def test_spans_of_length_one_are_coins_and_probabilities_0_and_1_are_exact():
    assert not coins.spans(SHAPE, 0.0, 8, seed()).numpy().any()
    assert coins.spans(SHAPE, 1.0, 8, seed()).numpy().all()
    np.testing.assert_array_equal(coins.spans(SHAPE, 0.5, 1, seed()), coins.per_character(SHAPE, 0.5, seed()))


@pytest.mark.parametrize(
    "toss",
    [coins.per_character, coins.per_row, coins.exact_count, lambda *given: coins.spans(*given[:2], 4, given[2])],
    ids=["character", "row", "exact", "spans"],
)
def test_the_coins_of_parts_equal_the_coins_of_the_whole_batch(toss):
    whole, parts = toss((12, 20), 0.4, seed()).numpy(), []
    for index in range(4):
        with part_of_batch(index, 4):
            parts.append(toss((3, 20), 0.4, seed()).numpy())
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert any((part != parts[0]).any() for part in parts)
