"""Tests quality and diversity by temperature and cut-off against the measures of the same rollouts."""

import dataclasses

import numpy as np
import pytest
import rounding

from charrnn.errors import UserError
from charrnn.measures import open_loop, text_measures
from charrnn.measures.frontier import frontier
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Protocol
from charrnn.measures.rollouts import Reader
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdef")
SMALL = Protocol(num_rollouts=8, num_chars=60, seed=3, warm_up=10)


@pytest.fixture(scope="module")
def letters():
    """Returns training and validation text of independent random letters."""
    random = np.random.default_rng(0)
    return np.minimum(random.geometric(0.4, 3000), 6), np.minimum(random.geometric(0.4, 900), 6)


def test_the_frontier_measures_the_same_as_measure(make_model, letters):
    reader, reference = Reader(make_model(), 0), KneserNey(letters[0], 7, 3)
    points = frontier(reader, reference, LETTERS, letters[1], SMALL, [0.3, 1.0], [0.0, 0.15])
    for epsilon in (0.0, 0.15):
        protocol = dataclasses.replace(SMALL, epsilon=epsilon)
        at_one = open_loop.measure(reader, reference, LETTERS, *letters, 1.5, protocol).measures
        names = ("reference_loss", "own_entropy", "reverse_loss")
        assert points[1.0, epsilon] == pytest.approx(tuple(at_one[name].value for name in names))
    ids, log_probs = reader.read(SMALL.start(SMALL.pieces(letters[1])), SMALL.seeds, 0.3, 0.15)
    q = np.exp(reader.choices(log_probs, 0.3, 0.15)[:, 10:].astype(np.float64))
    entropy = -np.sum(q * np.log(np.maximum(q, 1e-300)), -1).mean()
    reverse = text_measures.reverse_loss(ids[:, 10:], letters[1], 7)
    expected = -reference.log_probs(ids)[:, 10:].mean(), entropy, reverse
    assert points[0.3, 0.15] == pytest.approx(expected, rel=rounding.MODEL)
    assert list(points) == [(0.3, 0.0), (0.3, 0.15), (1.0, 0.0), (1.0, 0.15)]
    assert len({point.own_entropy for point in points.values()}) == 4


@pytest.mark.parametrize("temperatures, epsilons, said", [([0.0], [0.0], "temperatures"), ([1.0], [1.0], "epsilons")])
def test_an_impossible_temperature_or_cut_off_is_refused(make_model, letters, temperatures, epsilons, said):
    reader, reference = Reader(make_model(), 0), KneserNey(letters[0], 7, 3)
    with pytest.raises(UserError, match=f"^{said}="):
        frontier(reader, reference, LETTERS, letters[1], SMALL, temperatures, epsilons)


def test_many_texts_are_scored_in_several_calls(make_model, letters, monkeypatch):
    arguments = Reader(make_model(), 0), KneserNey(letters[0], 7, 3), LETTERS, letters[1], SMALL, [0.5, 1.0], [0.0, 0.1]
    at_once = frontier(*arguments)
    monkeypatch.setattr("charrnn.measures.frontier.MOST_SCORED", 2 * SMALL.num_rollouts * 70)
    one_by_one = frontier(*arguments)
    for pair, point in at_once.items():
        assert one_by_one[pair] == pytest.approx(point, rel=rounding.MODEL)
