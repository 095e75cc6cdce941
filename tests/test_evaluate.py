"""Tests the command `trainers.evaluate`: a table or JSON, curves for TensorBoard, one sentence for a mistake."""

import io
import json
import math
import pathlib
import shutil

import numpy as np
import pytest
import rounding
import tensorflow as tf
from run_by_hand import write_run

from charrnn import command
from charrnn.batches.carried_state import StatefulPass
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.generation.loading import load
from charrnn.measures.dynamic_evaluation import Dynamic
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Protocol
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from charrnn.text.plays import Plays
from trainers import evaluate
from trainers.configs import LoopConfig, SamplesConfig
from trainers.evaluation import pictures
from trainers.evaluation.comparison import union_gap
from trainers.evaluation.evaluation import closed_loop_loss
from trainers.evaluation.evaluation import evaluate as measured
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports.console import Console

pytestmark = pytest.mark.slow

SHORT = ["--num_rollouts=3", "--num_chars=60", "--seed=5", "--nopictures"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text(Plays().text(5000, seed=1))
    experiment = Experiment(
        corpus=str(folder / "text.txt"),
        model=ModelConfig(units=8, embedding_size=5),
        data=DataConfig(seq_length=20, batch_size=4),
        loop=LoopConfig(steps=2, evaluate_every=1),
        samples=SamplesConfig(num_chars=0),
    )
    assert run_experiment(experiment, "tiny", str(folder / "tiny"), console=Console(io.StringIO()))
    return str(folder / "tiny")


@pytest.fixture
def call(run_dir, capsys):
    """Runs the command on the run directory. Returns exit status, standard output and standard error."""

    def call(*arguments):
        status = command.run(evaluate.main, evaluate.FLAGS, ["evaluate", f"--run_dir={run_dir}", *arguments])
        return (status, *capsys.readouterr())

    return call


def curves(folder):
    """Returns {(tag, step): value} of all event files of a folder."""
    found = {}
    for path in pathlib.Path(folder).glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                assert (value.tag, event.step) not in found
                found[value.tag, event.step] = tf.make_ndarray(value.tensor).item()
    return found


@pytest.fixture(scope="module")
def report(run_dir):
    return measured(run_dir, Protocol(3, 60, 5), lambda line: None).report


def test_the_flags_have_the_same_defaults_as_in_python():
    protocol, dynamic = Protocol(), Dynamic()
    flags = {"num_rollouts": protocol.num_rollouts, "num_chars": protocol.num_chars, "seed": protocol.seed}
    flags |= {"epsilon": protocol.epsilon}
    flags |= {"dynamic_rate": dynamic.rate, "dynamic_decay": dynamic.decay}
    assert {name: evaluate.FLAGS[name].default for name in flags} == flags


def test_json_holds_all_that_was_measured(call, report, run_dir):
    status, out, err = call("--json", *SHORT)
    content = json.loads(out)
    assert status == 0 and "weights: " in err and "picture" not in err and content["run_dir"] == run_dir
    assert content["measures"] == {name: measure._asdict() for name, measure in report.measures.items()}
    assert content["curves"] == {name: curve._asdict() for name, curve in report.curves.items()}
    assert content["protocol"] == {"num_rollouts": 3, "num_chars": 60, "seed": 5, "epsilon": 0.0}


def test_epsilon_reaches_the_rollouts(call, run_dir):
    content = json.loads(call("--json", "--epsilon=0.03", *SHORT)[1])
    found = measured(run_dir, Protocol(3, 60, 5, epsilon=0.03), lambda line: None).report.measures
    assert content["measures"] == {name: measure._asdict() for name, measure in found.items()}
    all_characters = json.loads(call("--json", *SHORT)[1])["measures"]
    assert found["own_entropy"].value < all_characters["own_entropy"]["value"]


def test_temperatures_and_cut_offs_give_a_second_table(call, run_dir):
    given = ["--temperatures=0.8,1", "--epsilons=0,0.03", *SHORT]
    found = measured(run_dir, Protocol(3, 60, 5), lambda line: None, temperatures=[0.8, 1.0], epsilons=[0.03]).frontier
    content = json.loads(call("--json", *given)[1])["frontier"]
    assert {(row.pop("temperature"), row.pop("epsilon")): row for row in content} == {
        pair: point._asdict() for pair, point in found.items()
    }
    table = call(*given)[1].partition("\n\n")[2].splitlines()
    assert table[0].split() == ["epsilon", "temperature", *found[1.0, 0.0]._fields, "union_gap"]
    assert [line.split()[:2] for line in table[1:]] == [["0", "0.8"], ["0", "1"], ["0.03", "0.8"], ["0.03", "1"]]
    for line, pair in zip(table[1:], sorted(found, key=lambda pair: pair[::-1]), strict=True):
        point = found[pair]
        gap = union_gap((point.reference_loss, point.reverse_loss), found)
        assert line.split()[2:] == [f"{number:.4f}" for number in (*point, gap)]
        assert gap >= 0


def test_the_table_has_real_text_beside_each_measure(call, report):
    lines = call(*SHORT)[1].splitlines()
    assert lines[0].split() == ["model", "±", "error", "real", "text"]
    assert [line.split()[0] for line in lines[1:]] == list(report.measures)
    row = next(line for line in lines if line.startswith("reference_loss "))
    value, real, error = report.measures["reference_loss"]
    assert row.split()[1:] == [f"{value:.4f}", f"{error:.4f}", f"{real:.4f}"]


def test_curves_run_over_the_position_and_a_second_evaluation_replaces_them(call, report, run_dir):
    call(*SHORT)
    call(*SHORT)
    for which in ("own", "real"):
        found = curves(f"{run_dir}/open_loop/{which}")
        assert len(found) == sum(len(curve.positions) for curve in report.curves.values())
        for name, curve in report.curves.items():
            for position, value in zip(curve.positions, getattr(curve, which), strict=True):
                assert found[f"open loop/{name}", position] == pytest.approx(value, rel=1e-5)


def test_each_of_the_four_charts_shows_the_models_curve(report, tmp_path):
    pytest.importorskip("matplotlib")
    (path,) = pictures.draw_curves(report.curves, str(tmp_path))
    drawn = tf.io.decode_png(pathlib.Path(path).read_bytes(), channels=3).numpy()
    other = {name: curve._replace(own=curve.real) for name, curve in report.curves.items()}
    pictures.draw_curves(other, str(tmp_path))
    changed = (tf.io.decode_png(pathlib.Path(path).read_bytes(), channels=3).numpy() != drawn).any(-1)
    upper, lower = np.array_split(changed, 2)
    assert all(chart.any() for half in (upper, lower) for chart in np.array_split(half, 2, axis=1))


def test_a_picture_lies_in_the_run_and_in_tensorboard(call, run_dir):
    pytest.importorskip("matplotlib")
    folder = pathlib.Path(run_dir, "open_loop")
    assert f"picture: {folder}/curves.png" in call(*SHORT, "--pictures")[2].splitlines()
    (path,) = (folder / "evaluation").glob("events.out.tfevents.*")
    *_, event = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    (value,) = tf.compat.v1.Event.FromString(event).summary.value
    assert value.tag == "open loop/curves"
    assert tf.make_ndarray(value.tensor)[:2].tolist() == [b"1320", b"840"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--run_dir="], "--run_dir=DIR"),
        (["--run_dir=/nowhere/at/all"], "/nowhere/at/all is not a run directory"),
        (["--num_rollouts=1"], "--num_rollouts=1 is not possible: it must be at least 2"),
        (["--num_chars=49"], "--num_chars=49 is not possible: it must be at least 50"),
        (["--num_chars=900"], "has 501 characters, but a rollout of 900 after 100 needs 1,000: give"),
        (["--seed=-1"], "--seed=-1"),
        (["--epsilons=0.1"], "--epsilons is given without --temperatures: give them too"),
        (["--temperatures=1", "--epsilons=0,none"], "--epsilons=0,none is not a list of numbers"),
        (["--temperatures=1", "--epsilons=2"], "--epsilons=2.0 is not possible: it must be at least 0"),
        (["--temperatures=0"], "--temperatures=0.0 is not possible"),
        (["--epsilon=1"], "--epsilon=1.0 is not possible: it must be at least 0 (0: all characters) and below 1"),
        (["--dynamic_rate=0"], "--dynamic_rate=0.0 is not possible: it must be above 0"),
        (["--text=/nowhere.txt"], "'/nowhere.txt' is not a file"),
        (["--weights=foo"], "no 'foo' weights"),
        (["--jsn"], "no flag --jsn; nearest: json"),
        (["one", "two"], "'one' belongs to no flag"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_reported_in_one_sentence(call, arguments, said):
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert said in err


def test_a_lost_corpus_is_reported_with_a_remedy(run_dir, call, tmp_path):
    moved = shutil.copytree(run_dir, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    config["corpus"] = "/lost.txt"
    (moved / "config.json").write_text(json.dumps(config))
    status, out, err = call(f"--run_dir={moved}", *SHORT)
    assert (status, out, err.count("\n")) == (2, "", 1) and "--text=FILE" in err and "/lost.txt" in err
    corpus = pathlib.Path(run_dir).parent / "text.txt"
    assert call(f"--run_dir={moved}", f"--text={corpus}", "--json", *SHORT)[0] == 0


def test_a_run_that_cannot_be_written_to_is_reported_after_the_table(run_dir, call, tmp_path):
    copied = shutil.copytree(run_dir, tmp_path / "copied", ignore=shutil.ignore_patterns("open_loop"))
    (copied / "open_loop").mkdir()
    (copied / "open_loop" / "own").write_text("in the way")
    status, out, err = call(f"--run_dir={copied}", *SHORT)
    said = err.splitlines()[-1]
    assert status == 2 and out.startswith(" ") and "open_loop/own cannot be written to (" in said and "Op:" not in said


def test_an_ensemble_has_the_losses_of_its_averaged_probabilities(call, run_dir, tmp_path):
    loaded = load(run_dir)
    other = CharModel(ModelConfig(units=6), loaded.vocabulary.size)
    given = write_run(tmp_path / "other", other, loaded.vocabulary)
    content = json.loads(call(f"--ensemble={run_dir}", f"--ensemble={given}", "--json", *SHORT)[1])
    losses = {name: measure["value"] for name, measure in content["measures"].items()}
    text = load_texts(f"{pathlib.Path(run_dir).parent}/text.txt", DataConfig(), lambda line: None).validation
    logits = [model(tf.constant(text[None, :-1], tf.int32))[0][0] for model in (loaded.model, loaded.model, other)]
    probs = np.mean([tf.nn.softmax(tf.cast(each, tf.float64)) for each in logits], axis=0)
    right = -np.log(probs[np.arange(len(text) - 1), text[1:]]).mean()
    assert losses["nats_per_char_ensemble"] == pytest.approx(right, rel=rounding.MODEL)
    assert "nats_per_char_window_256_ensemble" in losses
    status, out, err = call("--ensemble=nowhere", *SHORT)
    assert (status, out, err.count("\n")) == (2, "", 1) and err.startswith("error: --ensemble=nowhere is not")


def test_other_systems_losses_are_measured_on_request_only(call, report, run_dir):
    content = json.loads(call("--dynamic", "--ngram", "--calibrate", "--json", *SHORT)[1])
    losses = {name: measure["value"] for name, measure in content["measures"].items()}
    calibrated = {"best_temperature", "nats_per_char_at_best_temperature"}
    more = {"nats_per_char_dynamic", "nats_per_char_7_gram", "nats_per_char_with_7_gram"}
    assert set(losses) - set(report.measures) == more | calibrated
    alone = min(losses["nats_per_char"], losses["nats_per_char_7_gram"])
    assert losses["nats_per_char_with_7_gram"] <= alone + math.log(101) / 499
    assert losses["nats_per_char_dynamic"] < losses["nats_per_char"]  # after two steps there is still much to learn
    loaded = load(run_dir)
    texts = load_texts(f"{pathlib.Path(run_dir).parent}/text.txt", DataConfig(), lambda line: None)
    expected = -KneserNey(texts.train, loaded.vocabulary.size).log_probs(texts.validation[None])[0, 1:].mean()
    assert losses["nats_per_char_7_gram"] == pytest.approx(expected)
    weights = loaded.model.readout.get_weights()
    loaded.model.readout.set_weights([weight / losses["best_temperature"] for weight in weights])
    expected = closed_loop_loss(loaded.model, StatefulPass(texts.validation))
    assert losses["nats_per_char_at_best_temperature"] == pytest.approx(expected)
    assert expected < losses["nats_per_char"]
