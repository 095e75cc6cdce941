"""Tests that the arms of the pages' studies are possible, and one study from end to end on tiny runs."""

import functools

import pytest

import trainers
from benchmarks import curricula
from charrnn import command
from trainers.studies.plan import make_arms, make_plan


@pytest.fixture
def call(capsys):
    """Runs the command; returns its exit status, standard output and standard error."""

    def call(*arguments):
        status = command.run(curricula.main, curricula.FLAGS, ["curricula", *map(str, arguments)])
        curricula.FLAGS.unparse_flags()
        return (status, *capsys.readouterr())

    return call


@pytest.mark.parametrize("name", curricula.STUDIES)
def test_the_settings_of_a_study_are_possible_and_its_arms_differ(name):
    study = curricula._studies("runs")[name]
    arms = make_arms(["teacher_forcing"], study.arms)
    plan = make_plan("quickstart", arms, 1, "s", [f"{k}={v}" for k, v in study.settings.items()], study.corpus)
    assert len({planned.experiment for planned in plan}) == len(arms) >= 4
    for planned in plan:
        if hasattr(planned.experiment.trainer, "half_step"):
            assert float(planned.experiment.trainer.prob(600)) == planned.experiment.trainer.max_prob


@pytest.mark.slow
def test_a_study_trains_its_teacher_and_fills_its_place_on_a_page(call, tmp_path, monkeypatch):
    small = {"model.units": 8, "data.seq_length": 16, "data.batch_size": 4, "loop.steps": 4, "samples.num_chars": 0}
    teacher = curricula.Teacher(7, "plays:20000", small)
    place = str(tmp_path / "runs" / "plays_teacher")
    arms = {"taught": ("distillation", {"trainer.teacher": place})}
    study = curricula.Study("tiny", arms, 1, "plays:20000", small)
    monkeypatch.setattr(curricula, "TEACHERS", {"plays_teacher": teacher})
    monkeypatch.setattr(curricula, "_studies", lambda runs: {"source": study})
    monkeypatch.setattr(trainers, "study", functools.partial(trainers.study, num_rollouts=2, num_chars=50))
    page = tmp_path / "page.md"
    page.write_text(
        "before\n" + "".join(f"<!-- made by benchmarks.curricula of source: {e} -->\n" for e in ("begin", "end"))
    )
    status, _, _ = call("--study=source", f"--runs={tmp_path / 'runs'}", f"--page={page}")
    assert status == command.DONE
    text = page.read_text()
    assert text.startswith("before") and "- `taught`: distillation" in text and "takes 3 seeds" in text
    assert (tmp_path / "runs/tiny/taught-0/config.json").exists()
    assert "](study_source_effects.png)" in text and (tmp_path / "study_source_effects.png").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "no study None"),
        (["--study=sorce"], "no study 'sorce'; nearest: source"),
        (["--study=source", "beside"], "'beside' belongs to no flag"),
        (["--study=source", "--page=/nowhere"], "/nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(call, arguments, said):
    status, out, err = call(*arguments)
    assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and said in err
