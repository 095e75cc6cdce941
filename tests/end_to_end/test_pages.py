"""Tests that every block of code in README.md, CONTRIBUTING.md and docs/ runs, in the order of its page.

Bash reads the commands, with all loops, globs and quotes. Instead of `python` and some other programs it finds
stand-ins that only record their arguments. Each call is then made in this process, with smaller sizes. If a call cannot
be made here (ONLY_READ), its flags and settings must at least exist.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

import experiments
from benchmarks.curricula import STUDIES
from charrnn import command
from charrnn.batches.sources import DataConfig, make_source
from charrnn.batches.texts import load_texts
from charrnn.text import corpora
from charrnn.text.plays import Plays
from trainers import compare, local_workers, run

pytestmark = pytest.mark.slow

HOUSE = pathlib.Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(HOUSE)) for path in (HOUSE / "docs").rglob("*.md")),
]

_HALF_A_MINUTE = "takes half a minute; tests/test_check.py runs it"
_HOURS = "takes up to hours; tests/test_benchmarks.py and tests/test_study.py run short ones"
_MACHINES = "is for machines that share a disk; tests/test_local_workers.py starts several workers"
ONLY_READ = {
    "pip install -e .": ".ci/run does it",
    "pip install -e .[test]": ".ci/run does it",
    "pytest -n auto": "is running",
    "tensorboard --logdir runs/": "serves until it is stopped; tests/test_summaries.py reads what it shows",
    "python -m trainers.check --trainer=my_curriculum:Ramp --set trainer.ramp_steps=20": _HALF_A_MINUTE,
    **{f"python -m benchmarks.curricula --study={name} --page=docs/notes/study.md": _HOURS for name in STUDIES},
    "python -m benchmarks.train_step --curricula --seconds=3 --page=docs/notes/study.md": _HOURS,
    "python -m benchmarks.train_step --page=docs/notes/performance.md": _HOURS,
    "python -m trainers.local_workers --num_workers=2 -- --experiment=quickstart --run_dir=runs/workers": _MACHINES,
    "python -m trainers.run --experiment=shakespeare_gru --run_dir=/shared/runs/pair": _MACHINES,
    "python -m trainers.run --experiment=shakespeare_gru --run_dir=/shared/runs/slurm": _MACHINES,
    "python -m trainers.run --experiment=shakespeare_gru --run_dir=/shared/runs/kubernetes": _MACHINES,
}
"""Calls that are not made, with the reason."""

ONLY_COMPILED = {"mlflow": "an experiment tracker, which nothing else here needs"}
"""Packages that a block of Python may import without being run, if they are not installed, and why."""

_SMALL = """
    model.units=4 model.embedding_size=0 data.seq_length=8 data.batch_size=4 loop.steps=1 loop.epochs=0
    samples.num_chars=0 loop.profile=
""".split()
SHORTER = {
    "trainers.run": [*_SMALL, "data.validation_fraction=0", "loop.patience=0"],  # patience needs a validation text
    "trainers.evaluate": ["--num_rollouts=2", "--num_chars=50"],
    "trainers.compare": ["--num_rollouts=2", "--num_chars=50", "--temperatures=1", "--nopictures"],
    "trainers.study": [
        *"--num_rollouts=2 --num_chars=50 --temperatures=1 --epsilons= --nopictures --seeds=1".split(),
        *_SMALL,
    ],
    "charrnn.generate": ["--num_chars=4"],
    "charrnn.export": ["--formats=saved_model"],
}
"""Flags, of which the last counts, and settings that are added to a call."""

NO_RUN = {"--list", "--help", "--help_settings", "--print_config", "--dry_run"}
"""Flags of trainers.run that leave no run behind."""

FEWER = {"steps=300": "steps=3"}
"""Replacements in a block of Python."""

TEXT = "ROMEO: JULIET: Shall I\n" * 40 + Plays().text(6000, seed=1)
TRAINED = set()
"""The groups of settings of the runs that were made."""

# One write per call, because the programs of a pipe run at the same time.
WRITES_DOWN = r"""printf -v call '%s\x1f' "${0##*/}" "$@"; printf '%s\x1e' "$call" >>"$CALLS" """
CALLS_ON = 'while [[ $1 == --* ]]; do shift; done; exec "$@"'
PROGRAMS = "python pip pytest tensorboard mkdocs scontrol less".split()


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """Trains a run that stands in for the reader's runs. `compare` stores its measures in it; returns its directory."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "text").write_text(TEXT)
    given = ["--experiment=quickstart", f"--corpus={folder / 'text'}", f"--run_dir={folder / 'run'}", *_SMALL]
    assert command.run(run.main, run.FLAGS, ["run", *given]) == command.DONE
    measured = ["compare", str(folder / "run"), *SHORTER["trainers.compare"]]
    assert command.run(compare.main, compare.FLAGS, measured) == command.DONE
    return folder / "run"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Creates a reader's working directory: files, and stand-in programs that record their arguments."""
    for name in "my.txt names.txt any.file letter.txt another.txt sonnets.txt texts/a.txt texts/b/c.txt".split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(TEXT)
    shutil.copytree(tmp_path / "texts", tmp_path / "my texts")
    rows = "".join(f'3,"row, {i % 7}",more\n' for i in range(300))
    (tmp_path / "posts.csv").write_text(rows)
    for published in corpora.PUBLISHED.values():
        path = tmp_path / "data" / published.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows if path.suffix == ".csv" else TEXT)
    (tmp_path / "programs").mkdir()
    for name in [*PROGRAMS, "srun"]:
        program = tmp_path / "programs" / name
        program.write_text(f"#!/bin/bash\n{WRITES_DOWN if name != 'srun' else CALLS_ON}\n")
        program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(corpora, "BUILT_IN_CHARS", 20_000)
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path / "experiments")])
    handlers, modules = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}, set(sys.modules)
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


def blocks(page):
    """Returns the blocks of a page, each with its language, up to two lines of text before it, and its code."""
    text = (HOUSE / page).read_text()
    found = re.findall(r"((?:^(?!```)[^\n]*\n){0,2})^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert 2 * len(found) == len(re.findall("^ *```", text, re.MULTILINE)), page
    return [(language, before, block) for before, language, block in found]


def script(language, text):
    """Returns the shell script of a block. In the block for Kubernetes, it is the argument of a container."""
    return re.search(r"- \|\n((?: {10}.*\n)+)", text)[1] if language == "yaml" else text


def calls_of(block, desk):
    """Returns the words of each call that a Bash block makes."""
    environment = {**os.environ, "PATH": f"{desk / 'programs'}:{os.environ['PATH']}", "CALLS": str(desk / "calls")}
    (desk / "calls").write_text("")
    environment |= {"SLURM_PROCID": "0", "SLURM_JOB_NODELIST": "a,b", "JOB_COMPLETION_INDEX": "1"}
    done = subprocess.run(["bash", "-c", block], env=environment, capture_output=True, text=True, timeout=60)
    assert "not found" not in done.stderr, done.stderr
    return [call.split("\x1f")[:-1] for call in (desk / "calls").read_text().split("\x1e")[:-1]]


def module_of(words):
    """Returns the module of a command, and its name."""
    assert words[:2] == ["python", "-m"], words
    package = importlib.util.find_spec(words[2]).submodule_search_locations
    return importlib.import_module(f"{words[2]}.__main__" if package else words[2]), words[2]


def read(words):
    """Checks the flags and settings of a call without making the call."""
    if words[0] != "python":
        return
    module, name = module_of(words)
    module.FLAGS.unparse_flags()
    beside = module.FLAGS(words[2:])[1:]
    if name == "trainers.run":
        resolved(words[3:])
    elif name == "trainers.local_workers":
        assert module is local_workers
        read(["python", "-m", "trainers.run", *beside])
    elif name == "trainers.check":
        given = [f"--set={setting}" for setting in [*module.FLAGS.set, *beside]]
        read(["python", "-m", "trainers.run", "--experiment=quickstart", f"--trainer={module.FLAGS.trainer}", *given])


def make(words, a_run):
    """Makes a call with smaller sizes.

    If an earlier training run had the same network, optimizer, trainer, runtime and reports, only makes a batch of its
    text.
    """
    module, name = module_of(words)
    shorter = [] if "--help_settings" in words else SHORTER.get(name, [])  # its arguments are prefixes
    shorter = [] if flag(words, "formats") else shorter  # the given format is quick to export
    arguments = [*words[3:], *shorter]
    if name == "trainers.run" and not NO_RUN & set(words):
        config = resolved(arguments)
        trained = json.dumps([*(config[group] for group in ("model", "optimizer", "trainer", "runtime")), own(words)])
        if trained in TRAINED:
            data = DataConfig(**config["data"])
            assert make_source(load_texts(config["corpus"], data, print).train, data, 0).batch_at(0)
            return
        TRAINED.add(trained)
        if flag(words, "init_from"):
            stand_in(flag(words, "init_from"), a_run)
        arguments.append("--run_dir=made")
        shutil.rmtree("made", ignore_errors=True)
    elif name == "trainers.compare":
        for path in (word for word in words[3:] if not word.startswith("--")):
            stand_in(path, a_run)
    elif flag(words, "run_dir"):
        stand_in(flag(words, "run_dir"), a_run)
    assert command.run(module.main, module.FLAGS, [name, *arguments]) == command.DONE, words


def resolved(arguments):
    """Returns all settings of a run; None if its flags print something else."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert command.run(run.main, run.FLAGS, ["run", *arguments, "--print_config"]) == command.DONE, arguments
    return json.loads(out.getvalue()) if out.getvalue().startswith("{") else None


def flag(words, name):
    return next((word.partition("=")[2] for word in words if word.startswith(f"--{name}=")), None)


def missing(text):
    """Returns the packages of ONLY_COMPILED that a block imports and that are not installed."""
    imported = re.findall(r"^import (\w+)$", text, re.MULTILINE)
    return [name for name in imported if name in ONLY_COMPILED and not importlib.util.find_spec(name)]


def own(words):
    """Returns the flags that give a run the user's own reports."""
    return [word for word in words if word.startswith("--report=")]


def stand_in(path, a_run):
    """Copies the run to a path where the reader would have one.

    If the name ends with a dash and a number, the number becomes the seed. The learning rate then depends on the length
    of the rest, so that the compared runs differ.
    """
    if os.path.isdir(path):
        return
    shutil.copytree(a_run, path)
    group, dash, seed = path.rpartition("-")
    if dash and seed.isdecimal():
        config = json.loads((pathlib.Path(path) / "config.json").read_text())
        config["seed"] = int(seed)
        config["optimizer"]["learning_rate"] = 1e-4 * len(group)
        (pathlib.Path(path) / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_every_block_of_code_runs(page, desk, a_run, monkeypatch, capsys):
    for language, before, text in blocks(page):
        if language in ("bash", "yaml"):
            for words in calls_of(script(language, text), desk):
                monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ROMEO:\n")))
                read(words)
                if " ".join(words) not in ONLY_READ and words[0] not in ("scontrol", "less"):
                    make(words, a_run)
        elif language == "python":
            for path in re.findall(r'load\("(runs/\w+)"', text):
                stand_in(path, a_run)
            own_file = re.search(r"[Pp]ut \w+ (?:in|into)\s`([\w/]+\.py)`|[Ii]n `([\w/]+\.py)`:$", before)
            if own_file:
                path = pathlib.Path(own_file[1] or own_file[2])
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            for most, fewer in FEWER.items():
                text = text.replace(most, fewer)
            code = compile(text, page, "exec")
            if not missing(text):
                exec(code, {"__name__": "page"})
        else:
            assert not language, f"{page} has a block of {language}, which nothing runs"
            assert "python -m" not in text, f"{page} has a command in a block that is not of bash"
    capsys.readouterr()


def test_every_exception_is_still_on_a_page(desk):
    every = [block for page in PAGES for block in blocks(page) if block[0] in ("bash", "yaml")]
    found = {" ".join(words) for language, _, text in every for words in calls_of(script(language, text), desk)}
    assert set(ONLY_READ) <= found
    code = "".join(text for page in PAGES for language, _, text in blocks(page) if language == "python")
    assert all(f"import {name}\n" in code for name in ONLY_COMPILED)


def test_every_command_within_a_line_has_valid_flags():
    found = 0
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", (HOUSE / page).read_text(), flags=re.DOTALL | re.MULTILINE)
        for line in re.findall(r"`(python -m [^`]*)`", prose):
            module, _ = module_of(line.split())
            module.FLAGS.unparse_flags()
            module.FLAGS(line.split()[2:])
            found += 1
    assert found > 5


def test_links_lead_to_files_and_the_site_lists_every_page():
    """The build of the site checks the links within docs/."""
    for page in ("README.md", "BUILD.md", "CONTRIBUTING.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", (HOUSE / page).read_text())
        assert all((HOUSE / link).exists() for link in links)
    listed = re.findall(r"([\w/]+\.md)", (HOUSE / "mkdocs.yml").read_text())
    pages = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
    assert sorted(listed) == sorted([*pages, "tutorial.md"])  # made from the notebook
