"""From an experiment to a finished run: builds the parts, checks them, and lets the loop run."""

import dataclasses
import sys
from collections.abc import Callable

from charrnn import memory
from charrnn.batches import make_source
from charrnn.model import CharModel, choose_path
from charrnn.passes import passes_for
from charrnn.texts import END_OF_TEXT, Texts, load_texts
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


def make_trainer(experiment: Experiment, texts: Texts) -> Trainer:
    """The model, its optimizer and its trainer, at step 0."""
    config = experiment.runtime
    rows, length, size = experiment.data.batch_size, experiment.data.seq_length, texts.vocabulary.size
    memory.require(4 * rows * length * size, "A batch", "set data.batch_size or data.seq_length lower")
    source = make_source(texts.train, experiment.data, experiment.seed)
    path, _ = choose_path(config.recurrence, config.xla)
    model = CharModel(experiment.model, texts.vocabulary.size, config.precision, experiment.seed, path)
    return experiment.trainer_class(
        model,
        source,
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
    texts = load_texts(experiment.corpus, experiment.data, console.line)
    description = {
        "experiment": name,
        **experiments.to_dict(experiment),
        "corpus_sha256": texts.sha256,
        "versions": runtime.versions(),
        "command": sys.argv,
    }
    directory = RunDirectory(run_dir)
    directory.check(resume, description, texts.vocabulary)
    trainer = make_trainer(experiment, texts)
    loop_config = experiment.loop.in_steps(trainer.source.steps_per_epoch)
    checkpoints = Checkpoints(run_dir, trainer, experiment.loop.keep)
    checkpoints.restore()
    if int(trainer.step.numpy()) < loop_config.steps:
        trainer.check(loop_config.steps)
    records = Records(run_dir, int(trainer.step.numpy()))
    records.start()  # before anything is written: what is damaged is refused
    directory.prepare(description, texts.vocabulary)

    end = END_OF_TEXT if experiment.data.order == "lines" else ""
    sampling = Sampling(experiment.samples, trainer.model, texts.vocabulary, texts.train, end)
    for line in _opening_lines(experiment, loop_config, trainer, sampling, run_dir):
        console.line(line)
    loop = Loop(
        trainer,
        loop_config,
        checkpoints,
        [records, Summaries(run_dir), console],
        console,
        _evaluation(experiment, trainer, texts),
        sampling.write,
        stopping,
    )
    return loop.run()


def _evaluation(experiment: Experiment, trainer: Trainer, texts: Texts) -> Callable[[], dict[str, float]] | None:
    """Measures the validation text; None where there is none."""
    passes = passes_for(texts.validation, experiment.data)
    if not passes:
        return None

    def evaluate():
        measured = {name: trainer.evaluate(make_pass()) for name, make_pass in passes.items()}
        return {**measured["nats_per_char"], **{name: values["nats_per_char"] for name, values in measured.items()}}

    return evaluate


def _opening_lines(experiment, loop_config, trainer, sampling, run_dir):
    step = int(trainer.step.numpy())
    yield from runtime.describe(experiment.runtime)
    yield f"{trainer.model.count_params():,} weights; trainer: {type(trainer).__name__}"
    yield f"An epoch is {trainer.source.steps_per_epoch:,} steps; the run is {loop_config.steps:,}"
    for field in dataclasses.fields(trainer.config):
        yield f"  trainer.{field.name} = {getattr(trainer.config, field.name)}"
    if sampling.left_out:
        yield f"Left out of the sample prompts, for the text has them not: {' '.join(map(repr, sampling.left_out))}"
    if step >= loop_config.steps:
        yield f"{run_dir} has its {step:,} steps: nothing to do. Raise --steps to go on."
    elif step:
        yield f"Going on at step {step:,} in {run_dir}"
    else:
        yield f"Starting in {run_dir}; watch it: tensorboard --logdir {run_dir}"
