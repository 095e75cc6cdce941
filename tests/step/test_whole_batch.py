"""Tests that a loss that ranks all rows has the same gradient if the forward pass reads the rows part by part."""

import numpy as np
import rounding
import tensorflow as tf

from trainers.step.whole_batch import cut, gathered, gradients

ROWS = tf.constant(np.random.default_rng(1).normal(0, 1, (6, 4)), tf.float32)


def test_parts_in_turn_have_the_gradient_of_the_whole(relative_error):
    matrix, bias = tf.Variable(tf.eye(4) + 0.3), tf.Variable(0.2)
    reads = []

    def predict(rows):
        return {"predicted": tf.tanh(rows @ matrix), "ids": tf.cast(rows[:, :2] > 0, tf.int32)}

    def read(index):
        reads.append(index)
        return predict(cut(ROWS, index, 3))

    def judge(read):
        costs = tf.reduce_sum(read["predicted"] ** 2, 1) + tf.reduce_sum(tf.cast(read["ids"], tf.float32), 1)
        learnt = costs <= tf.sort(costs)[3]
        extra = bias**2 + tf.reduce_sum(matrix**2)  # depends on the weights, not on the predictions
        return tf.reduce_mean(costs[learnt]) + extra, tf.reduce_sum(tf.cast(learnt, tf.int32))

    with tf.GradientTape() as tape:
        loss, _ = judge(predict(ROWS))
    expected = tape.gradient(loss, [matrix, bias])
    for wrapped in (lambda f: f, tf.function):
        found, learnt, whole = wrapped(lambda: gradients(read, judge, [matrix, bias], 0, 3, 3))()
        assert relative_error(found, expected) < 1e-6 and int(learnt) == 4
        right = predict(ROWS)
        # Equal up to rounding: a product of two rows may sum its four terms in another order than one of six rows.
        assert relative_error(whole["predicted"], right["predicted"]) < rounding.bound(tf.float32, 4)
        np.testing.assert_array_equal(whole["ids"], right["ids"])
        assert {name: entry.shape for name, entry in whole.items()} == {n: entry.shape for n, entry in right.items()}
        assert len(reads) == 6 or wrapped is tf.function  # each part twice; a graph traces its loop once
    halves = [cut(ROWS, index, 2) for index in range(2)]
    np.testing.assert_array_equal(tf.concat(halves, 0), ROWS)
    assert gathered(halves[0]) is halves[0]  # with one replica
