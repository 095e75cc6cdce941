"""Tests trained models as teachers: their average against NumPy, and the runs that are refused."""

import numpy as np
import pytest
import rounding
import tensorflow as tf
from run_by_hand import write_run

from charrnn.errors import UserError
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary
from trainers.teachers import networks

OURS = Vocabulary.from_text("abcdef")
IDS = tf.constant(np.random.default_rng(0).integers(0, 7, (3, 8)), tf.int32)


@pytest.fixture
def run_dirs(make_model, tmp_path):
    """Writes two runs. Returns their directories as "one,two", and their models, the first with dropout."""
    models = [make_model(seed=1, output_dropout=0.5), make_model(seed=2, cell="lstm", num_layers=2)]
    folders = [write_run(tmp_path / name, model, OURS) for name, model in zip(("one", "two"), models, strict=True)]
    return ",".join(folders), models


def test_the_probabilities_are_averaged(run_dirs):
    teacher = networks.load("trainer.teacher", run_dirs[0].replace(",", " , ").split(","), OURS)
    log_probs, state = teacher(IDS, teacher.initial_state(3))
    found = [model(IDS) for model in run_dirs[1]]
    probs = [np.exp(logits.numpy().astype(np.float64)) for logits, _ in found]
    expected = np.mean([each / each.sum(-1, keepdims=True) for each in probs], axis=0)
    np.testing.assert_allclose(np.exp(log_probs), expected, rtol=rounding.MODEL)
    for got, (_, wanted) in zip(state, found, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, got, wanted)


def test_no_gradient_flows_into_a_teacher(make_model):
    model = make_model()
    teacher = networks.Networks([model])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(teacher(IDS, teacher.initial_state(3))[0])
    assert tape.gradient(total, model.trainable_variables) == [None] * len(model.trainable_variables)


def test_other_weights_have_another_fingerprint(make_model):
    one, same, other = (networks.Networks([make_model(seed=seed)]).fingerprint for seed in (1, 1, 2))
    assert one == same != other and 0 <= other < 2**63


@pytest.mark.parametrize(
    "vocabulary, said",
    [
        (Vocabulary.from_text("abcdeg"), r"another vocabulary .*only in this one: 'f'; only in the other: 'g'"),
        (Vocabulary.bytes(), "another vocabulary .*of characters, the other of bytes"),
        (Vocabulary(OURS.characters, reading=Reading(lowercase=True)), "lowercase is False there, True here"),
    ],
)
def test_runs_on_other_characters_or_with_another_reading_are_refused(run_dirs, vocabulary, said):
    with pytest.raises(UserError, match=rf"^trainer\.teacher=.* is not possible: \S*one (has|reads its text).*{said}"):
        networks.load("trainer.teacher", run_dirs[0].split(","), vocabulary)


def test_missing_runs_and_checkpoints_are_refused(run_dirs, tmp_path):
    for name in (str(tmp_path / "none"), f"{run_dirs[0]},"):
        with pytest.raises(UserError, match=r"^trainer\.teacher=\S+ is not possible: .*is not a run directory"):
            networks.load("trainer.teacher", name.split(","), OURS)
    for file in (tmp_path / "two" / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"^trainer\.teacher=\S+ is not possible: \S*two has no checkpoint yet"):
        networks.load("trainer.teacher", run_dirs[0].split(","), OURS)
