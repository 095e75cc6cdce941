"""Tests that a saved model is loaded bit for bit, or refused in one sentence."""

import dataclasses
import io
import itertools
import json
import os
import shutil
import threading

import numpy as np
import pytest
import rounding
import tensorflow as tf

import charrnn
from charrnn import run_files
from charrnn.batches.sources import DataConfig
from charrnn.errors import UserError
from charrnn.generation import loading
from charrnn.generation.generator import Generator
from charrnn.model.config import ModelConfig
from charrnn.sampling import Sampler
from charrnn.text import corpora
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary
from trainers.configs import LoopConfig, OptimizerConfig, SamplesConfig
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.loop.checkpoints import Checkpoints
from trainers.reports.console import Console

LETTERS = Vocabulary("abcdef")
CELLS = [pytest.param({"cell": cell, "num_layers": n}, id=f"{cell}-{n}") for cell in ("gru", "lstm") for n in (1, 2)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a run whose best weights are not its newest, because the learning rate is far too high."""
    run_dir = str(tmp_path_factory.mktemp("runs") / "tiny")
    experiment = Experiment(
        corpus="plays:3000",
        model=ModelConfig(cell="lstm", units=8, num_layers=2, embedding_size=5),
        data=DataConfig(seq_length=20, batch_size=4),
        optimizer=OptimizerConfig(name="sgd", learning_rate=20.0),
        loop=LoopConfig(steps=6, log_every=3, evaluate_every=1, save_every=3),
        samples=SamplesConfig(num_chars=0),
    )
    assert run_experiment(experiment, "tiny", run_dir, console=Console(io.StringIO()))
    return run_dir


@pytest.fixture
def run_dir(trained, tmp_path):
    """Returns a copy of the trained run that a test may damage."""
    return shutil.copytree(trained, tmp_path / "run")


def save_by_hand(run_dir, trainer, step=1):
    """Writes only those files of a run directory that `loading` reads."""
    os.makedirs(run_dir)
    config = {"model": dataclasses.asdict(trainer.model.config), "runtime": {"precision": "float32"}}
    config["data"] = {"order": "windows"}
    (run_dir / "config.json").write_text(json.dumps(config))
    LETTERS.save(run_dir / "vocabulary.json")
    Checkpoints(str(run_dir), trainer, keep=1).save(step)


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_looked_for_again(make_trainer, tmp_path, monkeypatch):
    """The run saves at the worst moment: after `load` reads the list of checkpoints, before it reads a checkpoint."""
    trainer, steps = make_trainer(), iter(range(2, 100))
    save_by_hand(tmp_path / "run", trainer)
    checkpoints = Checkpoints(str(tmp_path / "run"), trainer, keep=1)
    find, saves = run_files.find_checkpoint, iter([True] * 3)

    def find_and_save(run_dir, weights):
        found = find(run_dir, weights)
        if next(saves, False):
            checkpoints.save(next(steps))
        return found

    monkeypatch.setattr(run_files, "find_checkpoint", find_and_save)
    assert loading.load(str(tmp_path / "run")).checkpoint == f"{tmp_path}/run/checkpoints/step-4"
    saves = iter([True] * 1000)
    with pytest.raises(UserError, match="replaces its checkpoints faster than they can be read"):
        loading.load(str(tmp_path / "run"))


def test_a_model_is_loaded_again_and_again_while_its_run_saves(make_trainer, tmp_path):
    trainer, over = make_trainer(), threading.Event()
    save_by_hand(tmp_path / "run", trainer)

    def save():
        checkpoints = Checkpoints(str(tmp_path / "run"), trainer, keep=1)
        for step in itertools.takewhile(lambda step: not over.is_set(), itertools.count(2)):
            checkpoints.save_best(step)

    saver = threading.Thread(target=save)
    saver.start()
    try:
        found = {loading.load(str(tmp_path / "run")).checkpoint for _ in range(30)}
    finally:
        over.set()
        saver.join()
    assert len(found) > 5


def assert_equal(got, expected):
    assert len(got) == len(expected) > 0
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def refused(run_dir, weights="best"):
    """Asserts that `load` refuses a run directory in one sentence. Returns the sentence."""
    with pytest.raises(UserError) as error:
        loading.load(str(run_dir), weights)
    sentence = str(error.value)
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


@pytest.mark.slow
@pytest.mark.parametrize("config", CELLS)
def test_a_loaded_model_has_the_saved_weights_and_writes_the_same_texts(make_model, make_trainer, tmp_path, config):
    trainer = make_trainer(model=make_model(**config))
    trainer.train_step(trainer.batch_at(0))  # the file has the optimizer's variables, too
    weights = trainer.model.get_weights()
    texts = Generator(trainer.model, LETTERS).generate(["fab", "c"], 60, [1, 2])
    save_by_hand(tmp_path / "run", trainer)
    loaded = loading.load(str(tmp_path / "run"))
    assert loaded.model.config == trainer.model.config
    assert loaded.vocabulary == LETTERS
    assert loaded.checkpoint == str(tmp_path / "run" / "checkpoints" / "step-1")
    assert_equal(loaded.model.get_weights(), weights)
    assert Generator(loaded.model, loaded.vocabulary).generate(["fab", "c"], 60, [1, 2]) == texts
    assert loaded.generate("fab", 60, seed=1) == texts[0]
    untrained = make_model(**config, seed=1)
    assert Generator(untrained, LETTERS).generate(["fab"], 60, [1]) != texts[:1]


def test_a_loaded_model_writes_the_same_text_as_its_generator(make_model):
    loaded = loading.Loaded(make_model(), LETTERS, "", "")
    generator = loaded.generator(Sampler(0.8, top_k=3))
    assert generator is loaded.generator(Sampler(0.8, top_k=3)) is not loaded.generator()
    text = generator.generate(["fab"], 60, [1], stop=["cd", "dc"], min_chars=20)[0]
    options = {"seed": 1, "stop": ["cd", "dc"], "min_chars": 20, "temperature": 0.8, "top_k": 3}
    assert loaded.generate("fab", 60, **options) == "".join(loaded.stream("fab", 60, **options)) == text
    assert loaded.generate("fab☂", 60, unknown="drop", **options) == text


def test_one_graph_serves_all_temperatures_and_the_last_few_generators_are_kept(make_model):
    loaded = loading.Loaded(make_model(), LETTERS, "", "")
    texts = [loaded.generate("fab", 30, seed=1, temperature=temperature) for temperature in np.linspace(0.5, 2, 20)]
    texts += [loaded.generate("fab", 30, seed=1, greedy=True), loaded.generate("fab", 30, seed=1, unknown="drop")]
    assert len(set(texts)) > 3
    for temperature, text in ((0.5, texts[0]), (2, texts[19])):
        assert Generator(loaded.model, LETTERS, Sampler(temperature)).generate(["fab"], 30, [1]) == [text]
    assert Generator(loaded.model, LETTERS, Sampler(greedy=True)).generate(["fab"], 30, [1]) == [texts[20]]
    assert loaded.generator().writer is loaded.generator(Sampler(0.3, greedy=True)).writer
    assert loaded.generator().writer.call.experimental_get_tracing_count() == 1
    for k in range(20):
        loaded.generator(Sampler(top_k=k))
    assert max(cache.cache_info().currsize for cache in (loaded._generators, loaded._writers)) <= 8
    assert loaded.generator(Sampler(top_k=3)).generate(["fab"], 5, [1])


def test_the_settings_of_an_older_run_say_how_its_text_was_read(make_model, make_trainer, tmp_path):
    save_by_hand(tmp_path / "run", make_trainer(model=make_model()))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["data"] = {"order": "lines", "lowercase": True, "csv_column": 0}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    (tmp_path / "run" / "vocabulary.json").write_text(json.dumps({"kind": "characters", "characters": [*"\nabcde"]}))
    loaded = loading.load(str(tmp_path / "run"))
    assert loaded.vocabulary.reading == Reading(True, lowercase=True)
    assert loaded.generate("ABE", 20) == loaded.generate("abe", 20)
    Vocabulary("\nabcde", reading=Reading(normalization="NFD")).save(tmp_path / "run" / "vocabulary.json")
    assert loading.load(str(tmp_path / "run")).vocabulary.reading == Reading(normalization="NFD")


def test_non_finite_weights_are_refused(make_model, make_trainer, tmp_path):
    trainer = make_trainer(model=make_model())
    trainer.model.readout.bias.assign(np.full(7, np.inf))
    save_by_hand(tmp_path / "run", trainer)
    assert "step-1" in refused(tmp_path / "run")


def test_a_checkpoint_without_the_recurrent_layers_is_refused(make_model, make_trainer, tmp_path):
    """Earlier versions wrote such files, because a checkpoint does not look into a list of layers."""
    trainer = make_trainer(model=make_model())
    save_by_hand(tmp_path / "run", trainer)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    partial = tf.train.Checkpoint(embedding=trainer.model.embedding, readout=trainer.model.readout)
    checkpoint = tf.train.Checkpoint(model=partial)
    tf.train.CheckpointManager(checkpoint, str(tmp_path / "run" / "checkpoints"), max_to_keep=1).save()
    assert "does not hold this model's weights" in refused(tmp_path / "run")


def validation_losses(run_dir):
    """Returns the nats per character of the validation text, by step."""
    with open(os.path.join(run_dir, "metrics.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {line["step"]: line["nats_per_char"] for line in lines if line["split"] == "validation"}


def nats_per_char(loaded, text):
    """Returns the mean of -log softmax over the text, with teacher forcing."""
    ids = loaded.vocabulary.encode(text).astype(np.int32)
    logits, _ = loaded.model(tf.constant(ids[None, :-1]))
    log_probs = tf.nn.log_softmax(tf.cast(logits[0], tf.float64)).numpy()
    return -log_probs[np.arange(len(ids) - 1), ids[1:]].mean()


@pytest.mark.slow
def test_best_and_newest_have_the_losses_that_training_measured(trained):
    losses = validation_losses(trained)
    best, newest = min(losses, key=losses.get), max(losses)
    assert best < newest == 6 and losses[newest] > losses[best] + 0.01
    text = corpora.load("plays:3000").content[2699:]  # the last tenth, and the character before it
    for weights, step in {"best": best, "newest": newest}.items():
        loaded = loading.load(trained, weights)
        assert os.path.basename(loaded.checkpoint) == f"step-{step}"
        assert nats_per_char(loaded, text) == pytest.approx(losses[step], rel=rounding.MODEL)
    assert loading.load(trained).checkpoint == loading.load(trained, "best").checkpoint


@pytest.mark.slow
def test_without_best_weights_the_newest_are_taken(run_dir):
    shutil.rmtree(run_dir / "best")
    assert loading.load(str(run_dir)).checkpoint == loading.load(str(run_dir), "newest").checkpoint


def test_a_directory_may_be_moved_and_named_in_any_way(trained, run_dir, monkeypatch):
    expected = loading.load(trained).model.get_weights()
    moved = run_dir.rename(run_dir.parent / "elsewhere, with spaces")
    monkeypatch.chdir(moved.parent)
    for path in (str(moved), f"{moved}/", moved.name, f"./{moved.name}//"):
        loaded = charrnn.load(path)
        assert loaded.checkpoint.startswith(path)
        assert_equal(loaded.model.get_weights(), expected)


def test_loading_writes_nothing(run_dir):
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    loading.load(str(run_dir)).generate("\n", 5, greedy=True)
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == before


def test_a_missing_directory_and_one_without_a_run_are_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        assert f"{path} is not a run directory" in refused(path)
    (tmp_path / "config.json").mkdir()
    assert str(tmp_path / "config.json") in refused(tmp_path)


@pytest.mark.parametrize(
    "content",
    ['{"model": {', "", "[]", '"text"', "null", "\N{EURO SIGN}".encode("utf-16")],
    ids=["torn", "empty", "list", "string", "null", "utf-16"],
)
def test_a_config_that_is_not_a_json_object_is_refused(run_dir, content):
    (run_dir / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "config.json is damaged" in refused(run_dir)


def changed(group, **fields):
    return lambda config: {**config, group: {**config[group], **fields}}


def without(group, field):
    return lambda config: {**config, group: {k: v for k, v in config[group].items() if k != field}}


@pytest.mark.parametrize(
    "damage",
    {
        "no_keys": lambda config: {},
        "no_model": lambda config: {"runtime": config["runtime"]},
        "no_runtime": lambda config: {"model": config["model"]},
        "no_precision": without("runtime", "precision"),
        "model_is_a_list": lambda config: {**config, "model": [1]},
        "model_is_a_string": lambda config: {**config, "model": "gru"},
        "runtime_is_null": lambda config: {**config, "runtime": None},
        "unknown_field": changed("model", width=3),
        "units_string": changed("model", units="8"),
        "units_fraction": changed("model", units=8.5),
        "units_null": changed("model", units=None),
        "units_negative": changed("model", units=-8),
        "layers_fraction": changed("model", num_layers=1.5),
        "embedding_fraction": changed("model", embedding_size=5.5),
        "embedding_list": changed("model", embedding_size=[5]),
        "cell_unknown": changed("model", cell="qrnn"),
        "cell_number": changed("model", cell=5),
        "cell_list": changed("model", cell=["gru"]),
        "initializer_unknown": changed("model", recurrent_initializer="wild"),
        "initializer_null": changed("model", recurrent_initializer=None),
        "initializer_number": changed("model", recurrent_initializer=5),
        "precision_unknown": changed("runtime", precision="float99"),
        "precision_number": changed("runtime", precision=5),
        "precision_null": changed("runtime", precision=None),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_config_that_describes_no_model_is_refused(run_dir, damage):
    config = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps(damage[1](config)))
    refused(run_dir)


@pytest.mark.parametrize("content", [None, "[", "{}"], ids=["missing", "torn", "empty"])
def test_a_damaged_vocabulary_is_refused(run_dir, content):
    (run_dir / "vocabulary.json").unlink()
    if content is not None:
        (run_dir / "vocabulary.json").write_text(content)
    assert "vocabulary.json" in refused(run_dir)


def test_a_run_without_a_checkpoint_is_refused(run_dir):
    shutil.rmtree(run_dir / "checkpoints")
    assert "no checkpoint yet" in refused(run_dir, "newest")
    loading.load(str(run_dir), "best")
    shutil.rmtree(run_dir / "best")
    assert "no checkpoint yet" in refused(run_dir, "best")


def test_an_unknown_name_of_weights_is_refused(trained):
    said = refused(trained, "worst")
    assert "no 'worst' weights: ask for best or newest" in said and "step-3, step-6" in said


def test_a_kept_checkpoint_may_be_given_by_name(trained, run_dir):
    best = os.path.basename(run_files.find_checkpoint(trained))
    for name, folder in (("step-3", "checkpoints"), ("step-6", "checkpoints"), (best, None)):
        loaded = charrnn.load(trained, weights=name)
        assert os.path.basename(loaded.checkpoint) == name
        assert folder is None or os.path.dirname(loaded.checkpoint).endswith(folder)
    weights = charrnn.load(trained, "step-3").model.get_weights()
    for name in ("retry-2-step-3", "stopped-3"):  # names of checkpoints after a roll-back and an interruption
        for path in (run_dir / "checkpoints").glob("step-3.*"):
            shutil.copy(path, path.with_name(path.name.replace("step-3", name)))
        assert_equal(loading.load(str(run_dir), name).model.get_weights(), weights)
    for name in ("step-4", "step-", "step-3.index", "checkpoints/step-3", "../checkpoints/step-3", "start", "", "*"):
        said = refused(run_dir, name)
        assert repr(name) in said and all(kept in said for kept in ("step-3", "retry-2-step-3", "stopped-3", "step-6"))


def test_the_name_of_a_checkpoint_is_refused_in_a_run_without_checkpoints(run_dir):
    for folder in ("checkpoints", "best"):
        shutil.rmtree(run_dir / folder)
    assert "no 'step-3' weights" in refused(run_dir, "step-3")


@pytest.mark.parametrize("field, value", [("units", 9), ("num_layers", 3), ("embedding_size", 0), ("cell", "gru")])
def test_a_checkpoint_of_another_model_is_refused(run_dir, field, value):
    config = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps(changed("model", **{field: value})(config)))
    assert "does not hold this model's weights" in refused(run_dir)


def test_a_checkpoint_of_another_vocabulary_is_refused(run_dir):
    LETTERS.save(run_dir / "vocabulary.json")
    assert "does not hold this model's weights" in refused(run_dir)


def truncate(path, share):
    with open(path, "r+b") as file:
        file.truncate(int(share * path.stat().st_size))


def invert(path):
    path.write_bytes(bytes(255 - byte for byte in path.read_bytes()))


@pytest.mark.parametrize(
    "name, damage",
    [
        pytest.param("*.data-*", lambda path: truncate(path, 0.5), id="half_the_data"),
        pytest.param("*.data-*", lambda path: truncate(path, 0), id="no_data"),
        pytest.param("*.data-*", invert, id="other_data"),
        pytest.param("*.data-*", os.remove, id="missing_data"),
        pytest.param("*.index", lambda path: truncate(path, 0.5), id="half_the_index"),
        pytest.param("*.index", lambda path: truncate(path, 0), id="no_index"),
        pytest.param("*.index", invert, id="other_index"),
    ],
)
def test_a_damaged_checkpoint_is_refused(run_dir, name, damage):
    (path,) = (run_dir / "best").glob(name)
    damage(path)
    assert str(run_dir / "best" / "step-") in refused(run_dir)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"model_checkpoint_path: 5"], ids=["empty", "bytes", "number"])
def test_a_damaged_list_of_checkpoints_is_refused(run_dir, content):
    (run_dir / "checkpoints" / "checkpoint").write_bytes(content)
    assert "checkpoint" in refused(run_dir, "newest")
