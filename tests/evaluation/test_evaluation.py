"""Tests the evaluation of a run: its losses, the reference for its text, every kind of data, and missing texts."""

import dataclasses
import io
import json
import os

import numpy as np
import pytest
import rounding

from charrnn.batches.evaluation_batches import passes_for
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.errors import UserError
from charrnn.generation import loading
from charrnn.generation.loading import Loaded
from charrnn.measures.exact_source import ExactSource
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Protocol
from charrnn.model.config import ModelConfig
from charrnn.text import corpora
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import Vocabulary
from trainers.configs import LoopConfig, SamplesConfig
from trainers.evaluation import evaluation, measures_file, other_systems
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports.console import Console

pytestmark = pytest.mark.slow

SHORT = Protocol(num_rollouts=4, num_chars=60)


def silent(line):
    """Ignores a line for the user."""


def two_steps(corpus="plays:3000", temperature=1.0, **data):
    return Experiment(
        corpus=corpus,
        model=ModelConfig(units=8, embedding_size=5, temperature=temperature),
        data=DataConfig(**{"seq_length": 20, "batch_size": 4, **data}),
        loop=LoopConfig(steps=2, evaluate_every=1, save_every=1),
        samples=SamplesConfig(num_chars=0),
    )


@pytest.fixture
def make_run(finished, tmp_path):
    """Trains for two steps; returns the run directory."""

    def make(corpus="plays:3000", name="run", **data):
        return str(finished(two_steps(corpus, **data), tmp_path / name))

    return make


@pytest.fixture
def own_text(tmp_path):
    """Writes a file of plays; returns its path."""
    path = tmp_path / "own.txt"
    path.write_text(Plays().text(6000, seed=4))
    return path


def test_losses_equal_the_validation_losses_during_training(make_run):
    run_dir = make_run()
    measures = evaluation.evaluate(run_dir, SHORT, silent, weights="newest").report.measures
    with open(os.path.join(run_dir, "metrics.jsonl")) as file:
        last = [line for line in map(json.loads, file) if line["split"] == "validation"][-1]
    for name in ("nats_per_char", "nats_per_char_window_256"):
        assert measures[name].value == pytest.approx(last[name], rel=rounding.MODEL)
    assert measures["nats_per_char"].real == Plays().entropy_rate


def test_closed_loop_loss_is_the_mean_over_all_targets(make_model):
    model, ids = make_model(), np.random.default_rng(0).integers(0, 7, 500)
    logits, _ = model(ids[None, :-1].astype(np.int32))
    logits = logits[0].numpy().astype(np.float64)
    nats = np.log(np.exp(logits).sum(-1)) - logits[np.arange(499), ids[1:]]
    passes = passes_for(ids, DataConfig())
    assert evaluation.closed_loop_loss(model, passes["nats_per_char"]()) == pytest.approx(
        nats.mean(), rel=rounding.MODEL
    )


@pytest.mark.parametrize("own", [1.0, 0.8])
def test_the_best_temperature_is_the_one_at_which_the_text_was_written(make_model, own):
    model, letters = make_model(temperature=own), Vocabulary("abcdef")
    model.readout.bias.assign(model.readout.bias - [30, 0, 0, 0, 0, 0, 0])  # the unknown character is never written
    text = Loaded(model, letters, "", "").generate("a", 20_000, temperature=0.9)
    ids = letters.encode(text)
    found = other_systems.calibration(model, Texts("", "", letters, ids, ids), KneserNey(ids, letters.size))
    assert abs(found["best_temperature"] - 0.9 * own) < 0.03 * own  # three standard errors


@pytest.mark.parametrize(
    "data, kind", [({}, ExactSource), ({"lowercase": True}, KneserNey), ({"order": "lines"}, KneserNey)]
)
def test_the_source_is_the_reference_if_the_text_is_read_as_written(data, kind):
    config = DataConfig(**data)
    assert isinstance(evaluation.reference_for(load_texts("plays:3000", config, silent), config), kind)


@pytest.mark.parametrize("name", ["plays", "timetable"])
def test_the_reference_is_the_source_of_the_text(name):
    """The end of the validation text has the probability that the source gives it, with the slip."""
    texts = load_texts(f"{name}:9000", DataConfig(), silent)
    log_probs = evaluation.reference_for(texts, DataConfig()).log_probs(texts.validation[None])[0]
    probs = np.exp(corpora.source_of(name).log_probs(corpora.load(f"{name}:9000").content))
    with_slip = (1 - 1e-4) * probs + 1e-4 / texts.vocabulary.size
    np.testing.assert_allclose(log_probs[-300:], np.log(with_slip)[-300:], rtol=1e-9, atol=1e-12)


def test_a_file_has_n_grams_as_its_reference(own_text):
    texts = load_texts(str(own_text), DataConfig(), silent)
    assert isinstance(evaluation.reference_for(texts, DataConfig()), KneserNey)


@pytest.mark.parametrize("data", [{"order": "lines"}, {"vocabulary": "bytes"}, {"targets": "last"}], ids=str)
def test_every_kind_of_run_can_be_measured(make_run, own_text, data):
    found = evaluation.evaluate(make_run(str(own_text), **data), SHORT, silent, temperatures=[0.5])
    values = [measure.value for name, measure in found.report.measures.items() if name != "valid_words"]
    assert np.isfinite(values).all() and len(values) > 12
    assert list(found.sweep) == [0.5] and list(found.frontier) == [(0.5, 0.0)]


@pytest.mark.parametrize("corpus", ["plays:3000", "timetable:3000", ""])
@pytest.mark.parametrize("data", [{}, {"order": "lines"}], ids=str)
def test_the_names_of_the_measures_are_known_before_the_evaluation(make_run, own_text, corpus, data):
    run_dir, protocol = make_run(corpus or str(own_text), **data), Protocol(num_rollouts=2, num_chars=110)
    config = evaluation.read_config(run_dir)
    texts = load_texts(config["corpus"], DataConfig(**data), silent)
    names = evaluation.measure_names(texts, DataConfig(**data), protocol)
    assert names == list(evaluation.evaluate(run_dir, protocol, silent).report.measures)


def test_each_cut_off_has_a_point_beside_the_protocols(make_run):
    run_dir, protocol = make_run(), dataclasses.replace(SHORT, epsilon=0.022)
    found = evaluation.evaluate(run_dir, protocol, silent, temperatures=[1.0], epsilons=[0.0, 0.022])
    measures = found.report.measures
    assert list(found.frontier) == [(1.0, 0.022), (1.0, 0.0)]
    names = ("reference_loss", "own_entropy", "reverse_loss")
    assert found.frontier[1.0, 0.022] == pytest.approx(tuple(measures[name].value for name in names))
    assert found.sweep == {1.0: (found.frontier[1.0, 0.022].reference_loss, found.frontier[1.0, 0.022].reverse_loss)}
    assert found.frontier[1.0, 0.0].own_entropy > found.frontier[1.0, 0.022].own_entropy
    kept = measures_file.read_or_evaluate(run_dir, protocol, None, "best", [1.0], [0.0, 0.022])
    assert kept == found == measures_file.read_or_evaluate(run_dir, protocol, None, "best", [1.0], [0.0, 0.022])
    assert len(measures_file.read_or_evaluate(run_dir, protocol, None, "best", [1.0]).frontier) == 1


def test_a_text_shorter_than_a_window_is_refused(make_run):
    with pytest.raises(UserError, match=r"has 301 characters, no more than data.seq_length=400: give a longer"):
        evaluation.evaluate(make_run("plays:3000", targets="last", seq_length=400), SHORT, silent)


def test_a_training_text_shorter_than_a_rollout_is_refused_before_the_work_starts(make_run, monkeypatch):
    run_dir = make_run("plays:1000", validation_fraction=0.6)
    monkeypatch.setattr(evaluation, "reference_for", None)
    with pytest.raises(UserError, match="The training text has 400 characters, but a rollout of 450 needs 450: give"):
        evaluation.evaluate(run_dir, Protocol(2, 450), silent)


def test_a_text_that_is_gone_can_be_given_again(make_run, own_text, tmp_path):
    run_dir = make_run(str(own_text))
    before = evaluation.evaluate(run_dir, SHORT, silent)
    moved = own_text.rename(tmp_path / "moved.txt")
    with pytest.raises(UserError, match=r"was trained on cannot be read.* \(The corpus .*\): .* --text=FILE"):
        evaluation.evaluate(run_dir, SHORT, silent)
    lines = []
    assert evaluation.evaluate(run_dir, SHORT, lines.append, str(moved)).report == before.report
    assert not any("is not the text" in line for line in lines)


def test_another_text_is_read_with_the_runs_vocabulary(make_run, own_text):
    run_dir, lines = make_run(), []
    own_text.write_text("Zebra quiz. " * 800)
    found = evaluation.evaluate(run_dir, SHORT, lines.append, str(own_text)).report.measures
    assert any("is not the text that" in line for line in lines)
    assert any("unknown character" in line and "'Z'" in line for line in lines)
    vocabulary = loading.load(run_dir).vocabulary
    assert vocabulary.unknown_characters("Zebra quiz. ")
    assert found["repeated_8"].real > 0.5 > found["repeated_8"].value


def test_stored_measures_are_read_until_others_are_asked_for(make_run):
    run_dir = make_run()
    first = measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9])
    path = os.path.join(run_dir, "open_loop", "measures.json")
    with open(path) as file:
        kept = json.load(file)
    assert measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9]) == first
    kept["evaluation"]["report"]["measures"]["js_1"][0] = 77.0  # shows that the file is read
    with open(path, "w") as file:
        json.dump(kept, file)
    assert measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9]).report.measures["js_1"].value == 77.0
    assert measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.8]).sweep.keys() == {0.8}
    with open(path, "w") as file:
        file.write("{torn")
    assert measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9]) == first


def test_stored_measures_are_replaced_if_the_temperature_of_the_run_has_changed(make_run):
    run_dir = make_run()
    first = measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9])
    assert run_experiment(two_steps(temperature=2.0), "tiny", run_dir, console=Console(io.StringIO()))
    again = measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9])
    assert again == evaluation.evaluate(run_dir, SHORT, silent, temperatures=[0.9]) != first


def test_measures_on_a_text_that_has_changed_are_reported_as_such_and_not_stored(make_run, own_text):
    run_dir, right, lines = make_run(str(own_text)), own_text.read_text(), []
    own_text.write_text("Zebra quiz. " * 800)
    changed = measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9], log=lines.append)
    assert any(f"is not the text that {run_dir} was trained on" in line for line in lines)
    assert any("unknown character" in line and "'Z'" in line for line in lines)
    own_text.write_text(right)
    first = measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9])
    assert first == evaluation.evaluate(run_dir, SHORT, silent, temperatures=[0.9]) != changed
    own_text.write_text("Zebra quiz. " * 800)
    assert measures_file.read_or_evaluate(run_dir, SHORT, None, "best", [0.9]) == first


def test_a_character_that_occurs_only_at_the_end_of_another_text_is_not_unknown(make_run, own_text, tmp_path):
    run_dir = make_run(str(own_text))
    loaded, other = loading.load(run_dir), tmp_path / "other.txt"
    last, *others = loaded.vocabulary.characters
    content = "".join(others * 100)[:1800] + last * 200
    other.write_text(content)
    found = evaluation.evaluate(run_dir, SHORT, silent, str(other)).report.measures["nats_per_char"].value
    ids = loaded.vocabulary.encode(content[1799:])
    right = evaluation.closed_loop_loss(loaded.model, passes_for(ids, DataConfig())["nats_per_char"]())
    assert found == pytest.approx(right, rel=rounding.MODEL)
