"""Tests that the reference of the settings is complete, current, and consistent with the dataclasses."""

from pathlib import Path

import pytest

from charrnn import command
from charrnn.errors import UserError
from trainers import run, settings
from trainers.experiment import TRAINERS, Experiment, override, with_trainer

PAGE = Path(__file__).parent.parent / "docs/settings.md"
SECTIONS = list(settings.sections())


def test_the_page_is_current():
    written = "write it again: python -c 'from trainers import settings; print(settings.as_markdown(), end=\"\")'"
    assert PAGE.read_text(encoding="utf-8") == settings.as_markdown(), written


def test_every_setting_has_a_meaning_and_each_curriculum_a_section():
    assert not [setting.name for section in SECTIONS for setting in section.settings if not setting.meaning]
    titles = [section.title for section in SECTIONS]
    assert titles[:5] == ["model", "data", "optimizer", "loop", "samples"]
    assert titles[-len(TRAINERS) :] == [f"trainer, with --trainer={name}" for name in TRAINERS]


def test_set_takes_each_default_as_it_is_shown():
    for title, _, shown in SECTIONS:
        experiment = with_trainer(Experiment(), title.partition("=")[2] or "teacher_forcing")
        for setting in shown:
            value = setting.default.replace("(empty)", "")
            assert override(experiment, [f"{setting.name}={value}"]) == experiment, setting


def test_a_comment_over_two_lines_is_one_meaning_and_a_heading_is_none():
    found = {setting.name: setting for section in SECTIONS for setting in section.settings}
    assert found["runtime.strategy"].meaning.endswith("whichever of the first three is available")
    assert "Probabilities" not in found["model.temperature"].meaning
    assert found["trainer.max_prob"].meaning  # declared in a parent dataclass
    assert found["loop.keep"].allowed == "at least 1" and found["model.cell"].allowed == "one of gru, lstm, rnn"


def test_the_command_shows_the_settings_that_start_with_a_prefix(capsys):
    assert command.run(run.main, run.FLAGS, ["run", "--help_settings", "optimizer.beta", "loop.keep"]) == command.DONE
    lines = capsys.readouterr().out.splitlines()
    names = [line.strip() for line in lines if line.startswith("  ") and line[2] != " "]
    assert names == ["optimizer.beta_2", "loop.keep"]


def test_an_unknown_prefix_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"optimiser.*nearest: .*optimizer\."):
        settings.as_text("optimiser.name")
