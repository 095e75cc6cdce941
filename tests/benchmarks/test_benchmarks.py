"""Tests that each contestant of the benchmarks runs, and how their tables are made."""

import json
import math
import os

import pytest

from benchmarks import (
    generate,
    jax_peer,
    keras_peer,
    machine,
    memory,
    ours,
    scaling,
    steps_per_call,
    torch_peer,
    train_step,
    xla,
)
from charrnn import command
from charrnn.errors import UserError
from trainers.experiment import Experiment, override, with_trainer
from trainers.trainer import Trainer

pytestmark = pytest.mark.slow

LAST = ["model.cell=lstm", "model.embedding_size=0", "data.order=windows", "data.targets=last"]
SMALL = ["model.units=16", "data.batch_size=4", "data.seq_length=8", "optimizer.clip_norm=1"]


@pytest.mark.parametrize("settings", [[], LAST])
@pytest.mark.parametrize("contestant", [ours.train, keras_peer.fit, machine.matmuls])
def test_a_training_step_is_timed(contestant, settings):
    turn = contestant("quickstart", [*SMALL, "model.num_layers=2", *settings])
    assert 0 < turn(2)["seconds"] < 10


def test_open_loop_and_another_corpus_are_possible(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be, that is the question. " * 20)
    settings = [*SMALL, "trainer.schedule=constant", "trainer.max_prob=0.5"]
    measured = ours.train("quickstart", settings, "scheduled_sampling", str(path))(3)
    assert 0 < measured["step_seconds"] < measured["seconds"]


@pytest.mark.parametrize("settings", [[], LAST])
def test_the_torch_peer_is_timed(settings):
    pytest.importorskip("torch")
    assert 0 < torch_peer.fit("quickstart", [*SMALL, *settings])(2)["seconds"] < 10


@pytest.mark.parametrize("settings", [[], LAST, ["model.cell=rnn", "model.longest_memory=0"]])
def test_the_jax_peer_is_timed(settings):
    pytest.importorskip("optax")
    settings = [*SMALL, "model.num_layers=2", "runtime.precision=mixed_bfloat16", *settings]
    assert 0 < jax_peer.fit("quickstart", settings)(2)["seconds"] < 10


@pytest.mark.parametrize("contestant", [ours.generate, keras_peer.generate])
def test_generation_is_timed(contestant):
    assert 0 < contestant(batch_size=2, num_chars=3)(1)["seconds"] < 30


def test_generation_may_be_compiled_for_each_text():
    kept, each = (ours.generate(1, 30, xla=True, units=16, compile_each=again)(3) for again in (False, True))
    assert 0 < kept["seconds"] < each["seconds"]  # a text of 30 characters takes far less than its compilation
    assert kept["first_seconds"] > kept["seconds"]


def test_the_table_of_generation_compares_speeds():
    speeds = {"ours": 5000.0, "ours, `--xla`": 6000.0, "ours, `--noxla`": 4000.0, "tutorial": 1000.0}
    _, _, *rows = generate.table([{"batch_size": 1, "num_chars": 10000, "chars_per_second": speeds}]).splitlines()
    assert rows[0] == "| 1 | 10,000 | ours | 5,000 | 5.00 × | not installed |" and len(rows) == 3


def test_the_table_of_xla_shows_after_how_many_characters_xla_pays():
    fast, slow = {"seconds": 0.2, "first_seconds": 0.6}, {"seconds": 0.3, "first_seconds": 0.1}
    rows = {(1024, 1): {"plain": slow, "XLA": fast}, (64, 8): {"plain": fast, "XLA": {**slow, "first_seconds": 0.7}}}
    assert xla.table(rows).splitlines()[2:] == [
        "| 1,024 | 1 | 0.50 | 300 | 200 | 5,000 |",
        "| 64 | 8 | 0.10 | 200 | 300 | never |",
    ]


def test_the_table_gives_all_times_as_multiples_of_ours():
    measured = {
        "closed loop": {"seconds": 0.5, "step_seconds": 0.49, "peak_mb": 900.0},
        "open loop": {"seconds": 0.51, "step_seconds": 0.5, "peak_mb": 950.0},
        "keras": {"seconds": 1.25, "peak_mb": 1000.0},
        "jax": {"seconds": 0.75, "peak_mb": 800.0},
        "matmuls": {"seconds": 0.4, "peak_mb": 500.0},
    }
    row = train_step.table([{"label": "GRU", "measured": measured}]).splitlines()[-1]
    columns = ["GRU", "0.5000", "1.02 ×", "2.50 ×", "–", "not installed", "1.50 ×", "0.80 ×", "2.0%", "0.90 ×"]
    assert row == f"| {' | '.join(columns)} |"


def test_a_call_takes_as_many_steps_as_asked_for(monkeypatch):
    sizes, train_steps = [], Trainer.train_steps

    def noted(self, batches):
        sizes.append(len(batches))
        return train_steps(self, batches)

    monkeypatch.setattr(Trainer, "train_steps", noted)
    for count in (1, 3):
        ours.train("quickstart", [*SMALL, f"loop.steps_per_loop={count}"])(5)
    assert sizes == [1, 1, 1, 1, 1, 1, 3, 3, 2]
    rows = {"quickstart": {"several": {"seconds": 0.02}, "one": {"seconds": 0.03}}}
    assert steps_per_call.table(rows).splitlines()[-1] == "| `quickstart` | 0.0200 | 0.0300 | 1.50 × |"


def test_the_table_of_curricula_gives_times_as_multiples_of_teacher_forcings():
    measured = {"teacher_forcing": {"seconds": 0.5, "peak_mb": 100.0}, "spans": {"seconds": 1.0, "peak_mb": 100.0}}
    rows = train_step.table_of_curricula(measured).splitlines()[2:]
    assert rows[0] == "| teacher_forcing | 0.5000 | 1.00 × | – | 1.00 × |"
    assert rows[1] == "| spans | 1.0000 | 2.00 × | 1.05 × | 1.00 × |"


def test_every_curriculum_whose_cost_is_measured_takes_its_settings():
    for cost in train_step.CURRICULA.values():
        override(with_trainer(Experiment(), cost.trainer), cost.settings)


def test_the_rows_of_an_earlier_call_on_this_machine_are_kept(tmp_path, monkeypatch):
    file = tmp_path / "rows.json"
    row = {"label": "GRU 128", "measured": {}}
    file.write_text(json.dumps({"machine": machine.describe(), "turns": 5, "rows": [row]}))
    train_step.FLAGS(["benchmark", f"--json={file}", "--turns=5"])
    assert train_step._kept([]) == {"GRU 128": row}
    assert train_step._kept(["runtime.xla=true"]) == {}
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # computes like another machine
    assert train_step._kept([]) == {}
    file.write_text("[]")
    with pytest.raises(UserError, match="no file of this command"):
        train_step._kept([])


@pytest.mark.parametrize(
    "flag, said",
    [
        ("--json=/nowhere/at/all.json", "--json=/nowhere/at/all.json cannot be written"),
        ("--page=/nowhere/page.md", "/nowhere/page.md cannot be read"),
    ],
)
def test_a_file_that_cannot_be_written_is_reported_before_the_work_begins(flag, said, capsys):
    for module in (train_step, scaling):
        assert command.run(module.main, module.FLAGS, ["benchmark", flag]) == command.MISTAKE
        assert said in capsys.readouterr().err


def test_the_exponent_is_the_power_of_the_size():
    points = [{"size": size, "microseconds": 3 * size**1.5} for size in (1, 2, 4, 8)]
    assert math.isclose(scaling.exponent(points, "microseconds"), 1.5)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux tells a process's resident memory")
def test_training_and_use_of_a_model_do_not_leak_memory(tmp_path):
    """A short form of benchmarks.memory. An evaluation that compiles again takes nearly a megabyte."""
    assert memory.train(100, str(tmp_path / "run")) < memory.MAX_MB
    grown = memory.use(str(tmp_path / "run"), rounds=14)
    assert max(grown.values()) < 10, grown
    kept = []
    assert memory._repeat(lambda i: kept.append(b"x" * 10**6), 30) > 20
