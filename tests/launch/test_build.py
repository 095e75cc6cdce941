"""Tests how a run is built: overfitting on few batches, refused input, and the state that a curriculum carries over."""

import itertools
import shutil

import numpy as np
import pytest
import tensorflow as tf

from charrnn import run_files
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.errors import UserError
from charrnn.model.config import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from trainers.configs import OptimizerConfig
from trainers.experiment import Experiment, override, with_trainer
from trainers.launch.build import is_complete, make_trainer, run_experiment
from trainers.loop.stopping import Stopped
from trainers.trainer import Trainer

LETTERS = Vocabulary([chr(0x4E00 + i) for i in range(60)])


@pytest.fixture(scope="module")
def noise():
    """Returns a text of random characters, which a model can only overfit."""
    return Texts("noise", "", LETTERS, np.random.default_rng(0).integers(1, LETTERS.size, 4000), np.array([], int))


def losses(texts, num_steps, **data):
    """Trains; returns the nats per character of each step."""
    trainer = make_trainer(
        Experiment(
            model=ModelConfig(units=32, embedding_size=16),
            data=DataConfig(seq_length=10, batch_size=3, **data),
            optimizer=OptimizerConfig(learning_rate=0.03),
        ),
        texts,
    )
    steps = (trainer.train_step(trainer.batch_at(i)) for i in range(num_steps))
    return np.array([float(step["nats"]) / float(step["chars"]) for step in steps])


@pytest.mark.slow
@pytest.mark.parametrize(("order", "count"), [("windows", 1), ("streams", 3)])
def test_a_model_overfits_few_batches(noise, order, count):
    assert losses(noise, 120, order=order, overfit_batches=count)[-count:].max() < 0.1


def test_a_model_does_not_overfit_a_whole_text(noise):
    assert losses(noise, 120, order="windows")[-10:].min() > np.log(LETTERS.size) - 0.5


def test_patience_needs_a_validation_text(tmp_path):
    settings = ["data.validation_fraction=0", "loop.patience=2", "model.units=8", "data.batch_size=4"]
    with pytest.raises(UserError, match=r"loop\.patience=2"):
        run_experiment(override(Experiment(corpus="plays:3000"), settings), "mine", str(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_a_curriculum_that_does_not_call_its_parents_constructor_is_refused(tmp_path):
    class Mine(Trainer):
        def __init__(self, *arguments, **named):
            self.prob = 0.5

    with pytest.raises(UserError, match=r"^Mine\.__init__ does not call"):
        run_experiment(with_trainer(Experiment(corpus="plays:9000"), Mine), "mine", str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


SMALL = ["model.units=8", "data.batch_size=4", "data.seq_length=8", "samples.num_chars=0"]


def emptied(folder):
    (folder / "step-1.data-00000-of-00001").write_bytes(b"")


@pytest.mark.parametrize("lose", [emptied, shutil.rmtree])
def test_a_run_whose_best_checkpoint_is_lost_saves_the_next_evaluation_as_the_best(tmp_path, lose):
    """The weights, and so the losses, hardly change: the next loss is not lower."""
    still = ["optimizer.learning_rate=1e-30", "loop.evaluate_every=1", "loop.save_every=1"]
    experiment, best = override(Experiment(corpus="plays:3000"), [*SMALL, *still]), tmp_path / "best"
    run_experiment(override(experiment, ["loop.steps=2"]), "mine", str(tmp_path))
    assert run_files.find_checkpoint(str(tmp_path)) == str(best / "step-1")
    lose(best)
    run_experiment(override(experiment, ["loop.steps=3"]), "mine", str(tmp_path))
    assert run_files.find_checkpoint(str(tmp_path)) == str(best / "step-3")


def test_a_run_that_was_stopped_in_its_last_evaluation_is_not_complete(tmp_path):
    experiment = override(Experiment(corpus="plays:3000"), [*SMALL, "loop.steps=2", "loop.steps_per_loop=1"])
    texts, run_dir = load_texts(experiment.corpus, experiment.data, print), str(tmp_path / "run")
    looks = itertools.count(1)

    def look():
        if next(looks) == 3:  # at the start, after the first step, and before the first batch of the evaluation
            raise Stopped

    complete = [is_complete(experiment, "mine", run_dir, texts)]
    for _ in range(2):
        run_experiment(experiment, "mine", run_dir, look=look)
        complete.append(is_complete(experiment, "mine", run_dir, texts))
    assert (tmp_path / "run/checkpoints/stopped-2.index").exists() and complete == [False, False, True]


class Counting(Trainer):
    """A curriculum that also carries over the number of characters that each row has read, once it has the text."""

    texts = None

    def prepare(self, texts):
        self.texts = texts
        self.make_carried()

    def initial_state(self, batch_size):
        model = super().initial_state(batch_size)
        return model if self.texts is None else (model, tf.zeros([batch_size, 1], tf.int32))

    def forward(self, batch, state):
        own, count = state
        rollout = super().forward(batch, own)
        return rollout._replace(state=(rollout.state, count + tf.shape(batch.inputs)[1]))


@pytest.mark.parametrize("parts", [1, 2])
def test_a_curriculum_gets_the_texts_before_the_first_step_and_carries_over_its_own_state(noise, parts):
    data = DataConfig(seq_length=10, batch_size=4, order="streams", reset_probability=0.4)
    model, optimizer = ModelConfig(units=8, embedding_size=0), OptimizerConfig(accumulate=parts)
    trainer = make_trainer(Experiment(model=model, data=data, optimizer=optimizer, trainer_class=Counting), noise)
    assert trainer.texts is noise
    expected, lengths = np.zeros(4), set()
    for step in range(4):
        batch = trainer.batch_at(step)
        trainer.train_step(batch)
        expected = expected * batch.continues + 10
        np.testing.assert_array_equal(trainer.carried[1][:, 0], expected)
        lengths.update(expected)
    assert len(lengths) > 1
