"""Tests the files that a run writes into its directory, and when a run may resume there."""

import json
import os

import pytest

from charrnn.errors import UserError
from charrnn.files import atomic
from charrnn.text.vocabulary import Vocabulary
from trainers.curricula.spans import Spans
from trainers.run_directory import lock
from trainers.run_directory.directory import RunDirectory

CONFIG = {"experiment": "one", "seed": 0, "model": {"units": 8, "cell": "gru"}, "loop": {"steps": 5}}
LETTERS = Vocabulary.from_text("abc")


@pytest.fixture
def directory(tmp_path):
    made = RunDirectory(str(tmp_path / "run"))
    made.prepare(CONFIG, LETTERS)
    return made


def test_written_files_are_read_back(directory, tmp_path):
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == CONFIG
    assert Vocabulary.load(directory.file("vocabulary.json")) == LETTERS
    assert sorted(os.listdir(tmp_path / "run")) == ["config.json", "event_files.json", "vocabulary.json"]


def test_the_same_run_resumes_also_with_another_temperature_or_number_of_steps(directory):
    assert directory.may_resume("auto", CONFIG, LETTERS) is True
    assert directory.may_resume("auto", {**CONFIG, "model": {**CONFIG["model"], "temperature": 1.2}}, LETTERS) is True
    assert directory.may_resume("must", {**CONFIG, "loop": {"steps": 50}}, LETTERS) is True


def test_a_class_may_move_from_a_notebook_to_a_module_and_an_experiment_may_have_another_name(tmp_path):
    def config(place):
        return {**CONFIG, "trainer": {"class": place, "limit": 0.5}}

    made = RunDirectory(str(tmp_path / "run"))
    made.prepare(config("__main__:Ramp"), LETTERS)
    for same in ("__main__:Ramp", "my_curriculum:Ramp"):
        assert made.may_resume("auto", {**config(same), "experiment": "two"}, LETTERS) is True
    for other in ("__main__:Rump", "my_curriculum:Rump"):
        with pytest.raises(UserError, match=f"trainer.class was __main__:Ramp, is {other}"):
            made.may_resume("auto", config(other), LETTERS)
    made.prepare(config("my_curriculum:Ramp"), LETTERS)
    assert made.may_resume("auto", config("__main__:Ramp"), LETTERS) is True
    with pytest.raises(UserError, match=r"trainer\.class was my_curriculum:Ramp, is others:Ramp"):
        made.may_resume("auto", config("others:Ramp"), LETTERS)


def test_a_setting_that_is_newer_than_the_run_counts_as_its_default(directory):
    assert directory.may_resume("auto", {**CONFIG, "init_from": "", "data": {"overfit_batches": 0}}, LETTERS) is True
    with pytest.raises(UserError, match=r"run: data.overfit_batches was not there, is 2\. Give"):
        directory.may_resume("auto", {**CONFIG, "init_from": "", "data": {"overfit_batches": 2}}, LETTERS)


def test_a_curriculums_setting_that_is_newer_than_the_run_counts_as_its_default(tmp_path):
    made, spans = RunDirectory(str(tmp_path / "run")), {"class": "spans", "length": 5}
    made.prepare({**CONFIG, "trainer": spans}, LETTERS)
    newer = {**CONFIG, "trainer": {**spans, "after_mistake": "text"}}
    assert made.may_resume("auto", newer, LETTERS, Spans) is True
    newer["trainer"]["after_mistake"] = "nothing"
    with pytest.raises(UserError, match=r"trainer\.after_mistake was not there, is nothing"):
        made.may_resume("auto", newer, LETTERS, Spans)


def test_a_list_of_settings_is_read_back_as_it_was(tmp_path):
    made = RunDirectory(str(tmp_path / "run"))
    made.prepare({**CONFIG, "trainer": {"pieces": (4, 2)}}, LETTERS)
    assert made.may_resume("auto", {**CONFIG, "trainer": {"pieces": (4, 2)}}, LETTERS) is True
    with pytest.raises(UserError, match=r"trainer.pieces was \[4, 2\], is \[4, 1\]"):
        made.may_resume("auto", {**CONFIG, "trainer": {"pieces": (4, 1)}}, LETTERS)


def test_every_difference_is_named(directory):
    other = {**CONFIG, "seed": 4, "model": {"units": 9, "cell": "gru", "layers": 2}}
    with pytest.raises(UserError) as caught:
        directory.may_resume("auto", other, Vocabulary.from_text("abd"))
    expected = ["seed was 0, is 4", "model.units was 8, is 9", "model.layers was not there, is 2", "vocabulary", "'d'"]
    for part in expected:
        assert part in str(caught.value)
    assert "model.cell" not in str(caught.value)


def test_resume_never_and_resume_must_are_obeyed(directory, tmp_path):
    with pytest.raises(UserError, match="--resume=never"):
        directory.may_resume("never", CONFIG, LETTERS)
    fresh = RunDirectory(str(tmp_path / "fresh"))
    with pytest.raises(UserError, match="--resume=must"):
        fresh.may_resume("must", CONFIG, LETTERS)
    assert fresh.may_resume("auto", CONFIG, LETTERS) is False
    assert not (tmp_path / "fresh").exists()


def test_a_run_may_start_in_an_empty_directory_but_not_beside_foreign_files(tmp_path):
    (tmp_path / "empty").mkdir()
    assert RunDirectory(str(tmp_path / "empty")).may_resume("auto", CONFIG, LETTERS) is False
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "thesis.tex").write_text("my only copy")
    with pytest.raises(UserError, match="not a run directory"):
        RunDirectory(str(tmp_path / "strange")).may_resume("auto", CONFIG, LETTERS)


@pytest.mark.parametrize("name", ["lock", "vocabulary.json", "event_files.json", "123.tmp", "metrics.jsonl"])
def test_a_directory_with_one_file_of_a_user_is_refused_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_text('{"suffix": "of a user"}')
    with pytest.raises(UserError, match="not a run directory"):
        RunDirectory(str(tmp_path)).may_resume("auto", CONFIG, LETTERS)


def test_a_start_that_was_killed_before_it_wrote_config_json_can_be_repeated(tmp_path):
    RunDirectory(str(tmp_path)).prepare(CONFIG, LETTERS)
    for name in ("config.json", "vocabulary.json", "event_files.json"):
        (tmp_path / name).rename(tmp_path / os.path.basename(atomic._unfinished(name)))  # killed while it wrote this
        with lock.hold(str(tmp_path)):
            assert RunDirectory(str(tmp_path)).may_resume("auto", CONFIG, LETTERS) is False
    RunDirectory(str(tmp_path)).prepare(CONFIG, LETTERS)
    assert sorted(os.listdir(tmp_path)) == ["config.json", "event_files.json", "vocabulary.json"]


@pytest.mark.parametrize("damage", ["{", "[]", ""])
def test_a_damaged_config_is_named(directory, tmp_path, damage):
    (tmp_path / "run" / "config.json").write_text(damage)
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        directory.may_resume("auto", CONFIG, LETTERS)
