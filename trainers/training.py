"""From an experiment to a finished run: builds the parts, checks them, and lets the loop run."""

import dataclasses
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from charrnn import corpora
from charrnn.batches import Source, make_source, stateful_pass, window_pass
from charrnn.model import CharModel, choose_path
from charrnn.vocabulary import Vocabulary
from trainers import experiment as experiments
from trainers import runtime
from trainers.checkpoints import Checkpoints
from trainers.experiment import Experiment
from trainers.loop import Loop
from trainers.optimizer import make_optimizer
from trainers.progress import Console
from trainers.records import Records
from trainers.run_directory import RunDirectory
from trainers.samples import Sampling
from trainers.summaries import Summaries
from trainers.trainer import Trainer


class Texts(NamedTuple):
    """The corpus as a run reads it."""

    corpus: corpora.Corpus
    vocabulary: Vocabulary
    source: Source  # of training batches
    validation: np.ndarray  # ids, begun one character early, so that the first can be predicted too


def load_texts(experiment: Experiment, log: Callable[[str], None]) -> Texts:
    """Finds the corpus, splits it, and makes the vocabulary from the training part."""
    config = experiment.data
    corpus = corpora.load(experiment.corpus, as_bytes=config.vocabulary == "bytes", log=log)
    split = corpora.split(len(corpus.content), config.validation_fraction, config.test_fraction)
    train_text = corpus.content[split.train]
    vocabulary = Vocabulary.bytes() if config.vocabulary == "bytes" else Vocabulary.from_text(train_text)
    source = make_source(vocabulary.encode(train_text), config, experiment.seed)
    start = max(0, split.validation.start - 1)
    validation = vocabulary.encode(corpus.content[start : split.validation.stop])
    log(
        f"{corpus.name}: {len(train_text):,} characters to train on, {len(validation) - 1:,} to validate, "
        f"{vocabulary.size} ids; an epoch is {source.steps_per_epoch:,} steps"
    )
    if corpus.entropy_rate is not None:
        log(f"The source's true entropy is {corpus.entropy_rate:.4f} nats per character: no model can have less")
    return Texts(corpus, vocabulary, source, validation)


def make_trainer(experiment: Experiment, texts: Texts) -> Trainer:
    """The model, its optimizer and its trainer, at step 0."""
    config = experiment.runtime
    path, _ = choose_path(config.recurrence, config.xla)
    model = CharModel(experiment.model, texts.vocabulary.size, config.precision, experiment.seed, path)
    return experiment.trainer_class(
        model,
        texts.source,
        make_optimizer(experiment.optimizer, config.precision),
        experiment.trainer,
        seed=experiment.seed,
        clip_norm=experiment.optimizer.clip_norm,
        xla=config.xla,
    )


def train(
    experiment: Experiment,
    name: str,
    run_dir: str,
    resume: str = "auto",
    console: Console | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Runs an experiment, or goes on with it.

    Args:
        experiment: what to run.
        name: the experiment's.
        run_dir: the run directory; made if it is not there.
        resume: "auto", "never" or "must".
        console: where to show progress.
        stopping: asked after every step whether to save and leave.

    Returns:
        Whether the run is finished; false where it was stopped.

    Raises:
        UserError: something that was given cannot be; nothing was written.
        Diverged: the loss is not finite; the last checkpoint is kept.
    """
    console = console or Console()
    texts = load_texts(experiment, console.line)
    description = {
        "experiment": name,
        **experiments.to_dict(experiment),
        "corpus_sha256": texts.corpus.sha256,
        "versions": runtime.versions(),
        "command": sys.argv,
    }
    directory = RunDirectory(run_dir)
    directory.check(resume, description, texts.vocabulary)
    trainer = make_trainer(experiment, texts)
    checkpoints = Checkpoints(run_dir, trainer, experiment.loop.keep)
    checkpoints.restore()
    directory.prepare(description, texts.vocabulary)

    step = int(trainer.step.numpy())
    sampling = Sampling(experiment.samples, trainer.model, texts.vocabulary)
    records = Records(run_dir, step)
    records.start()
    for line in _opening_lines(experiment, trainer, sampling, run_dir, step):
        console.line(line)
    loop = Loop(
        trainer,
        experiment.loop,
        checkpoints,
        [records, Summaries(run_dir), console],
        console,
        _evaluation(trainer, texts.validation),
        sampling.write,
        stopping,
    )
    return loop.run()


def _evaluation(trainer: Trainer, ids: np.ndarray) -> Callable[[], dict[str, float]] | None:
    """Both protocols over the validation ids; None where there is nothing to predict."""
    if len(ids) < 2:
        return None

    def evaluate():
        by_windows = trainer.evaluate(window_pass(ids))["nats_per_char"]
        return {**trainer.evaluate(stateful_pass(ids)), "nats_per_char_window_256": by_windows}

    return evaluate


def _opening_lines(experiment, trainer, sampling, run_dir, step):
    yield from runtime.describe(experiment.runtime)
    yield f"{trainer.model.count_params():,} weights; trainer: {type(trainer).__name__}"
    for field in dataclasses.fields(trainer.config):
        yield f"  trainer.{field.name} = {getattr(trainer.config, field.name)}"
    if sampling.left_out:
        yield f"Left out of the sample prompts, for the text has them not: {' '.join(map(repr, sampling.left_out))}"
    if step >= experiment.loop.steps:
        yield f"{run_dir} has its {step:,} steps: nothing to do. Raise --steps to go on."
    elif step:
        yield f"Going on at step {step:,} in {run_dir}"
    else:
        yield f"Starting in {run_dir}; watch it: tensorboard --logdir {run_dir}"
