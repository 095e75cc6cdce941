"""What is saved is all there is, and comes back to the bit."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.checkpoints import Checkpoints
from trainers.learning_rate import LearningRate


def all_values(trainer):
    """Not those of Keras's seed generators, which nothing here draws from."""
    weights = [*trainer.model.trainable_variables, *trainer.optimizer.variables]
    own = [trainer.step, trainer.skipped_updates, *tf.nest.flatten(trainer.carried)]
    return [tf.convert_to_tensor(variable).numpy() for variable in [*weights, *own]]


def steps(folder):
    return [os.path.basename(p) for p in tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_everything_that_moves_comes_back(make_trainer, make_model, tmp_path, cell):
    def make(seed):
        model = make_model(seed=seed, cell=cell, num_layers=2)
        return make_trainer(model=model, data={"order": "streams"})

    trainer = make(seed=1)
    for step in range(3):
        trainer.train_step(trainer.batch_at(step), step > 0)
    checkpoints = Checkpoints(str(tmp_path), trainer, keep=3)
    checkpoints.memory.pending = [{"nats": tf.constant(0.1), "chars": tf.constant(3.0)}]
    checkpoints.memory.best = 1.25
    checkpoints.save(3)

    other = make(seed=2)
    restored = Checkpoints(str(tmp_path), other, keep=3)
    assert any((a != b).any() for a, b in zip(all_values(trainer), all_values(other), strict=True))
    assert restored.restore() is True
    for a, b in zip(all_values(trainer), all_values(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert restored.memory.pending == [{"nats": float(np.float32(0.1)), "chars": 3.0}]
    assert restored.memory.best == 1.25


def test_a_variable_of_a_curriculum_is_saved_with_the_rest(make_trainer, tmp_path):
    class Adaptive(make_trainer().__class__):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            self.average = tf.Variable(0.0)

    trainer = make_trainer(Adaptive)
    trainer.average.assign(0.75)
    Checkpoints(str(tmp_path), trainer, keep=1).save(0)
    other = make_trainer(Adaptive)
    Checkpoints(str(tmp_path), other, keep=1).restore()
    assert other.average.numpy() == 0.75


def test_the_newest_are_kept_and_the_best_apart_from_them(make_trainer, tmp_path):
    checkpoints = Checkpoints(str(tmp_path), make_trainer(), keep=2)
    assert checkpoints.restore() is False
    for step in (1, 2, 3, 3):
        checkpoints.save(step)
        if step == 1:
            checkpoints.save_best(step)
    assert steps(tmp_path / "checkpoints") == ["step-2", "step-3"]
    assert steps(tmp_path / "best") == ["step-1"]


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(make_trainer, make_model, tmp_path):
    Checkpoints(str(tmp_path), make_trainer(), keep=1).save(1)
    with pytest.raises(UserError, match="step-1"):
        Checkpoints(str(tmp_path), make_trainer(model=make_model(num_layers=2)), keep=1).restore()
    data = tmp_path / "checkpoints" / "step-1.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(UserError, match="step-1"):
        Checkpoints(str(tmp_path), make_trainer(), keep=1).restore()


@pytest.mark.parametrize("damage", [b"no list of checkpoints {", b"\xff\xfe\x00", b"", None])
def test_a_damaged_list_of_checkpoints_is_not_taken_for_a_new_run(make_trainer, tmp_path, damage):
    Checkpoints(str(tmp_path), make_trainer(), keep=1).save(1)
    marker = tmp_path / "checkpoints" / "checkpoint"
    marker.unlink() if damage is None else marker.write_bytes(damage)
    with pytest.raises(UserError, match="checkpoints/checkpoint, the list of checkpoints, is damaged or missing"):
        Checkpoints(str(tmp_path), make_trainer(), keep=1).restore()


def test_averages_dropout_and_schedules_resume_to_the_bit(make_trainer, make_model, tmp_path):
    rate = LearningRate(0.05, "cosine", warmup_steps=2, decay_steps=6, final=0.1)

    def make():
        model = make_model(weight_drop=0.3, output_dropout=0.3, embedding_dropout=0.1, zoneout=0.1)
        return make_trainer(model=model, optimizer=keras.optimizers.AdamW(rate), averaging=0.9)

    def go(trainer, start, end):
        for step in range(start, end):
            trainer.train_step(trainer.batch_at(step), False)

    whole, first, second = make(), make(), make()
    go(whole, 0, 5)
    go(first, 0, 3)
    Checkpoints(str(tmp_path), first, keep=1).save(3)
    Checkpoints(str(tmp_path), second, keep=1).restore()
    go(second, 3, 5)
    for a, b in zip(all_values(whole), all_values(second), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(whole.averaged.get_weights(), second.averaged.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    loaded = make_model(weight_drop=0.3, output_dropout=0.3, embedding_dropout=0.1, zoneout=0.1)
    path = tf.train.latest_checkpoint(str(tmp_path / "checkpoints"))
    tf.train.Checkpoint(model=loaded).restore(path).expect_partial().assert_existing_objects_matched()
    for a, b, c in zip(
        loaded.get_weights(), first.averaged.get_weights(), first.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)  # whoever loads the model gets the averages
        assert (b != c).any()
