"""Tests checkpoints: a restored run equals the saved one bit for bit, and damaged checkpoints are noticed."""

import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from charrnn import run_files
from charrnn.errors import UserError
from charrnn.files import atomic
from trainers.loop import checkpoints as checkpoints_module
from trainers.loop.checkpoint_folder import CheckpointFolder
from trainers.loop.checkpoints import Checkpoints
from trainers.step.learning_rate import LearningRate


def all_values(trainer):
    """Returns weights, optimizer variables, counters and carried state. No test here uses seed generators."""
    weights = [*trainer.model.trainable_variables, *trainer.optimizer.variables]
    own = [trainer.step, trainer.skipped_updates, *tf.nest.flatten(trainer.carried)]
    return [tf.convert_to_tensor(variable).numpy() for variable in [*weights, *own]]


def steps(folder):
    return [os.path.basename(p) for p in tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_restored_run_has_the_variables_and_the_loop_state_of_the_saved_one(make_trainer, make_model, tmp_path, cell):
    def make(seed):
        model = make_model(seed=seed, cell=cell, num_layers=2)
        return make_trainer(model=model, data={"order": "streams"})

    trainer = make(seed=1)
    for step in range(3):
        trainer.train_step(trainer.batch_at(step))
    checkpoints = Checkpoints(str(tmp_path), trainer, keep=3)
    checkpoints.loop_state.pending = [{"nats": float(np.float32(0.1)), "chars": 3.0}]
    checkpoints.loop_state.best = 1.25
    checkpoints.save(3)

    other = make(seed=2)
    restored = Checkpoints(str(tmp_path), other, keep=3)
    assert any((a != b).any() for a, b in zip(all_values(trainer), all_values(other), strict=True))
    assert restored.restore() is True
    for a, b in zip(all_values(trainer), all_values(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert restored.loop_state.pending == [{"nats": float(np.float32(0.1)), "chars": 3.0}]
    assert restored.loop_state.best == 1.25


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


def test_the_newest_checkpoints_are_kept_and_the_best_one_apart_from_them(make_trainer, tmp_path):
    checkpoints = Checkpoints(str(tmp_path), make_trainer(), keep=2)
    assert checkpoints.restore() is False
    for step in (1, 2, 3, 3):
        checkpoints.save(step)
        if step == 1:
            checkpoints.save_best(step)
    assert steps(tmp_path / "checkpoints") == ["step-2", "step-3"]
    assert steps(tmp_path / "best") == ["step-1"]


def test_a_checkpoint_of_another_model_is_refused(make_trainer, make_model, tmp_path):
    Checkpoints(str(tmp_path), make_trainer(), keep=1).save(1)
    with pytest.raises(UserError, match="step-1 "):
        Checkpoints(str(tmp_path), make_trainer(model=make_model(num_layers=2)), keep=1).restore()


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES = {"cut off": lambda content: content[:-1], "emptied": lambda content: b"", "a bit flipped": flipped}


@pytest.fixture
def two_saved(make_trainer, tmp_path):
    """Saves checkpoints at steps 1 and 2; returns their folder. `trainer.step` shows which one is restored."""
    trainer = make_trainer()
    checkpoints = Checkpoints(str(tmp_path), trainer, keep=2)
    for step in (1, 2):
        trainer.step.assign(step)
        checkpoints.save(step)
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("name", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_checkpoint_before_a_damaged_one_is_used_and_then_the_step_is_saved_again(
    make_trainer, two_saved, name, damage
):
    def spoil(step):
        path = two_saved / f"step-{step}.{name}"
        path.write_bytes(damage(path.read_bytes()))

    spoil(2)
    trainer, said = make_trainer(), []
    checkpoints = Checkpoints(str(two_saved.parent), trainer, keep=2)
    assert checkpoints.restore(said.append) is True and int(trainer.step) == 1
    assert len(said) == 1 and "checkpoints/step-2 is damaged" in said[0]
    assert steps(two_saved) == ["step-1"]
    checkpoints.save(2)
    assert steps(two_saved) == ["step-1", "step-2"]
    assert checkpoints.restore(said.append) is True and len(said) == 1

    spoil(1), spoil(2)
    with pytest.raises(UserError, match="damaged: step-1, step-2"):
        Checkpoints(str(two_saved.parent), make_trainer(), keep=2).restore()


def test_a_damaged_best_checkpoint_is_unlisted_and_then_the_step_is_saved_again(make_trainer, two_saved):
    run_dir, said = two_saved.parent, []
    checkpoints = Checkpoints(str(run_dir), make_trainer(), keep=2)
    checkpoints.restore()
    checkpoints.save_best(2)
    path = run_dir / "best" / "step-2.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1])
    assert checkpoints.restore(said.append) is True and not checkpoints.has_best()
    assert len(said) == 1 and "best/step-2 is damaged" in said[0]
    assert run_files.find_checkpoint(str(run_dir)) == str(two_saved / "step-2")
    assert checkpoints.save_best(2) == run_files.find_checkpoint(str(run_dir)) == str(run_dir / "best" / "step-2")
    assert checkpoints.restore(said.append) is True and checkpoints.has_best() and len(said) == 1


def test_a_run_that_starts_again_saves_a_step_whose_checkpoint_was_damaged(make_trainer, tmp_path):
    checkpoints = Checkpoints(str(tmp_path), make_trainer(), keep=2)
    checkpoints.save(1)
    checkpoints.keep_start()  # a kill in the first save, after the list was written, leaves it
    (tmp_path / "checkpoints" / "step-1.data-00000-of-00001").write_bytes(b"")
    assert checkpoints.restore() is False
    assert checkpoints.save(1) and checkpoints.restore() is True


def test_damage_of_any_byte_is_noticed_or_harmless(tmp_path):
    """A flipped bit in any byte is either reported as damage or leaves all restored values equal."""
    saved = tf.train.Checkpoint(a=tf.Variable([1.0, 2.0]), b=tf.Variable(3), memory=checkpoints_module.LoopState())
    path = saved.write(str(tmp_path / "x"))

    def read():
        reader = tf.train.load_checkpoint(path)
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    whole, unseen = read(), 0
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        for i in range(len(content)):
            file.write_bytes(content[:i] + bytes([content[i] ^ 0x10]) + content[i + 1 :])
            if not CheckpointFolder(str(tmp_path), keep=1)._damage("x"):
                unseen += 1
                np.testing.assert_equal(read(), whole)
        file.write_bytes(content)
    assert unseen < 100  # bytes of the index that nothing depends on


ELSEWHERE = ["/nowhere/step-2", "../../outside/step-2", "", ".", "..", "nosuch://x/step-2", r"\355\240\200"]
LISTS = [f'model_checkpoint_path: "{path}"\nall_model_checkpoint_paths: "{path}"\n'.encode() for path in ELSEWHERE]


@pytest.mark.parametrize("damage", [b"no list of checkpoints {", b"\xff\xfe\x00", b"", None, *LISTS])
def test_a_damaged_list_of_checkpoints_is_rebuilt_from_the_files(make_trainer, two_saved, damage):
    """Files in another folder, even if the damaged list names them, are not removed as old checkpoints."""
    marker, outside = two_saved / "checkpoint", two_saved.parent.parent / "outside"
    marker.unlink() if damage is None else marker.write_bytes(damage)
    shutil.copytree(two_saved, outside, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    trainer = make_trainer()
    checkpoints = Checkpoints(str(two_saved.parent), trainer, keep=2)
    assert checkpoints.restore() is True and int(trainer.step) == 2
    assert steps(two_saved) == ["step-1", "step-2"]
    checkpoints.save(3)
    assert steps(two_saved) == ["step-2", "step-3"] and not (two_saved / "step-1.index").exists()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before
    shutil.rmtree(outside)


def test_a_damaged_list_without_checkpoints_is_ignored(make_trainer, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint").write_text("nonsense {")
    checkpoints = Checkpoints(str(tmp_path), make_trainer(), keep=2)
    assert checkpoints.restore() is False
    checkpoints.save(1)
    assert steps(tmp_path / "checkpoints") == ["step-1"]


def test_checkpoint_names_show_the_order_of_saving(tmp_path):
    names = ["step-3", "stopped-20", "step-20", "step-100", "retry-1-step-20", "retry-1-stopped-30", "retry-10-step-5"]
    for name in [*names, "start", "other", "step-notes", "my-step-3", "step-3.old"]:
        (tmp_path / f"{name}.index").touch()
    assert CheckpointFolder(str(tmp_path), keep=1)._by_name() == names


def test_remains_of_a_killed_save_are_removed_and_nothing_else(make_trainer, two_saved):
    scratch = two_saved / os.path.basename(atomic._unfinished("scratch"))
    (scratch / "step-3_temp").mkdir(parents=True)
    (scratch / "step-3_temp" / "part-00000-of-00001.index").touch()
    (two_saved / os.path.basename(atomic._unfinished("checkpoint"))).touch()
    foreign = ["step-3_temp", "checkpoint.tmp0123", "start.txt", "step-1.data-a_copy-of-mine_", "step-2.index.bak"]
    for name in foreign:
        (two_saved / name).write_text(name)
    before = {path.name for path in two_saved.iterdir()}
    checkpoints = Checkpoints(str(two_saved.parent), make_trainer(), keep=2)
    assert checkpoints.restore() is True
    assert {name for name in before if name.startswith(".")} == before - {path.name for path in two_saved.iterdir()}
    for step in (3, 4):  # removes steps 1 and 2, whose names the foreign files resemble
        checkpoints.save(step)
    assert [(two_saved / name).read_text() for name in foreign] == foreign
    assert steps(two_saved) == ["step-3", "step-4"] and not (two_saved / "step-2.index").exists()


def test_a_roll_back_restores_the_start_until_a_checkpoint_is_saved(make_trainer, tmp_path):
    trainer = make_trainer()
    before = all_values(trainer)
    checkpoints = Checkpoints(str(tmp_path), trainer, keep=2)
    checkpoints.keep_start()
    trainer.train_step(trainer.batch_at(0))
    checkpoints.loop_state.pending = [{"nats": 1.0}]
    checkpoints.go_back()
    for a, b in zip(before, all_values(trainer), strict=True):
        np.testing.assert_array_equal(a, b)
    assert checkpoints.loop_state.pending == []
    assert Checkpoints(str(tmp_path), make_trainer(), keep=2).restore() is False  # no run resumes from the start
    checkpoints.save(0)
    assert not list((tmp_path / "checkpoints").glob("start*"))


@pytest.mark.parametrize("end", ["data-00000-of-00001", "index"])  # the second: by a version that saved in place
def test_a_run_that_was_killed_in_its_first_save_starts_again(make_trainer, tmp_path, end):
    checkpoints = Checkpoints(str(tmp_path), make_trainer(), keep=2)
    checkpoints.keep_start()
    (tmp_path / "checkpoints" / f"step-1.{end}").touch()  # one of two files, and on no list
    assert checkpoints.restore() is False
    checkpoints.save(1)
    assert checkpoints.restore() is True and steps(tmp_path / "checkpoints") == ["step-1"]


@pytest.mark.slow
def test_averages_dropout_and_schedules_resume_to_the_bit(make_trainer, make_model, tmp_path):
    rate = LearningRate(0.05, "cosine", warmup_steps=2, decay_steps=6, final=0.1)

    def make():
        model = make_model(weight_drop=0.3, output_dropout=0.3, embedding_dropout=0.1, zoneout=0.1)
        return make_trainer(model=model, optimizer=keras.optimizers.AdamW(rate), averaging=0.9)

    def go(trainer, start, end):
        for step in range(start, end):
            trainer.train_step(trainer.batch_at(step))

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
        np.testing.assert_array_equal(a, b)  # a model that is loaded has the averaged weights
        assert (b != c).any()
