"""Tests the files of `experiments/`: each declares an experiment, shows its command, and has the promised sizes."""

import dataclasses
import importlib
import pkgutil

import pytest

import experiments
from benchmarks.reproductions import BETTER
from charrnn.batches.texts import load_texts
from charrnn.errors import UserError
from charrnn.model.char_model import CharModel
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.experiment import Experiment, override
from trainers.launch.build import make_sampling, make_trainer
from trainers.trainer import Trainer

NAMES = [module.name for module in pkgutil.iter_modules(experiments.__path__)]


def declared(name):
    return importlib.import_module(f"experiments.{name}")


def test_the_documented_experiments_exist():
    assert {"quickstart", "shakespeare_gru", "shakespeare_lstm", "shakespeare_gru_scheduled"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_file_declares_an_experiment_and_says_how_to_run_it(name):
    module = declared(name)
    assert type(module.EXPERIMENT) is Experiment
    assert type(module.EXPERIMENT.trainer) is module.EXPERIMENT.trainer_class.Config
    summary, blank, *rest = module.__doc__.splitlines()
    assert summary.endswith(".") and not blank
    assert f"    python -m trainers.run --experiment={name}" in rest


@pytest.mark.parametrize("name", NAMES)
def test_intervals_fit_into_the_steps(name):
    loop = declared(name).EXPERIMENT.loop
    assert max(loop.log_every, loop.evaluate_every, loop.save_every) <= loop.steps


@pytest.mark.parametrize("name", NAMES)
def test_each_experiment_accepts_another_text(tmp_path, name):
    """The text has other characters than the experiment's corpus. A CSV experiment refuses it and names a remedy."""
    (tmp_path / "my.txt").write_text("кто там? никого.\n" * 2000, encoding="utf-8")
    own = dataclasses.replace(declared(name).EXPERIMENT, corpus=str(tmp_path / "my.txt"))
    if own.data.csv_column:
        with pytest.raises(UserError, match=r"has 1 column.*read each line as a document with csv_column=0"):
            load_texts(own.corpus, own.data, print)
        own = override(own, ["data.csv_column=0"])
    own = override(own, ["model.units=4", "model.embedding_size=0"])
    texts = load_texts(own.corpus, own.data, print)
    trainer = make_trainer(own, texts)
    assert trainer.batch_at(0).inputs.shape == (own.data.batch_size, own.data.seq_length)
    sampling = make_sampling(own, trainer.averaged, texts)
    assert sampling.left_out == sorted(set("".join(own.samples.prompts)) - set("кто там? никого.\n"))


@pytest.mark.parametrize("name", ["shakespeare_gru", "shakespeare_lstm", "shakespeare_gru_scheduled"])
def test_shakespeare_has_the_tutorials_sizes(name):
    experiment = declared(name).EXPERIMENT
    assert experiment.corpus == "shakespeare"
    assert (experiment.model.embedding_size, experiment.model.units, experiment.model.num_layers) == (256, 1024, 1)
    assert (experiment.data.batch_size, experiment.data.seq_length) == (64, 100)
    assert (experiment.optimizer.name, experiment.optimizer.learning_rate) == ("adam", 1e-3)


def test_shakespeare_gru_is_teacher_forcing_on_windows():
    experiment = declared("shakespeare_gru").EXPERIMENT
    assert (experiment.model.cell, experiment.data.order) == ("gru", "windows")
    assert experiment.trainer_class is Trainer
    assert experiment.loop.epochs == 20


def test_shakespeare_lstm_carries_its_state():
    experiment = declared("shakespeare_lstm").EXPERIMENT
    assert (experiment.model.cell, experiment.data.order) == ("lstm", "streams")
    assert experiment.trainer_class is Trainer
    assert experiment.loop.epochs == 10


def test_shakespeare_gru_scheduled_differs_in_its_trainer_only():
    plain, scheduled = declared("shakespeare_gru").EXPERIMENT, declared("shakespeare_gru_scheduled").EXPERIMENT
    differing = {name for name in vars(plain) if getattr(plain, name) != getattr(scheduled, name)}
    assert differing == {"trainer_class", "trainer"}
    assert scheduled.trainer_class is ScheduledSampling
    assert scheduled.trainer.schedule == "inverse_sigmoid"


def test_shakespeare_gru_scheduled_has_the_probabilities_that_it_promises(make_trainer):
    experiment = declared("shakespeare_gru_scheduled").EXPERIMENT
    trainer = make_trainer(ScheduledSampling, config=experiment.trainer)
    assert float(trainer.own_input_prob(0)) == pytest.approx(0.003, abs=0.0005)
    # 1,115,394 characters, nine tenths of them for training: 10,038 windows of 100, 156 batches of 64.
    steps_per_epoch = (1_115_394 * 9 // 10 - 1) // 100 // 64
    middle, end = 10 * steps_per_epoch, 20 * steps_per_epoch
    assert 0.15 < float(trainer.own_input_prob(middle)) <= 0.25
    assert float(trainer.own_input_prob(end)) == 0.25


def test_quickstart_needs_no_download():
    experiment = declared("quickstart").EXPERIMENT
    assert experiment.corpus == "plays"


def test_the_record_keeps_to_its_protocol():
    """The protocol sets the size, the split, and one evaluation after the last step. The averages settle before it."""
    experiment = declared("shakespeare_record").EXPERIMENT
    assert experiment.runtime.precision == "auto"
    assert CharModel(experiment.model, 66).count_params() <= 4e6
    assert (experiment.data.validation_fraction, experiment.data.test_fraction) == (0.1, 0.0)
    assert experiment.loop.evaluate_every == experiment.loop.steps == experiment.optimizer.decay_steps
    assert experiment.loop.steps * (1 - experiment.optimizer.averaging) > 10


@pytest.mark.parametrize("better, original", [(name, of) for (name, _), of in BETTER.items()])
def test_a_better_recipe_has_no_more_weights(better, original):
    size = {"shakespeare_gru": 66, "shakespeare_lstm": 66, "nietzsche_lstm": 58, "linux_lstm": 99, "ag_news_lstm": 84}
    most = declared(original).EXPERIMENT.model.num_weights(size[original])
    assert declared(better).EXPERIMENT.model.num_weights(size[original]) <= most
