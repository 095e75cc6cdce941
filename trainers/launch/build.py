"""From an experiment to a finished run: builds the parts, checks them, and lets the loop run."""

import contextlib
import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from charrnn import run_files
from charrnn.batches.evaluation_batches import passes_for
from charrnn.batches.sources import make_source
from charrnn.batches.texts import Texts, load_texts
from charrnn.batches.wrapped import FirstBatches
from charrnn.encoded.reader import fingerprint
from charrnn.errors import UserError, require, require_memory
from charrnn.files import paths
from charrnn.model.char_model import CharModel, choose_path
from charrnn.model.config import ModelConfig
from charrnn.text.chunks import END_OF_TEXT
from trainers import experiment as experiments
from trainers.configs import LoopConfig
from trainers.distribution import strategies
from trainers.distribution.strategies import Workers
from trainers.experiment import Experiment
from trainers.launch import own_reports, precision, runtime
from trainers.launch.own_reports import OwnReport
from trainers.launch.warm_start import warm_start
from trainers.loop.checkpoints import Checkpoints
from trainers.loop.loop import Loop
from trainers.loop.profiling import Profiler
from trainers.reports import summaries
from trainers.reports.console import Console
from trainers.reports.dashboards import hyperparameters
from trainers.reports.own import Own
from trainers.reports.projector import Projector
from trainers.reports.records import Records
from trainers.reports.reports import Report, Reports
from trainers.reports.samples import SampleWriter
from trainers.reports.summaries import Summaries
from trainers.run_directory import lock
from trainers.run_directory.directory import RunDirectory
from trainers.step.optimizer import make_optimizer
from trainers.trainer import Trainer

Look = Callable[[], None]
"""Raises Stopped if the run was asked to stop; called after each step, and within evaluation and sampling."""


def make_trainer(experiment: Experiment, texts: Texts) -> Trainer:
    """Builds the model, its optimizer and its trainer, at step 0."""
    config = precision.resolved(experiment)[0].runtime
    rows = experiment.data.batch_size // tf.distribute.get_strategy().num_replicas_in_sync
    logits = 4 * rows * experiment.data.seq_length * texts.vocabulary.size
    require_memory(logits, "A batch", "set data.batch_size or data.seq_length lower")
    source = make_source(texts.train, experiment.data, experiment.seed)
    if experiment.data.overfit_batches:
        source = FirstBatches(source, experiment.data.overfit_batches)
    path, _ = choose_path(config.recurrence, config.xla, experiment.model)
    model = CharModel(experiment.model, texts.vocabulary.size, config.precision, experiment.seed, path)
    trainer = experiment.trainer_class(
        model,
        source,
        make_optimizer(experiment.optimizer, config.precision),
        experiment.trainer,
        seed=experiment.seed,
        clip_norm=experiment.optimizer.clip_norm,
        xla=config.xla,
        accumulate=experiment.optimizer.accumulate,
        averaging=experiment.optimizer.averaging,
        label_smoothing=experiment.optimizer.label_smoothing,
    )
    if not hasattr(trainer, "optimizer"):
        raise UserError(f"{type(trainer).__name__}.__init__ does not call super().__init__ with its arguments: do so.")
    trainer.prepare(texts)
    return trainer


def run_experiment(
    experiment: Experiment,
    name: str,
    run_dir: str,
    resume: str = "auto",
    console: Console | None = None,
    look: Look = lambda: None,
    call: Sequence[str] | None = None,
    reports: Sequence[OwnReport] = (),
) -> bool:
    """Runs an experiment, or resumes it.

    Args:
        experiment: what to run.
        name: the experiment's name.
        run_dir: the run directory; created if it does not exist.
        resume: "auto", "never" or "must".
        console: shows the progress.
        look: raises Stopped if the run was asked to stop.
        call: the command or call, for config.json; None: the process's command line.
        reports: the user's own, from `own_reports.resolve`; the chief alone makes and calls them.

    Returns:
        True if the run is complete; False if it was stopped.

    Raises:
        UserError: an argument is wrong; nothing was written.
        Diverged: training diverged, also after all retries; the last checkpoint is kept.
        NotWritten: the disk is full; the last checkpoint is kept.
        WorkerLost: another worker is gone; the last checkpoint is kept.
    """
    run_dir = paths.given(run_dir)
    experiment, chosen = precision.resolved(experiment, [run_dir])
    settings = {"experiment": name, **experiments.to_dict(experiment), "versions": runtime.versions()}
    workers = Workers(strategies.make_strategy(experiment.runtime, fingerprint(settings)))
    console = (console or Console()) if workers.is_chief else Console(open(os.devnull, "w"))
    directory = RunDirectory(run_dir)
    texts = load_texts(experiment.corpus, directory.as_begun(experiment.data), console.line)
    settings["data"] = dataclasses.asdict(texts.data or experiment.data)  # with the formats found in the files
    if not workers.is_chief:
        with workers.watched():
            loop, warm_started = _make_loop(experiment, texts, run_dir, console, look, workers, ())
            if warm_started:
                warm_started.save(0)
            return loop.run()
    description = {**settings, "corpus_sha256": texts.sha256, "command": [*(sys.argv if call is None else call)]}
    directory.may_resume(resume, description, texts.vocabulary, experiment.trainer_class)
    with lock.hold(run_dir), workers.watched():
        if chosen:
            console.line(chosen)
        loop, warm_started = _make_loop(experiment, texts, run_dir, console, look, workers, reports)
        directory.prepare(description, texts.vocabulary)
        if warm_started:
            warm_started.save(0)  # when this run resumes, the other may be gone or have trained more
        end = summaries.begin_session(run_dir, hyperparameters(settings))
        with contextlib.closing(console):
            finished = loop.run()
            if finished:
                end()
                console.done(run_dir)
        return finished


def is_complete(experiment: Experiment, name: str, run_dir: str, texts: Texts) -> bool:
    """Returns whether a run directory has all steps of an experiment, and its temperature.

    False for a run that may stop early.

    Args:
        experiment: the experiment.
        name: the experiment's name.
        run_dir: the run directory; it may not exist.
        texts: the experiment's text.

    Raises:
        UserError: the directory belongs to another run, has more steps than the experiment, began with other
            evaluations or early stops, or is damaged.
    """
    directory = RunDirectory(run_dir)
    experiment, _ = precision.resolved(experiment, [run_dir])
    data = dataclasses.asdict(texts.data or experiment.data)
    settings = {"experiment": name, **experiments.to_dict(experiment), "data": data, "corpus_sha256": texts.sha256}
    if not directory.may_resume("auto", settings, texts.vocabulary, experiment.trainer_class):
        return False
    listed = run_files.listed_in(directory.file(run_files.NEWEST))
    loop = _same_loop(run_dir, experiment, make_source(texts.train, experiment.data, experiment.seed).steps_per_epoch)
    kind, _, step = os.path.basename(listed[-1]).rpartition("-") if listed else ("", "", "")
    done = int(step) if kind else 0
    if done > loop.steps:
        raise UserError(f"{run_dir} has {done:,} steps, more than --steps={loop.steps}: give another --study_dir.")
    model = run_files.read_group(run_dir, run_files.read_config(run_dir), "model", ModelConfig)
    if model != experiment.model:
        return False  # only in its temperature, which it has as soon as it resumes
    whole = kind.endswith("step")  # stopped-N: the evaluation at step N is not done
    return whole and done == loop.steps and not loop.patience


def _same_loop(run_dir: str, experiment: Experiment, steps_per_epoch: int) -> LoopConfig:
    """Returns the experiment's loop in steps; raises UserError if the run began with other evaluations or stops."""
    loop = experiment.loop.in_steps(steps_per_epoch)
    stored = run_files.read_setting(run_dir, run_files.read_config(run_dir), dict, "loop")
    begun = dataclasses.asdict(LoopConfig()) | stored
    begun["evaluate_every"] = begun["evaluate_every"] or steps_per_epoch
    for name in ("evaluate_every", "patience", "min_delta"):
        old, new = f"loop.{name}={begun[name]}", f"loop.{name}={getattr(loop, name)}"
        if old != new:
            raise UserError(f"{run_dir} has {old}, not {new}: give --set={old}, or another --study_dir.")
    return loop


def _make_loop(
    experiment: Experiment,
    texts: Texts,
    run_dir: str,
    console: Console,
    look: Look,
    workers: Workers,
    own: Sequence[OwnReport],
) -> tuple[Loop, Checkpoints | None]:
    """Builds the loop at the step where the run resumes; also returns its checkpoints if this is a warm start."""
    with workers.strategy.scope():
        trainer = make_trainer(experiment, texts)
    config = experiment.loop.in_steps(trainer.source.steps_per_epoch)
    if workers.several:
        config = dataclasses.replace(config, steps_per_loop=config.steps_per_loop or 1)  # the same on all
    checkpoints = (Checkpoints if workers.is_chief else strategies.ReadOnlyCheckpoints)(run_dir, trainer, config.keep)
    warm = _restore(experiment, texts, trainer, checkpoints, console, workers)
    step = int(trainer.step.numpy())
    passes = passes_for(texts.validation, experiment.data)
    early = checkpoints.loop_state.out_of_patience(config.patience)
    text_for_it = "0 without validation text: set data.validation_fraction higher, or give a longer text"
    require("loop.patience", config.patience, bool(passes) or not config.patience, text_for_it)
    if step < config.steps and not early:
        trainer.check(config.steps)
    sampling = make_sampling(experiment, trainer.averaged, texts) if workers.is_chief else None
    for line in _opening_lines(experiment, config, trainer, sampling, run_dir, workers.strategy, early):
        console.line(line)
    if warm:
        console.line(warm)
    files: list[Report] = [Records(run_dir), Summaries(run_dir)] if workers.is_chief else []
    others = _other_reports(run_dir, trainer, texts, console, own) if workers.is_chief else []
    for report in files:  # they refuse damaged files before anything is written
        report.start(step, step - checkpoints.loop_state.unmeasured)
    reports = Reports(console, [*files, *others])
    measure = _measuring(trainer, passes, sampling, look, workers)
    profiler = Profiler(run_dir, config.profile if workers.is_chief else (), console.line)
    loop = Loop(trainer, config, checkpoints, reports, measure, workers.agreeing_to_stop(look), profiler)
    return loop, checkpoints if warm else None


def _other_reports(
    run_dir: str, trainer: Trainer, texts: Texts, console: Console, own: Sequence[OwnReport]
) -> list[Report]:
    """Returns the reports that write nothing before the run directory is prepared; the user's are the last."""
    users = [Own(report, name, console.warning) for name, report in own_reports.make(own, run_dir).items()]
    return [Projector(run_dir, trainer.averaged, texts.vocabulary), *users]


def _restore(
    experiment: Experiment, texts: Texts, trainer: Trainer, checkpoints: Checkpoints, console: Console, workers: Workers
) -> str:
    """Restores the trainer, or gives it another run's weights; returns a sentence on a warm start, else ""."""
    resumed = workers.is_chief and checkpoints.restore(console.warning)
    workers.check_same("text", int(texts.sha256[:8], 16), "give all the same --corpus")
    if not workers.is_chief:
        resumed = checkpoints.restore()  # after the chief has removed damaged ones from the list
    workers.check_same("step", int(trainer.step.numpy()), "--run_dir must be a folder that they share")
    if workers.any(not checkpoints.has_best()):
        checkpoints.loop_state.best = None  # it was damaged or removed: all save the next evaluation's as the best
    return "" if resumed or not experiment.init_from else _warm_start(trainer, texts, experiment.init_from)


def _warm_start(trainer: Trainer, texts: Texts, run_dir: str) -> str:
    """Copies another run's weights to the trainer's model and its average; returns a sentence on them."""
    said = warm_start(trainer.model, texts.vocabulary, run_dir)
    if trainer.averaged is not trainer.model:
        trainer.averaged.set_weights(trainer.model.get_weights())
    return said


def make_sampling(experiment: Experiment, model: CharModel, texts: Texts) -> SampleWriter:
    """Builds the writer of the experiment's samples."""
    end = END_OF_TEXT if experiment.data.order == "lines" else ""
    return SampleWriter(experiment.samples, model, texts.vocabulary, texts.train, end)


def _measuring(
    trainer: Trainer, passes: Mapping[str, Callable], sampling: SampleWriter | None, look: Look, workers: Workers
) -> Callable:
    """Returns the function that the loop calls for an evaluation: step -> losses or None, and samples."""
    within = (lambda: None) if workers.several else look  # several workers can agree to stop only between steps

    def measure(step):
        measured = {name: trainer.evaluate(make_pass(), within) for name, make_pass in passes.items()}
        values = {name: values["nats_per_char"] for name, values in measured.items()}
        values = workers.mean({**measured["nats_per_char"], **values}) if passes else None
        return values, sampling.write(step, within) if sampling else []

    return measure


def _opening_lines(experiment, loop_config, trainer, sampling, run_dir, strategy, early):
    step, few = int(trainer.step.numpy()), experiment.data.overfit_batches
    yield from runtime.describe(experiment.runtime, experiment.model)
    yield from strategies.describe(strategy, trainer.source.batch_size)
    yield f"{trainer.model.count_params():,} weights; trainer: {type(trainer).__name__}"
    yield f"An epoch is {trainer.source.steps_per_epoch:,} steps; the run is {loop_config.steps:,}"
    if few:
        yield f"Trains on the first {few:,} batches of an epoch repeatedly"
    for field in dataclasses.fields(trainer.config):
        yield f"  trainer.{field.name} = {getattr(trainer.config, field.name)}"
    prompts = experiment.samples.prompts
    if sampling and len(prompts) == 1 and "," in prompts[0]:
        yield f'One sample prompt, {prompts[0]!r}; several are a JSON list: samples.prompts=\'["one", "two"]\''
    if sampling and sampling.left_out:
        yield f"Removed from the sample prompts (not in the vocabulary): {' '.join(map(repr, sampling.left_out))}"
        for given, prompt in sampling.replaced.items():
            yield f"Replaced the sample prompt {given!r}, of which nothing remains, by {prompt!r}"
    if step >= loop_config.steps:
        yield f"{run_dir} has its {step:,} steps: nothing to do. Raise --steps to train longer."
    elif early:
        yield f"{run_dir} was stopped early, at step {step:,}: nothing to do. Raise loop.patience to train longer."
    elif step:
        yield f"Resuming at step {step:,} in {run_dir}"
        if loop_config.profile and loop_config.profile[1] <= step:
            yield "Nothing is profiled: these steps are done. Give later ones with --profile=FIRST,LAST"
    else:
        yield f"Starting in {run_dir}; watch it: tensorboard --logdir {shlex.quote(run_dir)}"
