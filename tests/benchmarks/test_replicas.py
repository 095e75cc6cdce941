"""Tests the benchmark of a worker's time and memory, also in another checkout."""

import os
import shutil

import pytest

from benchmarks import replicas, train_step
from charrnn import command


@pytest.mark.slow
def test_the_table_has_a_row_for_each_number_of_workers(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- made by benchmarks.replicas: begin -->\n<!-- made by benchmarks.replicas: end -->\n")
    earlier = tmp_path / "earlier"
    shutil.copytree(os.path.join(os.getcwd(), "charrnn"), earlier / "charrnn")
    (earlier / "benchmarks").mkdir()
    arguments = ["replicas", "--turns=1", "--processes=2", "--most=2", f"--earlier={earlier}", f"--page={page}"]
    assert command.run(replicas.main, replicas.FLAGS, arguments) == command.DONE
    lines = page.read_text().splitlines()
    for name in ("now", "earlier"):
        head = lines.index(f"| workers ({name}) | batch, ms | noise, ms | both, ms | memory, MB |")
        rows = [line.strip("| ").replace(",", "").split(" | ") for line in lines[head + 2 : head + 4]]
        cells = [list(map(float, row)) for row in rows]
        assert [row[0] for row in cells] == [1, 2]
        assert all(0 < number < 10_000 for row in cells for number in row[:4])
    assert "\n".join(lines[1:-1]) in capsys.readouterr().out


def test_growth_is_computed_from_two_workers_on():
    rows = {
        1: {"batch": 0.001, "noise": 0.001, "bytes": 1e6},
        2: {"batch": 0.001, "noise": 0.003, "bytes": 2e6},
        1024: {"batch": 0.001, "noise": 0.005, "bytes": 3e6},
    }
    lines = replicas.table("now", rows).splitlines()
    assert lines[-3] == "| 1,024 | 1.00 | 5.00 | 6.00 | 3.0 |"
    assert lines[-1] == "From 2 to 1,024 workers: 1.50 × the time, 1.50 × the memory."


@pytest.mark.parametrize("benchmark", [replicas, train_step])
@pytest.mark.parametrize("missing", ["charrnn", "benchmarks"])
def test_a_folder_that_is_no_checkout_is_refused(benchmark, missing, tmp_path, capsys):
    for name in {"charrnn", "benchmarks"} - {missing}:
        (tmp_path / name).mkdir()
    assert command.run(benchmark.main, benchmark.FLAGS, ["benchmark", f"--earlier={tmp_path}"]) == command.MISTAKE
    assert f"has no folder {missing}" in capsys.readouterr().err


def test_another_checkout_is_refused_beside_curricula(capsys):
    arguments = ["train_step", "--curricula", "--earlier=."]
    assert command.run(train_step.main, train_step.FLAGS, arguments) == command.MISTAKE
    assert "leave out --curricula" in capsys.readouterr().err
