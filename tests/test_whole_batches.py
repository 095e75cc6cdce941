"""Gradients of a loss that ranks all rows, read in parts in turn, are those of all rows at once."""

import numpy as np
import tensorflow as tf

from trainers.whole_batches import cut, gathered, gradients

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
        extra = bias**2 + tf.reduce_sum(matrix**2)  # of the weights, not of what was predicted
        return tf.reduce_mean(costs[learnt]) + extra, tf.reduce_sum(tf.cast(learnt, tf.int32))

    with tf.GradientTape() as tape:
        loss, _ = judge(predict(ROWS))
    expected = tape.gradient(loss, [matrix, bias])
    for wrapped in (lambda f: f, tf.function):
        found, learnt, whole = wrapped(lambda: gradients(read, judge, [matrix, bias], 0, 3, 3))()
        assert relative_error(found, expected) < 1e-6 and int(learnt) == 4
        for name, right in predict(ROWS).items():
            np.testing.assert_array_equal(whole[name], right)
            assert whole[name].shape == right.shape
        assert len(reads) == 6 or wrapped is tf.function  # each twice; a graph's loop is traced once
    halves = [cut(ROWS, index, 2) for index in range(2)]
    np.testing.assert_array_equal(tf.concat(halves, 0), ROWS)
    assert gathered(halves[0]) is halves[0]  # of one replica
