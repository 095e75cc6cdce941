"""open_loop/measures.json: the evaluation of a run, written into its directory so that comparisons do not repeat it."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from charrnn import run_files
from charrnn.files import paths
from charrnn.measures.frontier import Point
from charrnn.measures.open_loop import Curve, Measure, Protocol, Report
from charrnn.process import outputs
from trainers.evaluation import evaluation
from trainers.evaluation.evaluation import Evaluation
from trainers.reports.summaries import OPEN_LOOP, open_loop_folder, writing_to
from trainers.run_directory.directory import write_json

_NAME = "measures.json"
_VERSION = 5  # of the measures; a file of an earlier version is replaced


def read_or_evaluate(
    run_dir: str,
    protocol: Protocol,
    text: str | None,
    weights: str,
    temperatures: Sequence[float],
    epsilons: Sequence[float] = (),
    log: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Reads the evaluation of a run from its directory; if there is none, evaluates the run and writes it.

    The arguments are those of `evaluation.evaluate`. With a `text`, nothing is read or written. If the run's text has
    changed since the training, nothing is written.

    Returns:
        The measurements.

    Raises:
        UserError: there is no such run, or its directory cannot be written to.
    """
    if text:
        return evaluation.evaluate(run_dir, protocol, log, text, weights, temperatures, epsilons=epsilons)
    run_dir = paths.given(run_dir)
    path = os.path.join(run_dir, OPEN_LOOP, _NAME)
    config = run_files.read_config(run_dir)
    how = {
        "version": _VERSION,
        "checkpoint": os.path.basename(run_files.find_checkpoint(run_dir, weights)),
        "model": config.get("model"),  # its temperature may change after the training
        "protocol": dataclasses.asdict(protocol),
        "temperatures": list(temperatures),
        "epsilons": list(epsilons),
    }
    found = _read(path, how)
    if found:
        return found
    outputs.require_folder(run_dir, "copy the run to a writable folder")
    evaluated = evaluation.evaluate(run_dir, protocol, log, None, weights, temperatures, epsilons=epsilons)
    how["checkpoint"] = os.path.basename(evaluated.checkpoint)  # a run that saves meanwhile may have a newer one
    if evaluated.corpus_sha256 != config["corpus_sha256"]:
        return evaluated
    open_loop_folder(run_dir)
    with writing_to(os.path.dirname(path)):
        write_json(path, {"how": how, "evaluation": _to_json(evaluated)})
    return evaluated


def _read(path: str, how: dict) -> Evaluation | None:
    """Returns None if there is no such file, if it is damaged, or if it was made otherwise than `how`."""
    try:
        with tf.io.gfile.GFile(path) as file:
            content = json.load(file)
        return _from_json(content["evaluation"]) if content["how"] == how else None
    except (tf.errors.OpError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _to_json(evaluated: Evaluation) -> dict:
    parts = evaluated.report._asdict().items()
    report = {part: {name: list(entry) for name, entry in entries.items()} for part, entries in parts}
    frontier = [[*pair, *point] for pair, point in evaluated.frontier.items()]
    return {**evaluated._asdict(), "report": report, "sweep": list(evaluated.sweep.items()), "frontier": frontier}


def _from_json(content: dict) -> Evaluation:
    measures = {
        name: Measure(*(None if number is None else float(number) for number in entry))
        for name, entry in content["report"]["measures"].items()
    }
    curves = {name: Curve(*map(_floats, entry)) for name, entry in content["report"]["curves"].items()}
    sweep = {float(t): (quality, diversity) for t, point in content["sweep"] for quality, diversity in [_floats(point)]}
    frontier = {}
    for temperature, epsilon, *point in map(_floats, content["frontier"]):
        frontier[temperature, epsilon] = Point(*point)
    report = Report(measures, curves)
    return Evaluation(content["checkpoint"], content["corpus"], report, sweep, frontier, content["corpus_sha256"])


def _floats(column: list) -> list:
    """Returns numbers with nan for None, which stands for it in JSON."""
    return np.asarray(column, float).tolist()
