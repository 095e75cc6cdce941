"""Tests the decoding loop over a block, as a whole and in parts, and the noise that determines its choices."""

import numpy as np
import pytest
import tensorflow as tf

from charrnn import randomness
from charrnn.generation.decode_loop import DECODE_BLOCK_CHARS, OWN, choice_noise, read_and_write
from charrnn.sampling import NEVER, sample

V = 7


def noise_of(forced, seeds, temperatures, start=0):
    return choice_noise(np.array(forced, np.int32), np.array(seeds, np.int32), start, np.float32(temperatures), V)


def own(*rows):
    return np.full((*rows, DECODE_BLOCK_CHARS), OWN, np.int32)


@pytest.mark.parametrize("config", [{}, {"cell": "lstm", "num_layers": 2}], ids=["gru", "two lstm"])
def test_a_block_in_parts_equals_the_whole_block_to_the_bit(make_model, config):
    model = make_model(**config)
    noise = noise_of(own(3), [0, 1, 2], [1.0, 0.5, 2.0])

    @tf.function(autograph=False)
    def read(state, logits, begin, end):
        return read_and_write(
            model.network(), lambda logits, t: sample(logits, noise[t]), state, logits, begin, end, predictions=True
        )

    start = model.initial_state(3), tf.zeros((3, V))
    whole = read(*start, tf.constant(0), tf.constant(DECODE_BLOCK_CHARS))
    ids, predictions = np.zeros((DECODE_BLOCK_CHARS, 3), np.int32), np.zeros((DECODE_BLOCK_CHARS, 3, V), np.float32)
    for begin, end in ((0, 1), (1, 9), (9, 9), (9, 100), (100, DECODE_BLOCK_CHARS)):
        part = read(*start, tf.constant(begin), tf.constant(end))
        assert not part.ids[:begin].numpy().any() and not part.ids[end:].numpy().any()
        ids += part.ids.numpy()
        predictions += part.predictions.numpy()
        start = part.state, part.logits
    assert read.experimental_get_tracing_count() == 1
    np.testing.assert_array_equal(ids, whole.ids)
    np.testing.assert_array_equal(predictions, whole.predictions)
    for got, expected in zip(tf.nest.flatten(start), tf.nest.flatten((whole.state, whole.logits)), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert len(set(map(tuple, ids.T))) == 3


def test_own_choices_get_gumbel_noise_times_the_temperature():
    noise = noise_of(own(3), [5, 6, 5], [1.0, 0.5, 0.0], start=256)
    assert noise.shape == (DECODE_BLOCK_CHARS, 3, V)
    for row, seed, temperature in ((0, 5, 1.0), (1, 6, 0.5), (2, 5, 0.0)):
        drawn = randomness.gumbel(
            [DECODE_BLOCK_CHARS, V], randomness.seed_for(seed, randomness.Purpose.GENERATION, 256)
        )
        np.testing.assert_array_equal(noise[:, row], temperature * drawn)
    assert (noise[:, 0].numpy() != noise_of(own(1), [5], [1.0], start=128)[:, 0].numpy()).all()


def test_a_forced_id_is_the_choice_whatever_the_logits():
    forced = own(2)
    forced[:, 3:10] = np.random.default_rng(0).integers(0, V, (2, 7))
    noise = noise_of(forced, [0, 1], [3.0, 0.0])
    first = np.arange(V) == 0
    for logits in (np.zeros(V), np.full(V, NEVER), np.where(first, NEVER, 1e6), np.where(first, 5, NEVER)):
        chosen = np.stack([sample(tf.constant([logits] * 2, tf.float32), noise[t]) for t in range(3, 10)], 1)
        np.testing.assert_array_equal(chosen, forced[:, 3:10])
