"""A trained run under all measures: the loss of closed loop, and what becomes of open loop."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn import metrics, run_files
from charrnn.batches import evaluation_batches
from charrnn.batches.carried_state import StatefulPass
from charrnn.batches.sources import Batch, DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.errors import UserError
from charrnn.files import paths
from charrnn.generation import loading
from charrnn.generation.loading import Loaded
from charrnn.measures import open_loop
from charrnn.measures.dynamic_evaluation import Dynamic, dynamic_loss
from charrnn.measures.open_loop import Curve, Measure, Protocol, Report
from charrnn.measures.reference import ExactSource, KneserNey, Reference
from charrnn.measures.rollouts import Reader
from charrnn.model.char_model import CharModel
from charrnn.process import outputs
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import listed
from trainers.reports.summaries import OPEN_LOOP, open_loop_folder, writing_to
from trainers.run_directory.directory import write_json

_KEPT = "measures.json"
_VERSION = 2  # of the measures: results that an earlier version kept are measured again
_MOST_COUNTED = 10_000_000  # characters of a text that n-grams are counted in
_TEMPERATURES = np.arange(60, 161, dtype=np.float32) / 100


class Evaluation(NamedTuple):
    """What was measured of a run."""

    checkpoint: str
    corpus: str
    report: Report  # with the losses of closed loop among the measures
    sweep: dict[float, tuple[float, float]]  # temperature -> reference loss, reverse loss


def evaluate(
    run_dir: str,
    protocol: Protocol,
    log: Callable[[str], None],
    text: str | None = None,
    weights: str = "best",
    temperatures: Sequence[float] = (),
    dynamic: Dynamic | None = None,
    ngram: bool = False,
    calibrate: bool = False,
) -> Evaluation:
    """Measures a run. Eager; writes nothing.

    Args:
        run_dir: the run directory.
        protocol: what is rolled out.
        log: is given each line for the user.
        text: a corpus in the place of the run's; it is split as the run's was.
        weights: "best", "newest", or the name of a checkpoint.
        temperatures: at which to measure quality and diversity too.
        dynamic: evaluate dynamically too.
        ngram: measure n-grams of the training text, and their interpolation with the model, too.
        calibrate: find the best `model.temperature` for the text, too.

    Raises:
        UserError: there is no such run or text, or the text is too short.
    """
    run_dir = paths.given(run_dir)
    loaded = loading.load(run_dir, weights)
    config = read_config(run_dir)
    data = run_files.read_group(run_dir, config, "data", DataConfig)
    texts = _texts(run_dir, config, data, text, loaded, log)
    protocol.pieces(texts.validation)  # a text that is too short is refused before the work begins
    unknown_id = loaded.vocabulary.unknown_id
    end_id = int(loaded.vocabulary.encode(loaded.end_of_text)[0]) if loaded.end_of_text else None
    reader = Reader(loaded.model, unknown_id, end_id)
    reference = reference_for(texts, data)
    wanted = evaluation_batches.passes_for(texts.validation, data)
    if not wanted:
        raise UserError(
            f"The validation text has {len(texts.validation):,} characters, no more than data.seq_length="
            f"{data.seq_length}: give a longer text with --text."
        )
    if (dynamic or ngram or calibrate) and "nats_per_char_window_256" not in wanted:
        more = "--dynamic, --ngram and --calibrate"
        raise UserError(f"{more} are for running text; this run has learnt something else.")
    losses = {name: closed_loop_loss(loaded.model, make_pass()) for name, make_pass in wanted.items()}
    if dynamic:
        losses["nats_per_char_dynamic"] = dynamic_loss(loaded.model, texts.train, texts.validation, dynamic)
    if ngram:
        losses.update(_ngram_losses(loaded.model, texts, reference))
    if calibrate:
        losses.update(calibration(loaded.model, texts.validation))
    arguments = reader, reference, texts.vocabulary
    train, validation = texts.train[:_MOST_COUNTED], texts.validation[:_MOST_COUNTED]
    report = open_loop.measure(*arguments, train, validation, losses["nats_per_char"], protocol)
    closed = {name: Measure(loss, None).finite() for name, loss in losses.items()}
    closed["nats_per_char"] = closed["nats_per_char"]._replace(real=texts.entropy_rate)
    points = open_loop.sweep(*arguments, validation, protocol, temperatures)
    return Evaluation(loaded.checkpoint, texts.name, report._replace(measures={**closed, **report.measures}), points)


def kept_or_evaluated(
    run_dir: str, protocol: Protocol, text: str | None, weights: str, temperatures: Sequence[float]
) -> Evaluation:
    """What `evaluate` says, kept in the run directory: the next time it is read from there. With a `text` it is not."""
    if text:
        return evaluate(run_dir, protocol, _silent, text, weights, temperatures)
    run_dir = paths.given(run_dir)
    path = os.path.join(run_dir, OPEN_LOOP, _KEPT)
    how = {
        "version": _VERSION,
        "checkpoint": os.path.basename(run_files.find_checkpoint(run_dir, weights)),
        "protocol": dataclasses.asdict(protocol),
        "temperatures": list(temperatures),
    }
    kept = _read_kept(path, how)
    if kept:
        return kept
    outputs.require_folder(run_dir, "copy the run to where you may write")
    evaluation = evaluate(run_dir, protocol, _silent, None, weights, temperatures)
    how["checkpoint"] = os.path.basename(evaluation.checkpoint)  # a run that saves meanwhile may have a newer one
    open_loop_folder(run_dir)
    with writing_to(os.path.dirname(path)):
        write_json(path, {"how": how, "evaluation": _to_json(evaluation)})
    return evaluation


def read_config(run_dir: str) -> dict:
    """A run directory's config.json with all that says on what the run was trained; UserError where it does not."""
    config = run_files.read_config(run_dir)
    for name, kind in {"experiment": str, "seed": int, "corpus": str, "corpus_sha256": str}.items():
        run_files.read_setting(run_dir, config, kind, name)
    return config


def closed_loop_loss(model: CharModel, batches: Iterable[tuple[Batch, bool]]) -> float:
    """Nats per character over (batch, whether it continues the one before), all of one shape. Eager."""
    return float(evaluation_batches.closed_loop_loss(functools.partial(_step, model), model.initial_state, batches))


@tf.function(autograph=False)
def _step(model, batch, state):
    """One for all evaluations: TensorFlow keeps some memory of each compiled function for good."""
    logits, state = model(batch.inputs, state)
    return metrics.cross_entropy(logits, batch.targets, batch.weights), state


def _ngram_losses(model: CharModel, texts: Texts, reference: Reference) -> dict[str, float]:
    """N-grams of the training text alone, and together with the model; the state is carried."""
    counted = reference if isinstance(reference, KneserNey) else _ngrams(texts)
    others = counted.log_probs(np.asarray(texts.validation)[None])[0, 1:]
    step, batches = functools.partial(_step, model), StatefulPass(texts.validation)
    own = -evaluation_batches.losses_in_order(step, model.initial_state, batches)
    return {
        f"nats_per_char_{counted.order}_gram": -float(others.mean()),
        f"nats_per_char_with_{counted.order}_gram": metrics.interpolated_loss(own, others),
    }


def calibration(model: CharModel, ids: np.ndarray) -> dict[str, float]:
    """The `model.temperature` from 0.6 to 1.6 times its own that suits a text best, and the loss with it. Eager.

    Args:
        model: its state is carried over the text.
        ids: `[N]`.

    Returns:
        "best_temperature", and "nats_per_char_at_best_temperature".
    """

    @tf.function(autograph=False)
    def step(batch, state):
        logits, state = model(batch.inputs, state)
        of_rows = lambda t: tf.reduce_sum(metrics.cross_entropy(logits / t, batch.targets, batch.weights), 1)  # noqa: E731
        return tf.map_fn(of_rows, _TEMPERATURES)[..., None], state

    losses = evaluation_batches.closed_loop_loss(step, model.initial_state, StatefulPass(ids))
    best = float(_TEMPERATURES[losses.argmin()]) * model.config.temperature
    return {"best_temperature": round(best, 4), "nats_per_char_at_best_temperature": float(losses.min())}


def _ngrams(texts: Texts) -> KneserNey:
    return KneserNey(np.asarray(texts.train[:_MOST_COUNTED]), texts.vocabulary.size)


def reference_for(texts: Texts, data: DataConfig) -> Reference:
    """What the text should be like: its source where that is known, n-grams of the training text elsewhere."""
    as_written = data.order != "lines" and not data.lowercase and not data.csv_column
    if texts.entropy_rate is not None and as_written:
        return ExactSource(Plays(), texts.vocabulary)
    return _ngrams(texts)


def _silent(line: str) -> None:
    """Several runs would say the same of their text."""


def _texts(run_dir, config, data, text: str | None, loaded: Loaded, log) -> Texts:
    """The text of the run, or the one in its place, in the ids of the run's vocabulary."""
    if text:  # which may be another CSV
        data = dataclasses.replace(data, csv_delimiter="", csv_header="auto")
    try:
        texts = load_texts(text or config["corpus"], data, log, every_character=text is not None)
    except UserError as error:
        if text:
            raise
        reason = str(error).partition(":")[0].rstrip(".")
        raise UserError(
            f"The text that {run_dir} was trained on cannot be read any more ({reason}): give its file, or another "
            "text, with --text=FILE."
        ) from error
    if texts.sha256 != config["corpus_sha256"]:
        log(f"{texts.name} is not the text that {run_dir} was trained on; it is split in the same way")
    if texts.vocabulary == loaded.vocabulary:
        return texts
    decoded = [texts.vocabulary.decode(np.asarray(ids)) for ids in (texts.train, texts.validation)]
    unknown = loaded.vocabulary.unknown_characters(decoded[1])
    if unknown:
        log(f"Counted as the unknown character, because the model never saw them: {listed(unknown)}")
    train, validation = map(loaded.vocabulary.encode, decoded)
    return texts._replace(vocabulary=loaded.vocabulary, train=train, validation=np.asarray(validation))


def _read_kept(path: str, how: dict) -> Evaluation | None:
    """What was kept, or None where there is nothing that can be read, or other: it is measured anew then."""
    try:
        with tf.io.gfile.GFile(path) as file:
            kept = json.load(file)
        return _from_json(kept["evaluation"]) if kept["how"] == how else None
    except (tf.errors.OpError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _to_json(evaluation: Evaluation) -> dict:
    parts = evaluation.report._asdict().items()
    report = {part: {name: list(entry) for name, entry in entries.items()} for part, entries in parts}
    return {**evaluation._asdict(), "report": report, "sweep": list(evaluation.sweep.items())}


def _from_json(content: dict) -> Evaluation:
    report = content["report"]
    parts = {
        "measures": {
            name: Measure(*(None if number is None else float(number) for number in entry))
            for name, entry in report["measures"].items()
        },
        "curves": {
            name: Curve(*(np.asarray(column, float).tolist() for column in entry))
            for name, entry in report["curves"].items()
        },
    }
    sweep = {float(t): tuple(np.asarray(point, float).tolist()) for t, point in content["sweep"]}
    return Evaluation(content["checkpoint"], content["corpus"], Report(**parts), sweep)
