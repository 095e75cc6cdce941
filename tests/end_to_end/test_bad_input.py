"""Tests bad input to the commands: each refuses it in one sentence with exit status 2, or gives a correct result.

No command prints a traceback, hangs or changes a run. If a single module refuses the input, the tests of this module
cover it. The cases here once got past all modules.
"""

import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import generate as benchmark_generate
from benchmarks import reproductions, scaling, train_step
from charrnn import command, encode, generate
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.errors import UserError
from charrnn.generation import loading
from charrnn.text.vocabulary import Vocabulary
from trainers import check, compare, evaluate, run
from trainers.evaluation import measures_file
from trainers.experiment import Experiment, override

pytestmark = pytest.mark.slow

COMMANDS = {
    "run": run,
    "evaluate": evaluate,
    "compare": compare,
    "check": check,
    "generate": generate,
    "encode": encode,
    "benchmarks.train_step": train_step,
    "benchmarks.scaling": scaling,
    "benchmarks.generate": benchmark_generate,
    "benchmarks.reproductions": reproductions,
}
TINY = """
    --experiment=quickstart --corpus=plays:3000 --steps=2 --set=model.units=8 --set=model.embedding_size=4
    --set=data.seq_length=8 --set=data.batch_size=4 --set=samples.num_chars=4
""".split()
SHORT = ["--num_rollouts=2", "--num_chars=50"]
HUGE = "9" * 20
SECONDS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Creates a folder with a trained run, a text, broken files, broken links and a pipe. Tests leave it unchanged."""
    folder = tmp_path_factory.mktemp("bad_input")
    assert command.run(run.main, run.FLAGS, ["run", *TINY, f"--run_dir={folder / 'run'}"]) == command.DONE
    (folder / "text.txt").write_text("to be or not to be\n" * 20)
    (folder / "bom.txt").write_bytes(b"\xef\xbb\xbf")
    (folder / "surrogate.txt").write_bytes(b"\xed\xa0\x80" * 10)
    (folder / "no.gz").write_bytes(b"no gzip")
    (folder / "rows.csv").write_bytes(b"a,b\n" * 99 + b'c,"d\n' * 2)
    (folder / "line.csv").write_bytes(b"a" * 10_000_000)
    (folder / "page.md").write_bytes(b"\xff\xfe")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def call(capsys):
    """Returns a function that runs a command and returns its exit status, standard output and standard error."""

    def call(name, *arguments):
        start = time.process_time()  # processor time, because a busy machine is not a hang
        module = COMMANDS[name]
        status = command.run(module.main, module.FLAGS, [name, *map(str, arguments)])
        assert time.process_time() - start < SECONDS
        return (status, *capsys.readouterr())

    return call


@pytest.fixture(autouse=True, scope="module")
def _as_it_was():
    """Restores the signal handlers and Python's path, because `run` changes both."""
    handlers, path = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}, list(sys.path)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.path[:] = path


def snapshot(folder):
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in sorted(pathlib.Path(folder).rglob("*"))}


def assert_refused(result, said):
    status, _, errors = result
    told = re.sub(r"^(measuring \w+\n)+", "", errors)  # the progress of `compare`
    assert status == command.MISTAKE
    assert told.startswith("error: ") and told.count("\n") == 1 and len(told) <= 1020
    assert said in told


def train(*arguments):
    return ("run", [*TINY, "--run_dir=new", *arguments])


def of_run(name, *arguments):
    given = {"compare": ["run", "--nopictures", "--temperatures=1"]}.get(name, ["--run_dir=run"])
    return (name, [*given, *([] if name == "generate" else SHORT), *arguments])


ARGUMENTS = [
    # Out-of-range and malformed numbers.
    (train(f"--steps={HUGE}"), "a whole number of 64 bits"),
    (train("--steps=2147483648"), "loop.steps=2147483648 is not possible: it must be at least 1 and below 2^31"),
    (train("--epochs=1e300"), "loop.epochs=1e+300 is not possible: it must be below 2^31 steps, at "),
    (train("--epochs=1e308"), "loop.epochs=1e+308"),
    (train("--epochs=nan"), "loop.epochs=nan"),
    (train("--set=model.units=1e9"), "model.units=1e9 is not possible: it must be a whole number"),
    (train("--set=model.units=1000000000"), "GB of memory"),
    (train(f"--set=model.embedding_size={2**62}"), "GB of memory"),
    (train("--set=model.num_layers=1000000"), "from 1 to 100"),
    (train("--set=data.order=lines", "--set=data.seq_length=100000000"), "from 1 to 1000000"),
    (train("--set=data.order=lines", "--set=data.batch_size=9000000000"), "A batch takes"),
    (train("--set=model.units=" + "9" * 5000), "a whole number"),
    (train("--set=optimizer.learning_rate=1e300"), "above 0, from 1e-30 to 1e+30"),
    (train("--set=optimizer.learning_rate=1e-300"), "above 0, from 1e-30 to 1e+30"),
    (train("--set=optimizer.clip_norm=1e300"), "optimizer.clip_norm="),
    (train("--set=data.validation_fraction=nan"), "data.validation_fraction=nan"),
    (train(f"--set=samples.num_chars={2**62}"), "from 0 to 100000"),
    (train("--set=samples.temperatures=1e300"), "samples.temperatures="),
    (of_run("generate", f"--num_chars={HUGE}"), "below 2^31"),
    (of_run("generate", "--num_samples=2000000000"), "at most 10000"),
    (of_run("generate", "--temperature=1e-300"), "above 0, from 1e-06"),
    (of_run("evaluate", "--num_rollouts=2000000000"), "--num_rollouts times --num_chars takes"),
    (of_run("evaluate", f"--num_chars={HUGE}"), "set one of the two lower"),
    (of_run("compare", "--temperatures=1e300"), "--temperatures=1e+300"),
    (train("--set=runtime.virtual_replicas=1000000000"), "from 0 to 256"),
    (train("--set=runtime.worker_timeout=1e300"), "above 0 and at most 1e6"),
    (("check", ["--trainer=spans", f"--set=trainer.length={HUGE}"]), "trainer.length"),
    *(
        (train(f"--trainer={trainer}", f"--set=trainer.{name}={2**31}"), f"trainer.{name}=2147483648")
        for trainer, name in [
            ("distillation", "beginning"),
            ("open_loop_horizon", "gold"),
            ("open_loop_horizon", "max_horizon"),
            ("replayed_rollouts", "visits"),
            ("spans", "length"),
            ("two_pass", "passes"),
            ("unlikelihood", "gold"),
            ("unlikelihood", "n"),
        ]
    ),
    (
        train("--trainer=replayed_rollouts", "--set=data.order=windows", f"--set=trainer.batches={2**40}"),
        "trainer.batches=1099511627776 takes at least",
    ),
    # Invalid text.
    (train('--set=samples.prompts=["' + "[" * 100_000), "a JSON list"),
    (train('--set=samples.prompts=["\\ud800"]'), "without surrogates"),
    (train("--corpus=\udcff.txt"), "The argument '--corpus=\\udcff.txt' is not text in UTF-8"),
    (train("--set=model.cell=\x1b[2J\u202e"), "model.cell=\\x1b[2J\\u202e is not possible"),
    (train("--run_dir=a\0b"), "is not text in UTF-8"),
    (of_run("evaluate", "--text=*\ud800*"), "is not text in UTF-8"),
    (of_run("generate", "--prompt=\U0001f3ad\u202eשלום"), "characters that the model never saw"),
    (("encode", ["text.txt", "--output=\ud800"]), "is not text in UTF-8"),
    # Missing files and classes, and names of the wrong kind of thing.
    (train("--trainer=" + "a." * 20_000 + "b:C"), "--trainer=a.a.a."),
    (train("--trainer=os:path"), "trainer='os:path'"),
    (train("--set=model.recurrent_initializer=constant"), "that needs no arguments"),
    (train("--set=model.recurrent_initializer=Initializer"), "that needs no arguments"),
    (train("--set=optimizer.name=LossScaleOptimizer"), "optimizer.name=LossScaleOptimizer"),
    (train("--flagfile=/nowhere"), "/nowhere"),
    (train("--run_dir=" + "x" * 300), "File name too long"),
    (train("--run_dir=nosuch://x"), "File system scheme 'nosuch' not implemented"),
    (of_run("generate", "--run_dir=nosuch://x"), "File system scheme 'nosuch' not implemented"),
    (of_run("generate", "--run_dir=text.txt"), "text.txt"),
    (of_run("compare", "--markdown="), "--markdown="),
    (of_run("compare", "--markdown=/nowhere/at/all"), "--markdown=/nowhere/at/all cannot be written"),
    *(
        ((name, [*arguments, path]), said)
        for path, said in {
            "pipe": "'pipe' is not a regular file",
            "/dev/zero": "'/dev/zero' is not a regular file",
            "loop": "'loop' is not a regular file",
            "dangling": "'dangling' is not a regular file",
            "bom.txt": "is empty",
            "surrogate.txt": "is not UTF-8 (byte 0xed at offset 0)",
            "no.gz": "Not a gzipped file",
            "": "The corpus ''",
        }.items()
        for name, arguments in {"run": [*TINY, "--run_dir=new", "--corpus"], "encode": ["--output=new"]}.items()
    ),
    (train("--corpus=text.txt,pipe"), "'pipe' is not a regular file"),
    (train("--corpus=rows.csv", "--set=data.csv_column=1"), "begins on line 100"),
    (("encode", ["plays:100", "--output=new"]), "'plays:100' is generated for each run, and cannot be joined or"),
    (("encode", ["text.txt", "timetable", "--output=new"]), "'timetable' is generated"),
    (train('--corpus=["text.txt", "plays"]'), "'plays' is generated for each run, and cannot be joined"),
    (("encode", ["text.txt", "--output=nosuch://x"]), "give a local --output"),
    (("encode", ["text.txt", "--output=new", "--validation_fraction=nan"]), "is nan"),
    (("benchmarks.train_step", ["--match=nothing like it"]), "is in none of the labels"),
    (("benchmarks.train_step", ["--json=/nowhere/at/all.json"]), "--json=/nowhere/at/all.json cannot be written"),
    (("benchmarks.train_step", ["--page="]), "cannot be read"),
    (("benchmarks.scaling", ["--page=page.md"]), "page.md cannot be read"),
    (("benchmarks.scaling", ["stray"]), "'stray' belongs to no flag"),
    (("benchmarks.generate", ["--json=run"]), "--json=run cannot be written"),
    (("benchmarks.generate", ["--turns=0"]), "turns"),
    (("benchmarks.reproductions", ["run"]), "which reproduces nothing"),
    (("benchmarks.reproductions", ["page.md"]), "cannot be read"),
]


@pytest.mark.parametrize(
    "given, said", ARGUMENTS, ids=[ascii(f"{name} {arguments[-1]}")[1:60] for (name, arguments), _ in ARGUMENTS]
)
def test_impossible_arguments_are_refused_and_nothing_is_written(call, folder, monkeypatch, given, said):
    monkeypatch.chdir(folder)
    before = snapshot(folder)
    assert_refused(call(given[0], *given[1]), said)
    assert snapshot(folder) == before


@pytest.fixture
def damaged(folder, monkeypatch):
    """Provides the path of a copy of the run, which a test may damage."""
    monkeypatch.chdir(folder)
    yield pathlib.Path(shutil.copytree("run", "damaged"))
    shutil.rmtree("damaged")


def on_damaged(call, name):
    if name == "run":
        return call("run", *TINY, "--steps=3", "--run_dir=damaged")
    places = {"run": "damaged", "--run_dir=run": "--run_dir=damaged"}
    return call(name, *(places.get(argument, argument) for argument in of_run(name)[1]))


RUNS_ANYTHING = {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "pwned"]}}
CONFIGS = {
    "deep": ("generate", "[" * 100_000, "is damaged"),
    "deep inside": ("run", {"x": json.loads("[" * 400 + "]" * 400)}, "nested too deeply"),
    "digits": ("run", '{"seed": ' + "9" * 5000 + "}", "is damaged"),
    "an object to make": ("generate", {"model.recurrent_initializer": RUNS_ANYTHING}, "recurrent_initializer is {"),
    "an object to make, resumed": ("run", {"model.recurrent_initializer": RUNS_ANYTHING}, "belongs to another run"),
    "a policy to make": ("evaluate", {"runtime.precision": RUNS_ANYTHING}, "runtime.precision is {"),
    "a quantised policy": ("generate", {"runtime.precision": "int8_from_float32"}, "precision=int8_from_float32"),
    "many units": ("generate", {"model.units": 10**9}, "GB of memory"),
    "truth for a number": ("generate", {"model.units": True}, "model.units is True, not a int"),
    "many layers": ("compare", {"model.num_layers": 10**20}, "from 1 to 100"),
    "a list for a word": ("generate", {"data.order": ["lines"]}, "data.order is ['lines'], not a str"),
    "no text": ("evaluate", {"corpus": None}, "corpus is None, not a str"),
    "another text": ("evaluate", {"corpus": "\ud800"}, "'\\ud800' is not possible"),
    "a NUL": ("evaluate", {"corpus": "\0"}, "cannot be read"),
    "words for numbers": ("evaluate", {"data.seq_length": "8"}, "data.seq_length is '8', not a int"),
    "no number": ("evaluate", {"data.validation_fraction": float("nan")}, "is nan"),
    "a fraction of a column": ("evaluate", {"data.csv_column": 1.5}, "data.csv_column is 1.5"),
    "an unknown setting": ("evaluate", {"data.colour": "red"}, "no setting data.colour in this version"),
    "no data": ("compare", {"data": None}, "data.order is None"),
    "no seed": ("compare", {"seed": None}, "seed is None, not a int"),
    "no experiment": ("compare", {"experiment": [1]}, "experiment is [1], not a str"),
    "empty": ("run", "{}", "belongs to another run"),
}


@pytest.mark.parametrize("label", CONFIGS)
def test_an_altered_config_is_refused_and_nothing_is_written(call, damaged, label):
    name, changes, said = CONFIGS[label]
    if isinstance(changes, dict):
        config = json.loads((damaged / "config.json").read_text())
        for path, value in changes.items():
            group, _, field = path.rpartition(".")
            (config[group] if group else config)[field] = value
        changes = json.dumps(config)
    (damaged / "config.json").write_text(changes)
    before = snapshot(damaged)
    assert_refused(on_damaged(call, name), said)
    assert snapshot(damaged) == before and not os.path.exists("pwned")


MARKERS = {
    "absolute": '"{outside}/step-2"',
    "above": '"../../outside/step-2"',
    "empty": '""',
    "itself": '"."',
    "above itself": '".."',
    "elsewhere": '"nosuch://x/step-2"',
    "long": '"' + "x" * 10**6 + '"',
    "bytes": '"\\355\\240\\200"',
}


@pytest.mark.parametrize(
    "name, label", [("run", "absolute"), ("run", "long"), *(("generate", label) for label in MARKERS)]
)
def test_an_altered_list_of_checkpoints_leads_to_no_file_outside_the_run(call, damaged, label, name):
    """If the list names files outside the run, `run` repairs it and `generate` refuses it. Neither removes these files.

    See also tests/loop/test_checkpoints.py.
    """
    outside = pathlib.Path(shutil.copytree("run/checkpoints", "outside"))
    try:
        path = MARKERS[label].replace("{outside}", str(outside.absolute()))
        for marker in (damaged / "checkpoints" / "checkpoint", damaged / "best" / "checkpoint"):
            marker.write_text(f"model_checkpoint_path: {path}\nall_model_checkpoint_paths: {path}\n")
        before = snapshot(damaged), snapshot(outside)
        result = on_damaged(call, name)
        if name == "run" and label != "long":  # it resumes from the files that are there, and rewrites the list
            assert result[0] == 0 and "outside" not in (damaged / "checkpoints" / "checkpoint").read_text()
        else:
            assert_refused(result, "checkpoint")
            assert snapshot(damaged) == before[0]
        assert snapshot(outside) == before[1]
    finally:
        shutil.rmtree("outside")


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl"])
@pytest.mark.parametrize("line", ["null", None], ids=["null", "folder"])
def test_records_that_were_altered_are_refused_before_anything_is_written(call, damaged, name, line):
    if line is None:
        (damaged / name).unlink()
        (damaged / name).mkdir()
    else:
        with open(damaged / name, "a") as file:
            file.write(f"{line}\n")
    before = snapshot(damaged)
    assert_refused(on_damaged(call, "run"), name)
    assert snapshot(damaged) == before


def test_a_trainer_that_a_config_names_is_not_imported(call, damaged, monkeypatch):
    """The module could be imported, because its folder is on Python's path. Only a flag may name a trainer."""
    monkeypatch.syspath_prepend(os.getcwd())
    pathlib.Path("planted.py").write_text("open('pwned', 'w')")
    config = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps({**config, "trainer": {"class": "planted:Trainer"}}))
    try:
        assert on_damaged(call, "generate")[0] == on_damaged(call, "evaluate")[0] == command.DONE
        assert_refused(on_damaged(call, "run"), "trainer.class was planted:Trainer")
        assert not os.path.exists("pwned") and "planted" not in sys.modules
    finally:
        os.remove("planted.py")


def test_measures_that_were_altered_are_not_read(call, damaged):
    assert on_damaged(call, "compare")[0] == command.DONE
    path = damaged / "open_loop" / "measures.json"
    kept = json.loads(path.read_text())
    assert measures_file._read(str(path), kept["how"]) is not None
    altered = (
        {"report": []},
        {"sweep": [["warm", [1, 2]]]},
        {"frontier": [[1, 0, 2]]},
        {"report": {"measures": {"x": [1, 2, 3, 4]}}},
    )
    for damage in ("{", "[" * 100_000, "[]", *altered):
        content = {**kept, "evaluation": {**kept["evaluation"], **damage}} if isinstance(damage, dict) else damage
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        assert measures_file._read(str(path), kept["how"]) is None


def test_characters_that_no_terminal_can_show_are_printed_as_replacements(call, damaged):
    size = len(Vocabulary.load(damaged / "vocabulary.json").characters)
    Vocabulary(["\n", *map(chr, range(0xD800, 0xD800 + size - 1))]).save(damaged / "vocabulary.json")
    status, text, _ = on_damaged(call, "generate")
    assert status == command.DONE and set(text) <= {"\n", "?", "\ufffd"}


@pytest.mark.parametrize("name", ["run", "generate"])
def test_a_run_without_complete_checkpoints_is_refused(call, damaged, name):
    for path in damaged.glob("*/step-*.index"):
        path.unlink()
    status, _, errors = on_damaged(call, name)
    assert status == command.MISTAKE and errors.splitlines()[-1].startswith("error: ")


def test_a_process_refuses_broken_utf8_and_writes_to_an_ascii_terminal():
    """Only a new process decodes its arguments and sets up its streams. All commands share this code."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    cases = {b"--prompt=\xff": r"\udcff' is not text", "\N{PERFORMING ARTS}": r"'\U0001f3ad' belongs to no flag"}
    for argument, said in cases.items():
        line = [sys.executable, "-m", "charrnn.generate", argument]
        done = subprocess.run(line, capture_output=True, env=environment)
        assert_refused((done.returncode, done.stdout, done.stderr.decode()), said)


NAMES = st.sampled_from(
    """
    model.cell model.units model.num_layers model.embedding_size model.recurrent_initializer data.seq_length data.order
    data.batch_size data.stride data.csv_column data.validation_fraction data.lowercase optimizer.name samples.prompts
    optimizer.learning_rate optimizer.clip_norm loop.steps loop.epochs samples.temperatures runtime.precision
    """.split()
)
VALUES = st.one_of(st.text(), st.text(st.characters()), st.integers().map(str), st.floats().map(str))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.builds("{}={}".format, NAMES, VALUES), st.text(st.characters())))
def test_any_override_gives_an_experiment_or_a_sentence(setting):
    try:
        experiment = override(Experiment(), [setting])
    except UserError as error:
        assert str(error)
    else:
        assert isinstance(experiment, Experiment)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode)).map(lambda data: data * 5),
    st.sampled_from([{}, {"order": "lines"}, {"csv_column": 1}, {"vocabulary": "bytes"}, {"lowercase": True}]),
)
def test_any_file_is_read_or_refused(tmp_path, data, config):
    (tmp_path / "text").write_bytes(data)
    try:
        texts = load_texts(str(tmp_path / "text"), DataConfig(**config, validation_fraction=0.0), lambda line: None)
    except UserError as error:
        assert str(error)
        return
    if config in ({}, {"vocabulary": "bytes"}):
        decoded = data.decode("utf-8", "replace" if config else "strict")
        assert texts.vocabulary.decode(texts.train) == (decoded if config else decoded.removeprefix("\ufeff"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=st.one_of(st.text(st.characters(), max_size=20), st.text("TO be,\n", min_size=1, max_size=140)))
def test_any_prompt_is_continued_or_refused(model, prompt):
    try:
        text = model.generate(prompt, 2)
    except UserError:
        assert not prompt or model.vocabulary.unknown_characters(prompt)
    else:
        assert len(text) == 2 and not model.vocabulary.unknown_characters(text)


@pytest.fixture(scope="module")
def model(folder):
    return loading.load(str(folder / "run"))


def test_a_line_of_ten_megabytes_is_read_in_seconds(folder):
    for config in ({}, {"order": "lines", "validation_fraction": 0.0}, {"vocabulary": "bytes"}, {"lowercase": True}):
        start = time.process_time()
        texts = load_texts(str(folder / "line.csv"), DataConfig(**config), lambda line: None)
        assert time.process_time() - start < SECONDS
        ids = np.asarray(texts.train)
        assert (ids == ids[1]).sum() >= 9_000_000


def test_a_text_that_is_a_thousand_times_its_file_is_not_read_into_memory(monkeypatch, tmp_path):
    """The text is encoded block by block, like any large corpus."""
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"\n" * 20_000_000))
    assert (tmp_path / "bomb.gz").stat().st_size < 30_000
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = []
    texts = load_texts(str(tmp_path / "bomb.gz"), DataConfig(), lines.append)
    assert len(texts.train) == 18_000_000 and not isinstance(texts.train, np.ndarray) and "Encoding" in lines[0]
