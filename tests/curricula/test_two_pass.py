"""Tests that K = T passes equal sequential sampling, and that two passes choose from the logits of teacher forcing."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.curricula.two_pass import TwoPass

B, T = 8, 9
DATA = {"batch_size": B, "seq_length": T}
HALF = {"schedule": "constant", "max_prob": 0.6}


def rollouts(make_trainer, passes, model=None):
    sequential = make_trainer(ScheduledSampling, model, config=ScheduledSampling.Config(**HALF), data=DATA)
    parallel = make_trainer(TwoPass, model, config=TwoPass.Config(**HALF, passes=passes), data=DATA)
    batch = Batch(*map(tf.constant, sequential.batch_at(0)))
    state = sequential.model.initial_state(B)
    return batch, sequential.forward(batch, state), parallel.forward(batch, state), sequential


@pytest.mark.parametrize("passes, config", [(T, {}), (T + 2, {}), (T, {"output_dropout": 0.5, "temperature": 2.0})])
def test_as_many_passes_as_characters_equal_sequential_sampling(
    make_trainer, make_model, relative_error, passes, config
):
    _, sequential, parallel, _ = rollouts(make_trainer, passes, make_model(**config))
    np.testing.assert_array_equal(parallel.own, sequential.own)
    np.testing.assert_array_equal(parallel.fed, sequential.fed)
    assert relative_error(parallel.logits, sequential.logits) < rounding.MODEL
    assert relative_error(parallel.state, sequential.state) < rounding.MODEL


def test_two_passes_choose_as_teacher_forcing_predicts(make_trainer):
    batch, sequential, parallel, trainer = rollouts(make_trainer, 2)
    logits, _ = trainer.model(batch.inputs)
    noise = trainer.noise(batch).numpy().transpose(1, 0, 2)
    chosen = (logits.numpy()[:, :-1] + noise[:, 1:]).argmax(-1)
    own = parallel.own.numpy()
    np.testing.assert_array_equal(parallel.fed[:, 1:], np.where(own[:, 1:], chosen, batch.inputs[:, 1:]))
    np.testing.assert_array_equal(parallel.fed[:, 0], batch.inputs[:, 0])
    assert (parallel.fed.numpy() != sequential.fed.numpy()).any()  # otherwise the test above would prove nothing


def test_only_the_last_pass_is_differentiated(make_trainer, relative_error):
    """The gradient equals the gradient of teacher forcing on the input ids."""
    trainer = make_trainer(TwoPass, config=TwoPass.Config(**HALF))
    batch = Batch(*map(tf.constant, trainer.batch_at(0)))
    gradients = []
    for read in (None, trainer.forward(batch, trainer.model.initial_state(3)).fed):
        with tf.GradientTape() as tape:
            state = trainer.model.initial_state(3)
            logits = trainer.forward(batch, state).logits if read is None else trainer.model(read, state)[0]
            loss = tf.reduce_sum(tf.nn.log_softmax(logits)[..., 0])
        gradients.append(list(map(tf.convert_to_tensor, tape.gradient(loss, trainer.model.trainable_variables))))
    assert relative_error(*gradients) == 0
