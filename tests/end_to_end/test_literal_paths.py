"""Tests that all commands and Python calls take paths literally, except for a leading `~`, which they expand."""

import importlib
import json
import os
import pathlib
import re
import shutil

import pytest
from absl import flags

import charrnn
from charrnn import command
from charrnn.encoded import writer
from charrnn.files import paths
from charrnn.generation import exporting
from charrnn.generation.state import GenerationState
from charrnn.measures.open_loop import Protocol
from charrnn.text.chunks import Settings
from charrnn.text.vocabulary import Vocabulary
from trainers.evaluation import measures_file
from trainers.experiment import Experiment
from trainers.launch import start
from trainers.launch.result import Result

pytestmark = pytest.mark.slow

TINY = {
    "data.seq_length": 8,
    "data.batch_size": 4,
    "model.units": 8,
    "loop.save_every": 2,
    "loop.evaluate_every": 2,
    "samples.num_chars": 0,
    "data.validation_fraction": 0.4,
}
ODD = "gru[12] {a,b}*?\\ '\"%41\n~"
HOUSE = pathlib.Path(__file__).parents[2]
ENTRY_POINTS = [
    path.relative_to(HOUSE).as_posix().removesuffix(".py").replace("/", ".")
    for room in ("charrnn", "trainers", "benchmarks")
    for path in sorted((HOUSE / room).rglob("*.py"))
    if "\nFLAGS = flags.FlagValues()" in path.read_text(encoding="utf-8")
]
NO_PATHS = {"corpus", "text", "documents", "encoding", "match"}  # a corpus is a name, a path or a pattern


def call(module, *arguments):
    """Runs a command in this process; returns its exit status."""
    module = importlib.import_module(module)
    return command.run(module.main, module.FLAGS, [module.__name__, *arguments])


def train(run_dir, steps=2, **options):
    return start.train("quickstart", run_dir=run_dir, steps=steps, corpus="plays:3000", set=TINY, **options)


RUN = ["--experiment=quickstart", "--corpus=plays:3000", *(f"{name}={value}" for name, value in TINY.items())]


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a run of two steps; returns its directory."""
    run_dir = tmp_path_factory.mktemp("runs") / "trained"
    assert train(run_dir).finished
    return run_dir


@pytest.fixture
def siblings(trained, tmp_path, monkeypatch):
    """Creates damaged runs that ODD could match if it were a pattern; returns the content of their files by path."""
    monkeypatch.chdir(tmp_path)
    for name in ("gru1 a*\\ '\"%41\n~", "gru[12] {a,b}x '\"%41\n~"):
        shutil.copytree(trained, tmp_path / name / name)
        for index in (tmp_path / name / name).rglob("*.index"):
            index.write_text("damaged")
    return snapshot(tmp_path)


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_a_run_resumes_and_generates_at_a_literal_path(trained, siblings, tmp_path, absolute):
    run_dir = f"{tmp_path}/{ODD}/{ODD}" if absolute else f"{ODD}/{ODD}"
    shutil.copytree(trained, run_dir)
    assert call("trainers.run", *RUN, f"--run_dir={run_dir}", "--steps=5") == command.DONE
    assert call("charrnn.generate", f"--run_dir={run_dir}", "--num_chars=5", "--weights=newest") == command.DONE
    assert {path: path.read_bytes() for path in siblings} == siblings
    newest = {path.name for path in pathlib.Path(run_dir, "checkpoints").iterdir()}
    assert newest == {"checkpoint", *(f"step-{n}.{end}" for n in (2, 4, 5) for end in ("index", "data-00000-of-00001"))}


def test_all_other_commands_read_and_write_at_literal_paths(trained, siblings, tmp_path, capsys):
    place = f"{tmp_path}/{ODD}"
    run_dir, short = f"{place}/{ODD}", ["--num_rollouts=2", "--num_chars=50"]
    shutil.copytree(trained, run_dir)
    capsys.readouterr()
    state = f"{place}/state[1].npz"
    assert call("charrnn.generate", f"--run_dir={run_dir}", "--num_chars=5", f"--save_state={state}") == command.DONE
    assert f"weights: {run_dir}/best/step-2" in capsys.readouterr().err
    assert call("charrnn.generate", f"--run_dir={run_dir}", "--num_chars=5", f"--state={state}") == command.DONE
    assert call("trainers.evaluate", f"--run_dir={run_dir}", *short) == command.DONE
    assert call("trainers.compare", run_dir, *short, f"--markdown={place}/[t].md", "--nopictures") == command.DONE
    assert call("charrnn.export", f"--run_dir={run_dir}", f"--output={place}/[e]", "--formats=tflite") == command.DONE
    other = f"--run_dir={place}/other*"
    assert call("trainers.run", *RUN, other, "--steps=2", f"--init_from={run_dir}") == command.DONE
    assert sorted(os.listdir(place)) == sorted([ODD, "state[1].npz", "[t].md", "[e]", "other*"])
    assert {path: path.read_bytes() for path in siblings} == siblings


def test_a_folder_has_a_plain_name_only_while_it_is_needed(tmp_path, monkeypatch):
    odd = tmp_path / "a[1]"
    odd.mkdir()
    (odd / "file").touch()
    for descriptors in (paths._DESCRIPTORS, "/nowhere"):  # the latter as on a system without /proc
        monkeypatch.setattr(paths, "_DESCRIPTORS", descriptors)
        with paths.plain(str(odd)) as place:
            assert os.listdir(place) == ["file"] and not set(place) & set("*?[\\")
        assert not os.path.exists(os.path.join(place, "file"))
    with paths.plain(str(tmp_path)) as place:
        assert place == str(tmp_path)
    assert os.listdir(odd) == ["file"]


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_each_flag_for_a_file_or_folder_expands_the_home_folder(name, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    values = importlib.import_module(name).FLAGS
    for flag in {values[each].name: values[each] for each in values}.values():
        if type(flag.parser) is flags.ArgumentParser and flag.name not in NO_PATHS:  # any text
            words = r"\b(files?|folder|director(y|ies)|page|picture|wrote|printed)\b"
            assert not re.search(words, flag.help), flag.name
    for flag in [flag for flag in map(values.__getitem__, values) if isinstance(flag.parser, command._Path)]:
        assert flag.parser.parse("~/a[1]") == "/home/me/a[1]"


def test_the_search_for_path_flags_finds_them():
    found = {name: set() for name in ENTRY_POINTS}
    for name in ENTRY_POINTS:
        values = importlib.import_module(name).FLAGS
        found[name] = {each for each in values if isinstance(values[each].parser, command._Path)}
    assert found["trainers.run"] == {"run_dir", "init_from"}
    assert found["charrnn.generate"] == {"run_dir", "save_state", "state", "surprisal"}
    assert {"json", "page", "plot"} <= found["benchmarks.scaling"] and "output" in found["charrnn.encode"]


def test_python_expands_the_home_folder_too(trained, tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    shutil.copytree(trained, home / "run")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    result = train(pathlib.Path("~/run"), steps=4)
    assert result.finished and train("~/other", init_from="~/run").finished
    loaded = charrnn.load("~/run")
    assert Result.read("~/run", True).run_dir == result.run_dir == str(home / "run")
    assert json.loads((home / "other" / "config.json").read_text())["init_from"] == str(home / "run")
    assert Experiment(init_from="~/run").init_from == str(home / "run")
    measures_file.read_or_evaluate("~/run", Protocol(2, 50, 0), None, "best", [])
    exporting.export(loaded, "~/exported", ["tflite"])
    loaded.vocabulary.save("~/v.json")
    assert Vocabulary.load("~/v.json") == loaded.vocabulary
    state = GenerationState.start(loaded.model, [0])
    state.save("~/s.npz", loaded.model, loaded.vocabulary)
    assert GenerationState.load("~/s.npz", loaded.model, loaded.vocabulary).position == 0
    writer.encode("it", [str(home / "v.json")], Settings(), writer.Parts(), "~/encoded", lambda line: None)
    assert sorted(os.listdir(home)) == ["encoded", "exported", "other", "run", "s.npz", "v.json"]
    assert os.listdir(here) == []
