"""Tests the reader against calls of the model with teacher forcing (closed loop), and against the generator."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.generation.decode_loop import OWN
from charrnn.generation.generator import Generator
from charrnn.measures.rollouts import Reader
from charrnn.sampling import Sampler
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdef")


@pytest.mark.parametrize("config", [{}, {"cell": "lstm", "num_layers": 2}], ids=["gru", "two lstm"])
def test_predictions_equal_the_closed_loop(make_model, config):
    model, rows = make_model(**config), np.random.default_rng(0).integers(0, 7, (3, 150))
    ids, log_probs = Reader(model).read(rows, np.arange(3))
    np.testing.assert_array_equal(ids, rows)
    expected = tf.nn.log_softmax(model(tf.constant(rows, tf.int32))[0]).numpy()
    np.testing.assert_allclose(log_probs[:, 1:], expected[:, :-1], atol=rounding.MODEL)


@pytest.mark.parametrize("temperature, epsilon", [(1.0, 0.0), (0.6, 0.0), (1.0, 0.15), (2.0, 0.12)])
def test_own_text_equals_the_generators(make_model, temperature, epsilon):
    model, prompts, seeds = make_model(), ["abc", "fed"], [3, 9]
    rows = np.full((2, 203), OWN)
    rows[:, :3] = [LETTERS.encode(prompt) for prompt in prompts]
    reader = Reader(model, LETTERS.unknown_id)
    ids, log_probs = reader.read(rows, np.array(seeds), temperature, epsilon)
    texts = Generator(model, LETTERS, Sampler(temperature, epsilon=epsilon)).generate(prompts, 200, seeds)
    assert [LETTERS.decode(row[3:]) for row in ids] == texts
    np.testing.assert_allclose(
        log_probs, reader.read(ids, np.zeros(2, int)).log_probs, atol=rounding.MODEL
    )  # predictions always have temperature 1


@pytest.mark.parametrize("temperature, epsilon", [(1.0, 0.0), (0.6, 0.0), (1.0, 0.004), (1.5, 0.15), (1.0, 0.9)])
def test_choices_are_the_distribution_that_is_sampled_from(make_model, temperature, epsilon):
    logits = np.random.default_rng(0).normal(size=(2, 50, 7)) * 2
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    probs = np.exp(log_probs / temperature)
    probs[..., LETTERS.unknown_id] = 0
    probs /= probs.sum(-1, keepdims=True)
    kept = (probs >= epsilon) | (probs == probs.max(-1, keepdims=True))
    expected = np.where(kept, probs, 0) / np.where(kept, probs, 0).sum(-1, keepdims=True)
    found = Reader(make_model(), LETTERS.unknown_id).choices(np.float32(log_probs), temperature, epsilon)
    np.testing.assert_allclose(np.exp(found), expected, atol=rounding.MODEL)
    assert (np.exp(found)[expected == 0] == 0).all() and (expected == 0).any()


def test_own_text_has_the_frequencies_of_the_choices(make_model):
    """Many rows begin alike; the test counts their first own character. The cut-off excludes some characters."""
    reader, rows = Reader(make_model(), LETTERS.unknown_id), np.tile([1, 4, OWN], (4000, 1))
    ids, log_probs = reader.read(rows, np.arange(4000), epsilon=0.16)
    expected = np.exp(reader.choices(log_probs[:1], epsilon=0.16)[0, 2])
    got = np.bincount(ids[:, 2], minlength=7) / 4000
    assert 1 < (expected > 0).sum() < 6 and (got[expected == 0] == 0).all()
    assert (np.abs(got - expected) <= 4 * np.sqrt(expected * (1 - expected) / 4000)).all()


def test_gold_text_may_follow_own_text(make_model):
    rows = np.full((2, 20), OWN)
    rows[:, 0], rows[:, 15:] = 1, [[1, 2, 3, 4, 5], [2, 2, 2, 2, 2]]
    ids, _ = Reader(make_model(), 0).read(rows, np.array([0, 1]))
    np.testing.assert_array_equal(ids[:, 15:], rows[:, 15:])
    assert (ids > 0).all()


def test_each_document_begins_from_the_zero_state(make_model):
    reader, seeds = Reader(make_model(), end_id=1), np.zeros(1, int)
    together = reader.read(np.array([[1, 3, 4, 1, 5, 6, 2]]), seeds).log_probs
    alone = reader.read(np.array([[1, 5, 6, 2]]), seeds).log_probs
    np.testing.assert_array_equal(together[:, 4:], alone[:, 1:])
    running = Reader(make_model()).read(np.array([[1, 3, 4, 1, 5, 6, 2]]), seeds).log_probs
    assert np.abs(running[:, 4:] - alone[:, 1:]).max() > 1e-3
