"""Tests that random numbers are a function of (seed, purpose, step), and their distributions."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from charrnn.randomness import Purpose, _key_and_counter, draw, gumbel, part_of_batch, seed_for, uniform


def test_seed_is_a_function_of_its_arguments_eager_and_in_a_graph():
    in_graph = tf.function(lambda step: seed_for(5, Purpose.CHOICES, step))
    for step in (0, 1, 10**6):
        seed = seed_for(5, Purpose.CHOICES, step)
        assert seed.shape == (2,) and seed.dtype == tf.int32
        np.testing.assert_array_equal(seed, seed_for(5, Purpose.CHOICES, step))
        np.testing.assert_array_equal(seed, in_graph(tf.constant(step, tf.int64)))


def test_another_seed_purpose_or_step_gives_other_numbers():
    keys = list(itertools.product([0, 1, 2], Purpose, [0, 1, 2, 1000]))
    assert len({tuple(seed_for(*key).numpy()) for key in keys}) == len(keys)
    draws = [float(tf.random.stateless_uniform([], seed_for(*key))) for key in keys]
    assert len(set(draws)) == len(draws)


def test_gumbel_noise_is_the_same_for_the_same_seed():
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(gumbel((5, 3), seed), gumbel((5, 3), seed))
    assert (gumbel((5, 3), seed).numpy() != gumbel((5, 3), tf.constant([1, 3])).numpy()).all()


def test_the_key_of_a_seed_is_the_same_with_xla():
    def drawn(seed):
        return _key_and_counter(seed)

    seed = tf.constant([1, 2])
    for plain, compiled in zip(drawn(seed), tf.function(drawn, jit_compile=True)(seed), strict=True):
        np.testing.assert_array_equal(plain, compiled)


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
    """Random draws would almost never contain 0 or the largest float32 below 1, so the test supplies them."""
    ends = tf.constant([0.0, np.nextafter(np.float32(1), np.float32(0))])
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda shape, seed, alg: ends)
    noise = gumbel((2,), tf.constant([0, 0])).numpy()
    assert np.isfinite(noise).all() and noise[0] < -3 and noise[1] > 15


@pytest.mark.parametrize("how", ["eager", "graph", "XLA"])
@pytest.mark.parametrize("width", [1, 3, 4, 5])  # a row may begin at any of the four numbers of a counter value
@pytest.mark.parametrize("count", [2, 3])  # few parts draw all rows and take theirs, many draw theirs only
def test_parts_of_a_batch_have_its_rows(how, width, count):
    seed = tf.constant([1, 2])

    def drawn(index, count):
        with part_of_batch(index, count):
            return uniform((6 // count, width), seed), gumbel((4, 6 // count, width), seed, rows=1)

    drawn = drawn if how == "eager" else tf.function(drawn, jit_compile=how == "XLA")
    whole, noise = (numbers.numpy() for numbers in drawn(tf.constant(0), 1))
    parts = [drawn(tf.constant(index), count) for index in range(count)]
    np.testing.assert_array_equal(np.concatenate([numbers for numbers, _ in parts]), whole)
    # The logarithm of an array's last numbers, which do not fill a vector register, is rounded otherwise.
    np.testing.assert_allclose(np.concatenate([numbers for _, numbers in parts], 1), noise, rtol=2**-22, atol=2**-22)
    assert len(np.unique(whole)) == whole.size  # other numbers in each part
    if how != "XLA":
        np.testing.assert_array_equal(uniform((6, width), seed), whole)  # outside of `part_of_batch` nothing changes


def philox(key, counter, count):
    """Returns `count` uniform numbers of Philox4x32-10 (Salmon et al. 2011), four per value of the 128-bit counter."""
    numbers, mask = [], 2**32 - 1
    for value in range(counter, counter + -(-count // 4)):
        x, k = [value >> 32 * i & mask for i in range(4)], [key & mask, key >> 32]
        for _ in range(10):
            first, second = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
            x = [second >> 32 ^ x[1] ^ k[0], second & mask, first >> 32 ^ x[3] ^ k[1], first & mask]
            k = [k[0] + 0x9E3779B9 & mask, k[1] + 0xBB67AE85 & mask]
        numbers += [(bits & 2**23 - 1) / 2**23 for bits in x]
    return np.array(numbers[:count], np.float32)


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 4 * 2**40 + 2])
def test_numbers_from_a_position_on_equal_the_stream_from_there(start):
    """The last position exceeds 32 bits, as for a late row of a huge batch."""
    key, counter = (value.numpy() for value in tf.raw_ops.StatelessRandomGetKeyCounter(seed=tf.constant([5, 6])))
    counter = int(counter[0]) + (int(counter[1]) << 64) + start // 4
    expected = philox(int(key[0]), counter, 24)[start % 4 :][:20]
    drawn = draw([2, 20], tf.constant([5, 6]), tf.constant([start, 0], tf.int64)).numpy()
    np.testing.assert_array_equal(drawn[0], expected)
    np.testing.assert_array_equal(drawn[1], draw([20], tf.constant([5, 6])))


def test_a_part_draws_its_own_rows_only():
    def part(index):
        with part_of_batch(index, 1000):
            return uniform((8, 6), tf.constant([1, 2])), gumbel((5, 8, 6), tf.constant([1, 2]), rows=1)

    graph = tf.function(part).get_concrete_function(tf.constant(0)).graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    shapes = [node.attr["_output_shapes"].list.shape[0] for node in nodes if node.op == "StatelessRandomUniformV2"]
    drawn = [math.prod(dim.size for dim in shape.dim) for shape in shapes if shape.dim]
    assert drawn == [8 * 6 + 3] * 2  # the second in a loop of 5 rounds
