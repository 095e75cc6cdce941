"""Random numbers are a function of (seed, purpose, step)."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from charrnn.randomness import Purpose, gumbel, part_of_batch, seed_for, uniform


def test_seed_is_a_function_of_its_arguments_eager_and_in_a_graph():
    in_graph = tf.function(lambda step: seed_for(5, Purpose.CHOICES, step))
    for step in (0, 1, 10**6):
        seed = seed_for(5, Purpose.CHOICES, step)
        assert seed.shape == (2,) and seed.dtype == tf.int32
        np.testing.assert_array_equal(seed, seed_for(5, Purpose.CHOICES, step))
        np.testing.assert_array_equal(seed, in_graph(tf.constant(step, tf.int64)))


def test_other_seed_purpose_or_step_gives_other_numbers():
    keys = list(itertools.product([0, 1, 2], Purpose, [0, 1, 2, 1000]))
    assert len({tuple(seed_for(*key).numpy()) for key in keys}) == len(keys)
    draws = [float(tf.random.stateless_uniform([], seed_for(*key))) for key in keys]
    assert len(set(draws)) == len(draws)


def test_gumbel_noise_is_the_same_for_the_same_seed():
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(gumbel((5, 3), seed), gumbel((5, 3), seed))
    assert (gumbel((5, 3), seed).numpy() != gumbel((5, 3), tf.constant([1, 3])).numpy()).all()


def test_gumbel_noise_has_gumbels_distribution():
    n = 1_000_000
    noise = gumbel((n,), tf.constant([4, 2])).numpy()
    assert noise.dtype == np.float32
    variance = math.pi**2 / 6
    assert abs(noise.mean(dtype=np.float64) - np.euler_gamma) < 4 * math.sqrt(variance / n)
    assert abs(noise.var(dtype=np.float64) - variance) < 4 * variance * math.sqrt((5.4 - 1) / n)  # kurtosis 5.4
    for x in (-1.0, 0.0, 2.0, 5.0):
        below = math.exp(-math.exp(-x))
        assert abs((noise < x).mean() - below) < 4 * math.sqrt(below * (1 - below) / n)


def test_gumbel_noise_is_finite_at_both_ends_of_uniform(monkeypatch):
    """0 and the largest float32 below 1 are too rare to be met by drawing."""
    ends = tf.constant([0.0, np.nextafter(np.float32(1), np.float32(0))])
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda shape, seed: ends)
    noise = gumbel((2,), tf.constant([0, 0])).numpy()
    assert np.isfinite(noise).all() and noise[0] < -3 and noise[1] > 15


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_parts_of_a_batch_have_its_rows(in_graph):
    seed = tf.constant([1, 2])
    whole, noise = uniform((6, 5), seed).numpy(), gumbel((4, 6, 3), seed, rows=1).numpy()

    def part(index):
        with part_of_batch(index, 3):
            return uniform((2, 5), seed), gumbel((4, 2, 3), seed, rows=1)

    part = tf.function(part) if in_graph else part
    parts = [part(tf.constant(index)) for index in range(3)]
    np.testing.assert_array_equal(np.concatenate([numbers for numbers, _ in parts]), whole)
    np.testing.assert_array_equal(np.concatenate([numbers for _, numbers in parts], 1), noise)
    assert len(np.unique(whole)) == whole.size  # other numbers in each part
    np.testing.assert_array_equal(uniform((6, 5), seed), whole)  # outside, all is as before
