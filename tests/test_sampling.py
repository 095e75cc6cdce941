"""Tests samples against softmax, and the filters against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn import randomness
from charrnn.errors import COOLEST, HOTTEST, UserError
from charrnn.sampling import NEVER, Sampler, keep_epsilon, keep_min_p, keep_top_k, keep_top_p, sample

DRAWS = 50_000
LOGITS = np.array([2.0, 0.5, 0.5, -1.0, 1.0, -30.0], np.float32)


def softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def shares(choose, logits=LOGITS, seed=3):
    """Returns the share of each id in the draws."""
    noise = randomness.gumbel((DRAWS, len(logits)), tf.constant([seed, 0]))
    ids = choose(tf.tile(logits[None], [DRAWS, 1]), noise)
    assert ids.dtype == tf.int32
    return np.bincount(ids, minlength=len(logits)) / DRAWS


def assert_within_four_sigma(got, expected):
    assert (np.abs(got - expected) <= 4 * np.sqrt(expected * (1 - expected) / DRAWS) + 1e-12).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_softmax_at_the_temperature(temperature):
    got = shares(Sampler(temperature=temperature).choose)
    assert_within_four_sigma(got, softmax(LOGITS / temperature))
    with pytest.raises(AssertionError):
        assert_within_four_sigma(got, softmax(LOGITS / (1.1 * temperature)))


def test_sample_follows_softmax_too():
    assert_within_four_sigma(shares(sample), softmax(LOGITS))


def test_draws_follow_the_softmax_of_the_kept_characters():
    kept = np.array([1, 1, 1, 0, 1, 0], bool)
    expected = softmax(np.where(kept, LOGITS / 1.5, -np.inf))
    assert_within_four_sigma(shares(Sampler(temperature=1.5, top_k=4).choose), expected)


def test_greedy_takes_the_likeliest_whatever_the_noise():
    logits, noise = (np.random.default_rng(i).normal(size=(50, 9)).astype(np.float32) for i in (0, 1))
    for sampler in (Sampler(greedy=True), Sampler(temperature=7, top_k=3, top_p=0.2, greedy=True)):
        np.testing.assert_array_equal(sampler.choose(tf.constant(logits), 100 * noise), logits.argmax(-1))


@pytest.mark.parametrize(
    "sampler",
    [Sampler(temperature=1e-4), Sampler(top_k=1), Sampler(top_p=1e-6), Sampler(min_p=1.0), Sampler(epsilon=0.999999)],
)
def test_extreme_settings_give_the_likeliest_character(sampler):
    logits = np.random.default_rng(0).normal(size=(200, 9)).astype(np.float32)
    noise = randomness.gumbel(logits.shape, tf.constant([1, 2]))
    np.testing.assert_array_equal(sampler.choose(tf.constant(logits), noise), logits.argmax(-1))


def kept_by(function, logits, limit):
    kept = function(tf.constant(logits), limit).numpy()
    np.testing.assert_array_equal(kept[kept > NEVER], logits[kept > NEVER])  # kept logits are unchanged
    return kept > NEVER


def random_logits():
    """Returns rows of logits with and without equal entries."""
    random = np.random.default_rng(0)
    return np.concatenate([random.normal(size=(30, 8)), random.integers(-2, 3, (30, 8))]).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 5, 7, 8, 9, 0])
def test_top_k_keeps_all_that_have_fewer_than_k_above(k):
    logits = random_logits()
    above = (logits[:, None, :] > logits[:, :, None]).sum(-1)  # [B, V]: the number of larger logits
    np.testing.assert_array_equal(kept_by(keep_top_k, logits, k), above < (k or 8))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_top_p_keeps_all_whose_likelier_ones_do_not_reach_p(p):
    logits = random_logits()
    for row, kept in zip(logits, kept_by(keep_top_p, logits, p), strict=True):
        probabilities = softmax(row.astype(np.float64))
        order = np.argsort(-probabilities, kind="stable")
        size = 1 + np.searchsorted(np.cumsum(probabilities[order]), p - 1e-6)
        np.testing.assert_array_equal(kept, row >= row[order[size - 1]])  # ties with the last one stay too
        assert probabilities[kept].sum() >= p - 1e-6


def test_top_p_of_one_keeps_all():
    assert kept_by(keep_top_p, random_logits(), 1.0).all()


@pytest.mark.parametrize("p", [0.01, 0.2, 1.0])
def test_min_p_keeps_all_above_a_share_of_the_highest_probability(p):
    logits = random_logits()
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_array_equal(kept_by(keep_min_p, logits, p), shares >= p * (1 - 1e-6))
    assert kept_by(keep_min_p, logits, 0.0).all()


def kept_with(epsilon, logits, temperature):
    """Returns which characters `epsilon` keeps, computed row by row in float64."""
    kept = []
    for row in logits.astype(np.float64):
        probabilities = softmax(row / temperature)
        kept.append((probabilities >= epsilon) | (probabilities == probabilities.max()))
    return np.array(kept)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("epsilon", [0.004, 0.05, 0.2, 0.6, 0.999])
def test_epsilon_keeps_all_with_this_probability_and_the_likeliest(epsilon, temperature):
    logits = random_logits()
    expected = kept_with(epsilon, logits, temperature)
    assert np.abs(np.log(np.apply_along_axis(softmax, 1, logits / temperature) / epsilon)).min() > 1e-5  # no close call
    heat = np.full((len(logits), 1), temperature, np.float32)

    def cut(logits, given):
        return keep_epsilon(logits, given, heat)

    graph, compiled = (tf.function(cut, autograph=False, jit_compile=jit) for jit in (False, True))
    for function, value in ((cut, epsilon), (graph, epsilon), (graph, tf.constant(epsilon)), (compiled, epsilon)):
        np.testing.assert_array_equal(kept_by(function, logits, value), expected)
    assert expected.sum(1).min() == 1 or epsilon < 0.1


def test_without_epsilon_the_logits_are_the_same_object():
    logits = tf.constant(random_logits())
    assert keep_epsilon(logits, 0.0) is logits and keep_epsilon(logits, 0) is logits


def test_epsilon_applies_after_the_other_filters():
    """The second character has 0.3, below 0.35. If the other filter keeps the first two only, it has 0.43."""
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    assert (shares(Sampler(epsilon=0.35).choose, logits) > 0).tolist() == [True, False, False, False]
    for other in ({"top_k": 2}, {"top_p": 0.6}, {"min_p": 0.7}):
        assert (shares(Sampler(**other, epsilon=0.35).choose, logits) > 0).tolist() == [True, True, False, False]


def test_draws_with_epsilon_follow_the_softmax_of_the_kept_characters():
    scaled = LOGITS / 1.5
    kept = softmax(scaled) >= 0.1
    assert 1 < kept.sum() < len(LOGITS) - 1
    got = shares(Sampler(temperature=1.5, epsilon=0.1).choose)
    assert_within_four_sigma(got, softmax(np.where(kept, scaled, -np.inf)))


CUTS = {"top_p": Sampler(top_p=0.6), "min_p": Sampler(min_p=0.2), "epsilon": Sampler(epsilon=0.12)}


@pytest.mark.parametrize("keep", CUTS.values(), ids=CUTS)
def test_rows_are_cut_at_their_own_temperatures(keep):
    logits, temperatures = random_logits()[:3], np.float32([[0.5], [1.0], [2.0]])
    kept = keep.keep(tf.constant(logits), temperatures).numpy() > NEVER
    scaled = keep.keep(tf.constant(logits / temperatures), 1.0).numpy() > NEVER
    np.testing.assert_array_equal(kept, scaled)
    assert len({row.sum() for row in kept}) > 1


@given(
    logits=st.lists(st.floats(-1e9, 1e9, width=32), min_size=2, max_size=6),
    temperature=st.floats(np.log(COOLEST), np.log(HOTTEST)).map(lambda log: min(HOTTEST, max(COOLEST, np.exp(log)))),
    top_k=st.integers(0, 9),
    top_p=st.floats(0, 1, exclude_min=True),
    min_p=st.floats(0, 1),
    greedy=st.booleans(),
    epsilon=st.floats(0, 1, exclude_max=True),
)
@example([0.0, 0.0], HOTTEST, 0, 5e-324, 5e-324, False, 5e-324)
@example([1e9, -1e9], COOLEST, 0, 1 - 1e-16, 1.0, False, 1 - 1e-16)
def test_an_excluded_character_is_never_chosen(logits, temperature, top_k, top_p, min_p, greedy, epsilon):
    sampler = Sampler(temperature, top_k, top_p, min_p, greedy, epsilon)
    noise = randomness.gumbel((64, len(logits) + 1), tf.constant([1, 2]))
    rows = tf.tile(tf.constant([[NEVER, *logits]], tf.float32), [64, 1])
    assert (sampler.choose(rows, noise).numpy() > 0).all()


def test_top_p_applies_after_top_k():
    """Alone, top_p=0.5 needs the first two characters. After top_k=2 the first has 0.57, so it suffices."""
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    assert (shares(Sampler(top_p=0.5).choose, logits) > 0).tolist() == [True, True, False, False]
    assert (shares(Sampler(top_k=2, top_p=0.5).choose, logits) > 0).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    "field, value",
    [
        *(("temperature", value) for value in (0.0, -1.0, float("inf"), float("nan"), 1e9, 1e-9)),
        ("top_k", -1),
        *(("top_p", value) for value in (0.0, 1.5, float("nan"))),
        *(("min_p", value) for value in (-0.1, 1.5, float("nan"))),
        *(("epsilon", value) for value in (-0.1, 1.0, float("nan"))),
    ],
)
def test_settings_without_a_meaning_are_refused(field, value):
    with pytest.raises(UserError, match=f"{field}={value}"):
        Sampler(**{field: value})
