"""The reader against closed-loop calls of the model and against the generator."""

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
def test_predictions_are_those_of_the_closed_loop(make_model, config):
    model, rows = make_model(**config), np.random.default_rng(0).integers(0, 7, (3, 150))
    ids, log_probs = Reader(model).read(rows, np.arange(3))
    np.testing.assert_array_equal(ids, rows)
    expected = tf.nn.log_softmax(model(tf.constant(rows, tf.int32))[0]).numpy()
    np.testing.assert_allclose(log_probs[:, 1:], expected[:, :-1], atol=rounding.MODEL)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_own_text_equals_the_generators(make_model, temperature):
    model, prompts, seeds = make_model(), ["abc", "fed"], [3, 9]
    rows = np.full((2, 203), OWN)
    rows[:, :3] = [LETTERS.encode(prompt) for prompt in prompts]
    reader = Reader(model, LETTERS.unknown_id)
    ids, log_probs = reader.read(rows, np.array(seeds), temperature)
    texts = Generator(model, LETTERS, Sampler(temperature)).generate(prompts, 200, seeds)
    assert [LETTERS.decode(row[3:]) for row in ids] == texts
    np.testing.assert_allclose(
        log_probs, reader.read(ids, np.zeros(2, int)).log_probs, atol=rounding.MODEL
    )  # always at 1


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
