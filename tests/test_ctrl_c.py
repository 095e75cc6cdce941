"""Tests Ctrl-C in the middle of each command: one line, status 130, no half-written files."""

import io
import os
import pathlib
import signal
import sys

import pytest

from charrnn import command, corpora, encode, export, generate
from charrnn.batches.sources import DataConfig
from charrnn.encoded import writer
from charrnn.files import atomic
from charrnn.first_look import report
from charrnn.generation import exporting, loading
from charrnn.generation.generator import Generator
from charrnn.model.config import ModelConfig
from charrnn.text.plays import Plays
from trainers import check, checks, compare, evaluate
from trainers.configs import LoopConfig, SamplesConfig
from trainers.evaluation import evaluation
from trainers.experiment import Experiment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """Returns a folder with a finished run and two texts."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "text.txt").write_text(Plays().text(3000, seed=1))
    (folder / "more.txt").write_text(Plays().text(3000, seed=2))
    experiment = Experiment(
        corpus="plays:3000",
        model=ModelConfig(units=8, embedding_size=5),
        data=DataConfig(seq_length=20, batch_size=4),
        loop=LoopConfig(steps=2, evaluate_every=1, save_every=1),
        samples=SamplesConfig(num_chars=0),
    )
    finished(experiment, folder / "run")
    return folder


@pytest.fixture
def call(folder, capfd, monkeypatch):
    """Runs a command in the folder. Returns exit status, standard output and standard error."""
    monkeypatch.chdir(folder)

    def call(module, *arguments):
        status = command.run(module.main, module.FLAGS, ["it", *arguments])
        return (status, *capfd.readouterr())

    return call


def snapshot(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): path.read_bytes() for path in files}


def interrupt():
    signal.raise_signal(signal.SIGINT)


def interrupting(function):
    """Returns the function with a Ctrl-C before each call."""

    def interrupted(*args, **kwargs):
        interrupt()
        return function(*args, **kwargs)

    return interrupted


OF_RUN, SHORT = "--run_dir=run", ["--num_rollouts=2", "--num_chars=50"]
MOMENTS = {
    "generate, loading": (generate, [OF_RUN], loading, "load"),
    "generate, several": (generate, [OF_RUN, "--num_samples=3"], Generator, "_write"),
    "generate, beam": (generate, [OF_RUN, "--beam=2"], Generator, "beam"),
    "evaluate": (evaluate, [OF_RUN, *SHORT], evaluation, "frontier"),
    "compare": (compare, ["run", *SHORT, "--temperatures=1"], evaluation, "evaluate"),
    "export": (export, [OF_RUN, "--output=exported"], exporting, "tflite_step"),
    "corpora": (corpora, ["text.txt"], report, "load_texts"),
    "encode": (encode, ["*.txt", "--output=encoded"], writer, "_make_plan"),
    "check": (check, ["--trainer=teacher_forcing"], checks.Trial, "train"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_command_reports_one_line_and_changes_no_files(call, folder, monkeypatch, moment):
    module, arguments, place, name = MOMENTS[moment]
    monkeypatch.setattr(place, name, interrupting(getattr(place, name)))
    before = snapshot(folder)
    status, out, err = call(module, *arguments)
    assert (status, out) == (command.INTERRUPTED, "Encoding *.txt, 6,000 bytes, into encoded\n" * (module is encode))
    assert err.removeprefix("measuring run\n") == "Interrupted.\n"
    assert snapshot(folder) == before


def test_an_encoding_keeps_whole_shards_and_resumes(call, folder, monkeypatch):
    with monkeypatch.context() as during:
        during.setattr(writer, "_write_documents", interrupting(writer._write_documents))
        (folder / "encoded").mkdir()
        (folder / "encoded" / writer._LOCK).touch()
        half = folder / "encoded" / atomic._unfinished("shard-00009.ids")  # as a killed process leaves it
        half.write_text("half")
        status, _, err = call(encode, "*.txt", "--output=encoded")
    assert (status, err) == (command.INTERRUPTED, "Interrupted.\n")
    assert not half.exists() and (folder / "encoded" / "shard-00000.ids").exists()
    status, out, _ = call(encode, "*.txt", "--output=encoded")
    assert status == command.DONE and "resuming" in out


class Reader(io.StringIO):
    """Standard output that raises Ctrl-C at the fourth piece of text."""

    pieces = 0

    def write(self, text):
        super().write(text)
        self.pieces += 1
        if self.pieces == 4:
            interrupt()


def test_an_interrupted_text_stays_and_its_state_is_saved(call, folder, monkeypatch, tmp_path):
    seeded, state = [OF_RUN, "--prompt=A", "--seed=3"], str(tmp_path / "state.npz")
    status, whole, _ = call(generate, *seeded, "--num_chars=3000")
    with monkeypatch.context() as during:
        during.setattr(sys, "stdout", out := Reader())
        status, _, err = call(generate, *seeded, "--num_chars=3000", f"--save_state={state}")
    begun = out.getvalue().rstrip("\n")
    assert (status, err) == (130, "Interrupted.\n") and whole.startswith(begun) and 0 < len(begun) < len(whole)
    status, rest, _ = call(generate, OF_RUN, f"--state={state}", f"--num_chars={3001 - len(begun)}")
    assert (status, begun + rest) == (0, whole)


def test_the_state_is_saved_if_the_reader_leaves(call, folder, monkeypatch, tmp_path):
    read, write = os.pipe()
    os.close(read)
    state = tmp_path / "state.npz"
    with os.fdopen(write, "w") as pipe, monkeypatch.context() as during:
        during.setattr(sys, "stdout", pipe)
        status, _, err = call(generate, OF_RUN, "--num_chars=1000000", f"--save_state={state}")
    assert (status, err) == (0, "") and state.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize("several", [[], ["--num_samples=2"], ["--surprisal=text.txt"]])
def test_a_full_disk_ends_a_text_in_one_line(call, monkeypatch, several):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status, _, err = call(generate, OF_RUN, *several)
    assert status == command.NOT_WRITTEN
    assert [line for line in err.splitlines() if "No space left on device" in line] == err.splitlines()[-1:]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize("module", [evaluate, compare])
def test_measures_are_stored_in_spite_of_a_full_disk_behind_the_output(call, monkeypatch, tmp_path, module):
    tables = tmp_path / "tables.md"
    arguments = [OF_RUN] if module is evaluate else ["run", f"--markdown={tables}", "--temperatures=1"]
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status, _, err = call(module, *arguments, *SHORT, "--nopictures")
    assert status == command.NOT_WRITTEN and "No space left on device" in err.splitlines()[-1]
    assert list(pathlib.Path("run/open_loop/own").iterdir()) if module is evaluate else tables.read_text()


def test_ctrl_c_exits_at_the_prompt_but_only_ends_a_text_in_progress(call, folder, monkeypatch):
    class Typing(io.StringIO):
        def reconfigure(self, errors):
            pass

        def readline(self, size=-1):
            return super().readline() or interrupt()

    whole = call(generate, OF_RUN, "--prompt=A", "--seed=3", "--num_chars=1500")[1].removesuffix("\n")
    monkeypatch.setattr(sys, "stdin", Typing("A\n\n"))
    monkeypatch.setattr(sys, "stdout", out := Reader())
    status, _, err = call(generate, OF_RUN, "--interactive", "--num_chars=1000", "--seed=3")
    assert (status, err) == (130, "Interrupted.\n")
    # The first text ended within its 1,000 characters, and the empty line continued it.
    assert any(whole[:n] + "\n" + whole[n : n + 1000] + "\n" == out.getvalue() for n in range(1, 1000))
