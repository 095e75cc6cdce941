"""Makes the tables and samples of docs/notes/reproductions.md: python -m benchmarks.reproductions RUN_DIR RUN_DIR …

    python -m benchmarks.reproductions runs/shakespeare_gru runs/linux_lstm --better=runs/linux_better \\
        --json=docs/notes/reproductions.json --page=docs/notes/reproductions.md

Reads run directories into the JSON file, which keeps what it has of other runs, and makes the page from all of it.
--better names runs of other recipes for the same texts, and measures them as the original is measured. --speed names
files from `benchmarks.train_step --json=FILE`. No figure of ours is typed by hand; those of the originals are below.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from absl import flags

from benchmarks.pages import Figures, Page, load_json
from charrnn import command
from charrnn.errors import UserError
from charrnn.files import paths

if TYPE_CHECKING:
    from charrnn.batches.evaluation_batches import Pass
    from charrnn.measures.ngrams import KneserNey

FLAGS = flags.FlagValues()
command.paths_flag("speed", "File from benchmarks.train_step --json.", FLAGS)
command.paths_flag("better", "Run of a better recipe for the text of an original.", FLAGS)
command.path_flag("json", None, "JSON file that keeps the figures and samples.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the text between the marks.", FLAGS)


class Original(NamedTuple):
    """One of the programs that the project starts from."""

    epochs: int  # that it trains
    losses: dict[int, float]  # published training losses, nats per character, by epoch
    kind: str = "mean"  # mean of the epoch; "end": last batch of the epoch
    batch: int = 1  # texts that it writes in one batch at its end


def _by_epoch(*losses: float) -> dict[int, float]:
    return dict(enumerate(losses, 1))


_GRU = _by_epoch(2.676, 1.962, 1.693, 1.545, 1.458, 1.397, 1.352, 1.313, 1.278, 1.244)
_LSTM = _by_epoch(2.083, 1.735, 1.567, 1.467, 1.399, 1.344, 1.297)
_LINUX = _by_epoch(1.398, 1.124, 1.044, 1.038, 0.997, 0.961, 0.884, 0.880, 0.879, 0.823)
ORIGINALS = {
    "shakespeare_gru": Original(20, {**_GRU, 15: 1.076, 20: 0.898}, batch=5),
    "shakespeare_lstm": Original(10, _LSTM, "end"),
    "nietzsche_lstm": Original(60, {}),
    "linux_lstm": Original(10, _LINUX, "end"),
    "ag_news_lstm": Original(4, {}),
}
BETTER = {
    ("shakespeare_record", "shakespeare"): "shakespeare_gru",
    ("shakespeare_lstm_better", "shakespeare"): "shakespeare_lstm",
    ("nietzsche_lstm_better", "nietzsche"): "nietzsche_lstm",
    ("shakespeare_record", "linux"): "linux_lstm",
    ("ag_news_lstm_better", "ag_news"): "ag_news_lstm",
}
"""Experiment and corpus of a better recipe -> the original."""

_MEANING = {"mean": "mean of the epoch", "end": "end of the epoch"}


def main(run_dirs: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    kept = load_json(FLAGS.json) if FLAGS.json and os.path.exists(FLAGS.json) else {}
    if not (isinstance(kept, dict) and all(isinstance(part, dict) for part in kept.values())):
        raise UserError(f"{FLAGS.json} is no file of this command: give another name.")
    if not (run_dirs or kept):
        raise UserError("No runs are given: give run directories of " + ", ".join(ORIGINALS) + ".")
    page, figures = Page(FLAGS.page, "benchmarks.reproductions"), Figures(FLAGS.json)
    runs = {**kept.get("runs", {}), **dict(map(_read, map(paths.given, run_dirs)))}
    speeds = {**kept.get("speeds", {}), **{row["experiment"]: row for path in FLAGS.speed for row in _rows(path)}}
    better = {**kept.get("better", {}), **dict(map(_better, map(paths.given, FLAGS.better)))}
    figures.put({"runs": runs, "speeds": speeds, "better": better})
    known = [name for name in ORIGINALS if name in runs]
    parts = [_section(name, runs[name]) for name in known]
    parts += [_speeds({name: speeds[name] for name in known if name in speeds}, runs)] if speeds else []
    parts += [_beaten({name: better[name] for name in known if name in better}, runs, speeds)] if better else []
    for name in known:
        parts += [_samples(name, runs[name]["samples"], runs[name].get("batch", []))]
        parts += [_samples(better[name]["name"], better[name]["samples"])] if name in better else []
    text = "\n\n".join(parts)
    print(text)
    page.put(text)
    return command.DONE


def _rows(path: str) -> list[dict]:
    return load_json(path)["rows"]


def _read(run_dir: str) -> tuple[str, dict]:
    """Returns the name of the experiment; the losses of each epoch, which ends with an evaluation; and the samples."""
    config = load_json(os.path.join(run_dir, "config.json"))
    name = config.get("experiment") if isinstance(config, dict) else None
    if name not in ORIGINALS:
        raise UserError(f"{run_dir} is a run of {name}, which reproduces nothing: give one of {', '.join(ORIGINALS)}.")
    lines = _lines(run_dir, "metrics.jsonl", "split", "nats_per_char", "seconds")
    evaluations = [line for line in lines if line["split"] == "validation"]
    if not evaluations:
        raise UserError(f"{run_dir} has no evaluation yet: let the run reach the end of its first epoch.")
    epochs, start, seconds = [], 0, 0.0
    for line in evaluations:
        losses = [x["nats_per_char"] for x in lines if x["split"] == "train" and start < x["step"] <= line["step"]]
        train = {"mean": sum(losses) / len(losses), "end": losses[-1]}
        took = line["seconds"] - seconds
        epochs.append({"step": line["step"], "train": train, "validation": line["nats_per_char"], "seconds": took})
        start, seconds = line["step"], line["seconds"]
    samples = _last_samples(run_dir)
    return name, {"epochs": epochs, "samples": samples, "batch": _batch(run_dir, samples, ORIGINALS[name].batch)}


def _last_samples(run_dir: str) -> list[dict]:
    if not os.path.exists(os.path.join(run_dir, "samples.jsonl")):
        return []
    lines = _lines(run_dir, "samples.jsonl", "prompt", "temperature", "text")
    last = max(line["step"] for line in lines)
    return [{k: line[k] for k in ("prompt", "temperature", "text")} for line in lines if line["step"] == last]


def _batch(run_dir: str, samples: list[dict], count: int) -> list[str]:
    """Returns texts that the newest weights write in one batch, as long as the last sample, at its temperature."""
    if count == 1 or not samples:
        return []
    command.start_tensorflow()
    from charrnn.generation import loading
    from charrnn.sampling import Sampler

    last = samples[-1]
    generator = loading.load(run_dir, "newest").generator(Sampler(temperature=last["temperature"]))
    texts = generator.generate([last["prompt"]] * count, len(last["text"]), list(range(count)))
    return [last["prompt"] + text for text in texts]


def _lines(run_dir: str, name: str, *needed: str) -> list[dict]:
    """Returns the lines of a file of JSON objects that have the needed entries and a step."""
    path = os.path.join(run_dir, name)
    try:
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        [line[key] for line in lines for key in ("step", *needed)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    return lines


def _better(run_dir: str) -> tuple[str, dict]:
    """Returns the original's name, and what its evaluation gives for another model of the same text."""
    command.start_tensorflow()
    from charrnn.batches.texts import load_texts
    from charrnn.generation import loading
    from trainers.evaluation import evaluation
    from trainers.launch.result import Result

    config = evaluation.read_config(run_dir)
    name, corpus = config["experiment"], config["corpus"]
    of = BETTER.get((name, corpus))
    if of is None:
        pairs = ", ".join(f"{experiment} on {corpus}" for experiment, corpus in BETTER)
        raise UserError(f"{run_dir} is a run of {name} on {corpus}, which is no better recipe: give one of {pairs}.")
    original = importlib.import_module(f"experiments.{of}").EXPERIMENT
    loaded = loading.load(run_dir)
    texts = load_texts(corpus, original.data, lambda line: None)
    if loaded.vocabulary != texts.vocabulary:
        raise UserError(f"{run_dir} reads {corpus} in another way than {of}: their vocabularies differ.")
    ngrams = evaluation.training_ngrams(texts)
    (own, *_) = evaluation.closed_loop_passes(texts, original.data).values()
    seconds = Result.read(run_dir, finished=True).history["validation"]["seconds"][-1]
    return of, {
        "name": name,
        "weights": loaded.model.count_params(),
        "original_weights": original.model.num_weights(texts.vocabulary.size),
        "validation": evaluation.closed_loop_loss(loaded.model, own()),
        "ngram": _ngram_loss(ngrams, own()),
        "seconds": float(seconds),
        "samples": _last_samples(run_dir),
    }


def _ngram_loss(ngrams: "KneserNey", batches: "Pass") -> float:
    """Returns the loss of n-grams over the same predictions, nats per character."""
    from charrnn.batches.carried_state import StatefulPass

    if isinstance(batches, StatefulPass):
        return -float(ngrams.log_probs(np.asarray(batches.ids)[None])[:, 1:].mean())
    total, count = 0.0, 0.0
    for batch in batches:
        read = np.concatenate([batch.inputs[:, :1], batch.targets], 1)
        total -= float((ngrams.log_probs(read)[:, 1:] * batch.weights).sum())
        count += float(batch.weights.sum())
    return total / count


def _section(name: str, run: dict) -> str:
    """Returns the table of one system: its first ten epochs, then each fifth, the best one and the last."""
    original, epochs = ORIGINALS[name], run["epochs"]
    best = min(range(len(epochs)), key=lambda i: epochs[i]["validation"])
    rows = []
    for i, epoch in enumerate(epochs):
        if i < 10 or (i + 1) % 5 == 0 or i in (best, len(epochs) - 1):
            published = f"{original.losses[i + 1]:.3f}" if i + 1 in original.losses else "–"
            losses = f"{epoch['train'][original.kind]:.3f} | {epoch['validation']:.4f}"
            rows.append(f"| {i + 1} | {published} | {losses} | {epoch['seconds']:.0f} |")
    head = f"| epoch | original, train ({_MEANING[original.kind]}) | ours, train | ours, validation | seconds |"
    told = f"Best on the validation text: epoch {best + 1}, {epochs[best]['validation']:.4f}."
    return "\n".join([f"### `{name}`", head, "|---|---|---|---|---|", *rows, "", told])


def _speeds(rows: dict[str, dict], runs: dict[str, dict]) -> str:
    """Returns the table of seconds per epoch, against Keras, from a side-by-side measurement of a step."""
    head = "| seconds an epoch | ours | Keras `fit` | speed-up | matmuls alone |"
    lines = [head, "|---|---|---|---|---|"]
    for name, row in rows.items():
        steps, measured = runs[name]["epochs"][0]["step"], row["measured"]
        ours, keras, limit = (steps * measured[each]["seconds"] for each in ("closed loop", "keras", "matmuls"))
        lines.append(f"| `{name}` | {ours:.1f} | {keras:.1f} | {keras / ours:.2f} × | {limit:.1f} |")
    return "\n".join(lines)


def _beaten(better: dict[str, dict], runs: dict[str, dict], speeds: dict[str, dict]) -> str:
    """Returns the table of better recipes: losses by the original's evaluation, weights and minutes beside Keras's."""
    head = (
        "| original | its epochs | its validation: last, best | 7-gram | better | validation | "
        "weights, of the original's | minutes | minutes of the original's epochs in Keras |"
    )
    lines = [head, "|---" * 9 + "|"]
    for name, one in better.items():
        epochs, most = runs[name]["epochs"], ORIGINALS[name].epochs
        losses = [epoch["validation"] for epoch in epochs[:most]]
        keras = "–"
        if name in speeds:
            keras = f"{epochs[0]['step'] * most * speeds[name]['measured']['keras']['seconds'] / 60:.0f}"
        columns = [
            f"`{name}`",
            str(len(losses)),
            f"{losses[-1]:.4f}, {min(losses):.4f}",
            f"{one['ngram']:.4f}",
            f"`{one['name']}`",
            f"**{one['validation']:.4f}**",
            f"{one['weights'] / one['original_weights']:.2f}",
            f"{one['seconds'] / 60:.0f}",
            keras,
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def _samples(name: str, samples: list[dict], batch: Sequence[str] = ()) -> str:
    """Returns the samples after the last epoch, and those of one batch."""
    shown = []
    for sample in samples:
        text = f"{sample['prompt']}{sample['text']}".strip("\n")
        shown.append(f"temperature {sample['temperature']:g}\n```\n{text}\n```")
    shown += [f"{i} of {len(batch)} in one batch\n```\n{text.strip()}\n```" for i, text in enumerate(batch, 1)]
    return "\n".join([f"### Samples of `{name}`", *shown])


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
