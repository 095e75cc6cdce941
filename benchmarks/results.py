"""Prints the tables and draws the picture of docs/notes/results.md from finished runs.

    python -m trainers.evaluate --run_dir=runs/record-0 --ngram --dynamic --json > record-0.json
    python -m benchmarks.results runs/record-{0,1,2} --evaluated=record-0.json --page=docs/notes/results.md

Runs that differ only in their seed share a line; other runs of an experiment are named by their settings. The losses
are those at the end of each run. --evaluated names output files of `trainers.evaluate --json`, for the table of other
systems. --plot needs matplotlib.
"""

import os
import statistics
import sys
from collections.abc import Iterable
from typing import NamedTuple

from absl import flags

from benchmarks.pages import Page, import_pyplot, load_json
from charrnn import command
from charrnn.errors import UserError
from charrnn.files import paths

FLAGS = flags.FlagValues()
command.paths_flag("evaluated", "Output file of trainers.evaluate --json.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the text between the marks.", FLAGS)
command.path_flag("plot", None, "File for a picture of the losses over the steps.", FLAGS)

_LOSSES = {"nats_per_char_window_256": "windows of 256", "nats_per_char": "state carried"}
_OTHERS = {
    "nats_per_char_7_gram": "7-gram alone",
    "nats_per_char_with_7_gram": "with the 7-gram",
    "nats_per_char_dynamic": "dynamic evaluation",
}


class Row(NamedTuple):
    """Runs that differ only in their seed."""

    name: str
    run_dirs: list[str]
    num_weights: int
    histories: list[dict]  # see `trainers.launch.result.History`


def main(run_dirs: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    if not run_dirs:
        raise UserError("No runs are given: give run directories that trainers.run has made.")
    page = Page(FLAGS.page, "benchmarks.results")
    pyplot = import_pyplot(FLAGS.plot) if FLAGS.plot else None
    evaluated = dict(map(_read_evaluated, FLAGS.evaluated))
    command.start_tensorflow()
    rows = _read(run_dirs)
    tables = [_table(["weights", "minutes", "seeds", *_LOSSES.values()], map(_ours, rows))]
    if evaluated:
        tables.append(_table([*_OTHERS.values()], (_others(row, evaluated) for row in rows)))
    text = "\n\n".join(tables)
    print(text)
    page.put(text)
    if pyplot:
        _draw(pyplot, rows).savefig(FLAGS.plot, dpi=120)
    return command.DONE


def _read_evaluated(path: str) -> tuple[str, dict[str, dict]]:
    """Returns the run directory, and its measures."""
    try:
        evaluated = load_json(path)
        return os.path.normpath(evaluated["run_dir"]), evaluated["measures"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is not what trainers.evaluate --json prints ({error}).") from error


def _read(run_dirs: list[str]) -> list[Row]:
    from charrnn.generation import loading
    from trainers.evaluation import comparison
    from trainers.evaluation.evaluation import read_config
    from trainers.launch.result import Result

    runs: dict[str, list[comparison.MeasuredRun]] = {}
    for run_dir in map(os.path.normpath, map(paths.given, run_dirs)):
        config = read_config(run_dir)
        name = f"`{config['experiment']}` on {config['corpus']}"
        runs.setdefault(name, []).append(comparison.MeasuredRun(run_dir, config))
    rows = []
    for name, alike in runs.items():
        groups = comparison.group_runs(alike)
        for group in groups:
            folders = [run.path for run in group.runs.values()]
            histories = [Result.read(folder, finished=True).history for folder in folders]
            for folder, history in zip(folders, histories, strict=True):
                if not _LOSSES.keys() <= history.get("validation", {}).keys():
                    raise UserError(f"{folder} has no validation loss of running text: let the run reach its end.")
            label = name if len(groups) == 1 else f"{name}, {group.name}"
            rows.append(Row(label, folders, loading.load(folders[0]).model.count_params(), histories))
    return rows


def _ours(row: Row) -> list[str]:
    minutes = sorted({f"{history['validation']['seconds'][-1] / 60:.0f}" for history in row.histories}, key=int)
    losses = ([history["validation"][name][-1] for history in row.histories] for name in _LOSSES)
    seeds = str(len(row.run_dirs))
    return [row.name, f"{row.num_weights / 1e6:.2f} M", ", ".join(minutes), seeds, *map(_mean, losses)]


def _others(row: Row, evaluated: dict[str, dict]) -> list[str]:
    known = [evaluated[run_dir] for run_dir in row.run_dirs if run_dir in evaluated]
    values = ([measures[name]["value"] for measures in known if name in measures] for name in _OTHERS)
    return [row.name, *map(_mean, values)]


def _mean(values: list[float]) -> str:
    """Returns the mean, with the standard deviation if there are several runs."""
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def _table(columns: list[str], rows: Iterable[list[str]]) -> str:
    lines = [["run", *columns], ["---"] * (len(columns) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _draw(pyplot, rows: list[Row]):
    """Draws the loss over the steps: lines for training (with dropout), points for held-out text."""
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for i, row in enumerate(rows):
        for history in row.histories:
            columns = {split: (values["step"], values["nats_per_char"]) for split, values in history.items()}
            axes.plot(*columns["train"], f"C{i}", linewidth=0.7, alpha=0.6)
            axes.plot(*columns["validation"], f"C{i}o", markersize=4)
        axes.plot([], [], f"C{i}o-", label=row.name.replace("`", ""))
    axes.set_ylim(top=2.0)
    axes.set_xlabel("step")
    axes.set_ylabel("nats per character: line training, points validation")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
