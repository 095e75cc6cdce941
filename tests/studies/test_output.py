"""Tests the folder of a study: it is created, and files that no study wrote are not replaced."""

import json

import pytest

from charrnn.errors import UserError
from trainers.studies import output


@pytest.mark.parametrize("name", [output.PAGE, output.FIGURES, "effects.png", "quality_diversity.png"])
@pytest.mark.parametrize("content", ["mine", "[]", '{"arms": 1}'])
def test_a_file_that_no_study_wrote_is_not_replaced(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name} exists, and no study wrote it: give another --study_dir"):
        output.prepare(str(tmp_path))
    assert (tmp_path / name).read_text() == content


def test_other_files_and_an_earlier_study_are_no_obstacle(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    output.prepare(str(tmp_path))
    (tmp_path / output.FIGURES).write_text(json.dumps({"finding": "", "arms": {}}))
    (tmp_path / output.PAGE).write_text("old")
    output.prepare(str(tmp_path))


@pytest.mark.parametrize("folder", ["", "gs://bucket/study", "/proc/study", "a_file", "a_file/below"])
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("mine")
    with pytest.raises(UserError, match="--study_dir"):
        output.prepare(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_a_folder_is_created_with_its_parents(tmp_path):
    output.prepare(str(tmp_path / "a b" / "c"))
    assert (tmp_path / "a b" / "c").is_dir()
