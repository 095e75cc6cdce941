"""Tests beam search against an exhaustive search and against a beam search in NumPy."""

import itertools

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.generation.beam import beam_search
from charrnn.generation.generator import Generator
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abc")
PROMPT = "ab"


def log_probs(model, rows):
    """Returns ln p of each of the rows `[R, N]` after the prompt, float64 `[R]`, without the unknown character."""
    start = np.tile(LETTERS.encode(PROMPT), (len(rows), 1))
    logits, _ = model(tf.constant(np.concatenate([start, rows], 1), tf.int32))
    logits = logits.numpy()[:, len(PROMPT) - 1 : -1].astype(np.float64)
    logits[..., 0] = -np.inf
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return np.take_along_axis(log_probs, np.array(rows)[..., None], -1)[..., 0].sum(-1)


def all_rows(length):
    return np.array(list(itertools.product([1, 2, 3], repeat=length)))


@pytest.mark.parametrize("config", [{}, {"cell": "lstm", "num_layers": 2}], ids=["gru", "two lstm"])
def test_a_beam_wider_than_the_number_of_texts_finds_all_in_order(make_model, config):
    model, rows = make_model(4, **config), all_rows(4)
    scores = log_probs(model, rows)
    order = np.argsort(-scores)
    found = Generator(model, LETTERS).beam(PROMPT, 4, width=100)
    assert [hypothesis.text for hypothesis in found] == [LETTERS.decode(rows[i]) for i in order]
    np.testing.assert_allclose([hypothesis.log_prob for hypothesis in found], scores[order], atol=rounding.MODEL)


@pytest.mark.parametrize("width", [1, 3])
def test_a_narrow_beam_keeps_the_likeliest_prefixes(make_model, width):
    model = make_model(4)
    kept = np.zeros((1, 0), int)
    for _ in range(12):
        rows = np.concatenate([np.column_stack([kept, np.full(len(kept), i)]) for i in (1, 2, 3)])
        kept = rows[np.argsort(-log_probs(model, rows))][:width]
    found = Generator(model, LETTERS).beam(PROMPT, 12, width)
    assert [hypothesis.text for hypothesis in found] == [LETTERS.decode(row) for row in kept]


def test_a_text_that_has_ended_keeps_its_probability(make_model):
    """The end character is "c". The candidates are texts of 0 to 2 characters before it, and texts of 3 without it."""
    model = make_model(4)
    candidates = {}
    for row in all_rows(3).tolist():
        text = row[: row.index(3) + 1] if 3 in row else row
        candidates[LETTERS.decode(text).split("c")[0]] = log_probs(model, [text])[0]
    generator = Generator(model, LETTERS, end_of_text="c")
    found = [generator.beam(PROMPT, 3, 50, min_chars=n) for n in (0, 2)]
    prefix = "c" + PROMPT  # the model first reads the end of the previous document
    assert {h.text for h in found[0]} == set(candidates)
    assert {h.text for h in found[1]} == {text for text in candidates if len(text) >= 2}
    for hypothesis in found[0]:
        ids = LETTERS.encode(prefix + hypothesis.text + "c" * (len(hypothesis.text) < 3))
        logits = model(tf.constant(ids[None], tf.int32))[0].numpy()[0, :-1].astype(np.float64)
        logits[:, 0] = -np.inf
        expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        expected = np.take_along_axis(expected, ids[1:, None].astype(int), 1)[len(prefix) - 1 :].sum()
        assert abs(hypothesis.log_prob - expected) < 1e-5
    assert [h.log_prob for h in found[0]] == sorted((h.log_prob for h in found[0]), reverse=True)


def test_eager_search_and_graph_search_agree(make_model):
    model = make_model(4)
    logits, state = model(tf.constant([[1, 2]]))
    arguments = (model.network(), state, logits[:, -1], 3, tf.constant(5), tf.constant(0))
    eager, graph = beam_search(*arguments), tf.function(beam_search, autograph=False)(*arguments)
    np.testing.assert_array_equal(eager[0], graph[0])
    np.testing.assert_allclose(eager[1], graph[1], atol=rounding.MODEL)
