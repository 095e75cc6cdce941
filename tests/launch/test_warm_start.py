"""Tests warm starts: the weights of each character against NumPy, and whole runs."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.errors import UserError
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from trainers import Trainer, train
from trainers.launch.warm_start import warm_start

pytestmark = pytest.mark.slow

THEIRS, OURS = Vocabulary.from_text("abcdef"), Vocabulary(["z", "e", "a", "\ufffd", "c"])


@pytest.fixture
def make_run(make_model, tmp_path):
    """Returns a function that builds a run directory by hand and returns its model and path."""

    def make(vocabulary=THEIRS, **config):
        model, folder = make_model(vocabulary.size, seed=3, **config), tmp_path / "other"
        tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(folder / "checkpoints"), 1).save()
        vocabulary.save(str(folder / "vocabulary.json"))
        described = {"model": dataclasses.asdict(model.config), "data": {"order": "windows"}}
        (folder / "config.json").write_text(json.dumps({**described, "runtime": {"precision": "float32"}}))
        return model, str(folder)

    return make


def named(model):
    """Returns the weights by name."""
    parts = {"embedding": model.embedding, "readout": model.readout, **dict(enumerate(model.recurrent_layers))}
    parts = {name: layer.trainable_weights for name, layer in parts.items() if layer is not None}
    return {f"{name} {weight.name}": weight.numpy() for name, weights in parts.items() for weight in weights}


@pytest.mark.parametrize("config", [{"cell": "lstm", "num_layers": 2}, {"embedding_size": 0}], ids=str)
def test_each_character_keeps_its_own_weights(make_run, make_model, config):
    other, folder = make_run(**config, output_dropout=0.5)
    model = make_model(OURS.size, seed=4, **config)
    theirs, fresh = named(other), named(model)
    said = warm_start(model, OURS, folder)
    assert said.endswith("3 of 5 characters are known there, new: 'z', '\ufffd'") and "checkpoints/ckpt-1" in said
    expected = {**theirs}
    rows = "embedding embeddings" if model.embedding else "0 kernel"
    for name in (rows, "readout kernel", "readout bias"):
        expected[name] = fresh[name].copy()
        mine, source = expected[name], theirs[name]
        if name == "readout kernel":
            mine, source = mine.T, source.T
        mine[0] = source[0]  # the unknown character
        for character in "eac":
            mine[1 + OURS.characters.index(character)] = source[1 + THEIRS.characters.index(character)]
    got = named(model)
    assert got.keys() == expected.keys() and len(got) == len(model.trainable_variables)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_all_bytes_keep_their_weights(make_run, make_model):
    other, folder = make_run(Vocabulary.bytes())
    model = make_model(256, seed=4)
    assert warm_start(model, Vocabulary.bytes(), folder).endswith("all 256 bytes are known there")
    for name, value in named(other).items():
        np.testing.assert_array_equal(named(model)[name], value)


@pytest.mark.parametrize(
    ("config", "vocabulary", "said"),
    [
        ({"units": 7}, OURS, "has model.units=6, and this run model.units=7"),
        ({"cell": "lstm", "num_layers": 2}, OURS, "has model.cell=gru and model.num_layers=1, and this run model.cell"),
        ({"embedding_size": 0}, OURS, "has model.embedding_size=5, and this run model.embedding_size=0"),
        ({}, Vocabulary.bytes(), "has a vocabulary of characters, and this run one of bytes: set data.vocabulary=char"),
    ],
    ids=str,
)
def test_another_model_is_refused_and_nothing_is_changed(make_run, config, vocabulary, said):
    _, folder = make_run()
    model = CharModel(ModelConfig(**{"units": 6, "embedding_size": 5, **config}), vocabulary.size)
    before = model.get_weights()
    with pytest.raises(UserError, match=f"--init_from={folder} {said}"):
        warm_start(model, vocabulary, folder)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


SETTINGS = {
    "model.units": 8, "data.seq_length": 8, "data.batch_size": 4, "optimizer.averaging": 0.9, "samples.num_chars": 0,
    "optimizer.schedule": "constant", "loop.evaluate_every": 2,
}


class Crashing(Trainer):
    """A trainer that crashes once, in its second step."""

    dies = True

    def batch_at(self, step):
        if step == 1 and Crashing.dies:
            Crashing.dies = False
            raise KeyError("power")
        return super().batch_at(step)


def test_a_warm_start_begins_at_the_other_runs_loss_and_never_reads_that_run_again(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("to be or not to be, that is the question; " * 60)
    (tmp_path / "b.txt").write_text("Quoth the raven: nevermore. " * 60)
    other = train("quickstart", run_dir=tmp_path / "other", corpus=tmp_path / "a.txt", steps=4, set=SETTINGS)
    asked = dict(init_from=tmp_path / "other", run_dir=tmp_path / "same", steps=1)
    standing = {**SETTINGS, "optimizer.learning_rate": 1e-30}
    same = train("quickstart", corpus=tmp_path / "a.txt", set=standing, **asked)
    best = other.history["validation"]["nats_per_char"].min()
    assert same.history["validation"]["nats_per_char"].tolist() == pytest.approx([best], rel=rounding.MODEL)
    assert "other/best/step-4: all 15 characters are known there" in capsys.readouterr().out
    assert json.loads((tmp_path / "same" / "config.json").read_text())["init_from"] == str(tmp_path / "other")

    asked = dict(corpus=tmp_path / "b.txt", init_from=tmp_path / "other", trainer=Crashing, set=SETTINGS)
    with pytest.raises(KeyError, match="power"):
        train("quickstart", run_dir=tmp_path / "parts", steps=3, **asked)
    whole = train("quickstart", run_dir=tmp_path / "whole", steps=3, **asked)
    shutil.rmtree(tmp_path / "other")
    parts = train("quickstart", run_dir=tmp_path / "parts", steps=3, **asked)
    for a, b in zip(parts.model.model.get_weights(), whole.model.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match=r"other is not a run directory, because it has no config\.json"):
        train("quickstart", run_dir=tmp_path / "late", steps=3, **asked)
    assert not (tmp_path / "late").exists()
    with pytest.raises(UserError, match=r"init_from was .*other, is \. Give"):
        train("quickstart", run_dir=tmp_path / "parts", steps=3, **{**asked, "init_from": None})
