"""Tests that a saved state of generation is loaded bit for bit, or refused with the path of its file."""

import json

import numpy as np
import pytest
import tensorflow as tf

from charrnn.errors import UserError
from charrnn.generation.generator import Generator
from charrnn.generation.state import GenerationState
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdef")


@pytest.fixture
def saved(make_model, tmp_path):
    """Returns a model, one of its states, and the path of the file with this state."""
    model = make_model(cell="lstm", num_layers=2, precision="mixed_bfloat16")
    stream = Generator(model, LETTERS).stream("fab", 11, seed=3)
    assert len("".join(stream)) == 11
    path = tmp_path / "state.npz"
    stream.state.save(str(path), model, LETTERS)
    return model, stream.state, path


def refused(path, model, vocabulary=LETTERS):
    with pytest.raises(UserError) as error:
        GenerationState.load(str(path), model, vocabulary)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_state_is_loaded_to_the_bit(saved):
    model, state, path = saved
    loaded = GenerationState.load(str(path), model, LETTERS)
    assert (loaded.position, loaded.seeds.tolist(), loaded.pending) == (14, [3], b"")
    for got, expected in zip(tf.nest.flatten(loaded[2:4]), tf.nest.flatten(state[2:4]), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(tf.cast(got, tf.float32), tf.cast(expected, tf.float32))
    assert [path.name for path in path.parent.iterdir()] == ["state.npz"]


def test_a_state_of_an_older_version_is_loaded_with_any_reading(saved):
    """A state does not store the reading, because vocabularies of older versions have none."""
    model, state, path = saved
    with np.load(path) as file:
        *_, known, _ = json.loads(file["model"].tobytes())
    assert known == {"characters": [*"abcdef"], "kind": "characters"}
    read = Vocabulary("abcdef", reading=Reading(lowercase=True))
    assert GenerationState.load(str(path), model, read).position == state.position


def test_the_file_of_a_state_has_nothing_to_execute(saved):
    with np.load(saved[2], allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "iuf" for name in file.files)


def test_another_model_vocabulary_or_weights_are_refused(saved, make_model):
    model, _, path = saved
    options = {"cell": "lstm", "num_layers": 2}
    others = [
        make_model(**options),
        make_model(**options, precision="mixed_bfloat16", seed=1),
        make_model(**options, precision="mixed_bfloat16", units=7),
    ]
    for other in others:
        assert "another model, vocabulary or weights" in refused(path, other)
    assert "another model, vocabulary or weights" in refused(path, model, Vocabulary("abcdeg"))


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "pickle", "shape", "missing part"])
def test_a_damaged_file_is_refused(saved, damage):
    model, _, path = saved
    with np.load(path) as file:
        parts = dict(file)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage in ("text", "empty"):
        path.write_bytes(b"ROMEO:" if damage == "text" else b"")
    elif damage == "pickle":
        np.savez(path, **{**parts, "seeds": np.array([{}], object)})
    elif damage == "shape":
        np.savez(path, **{**parts, "layers_1": parts["layers_1"][:, :-1]})
    else:
        np.savez(path, **{name: part for name, part in parts.items() if name != "logits"})
    assert str(path) in refused(path, model)


def test_files_that_cannot_be_read_or_written_are_reported(saved, tmp_path):
    model, state, _ = saved
    assert "cannot be read" in refused(tmp_path / "missing.npz", model)
    with pytest.raises(UserError, match=r"cannot be written to .*nowhere/state\.npz"):
        state.save(str(tmp_path / "nowhere" / "state.npz"), model, LETTERS)
