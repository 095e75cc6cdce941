"""Tests the suggestions for a setting that is given as a flag, or as an argument of `trainers.train`."""


import pytest

import trainers
from charrnn import command
from charrnn.errors import UserError
from trainers import check, local_workers, run
from trainers.experiment import Experiment, named, settable
from trainers.launch.misplaced import suggesting


def said(main, capsys, *arguments, where=""):
    """Returns the error message of a command, with the suggestions that its start adds; asserts that it is one line."""
    status = command.run(main.main, main.FLAGS, ["it", *arguments], suggest=suggesting(main.FLAGS, where))
    out, err = capsys.readouterr()
    assert (status, out) == (command.MISTAKE, "") and err.startswith("error: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize("main", [run, check, local_workers], ids=lambda main: main.__name__)
@pytest.mark.parametrize(
    "arguments, give",
    [
        (["--batch_size=8"], "--set data.batch_size=8"),
        (["--batch-size=8"], "--set data.batch_size=8"),
        (["--data.batch_size=8"], "--set data.batch_size=8"),
        (["--batchsize=8"], "--set data.batch_size=8"),
        (["--learning_rate", "3e-4"], "--set optimizer.learning_rate=VALUE"),
        (["--lowercase"], "--set data.lowercase=true"),
        (["--nolowercase"], "--set data.lowercase=false"),
        (["--prompts=a b"], "--set 'samples.prompts=a b'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_flag_that_is_a_setting_gets_a_suggestion(main, capsys, arguments, give):
    assert f"There is no flag {arguments[0].partition('=')[0]}" in said(main, capsys, *arguments)
    assert give in said(main, capsys, *arguments)


@pytest.mark.parametrize("full", settable(Experiment()))
def test_every_setting_is_found_by_its_field(full):
    assert full in named(full.partition(".")[2], settable(Experiment()))


def test_a_field_of_several_groups_is_found_in_all():
    assert named("seed", ["model.seed", "data.seed", "data.size"]) == ["model.seed", "data.seed"]


def test_the_settings_of_the_curriculum_are_suggested_too(capsys):
    err = said(run, capsys, "--experiment=quickstart", "--trainer=spans", "--max_prob=0.2")
    assert "--set trainer.max_prob=0.2" in err
    assert "no flag --max_prob" in said(run, capsys, "--trainer=nowhere", "--max_prob=0.2")


def test_the_message_names_the_nearest_flags_or_all_flags_or_the_place_for_settings(capsys):
    assert "nearest: steps" in said(run, capsys, "--stepz=3")
    assert "; there are " in said(run, capsys, "--zzz=3")
    assert "behind the two dashes" in said(local_workers, capsys, "--units=3", where=" behind the two dashes")


def test_a_setting_without_its_group_gets_a_suggestion(capsys):
    assert "data.batch_size=8" in said(run, capsys, "--experiment=quickstart", "--set", "batch_size=8")


@pytest.mark.parametrize(
    "arguments, give",
    [
        ({"batch_size": 8}, '"data.batch_size": 8'),
        ({"max_prob": 0.5, "trainer": "spans"}, '"trainer.max_prob": 0.5'),
        ({"step": 3}, "steps"),
        ({"zzz": 3}, "zzz"),
    ],
)
def test_an_unknown_argument_of_train_is_refused_with_a_suggestion(tmp_path, arguments, give):
    with pytest.raises(UserError, match=r"^train\(\) has no argument ") as error:
        trainers.train("quickstart", run_dir=tmp_path / "run", **arguments)
    assert give in str(error.value) and not list(tmp_path.iterdir())
