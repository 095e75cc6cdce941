"""Prints the tables of docs/notes/reproductions.md: python -m benchmarks.reproductions RUN_DIR RUN_DIR …

    python -m benchmarks.reproductions runs/shakespeare_gru runs/linux_lstm --page=docs/notes/reproductions.md

Reads run directories, and prints Markdown; --page replaces the text between the marks of that page. --speed names files
from `benchmarks.train_step --json=FILE`. No figure of ours is typed by hand; those of the originals are below.
"""

import json
import os
import sys
from typing import NamedTuple

from absl import flags

from benchmarks.pages import Page, load_json
from charrnn import command
from charrnn.errors import UserError
from charrnn.files import paths

FLAGS = flags.FlagValues()
command.paths_flag("speed", "File from benchmarks.train_step --json.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the text between the marks.", FLAGS)


class Original(NamedTuple):
    """Published training losses of one of the programs that the project starts from, nats per character by epoch."""

    losses: tuple[float, ...] = ()
    kind: str = "mean"  # mean of the epoch; "end": last batch of the epoch


ORIGINALS = {
    "shakespeare_gru": Original((2.676, 1.962, 1.693, 1.545, 1.458, 1.397, 1.352, 1.313, 1.278, 1.244)),
    "shakespeare_lstm": Original((2.083, 1.735, 1.567, 1.467, 1.399, 1.344, 1.297), "end"),
    "nietzsche_lstm": Original(),
    "linux_lstm": Original((1.398, 1.124, 1.044, 1.038, 0.997, 0.961, 0.884, 0.880, 0.879, 0.823), "end"),
    "ag_news_lstm": Original(),
}


def main(run_dirs: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    if not run_dirs:
        raise UserError("No runs are given: give run directories of " + ", ".join(ORIGINALS) + ".")
    page = Page(FLAGS.page, "benchmarks.reproductions")
    runs = dict(map(_read, map(paths.given, run_dirs)))
    text = "\n\n".join(_section(name, lines) for name, lines in runs.items())
    if FLAGS.speed:
        text += "\n\n" + _speeds([row for path in FLAGS.speed for row in load_json(path)["rows"]], runs)
    print(text)
    page.put(text)
    return command.DONE


def _read(run_dir: str) -> tuple[str, list[dict]]:
    """Returns the name of the experiment, and the lines of metrics.jsonl."""
    config = load_json(os.path.join(run_dir, "config.json"))
    name = config.get("experiment") if isinstance(config, dict) else None
    if name not in ORIGINALS:
        raise UserError(f"{run_dir} is a run of {name}, which reproduces nothing: give one of {', '.join(ORIGINALS)}.")
    path = os.path.join(run_dir, "metrics.jsonl")
    try:
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        evaluated = any(line["split"] == "validation" for line in lines)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    if not evaluated:
        raise UserError(f"{path} has no evaluation yet: let the run reach the end of its first epoch.")
    return name, lines


def _section(name: str, lines: list[dict]) -> str:
    """Returns the table of one system, a line per epoch; an epoch ends with an evaluation."""
    original = ORIGINALS[name]
    rows, start, seconds = [], 0, 0.0
    for epoch, line in enumerate(line for line in lines if line["split"] == "validation"):
        losses = [x["nats_per_char"] for x in lines if x["split"] == "train" and start < x["step"] <= line["step"]]
        ours = losses[-1] if original.kind == "end" else sum(losses) / len(losses)
        published = f"{original.losses[epoch]:.3f}" if epoch < len(original.losses) else "–"
        took = f"{line['seconds'] - seconds:.0f}"
        rows.append(f"| {epoch + 1} | {published} | {ours:.3f} | {line['nats_per_char']:.4f} | {took} |")
        start, seconds = line["step"], line["seconds"]
    kind = "end of the epoch" if original.kind == "end" else "mean of the epoch"
    head = f"| epoch | original, train ({kind}) | ours, train | ours, validation | seconds |"
    return "\n".join([f"### `{name}`", head, "|---|---|---|---|---|", *rows])


def _speeds(rows: list[dict], runs: dict[str, list[dict]]) -> str:
    """Returns the table of seconds per epoch, against Keras, from a side-by-side measurement of a step."""
    head = "| seconds an epoch | ours | Keras `fit` | speed-up | matmuls alone |"
    lines = [head, "|---|---|---|---|---|"]
    for row in rows:
        name, measured = row["experiment"], row["measured"]
        if name in runs:
            steps = next(line["step"] for line in runs[name] if line["split"] == "validation")
            ours, keras, limit = (steps * measured[each]["seconds"] for each in ("closed loop", "keras", "matmuls"))
            lines.append(f"| `{name}` | {ours:.1f} | {keras:.1f} | {keras / ours:.2f} × | {limit:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
