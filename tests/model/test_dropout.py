"""Tests dropout and zoneout masks: their rate and scale, how they depend on the key, and the masks of parts."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn import randomness
from charrnn.model import dropout

KEY = randomness.seed_for(3, randomness.Purpose.DROPOUT, 7)
DRAWS = {
    "dropout": lambda key, rate: dropout.dropout(key, [100, 300], rate),
    "rows": lambda key, rate: dropout.dropout_of_rows(key, 100, 300, rate),
    "zoneout": lambda key, rate: dropout.zoneout(key, 20, 30, 50, rate),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("rate", [0.3, 0.75])
def test_masks_have_the_given_rate(name, rate):
    drawn = DRAWS[name](KEY, rate).numpy()
    assert drawn.dtype == np.float32 and drawn.size == 30000
    hit = drawn == (1 if name == "zoneout" else 0)
    assert abs(hit.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / drawn.size)
    np.testing.assert_allclose(drawn[~hit], 0 if name == "zoneout" else 1 / (1 - rate), rtol=rounding.MODEL)
    if drawn.ndim == 2:  # no row and no unit is dropped as a whole
        assert 0 < hit.mean(0).min() and hit.mean(0).max() < 1 and 0 < hit.mean(1).min() and hit.mean(1).max() < 1


@pytest.mark.parametrize("name", DRAWS)
def test_masks_are_a_function_of_the_key(name):
    draw = DRAWS[name]
    first = draw(KEY, 0.5).numpy()
    np.testing.assert_array_equal(first, draw(KEY, 0.5))
    np.testing.assert_array_equal(first, tf.function(draw)(KEY, 0.5))
    others = [dropout.part(KEY, 0), dropout.part(KEY, 1), randomness.seed_for(3, randomness.Purpose.DROPOUT, 8)]
    for other in others:
        assert 0.4 < (draw(other, 0.5).numpy() != first).mean() < 0.6


def test_masks_of_parts_are_parts_of_the_masks_of_the_whole_batch():
    """The mask of a row does not depend on the number of replicas or parts."""

    def parts(draw):
        for i in range(3):
            with randomness.part_of_batch(i, 3):
                yield draw().numpy()

    rows = np.concatenate(list(parts(lambda: dropout.dropout_of_rows(KEY, 2, 5, 0.5))))
    np.testing.assert_array_equal(rows, dropout.dropout_of_rows(KEY, 6, 5, 0.5))
    kept = np.concatenate(list(parts(lambda: dropout.zoneout(KEY, 2, 4, 5, 0.5))), 1)
    np.testing.assert_array_equal(kept, dropout.zoneout(KEY, 6, 4, 5, 0.5))
    first, _, last = parts(lambda: dropout.dropout(KEY, [4, 5], 0.5))
    np.testing.assert_array_equal(first, last)  # all parts share the masks of weights


def test_the_product_is_rounded_once():
    """16 bits cannot hold 1 / 0.7. If it were rounded before the product, all products would be 0.1 % too large."""
    x = tf.constant(np.random.default_rng(0).normal(size=20000), tf.bfloat16)
    mean = tf.reduce_mean(tf.cast(dropout.times(x, tf.fill([20000], 1 / 0.7)) / 1, tf.float32) / tf.cast(x, tf.float32))
    assert abs(float(mean) * 0.7 - 1) < 2e-4
    assert dropout.times(x, tf.zeros(20000)).dtype == tf.bfloat16
