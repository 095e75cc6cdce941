"""Tests that names and settings give Keras's optimizers, and the loss scale of float16."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.configs import OptimizerConfig
from trainers.step.optimizer import make_optimizer, slow_down


@pytest.mark.parametrize(
    "name, cls",
    [
        ("adam", keras.optimizers.Adam),
        ("Adam", keras.optimizers.Adam),
        ("adamw", keras.optimizers.AdamW),
        ("AdamW", keras.optimizers.AdamW),
        ("rmsprop", keras.optimizers.RMSprop),
        ("sgd", keras.optimizers.SGD),
        ("nadam", keras.optimizers.Nadam),
        ("lion", keras.optimizers.Lion),
    ],
)
def test_a_name_and_a_learning_rate_make_keras_own_optimizer(name, cls):
    made = make_optimizer(OptimizerConfig(name=name, learning_rate=0.0375), "float32")
    assert type(made) is cls
    assert float(made.learning_rate) == pytest.approx(0.0375)
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(4, 3)), random.normal(size=(3, 4, 3))
    mine, keras_own = tf.Variable(start), tf.Variable(start)
    for gradient in gradients:
        made.apply([tf.constant(gradient)], [mine])
    optimizer = cls(learning_rate=0.0375)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [keras_own])
    np.testing.assert_array_equal(mine, keras_own)
    assert not np.array_equal(mine, start)


@pytest.mark.parametrize(
    "name",
    ["magic", "", "adm", "dense", "optimizer", "lossscaleoptimizer", "LossScaleOptimizer", "multioptimizer"],
)
def test_a_name_of_no_optimizer_is_refused(name):
    with pytest.raises(UserError, match=f"optimizer.name={name} is not possible: it must be .*adam"):
        OptimizerConfig(name=name)


@pytest.mark.parametrize("learning_rate", [0.0, -1e-3, float("nan"), float("inf")])
def test_impossible_learning_rates_are_refused(learning_rate):
    with pytest.raises(UserError, match=r"optimizer.learning_rate=.* must be above 0"):
        OptimizerConfig(learning_rate=learning_rate)


@pytest.mark.parametrize("clip_norm", [-1.0, float("nan"), float("inf")])
def test_impossible_norms_are_refused(clip_norm):
    with pytest.raises(UserError, match=r"optimizer.clip_norm=.* must be at least 0"):
        OptimizerConfig(clip_norm=clip_norm)


def test_only_float16_gets_a_loss_scale():
    config = OptimizerConfig(name="sgd", learning_rate=0.5)
    for precision in ("float32", "mixed_bfloat16"):
        assert type(make_optimizer(config, precision)) is keras.optimizers.SGD
    scaled = make_optimizer(config, "mixed_float16")
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert isinstance(scaled.inner_optimizer, keras.optimizers.SGD)
    assert float(scaled.learning_rate) == 0.5
    weight = tf.Variable(3.0)
    scaled.build([weight])
    assert float(scaled.scale_loss(tf.constant(1.0))) == float(scaled.dynamic_scale) > 1
    scaled.apply([scaled.dynamic_scale * 2.0], [weight])
    assert float(weight) == 3.0 - 0.5 * 2.0


def test_decay_and_beta_2_are_passed_to_keras():
    made = make_optimizer(OptimizerConfig(name="adamw", weight_decay=0.1, beta_2=0.9), "float32")
    theirs = keras.optimizers.AdamW(1e-3, weight_decay=0.1, beta_2=0.9)
    weights = [tf.Variable([1.0, -2.0]), tf.Variable([1.0, -2.0])]
    for gradient in ([0.5, 1.0], [0.1, -3.0]):
        for optimizer, weight in zip((made, theirs), weights, strict=True):
            optimizer.apply([tf.constant(gradient)], [weight])
    np.testing.assert_array_equal(*weights)


def test_weight_decay_is_decoupled_from_the_gradient():
    """Without a gradient, a weight shrinks by the share learning rate · decay, with Adam too."""
    for name in ("adam", "adamw", "sgd", "rmsprop", "lion"):
        optimizer = make_optimizer(OptimizerConfig(name=name, learning_rate=0.5, weight_decay=0.1), "float32")
        weight = tf.Variable([2.0])
        optimizer.apply([tf.constant([0.0])], [weight])
        assert float(weight[0]) == pytest.approx(2.0 * (1 - 0.05), rel=1e-6)


def test_a_schedule_sets_the_learning_rate():
    config = OptimizerConfig(learning_rate=0.5, schedule="cosine", warmup_steps=4, decay_steps=20, final_share=0.1)
    assert float(make_optimizer(config, "float32").learning_rate) == pytest.approx(0.5 / 4)
    assert float(make_optimizer(config, "mixed_float16").learning_rate) == pytest.approx(0.5 / 4)
    warm = OptimizerConfig(learning_rate=0.5, warmup_steps=5)
    assert float(make_optimizer(warm, "float32").learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"schedule": "cosin"}, "optimizer.schedule=cosin .* one of constant, cosine, linear, inverse_square_root"),
        ({"schedule": "cosine"}, "optimizer.decay_steps=0 .* above optimizer.warmup_steps=0 where"),
        ({"schedule": "linear", "warmup_steps": 9, "decay_steps": 9}, "optimizer.decay_steps=9 .* above"),
        ({"warmup_steps": -1}, "optimizer.warmup_steps=-1"),
        ({"averaging": 1.0}, "optimizer.averaging=1.0 .* at least 0 and below 1"),
        ({"label_smoothing": float("nan")}, "optimizer.label_smoothing=nan"),
        ({"weight_decay": -0.1}, "optimizer.weight_decay=-0.1"),
        ({"name": "sgd", "beta_2": 0.9}, "optimizer.beta_2=0.9 .* 0 unless optimizer.name is one of .*adam"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        OptimizerConfig(**settings)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_slowing_down_halves_the_current_and_later_rates_and_is_saved(tmp_path, schedule, precision):
    config = OptimizerConfig(learning_rate=0.5, schedule=schedule, decay_steps=10)

    def make():
        optimizer = make_optimizer(config, precision)
        optimizer.build([keras.Variable(np.ones(3, np.float32))])
        return optimizer

    slow, again = make(), make()
    slow_down(slow)
    slow_down(slow)
    assert float(slow.learning_rate) == 0.125
    path = tf.train.Checkpoint(optimizer=slow).save(str(tmp_path / "saved"))
    tf.train.Checkpoint(optimizer=again).restore(path).assert_existing_objects_matched()
    for step in range(2):
        rates = [float(optimizer.learning_rate) for optimizer in (slow, again)]
        assert rates[0] == rates[1] and (rates[0] < 0.125) == (step > 0 and schedule == "cosine")
        for optimizer in (slow, again):
            optimizer.iterations.assign_add(1) if precision == "float32" else (
                optimizer.inner_optimizer.iterations.assign_add(1)
            )
