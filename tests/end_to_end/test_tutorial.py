"""Tests that the tutorial notebook runs as a reader would run it, in its own kernel."""

import os
import pathlib

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parents[2]


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    notebook = nbformat.read(HERE / "docs/tutorial.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)  # stored without outputs
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    *_, ramp, measured = (text_of(cell) for cell in cells)
    first, more, table = (text_of(cell) for cell in cells[:3])
    assert "<Result runs/tutorial: finished at step 150; validation" in first and "Resuming at step 150" in more
    assert "<Result runs/tutorial-ramp: finished at step 300; validation" in ramp
    losses = [float(line.split()[1]) for line in table.splitlines()]
    assert len(losses) == 6 and losses == sorted(losses, reverse=True) and losses[-1] < 1.5
    assert any("image/png" in output.get("data", {}) for output in cells[3].outputs)
    assert measured.count("reference_loss") == 2 and "nan" not in measured
    said = [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    assert [output.text for output in said] == []


def text_of(cell):
    """Returns the printed text of a cell, and its value."""
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
