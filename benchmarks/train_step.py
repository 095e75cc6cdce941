"""Compares a training step with the same model in Keras, PyTorch and JAX: python -m benchmarks.train_step.

    python -m benchmarks.train_step --json=train_step.json --page=docs/notes/performance.md
    python -m benchmarks.train_step --experiment=shakespeare_gru runtime.precision=mixed_bfloat16

Ours is the loop of trainers.run, with clipping, metrics, log lines and summaries: closed loop (teacher forcing), and
open loop (free running) at probability 0.5. The others are Keras `fit`; PyTorch, and JAX with Optax, if they are
installed; and the matmuls of a step alone, which are the limit of the machine. All take turns; medians are printed.
Without --experiment it measures all models of the page, in an hour. Run it on an otherwise idle machine. The JSON file
keeps the rows of models that an earlier call measured on the same machine, so the page can be made in several calls.

    python -m benchmarks.train_step --curricula --seconds=3 --page=docs/notes/study.md

compares curricula with teacher forcing instead, for the tutorial's model, in six minutes.

    python -m benchmarks.train_step --match="1024" --earlier=FOLDER

measures another checkout beside this one: its closed and its open loop have columns of their own.
"""

import functools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from absl import flags

from benchmarks import contest, machine, ours
from benchmarks.contest import Entry
from benchmarks.pages import Figures, Page, load_json
from charrnn import command
from charrnn.errors import UserError

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, default=None, flag_values=FLAGS)

_string("experiment", help="Measure only this experiment, with the given settings.")
_string("match", default="", help="Measure only the models whose label contains this.")
command.path_flag("json", None, "JSON file for the figures.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
command.path_flag("earlier", None, "Folder of another checkout, to be measured beside this one.", FLAGS)
flags.DEFINE_boolean("curricula", False, "Compare curricula with teacher forcing instead.", flag_values=FLAGS)
flags.DEFINE_integer("turns", 5, "Turns per contestant.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float("seconds", 4, "Approximate seconds per turn.", lower_bound=0, flag_values=FLAGS)

_LSTM, _BFLOAT16, _XLA = "model.cell=lstm", "runtime.precision=mixed_bfloat16", "runtime.xla=true"
_TUTORIAL, _SMALL = "shakespeare_gru", "nietzsche_lstm"
MODELS = {
    "GRU 1024": (_TUTORIAL, []),
    "LSTM 1024": (_TUTORIAL, [_LSTM]),
    "GRU 1024 bfloat16": (_TUTORIAL, [_BFLOAT16]),
    "LSTM 1024 bfloat16": (_TUTORIAL, [_LSTM, _BFLOAT16]),
    "GRU 2 × 512": (_TUTORIAL, ["model.units=512", "model.num_layers=2"]),
    "LSTM 2 × 512": (_TUTORIAL, [_LSTM, "model.units=512", "model.num_layers=2"]),
    "GRU 128": (_TUTORIAL, ["model.units=128"]),
    "LSTM 128, T 60, batch 128": (_SMALL, []),
    "LSTM 128, T 60, batch 128 bfloat16": (_SMALL, [_BFLOAT16]),
    "ag_news_lstm": ("ag_news_lstm", []),
    "ag_news_lstm XLA": ("ag_news_lstm", [_XLA]),
    "linux_lstm": ("linux_lstm", []),
    "quickstart": ("quickstart", []),
    "GRU 2048": (_TUTORIAL, ["model.units=2048"]),
    "GRU 1024 XLA": (_TUTORIAL, [_XLA]),
    "LSTM 1024 XLA": (_TUTORIAL, [_LSTM, _XLA]),
    "GRU 1024 bfloat16 XLA": (_TUTORIAL, [_BFLOAT16, _XLA]),
    "LSTM 1024 bfloat16 XLA": (_TUTORIAL, [_LSTM, _BFLOAT16, _XLA]),
}
"""Label: experiment and settings. Gradients are clipped in all of them."""

_HALF = ["trainer.schedule=constant", "trainer.max_prob=0.5"]
BASELINE = "teacher_forcing"
_EARLIER = ("earlier closed loop", "earlier open loop")


class Cost(NamedTuple):
    """A curriculum, with settings that give it many own characters."""

    trainer: str
    settings: Sequence[str] = ()
    limit: float | None = None  # largest time of a step, as a multiple of teacher forcing's
    corpus: str = ""  # "": the tutorial's


_AVERAGE = ["optimizer.averaging=0.99", "trainer.teacher=average"]
CURRICULA = {
    "scheduled_sampling": Cost("scheduled_sampling", _HALF, 1.05),
    "the same, after_mistake=nothing": Cost("scheduled_sampling", [*_HALF, "trainer.after_mistake=nothing"], 1.05),
    "by_position": Cost("by_position", _HALF, 1.05),
    "spans": Cost("spans", _HALF, 1.05),
    "open_loop_horizon": Cost("open_loop_horizon", ["trainer.grow_every=1"], 1.05),
    "accuracy_driven": Cost("accuracy_driven", (), 1.05),
    "replayed_rollouts": Cost("replayed_rollouts", ["trainer.prob=0.5", "trainer.batches=1"], 1.6),
    "soft_inputs": Cost("soft_inputs", _HALF, 1.2),
    "confidence_aware": Cost("confidence_aware", (), 1.6),
    "two_pass": Cost("two_pass", _HALF, 1.6),
    "state_matching": Cost("state_matching", _HALF),
    "distillation, n-grams": Cost("distillation", ["trainer.teacher=ngram"], 1.05),
    "distillation, source of plays": Cost("distillation", ["trainer.teacher=source"], 1.4, "plays"),
    "distillation, its average": Cost("distillation", _AVERAGE, 1.4),
    "the same, half of the rows own": Cost("distillation", [*_AVERAGE, "trainer.own_share=0.5"], 1.4),
}
"""The rows of the table, besides teacher forcing."""


def main(settings: list[str]) -> int:
    """Runs the command; `settings` have the form group.field=value. Returns the exit status."""
    contest.require_checkout(FLAGS.earlier)
    if FLAGS.curricula:
        if FLAGS.earlier is not None:
            raise UserError("--earlier compares models, not curricula: leave out --curricula.")
        return _main_of_curricula(settings)
    records = _kept(settings)
    page, figures = Page(FLAGS.page, "benchmarks.train_step"), Figures(FLAGS.json)
    chosen = list(_chosen(settings))
    if not chosen:
        raise UserError(f"--match={FLAGS.match} is in none of the labels: {', '.join(MODELS)}.")
    command.start_tensorflow()
    for _, experiment, changed in chosen:  # refuses mistakes before the work starts
        ours.resolve(experiment, changed)
    for label, experiment, changed in chosen:
        measured = _measure(experiment, changed)
        records[label] = {"label": label, "experiment": experiment, "settings": changed, "measured": measured}
        print(label, *(f"{name} {one['seconds']:.4f} s" for name, one in measured.items()), sep="  ", flush=True)
        rows = sorted(records.values(), key=lambda record: [*MODELS, record["label"]].index(record["label"]))
        text = f"{machine.describe()}.\n\n{table(rows)}"
        # After each model, because all of them take long.
        figures.put({"machine": machine.describe(), "turns": FLAGS.turns, "settings": settings, "rows": rows})
        page.put(text)
    print(f"\n{text}")
    return command.DONE


def _kept(settings: list[str]) -> dict[str, dict]:
    """Returns the rows of the JSON file by label, if this machine has measured them with the same settings."""
    found = load_json(FLAGS.json) if FLAGS.json and os.path.exists(FLAGS.json) else {}
    if not isinstance(found, dict):
        raise UserError(f"{FLAGS.json} is no file of this command: give another name.")
    now = {"machine": machine.describe(), "turns": FLAGS.turns, "settings": settings}
    same = {name: found.get(name, []) for name in now} == now
    return {row["label"]: row for row in found.get("rows", [])} if same else {}


def _main_of_curricula(settings: list[str]) -> int:
    page, figures = Page(FLAGS.page, "benchmarks.train_step of curricula"), Figures(FLAGS.json)
    command.start_tensorflow()
    entries = {}
    for name, (trainer, own, _, corpus) in {BASELINE: Cost(BASELINE), **CURRICULA}.items():
        options = {"settings": ["optimizer.clip_norm=1", *own, *settings], "trainer": trainer, "corpus": corpus}
        ours.resolve(_TUTORIAL, **options)  # refuses mistakes before the work starts
        entries[name] = Entry("benchmarks.ours:train", {"experiment": _TUTORIAL, **options})
    measured = contest.run(entries, FLAGS.turns, FLAGS.seconds)
    text = f"{machine.describe()}.\n\n{table_of_curricula(measured)}"
    figures.put({"machine": machine.describe(), "turns": FLAGS.turns, "measured": measured})
    page.put(text)
    print(text)
    return command.DONE


def table_of_curricula(measured: contest.Medians) -> str:
    """Returns Markdown, a line per curriculum: times as multiples of teacher forcing."""
    baseline = measured[BASELINE]
    head = "| curriculum | a step, s | of teacher forcing's | at most | peak memory, of teacher forcing's |"
    lines = [head, "|---" * 5 + "|"]
    for name, one in measured.items():
        limit = CURRICULA[name].limit if name in CURRICULA else None
        times = [f"{one[key] / baseline[key]:.2f} ×" for key in ("seconds", "peak_mb")]
        limited = f"{limit} ×" if limit else "–"
        lines.append(f"| {name} | {one['seconds']:.4f} | {times[0]} | {limited} | {times[1]} |")
    return "\n".join(lines)


def table(records: list[dict]) -> str:
    """Returns Markdown, a line per model: times as multiples of our closed loop."""
    head = (
        "| model | closed loop, s | open loop | Keras | Keras float32 | PyTorch float32 | JAX | matmuls alone | "
        "outside the step | peak memory, of Keras's |"
    )
    earlier = [name for name in _EARLIER if any(name in record["measured"] for record in records)]
    head += "".join(f" {name} |" for name in earlier)
    lines = [head, "|---" * head.count(" |") + "|"]
    for record in records:
        measured = record["measured"]
        closed = measured["closed loop"]
        times = {name: f"{other['seconds'] / closed['seconds']:.2f} ×" for name, other in measured.items()}
        times |= {name: "not installed" for name in ("torch", "jax") if name not in times}
        columns = [
            record["label"],
            f"{closed['seconds']:.4f}",
            *(times.get(name, "–") for name in ("open loop", "keras", "keras float32", "torch", "jax", "matmuls")),
            f"{1 - closed['step_seconds'] / closed['seconds']:.1%}",
            f"{closed['peak_mb'] / measured['keras']['peak_mb']:.2f} ×",
            *(times.get(name, "–") for name in earlier),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def _chosen(settings: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    if FLAGS.experiment:
        yield " ".join([FLAGS.experiment, *settings]), FLAGS.experiment, settings
        return
    for label, (experiment, changed) in MODELS.items():
        if FLAGS.match in label:
            yield label, experiment, ["optimizer.clip_norm=1", *changed, *settings]


def _measure(experiment: str, settings: list[str]) -> contest.Medians:
    options = {"experiment": experiment, "settings": settings}
    plain = [setting for setting in settings if not setting.startswith("runtime.")]
    opened = {"experiment": experiment, "settings": [*settings, *_HALF], "trainer": "scheduled_sampling"}
    entries = {
        "closed loop": Entry("benchmarks.ours:train", options),
        "open loop": Entry("benchmarks.ours:train", opened),
        "keras": Entry("benchmarks.keras_peer:fit", options),
        "torch": Entry("benchmarks.torch_peer:fit", {**options, "settings": plain}, needs="torch"),
        "jax": Entry("benchmarks.jax_peer:fit", options, needs="optax"),
        "matmuls": Entry("benchmarks.machine:matmuls", options),
    }
    if plain != settings:
        entries["keras float32"] = Entry("benchmarks.keras_peer:fit", {**options, "settings": plain})
    if FLAGS.earlier is not None:
        entries |= {name: entries[name.removeprefix("earlier ")]._replace(folder=FLAGS.earlier) for name in _EARLIER}
    return contest.run(entries, FLAGS.turns, FLAGS.seconds)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
