"""The evaluation of a trained run: losses in closed loop (teacher forcing) and measures in open loop (free running)."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn import metrics, run_files
from charrnn.batches import evaluation_batches
from charrnn.batches.sources import Batch, DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.errors import UserError
from charrnn.files import paths
from charrnn.generation import loading
from charrnn.generation.loading import Loaded
from charrnn.measures import open_loop
from charrnn.measures.exact_source import exact_source, known_source
from charrnn.measures.frontier import Point, frontier
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Measure, Protocol, Report
from charrnn.measures.reference import Reference
from charrnn.measures.rollouts import Reader
from charrnn.model.char_model import CharModel, States
from charrnn.text.vocabulary import listed

_MAX_COUNTED_CHARS = 10_000_000  # of a text, for n-grams and text measures

OtherSystem = Callable[[CharModel, Texts, Reference], dict[str, float]]
"""Returns losses of another system than the model alone, by name."""


class Evaluation(NamedTuple):
    """The measurements of a run."""

    checkpoint: str  # path
    corpus: str  # name
    report: Report  # its measures include the losses in closed loop
    sweep: dict[float, tuple[float, float]]  # temperature -> reference loss, reverse loss, at the protocol's epsilon
    frontier: Mapping[tuple[float, float], Point] = MappingProxyType({})  # by temperature and epsilon
    corpus_sha256: str = ""  # checksum of the text's files


def evaluate(
    run_dir: str,
    protocol: Protocol,
    log: Callable[[str], None],
    text: str | None = None,
    weights: str = "best",
    temperatures: Sequence[float] = (),
    others: Sequence[OtherSystem] = (),
    epsilons: Sequence[float] = (),
) -> Evaluation:
    """Evaluates a run. Eager; writes nothing.

    Args:
        run_dir: the run directory.
        protocol: number, length and seeds of the rollouts.
        log: called with each line for the user.
        text: a corpus instead of the run's; it is split in the same way.
        weights: "best", "newest", or the name of a checkpoint.
        temperatures: temperatures of the sweep of quality and diversity.
        others: other systems to evaluate on the same text; only for runs on running text.
        epsilons: cut-offs of the sweep, besides that of the protocol; each with every temperature.

    Returns:
        The measurements.

    Raises:
        UserError: there is no such run or text, or the text is too short.
    """
    run_dir = paths.given(run_dir)
    loaded, config = loading.load(run_dir, weights), read_config(run_dir)
    data = run_files.read_group(run_dir, config, "data", DataConfig)
    texts = _texts(run_dir, config, data, text, loaded, log)
    train, validation = counted(texts, protocol)
    reference = reference_for(texts, data)
    losses = _closed_loop_losses(loaded.model, texts, data, reference, others)
    closed = {name: Measure(loss, None).finite() for name, loss in losses.items()}
    closed["nats_per_char"] = closed["nats_per_char"]._replace(real=texts.entropy_rate)
    arguments = _reader(loaded), reference, texts.vocabulary
    opened, curves = open_loop.measure(*arguments, train, validation, losses["nats_per_char"], protocol)
    cut_offs = list(dict.fromkeys([protocol.epsilon, *epsilons]))
    points = frontier(*arguments, validation, protocol, temperatures, cut_offs)
    own = {t: point for (t, epsilon), point in points.items() if epsilon == protocol.epsilon}
    sweep = {temperature: (point.reference_loss, point.reverse_loss) for temperature, point in own.items()}
    report = Report({**closed, **opened}, curves)
    return Evaluation(loaded.checkpoint, texts.name, report, sweep, points, texts.sha256)


def counted(texts: Texts, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first 10 million ids of the training and of the validation text, from which rollouts are measured.

    Args:
        texts: the text.
        protocol: number and length of the rollouts.

    Raises:
        UserError: a text is too short for the protocol.
    """
    train, validation = (np.asarray(ids[:_MAX_COUNTED_CHARS]) for ids in (texts.train, texts.validation))
    protocol.pieces(validation)
    protocol.pieces(train, "training")
    return train, validation


def closed_loop_passes(texts: Texts, data: DataConfig) -> dict[str, Callable[[], Iterable[Batch]]]:
    """Returns what the losses in closed loop read: name -> a function that returns the batches.

    Args:
        texts: the text.
        data: how it is read.

    Raises:
        UserError: the validation text is too short.
    """
    passes = evaluation_batches.passes_for(texts.validation, data)
    if not passes:
        raise UserError(
            f"The validation text has {len(texts.validation):,} characters, no more than data.seq_length="
            f"{data.seq_length}: give a longer text."
        )
    return passes


def measure_names(texts: Texts, data: DataConfig, protocol: Protocol) -> list[str]:
    """Returns the names of the measures of an evaluation without other systems.

    Args:
        texts: the text.
        data: how it is read.
        protocol: number and length of the rollouts.

    Raises:
        UserError: the validation text is too short.
    """
    return [*closed_loop_passes(texts, data), *open_loop.names(protocol, known_source(texts, data))]


def _closed_loop_losses(
    model: CharModel, texts: Texts, data: DataConfig, reference: Reference, others: Sequence[OtherSystem]
) -> dict[str, float]:
    passes = closed_loop_passes(texts, data)
    if others and "nats_per_char_window_256" not in passes:
        kind = "data.order=lines" if data.order == "lines" else "data.targets=last"
        raise UserError(f"--dynamic, --ensemble, --ngram and --calibrate are for running text; this run has {kind}.")
    others_losses = [other(model, texts, reference) for other in others]  # first, because one may refuse
    losses = {name: closed_loop_loss(model, make_pass()) for name, make_pass in passes.items()}
    for found in others_losses:
        losses.update(found)
    return losses


def _reader(loaded: Loaded) -> Reader:
    end_id = int(loaded.vocabulary.encode(loaded.end_of_text)[0]) if loaded.end_of_text else None
    return Reader(loaded.model, loaded.vocabulary.unknown_id, end_id)


def read_config(run_dir: str) -> dict:
    """Reads config.json, and verifies the names of its experiment and corpus.

    Args:
        run_dir: the run directory.

    Raises:
        UserError: it is missing, damaged or incomplete.
    """
    config = run_files.read_config(run_dir)
    for name, kind in {"experiment": str, "seed": int, "corpus": str, "corpus_sha256": str}.items():
        run_files.read_setting(run_dir, config, kind, name)
    return config


def closed_loop_loss(model: CharModel, batches: Iterable[Batch]) -> float:
    """Returns the nats per character over batches of one shape. Eager."""
    step = functools.partial(closed_loop_step, model)
    return float(evaluation_batches.closed_loop_loss(step, model.initial_state, batches))


@tf.function(autograph=False)
def closed_loop_step(model: CharModel, batch: Batch, state: States) -> tuple[tf.Tensor, States]:
    """Returns nats `[B, T]` and the state. One function for all evaluations, because TensorFlow never frees a graph."""
    logits, state = model(batch.inputs, state)
    return metrics.cross_entropy(logits, batch.targets, batch.weights), state


def training_ngrams(texts: Texts) -> KneserNey:
    """Returns the n-grams of the first 10 million characters of the training text."""
    return KneserNey(np.asarray(texts.train[:_MAX_COUNTED_CHARS]), texts.vocabulary.size)


def reference_for(texts: Texts, data: DataConfig) -> Reference:
    """Returns the reference for rollouts: the source of the text if it is known, else n-grams of the training text."""
    return exact_source(texts, data) or training_ngrams(texts)


def _texts(
    run_dir: str, config: dict, data: DataConfig, text: str | None, loaded: Loaded, log: Callable[[str], None]
) -> Texts:
    """Loads the text of the run, or the given one, as ids of the run's vocabulary."""
    if text:  # it may be another CSV dialect
        data = dataclasses.replace(data, csv_delimiter="", csv_header="auto")
    try:
        texts = load_texts(text or config["corpus"], data, log, every_character=text is not None)
    except UserError as error:
        if text:
            raise
        reason = str(error).partition(":")[0].rstrip(".")
        raise UserError(
            f"The text that {run_dir} was trained on cannot be read ({reason}): give its file, or another text, with "
            "--text=FILE."
        ) from error
    if texts.sha256 != config["corpus_sha256"]:
        log(f"{texts.name} is not the text that {run_dir} was trained on; it is split in the same way")
    if texts.vocabulary == loaded.vocabulary:
        return texts
    decoded = [texts.vocabulary.decode(np.asarray(ids)) for ids in (texts.train, texts.validation)]
    unknown = loaded.vocabulary.unknown_characters(decoded[1])
    if unknown:
        log(f"Counted as the unknown character (not in the vocabulary): {listed(unknown)}")
    train, validation = map(loaded.vocabulary.encode, decoded)
    return texts._replace(vocabulary=loaded.vocabulary, train=train, validation=np.asarray(validation))
