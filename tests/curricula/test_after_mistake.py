"""Tests the setting `after_mistake`: which targets follow a row's first mistake, and the effect of leaving them out."""

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf
from two_characters import DEPENDENT

from charrnn.errors import UserError
from trainers.curricula.confidence_aware import ConfidenceAware
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.experiment import TRAINERS, Experiment, with_trainer
from trainers.input_curriculum import InputCurriculum, has_strayed
from trainers.trainer import Rollout

WITH_SETTING = """
    scheduled_sampling by_position open_loop_horizon spans two_pass confidence_aware accuracy_driven validation_gated
    replayed_rollouts
""".split()
NOTHING = ScheduledSampling.Config("constant", max_prob=0.6, after_mistake="nothing")


def test_the_curricula_with_own_samples_and_the_texts_targets_have_the_setting():
    classes = {name: with_trainer(Experiment(), name).trainer_class for name in TRAINERS}
    assert {name for name, cls in classes.items() if issubclass(cls, InputCurriculum)} == set(WITH_SETTING)
    for name in WITH_SETTING:
        assert classes[name].Config().after_mistake == "text"
        with pytest.raises(UserError, match=r"trainer\.after_mistake=text,nothing is not possible: .* text, nothing"):
            classes[name].Config(after_mistake="text,nothing")


def test_a_row_has_strayed_from_its_first_difference_on():
    text, fed = np.random.default_rng(0).integers(0, 2, (2, 40, 6)).astype(np.int32)
    expected = np.zeros(fed.shape, bool)
    for b, t in np.ndindex(fed.shape):
        expected[b, t] = any(fed[b, : t + 1] != text[b, : t + 1])
    assert 0 < np.mean(expected) < 1
    for look in (has_strayed, tf.function(has_strayed)):
        np.testing.assert_array_equal(look(tf.constant(fed), tf.constant(text)), expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_targets_before_a_mistake_have_the_gradient_of_their_mean_and_later_ones_have_none(make_trainer, compiled):
    trainer, random = make_trainer(ScheduledSampling, config=NOTHING), np.random.default_rng(1)
    batch = trainer.batch_at(0)
    fed = np.where(random.random(batch.inputs.shape) < 0.3, 6 - batch.inputs, batch.inputs).astype(np.int32)
    logits = random.normal(0, 1, (*fed.shape, 7)).astype(np.float32)

    def gradient(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss, logged = trainer.loss(Rollout(logits, tf.constant(fed), tf.constant(fed != batch.inputs), ()), batch)
        return loss, logged["strayed"], tape.gradient(loss, logits)

    loss, strayed, got = (tf.function(gradient) if compiled else gradient)(tf.constant(logits))
    counted = np.cumprod(fed == batch.inputs, axis=1)
    assert 0 < counted.mean() < 1
    probs = np.exp(logits.astype(np.float64))
    probs /= probs.sum(-1, keepdims=True)
    expected = (probs - np.eye(7)[batch.targets]) * counted[..., None] / counted.sum()
    of_targets = -np.log(np.take_along_axis(probs, batch.targets[..., None], -1)[..., 0])
    np.testing.assert_allclose(got, expected, rtol=0, atol=rounding.bound("float32", 7) / counted.sum())
    assert (got.numpy()[counted == 0] == 0).all()
    assert float(loss) == pytest.approx((of_targets * counted).sum() / counted.sum(), rel=rounding.MODEL)
    assert float(strayed) == pytest.approx(1 - counted.mean(), rel=rounding.MODEL)


def test_parts_of_a_batch_give_the_numbers_of_the_whole(make_model, make_trainer, relative_error):
    """The number of counted characters differs between parts, so the mean of the parts' means would be another loss."""
    whole, parts = (
        make_trainer(ScheduledSampling, make_model(), config=NOTHING, accumulate=accumulate) for accumulate in (1, 3)
    )
    batch = whole.batch_at(0)
    assert relative_error(parts.gradients(batch), whole.gradients(batch)) < rounding.MODEL
    one, other = whole.train_step(batch), parts.train_step(batch)
    assert 0 < float(one["strayed"]) < 1 and float(one["strayed"]) == pytest.approx(float(other["strayed"]))


class AllLogits(ScheduledSampling):
    """Scheduled sampling whose loss might read the logits of any position."""

    def loss(self, rollout, batch):
        return super().loss(rollout, batch)


@pytest.mark.parametrize("after_mistake", ["text", "nothing"])
def test_last_targets_need_the_last_logits_only(make_model, make_trainer, relative_error, after_mistake):
    config = ScheduledSampling.Config("constant", max_prob=0.2, after_mistake=after_mistake)
    found, lengths = [], []
    for cls in (ScheduledSampling, AllLogits):
        trainer = make_trainer(cls, make_model(), config=config, data={"targets": "last"}, seed=1)
        batch = trainer.batch_at(0)
        lengths.append(trainer.forward(batch, trainer.initial_state(3)).logits.shape[1])
        found.append((trainer.gradients(batch), trainer.train_step(batch)))
    assert lengths == [1, 5]
    assert relative_error(*found) < rounding.MODEL
    if after_mistake == "nothing":
        assert 0 < float(found[0][1]["strayed"]) < 1


def test_a_random_character_is_a_mistake_too(make_trainer):
    """Confidence-aware scheduled sampling reads random characters, which are neither the network's nor the text's."""
    config = ConfidenceAware.Config(own_above=0.0, noise_above=0.0, after_mistake="nothing")
    trainer = make_trainer(ConfidenceAware, config=config)
    measured = trainer.train_step(trainer.batch_at(0))
    assert float(measured["own_input_share"]) == 0 < float(measured["strayed"])


def test_carried_states_are_refused(make_trainer):
    text = np.resize([0, 1, 2, 3], 2000)
    with pytest.raises(UserError, match=r"trainer\.after_mistake=nothing is not possible: .* data\.order=streams"):
        make_trainer(ScheduledSampling, text=text, data={"order": "streams"}, config=NOTHING)


@pytest.mark.slow
@pytest.mark.parametrize("prob", [0.6, 1.0])
def test_without_targets_after_a_mistake_the_optimum_is_the_texts_distribution(make_model, prob):
    """With these targets, the optimum is another distribution; see test_scheduled_sampling.py."""
    model = make_model(3, units=4, embedding_size=0)
    config = ScheduledSampling.Config("constant", max_prob=prob, after_mistake="nothing")
    trainer = ScheduledSampling(model, DEPENDENT, keras.optimizers.Adam(0.03), config, seed=1)
    for step in range(200):
        measured = trainer.train_step(trainer.batch_at(step))
    learnt = tf.nn.softmax(model(tf.constant([[0, 1], [0, 2]]))[0])[:, :, 1]  # the probability of an A
    np.testing.assert_allclose(learnt[:, 0], 0.7, atol=0.02)
    np.testing.assert_allclose(learnt[:, 1], DEPENDENT.given_z, atol=0.03)
    assert 0.1 < float(measured["strayed"]) < 0.5
