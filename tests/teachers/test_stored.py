"""Tests the stored distributions against the teacher that reads the text in one piece."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import DataConfig, cut, make_source
from charrnn.errors import UserError
from trainers.teachers.networks import Networks
from trainers.teachers.stored import Stored

ROUNDING = 2.0**-11 * 8  # half of float16's epsilon, for ln p above -8


@pytest.fixture
def teacher(make_model):
    return Networks([make_model(seed=1), make_model(seed=2, cell="lstm")])


@pytest.mark.parametrize("length", [300, 9000])  # in one part, or in two parts, each after the text before it
def test_rows_have_the_distributions_after_the_text_before_them(teacher, length):
    ids = np.random.default_rng(0).integers(0, 7, length)
    whole, _ = teacher(tf.constant(ids[None], tf.int32), teacher.initial_state(1))
    assert -8 < np.min(whole)
    stored = Stored(teacher, ids, 7)
    assert stored.fingerprint == teacher.fingerprint
    for order, read in (("windows", stored), ("streams", tf.function(stored, autograph=False))):
        source = make_source(ids, DataConfig(seq_length=20, batch_size=4, order=order), seed=0)
        everywhere = cut(ids, np.arange(0, length - 20, 20), 20)  # also at the start of the second part
        for batch in (source.batch_at(0), source.batch_at(1), everywhere):
            np.testing.assert_array_equal(ids[batch.places], batch.inputs[:, 0])
            log_probs, state = read(tf.constant(batch.inputs), stored.initial_state(len(batch.inputs)), batch)
            expected = whole.numpy()[0][batch.places[:, None] + np.arange(20)]
            np.testing.assert_allclose(log_probs, expected, atol=ROUNDING + rounding.MODEL)
            assert log_probs.dtype == tf.float32 and state == ()


@pytest.mark.parametrize("compiled", [False, True])
def test_rows_of_unknown_places_are_refused(teacher, compiled):
    stored = Stored(teacher, np.random.default_rng(0).integers(0, 7, 300), 7)
    read = tf.function(stored, autograph=False) if compiled else stored
    batch = cut(np.arange(20), np.array([0, 5]), 4)._replace(places=np.int64([3, -1]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs the places of the rows in the text"):
        read(tf.constant(batch.inputs), (), batch)


def test_distributions_that_do_not_fit_into_memory_are_refused(teacher, monkeypatch):
    monkeypatch.setattr("charrnn.errors._physical", lambda: 1e9)
    never = np.broadcast_to(np.int64(0), 10**9)
    with pytest.raises(UserError, match=r"^trainer\.stored=true with 1,000,000,000 characters.*42 GB.*set it to false"):
        Stored(teacher, never, 7)
    monkeypatch.setattr("charrnn.errors._physical", lambda: 2 * 2e9 * 7)  # room for two copies, and three are made
    with pytest.raises(UserError, match="42 GB"):
        Stored(teacher, never, 7)
