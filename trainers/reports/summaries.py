"""Event files for TensorBoard: one writer per split, so that the curves of both share a chart."""

import contextlib
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.custom_scalar import summary as custom_scalars
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from charrnn.errors import UserError
from charrnn.files import atomic
from charrnn.measures.open_loop import Curve
from trainers.reports import dashboards
from trainers.reports.reports import Report
from trainers.reports.samples import Sample
from trainers.run_directory import disk
from trainers.run_directory.event_files import EventFiles

OPEN_LOOP = "open_loop"


class Summaries(Report):
    """Scalars, samples and histograms, under `train/` and `validation/` of a run directory."""

    def __init__(self, run_dir: str):
        super().__init__(run_dir)
        self._writers: dict[str, _Writer] = {}

    def start(self, step: int, measured: int) -> None:
        """Removes the events that will be written again, so that curves do not jump back; see `Records.start`."""
        for split, last in (("train", step), ("validation", measured)):
            if split in self._writers:
                self._writers.pop(split).close()
            own = EventFiles(self.run_dir).own(split)
            atomic.remove_remains(os.path.join(self.run_dir, split), map(os.path.basename, own))
            for path in own:
                _keep_until(path, last)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Writes one point per curve."""
        with self._writer(split).writes(step, len(values)):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Writes the samples, one tag per label and temperature."""
        with self._writer("validation").writes(step, len(samples)):
            for sample in samples:
                label = sample.label or sample.prompt.strip() or "line break"
                tag = f"samples/{label}/temperature {sample.temperature:g}"
                tf.summary.text(tag, fenced(sample.prompt + sample.text))

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Writes the distribution of the finite values of each tensor."""
        with self._writer("train").writes(step, len(values)):
            for name, value in values.items():
                value = tf.convert_to_tensor(value)
                tf.summary.histogram(name, tf.boolean_mask(value, tf.math.is_finite(value)))

    def flush(self) -> None:
        """Writes what is buffered.

        Raises:
            NotWritten: an event did not reach the file.
        """
        for writer in self._writers.values():
            writer.flush()

    def _writer(self, split: str) -> "_Writer":
        if split not in self._writers:
            self._writers[split] = _Writer(self.run_dir, split)
        return self._writers[split]


class _Writer:
    """Writes one event file and verifies it, because TensorFlow does not report a full disk."""

    def __init__(self, run_dir: str, folder: str = ""):
        self._files, self._name, self._folder = EventFiles(run_dir), folder, os.path.join(run_dir, folder)
        self._others = self._files.own(folder)
        seconds = {os.path.basename(path).split(".")[3] for path in self._others}
        while str(int(time.time())) in seconds:  # TensorBoard orders files by name, which has seconds
            time.sleep(0.05)
        with disk.writing(self._folder):
            self._writer = tf.summary.create_file_writer(self._folder, filename_suffix=self._files.record().suffix)
        self._missing = 1  # events not yet found in the file; the first one is the version of the format
        self._end = 0  # offset after the last event found, in bytes

    @contextlib.contextmanager
    def writes(self, step: int, count: int) -> Iterator[None]:
        """Lets the body write `count` summaries of a step."""
        with disk.writing(self._folder), self._writer.as_default(step):
            yield
        self._missing += count

    def flush(self) -> None:
        """Writes what is buffered, and verifies that it is in the file."""
        with disk.writing(self._folder):
            self._writer.flush()
            for path in set(self._files.own(self._name)).difference(self._others):  # at most one
                ends = list(_ends(path, self._end))
                self._missing, self._end = self._missing - len(ends), max([self._end, *ends])
            if self._missing:
                raise OSError(f"{self._missing} summaries did not arrive: is the disk full?")

    def close(self) -> None:
        """Closes the file, before it is truncated."""
        self._writer.close()


_FRAME = 16
"""Bytes around an event in a file: its length uint64, the length's checksum uint32, the event's checksum uint32."""


def _ends(path: str, start: int) -> Iterator[int]:
    """Yields the offset of the end of each complete event from the offset `start` on."""
    with tf.io.gfile.GFile(path, "rb") as file:
        file.seek(start)
        content = file.read()
    place = 0
    while (end := place + _FRAME + int.from_bytes(content[place : place + 8], "little")) <= len(content):
        yield start + end
        place = end


def _keep_until(path: str, step: int) -> None:
    """Truncates an event file before the first event of a later step, or the first incomplete or damaged one.

    TensorBoard shows nothing after a damaged event either: its loader verifies the checksums, and stops there.
    """
    kept = 0
    for event in RawEventFileLoader(path).Load():
        if Event.FromString(event).step > step:
            break
        kept += _FRAME + len(event)
    if kept < tf.io.gfile.stat(path).length:
        with disk.writing(path), tf.io.gfile.GFile(path, "rb") as file:
            atomic.replace(path, file.read(kept))


def begin_session(run_dir: str, hyperparameters: dict[str, bool | int | float | str]) -> Callable[[], None]:
    """Writes a run's hyperparameters, the layout of its charts and the way to its page. A resumed run replaces them.

    They lie in the run directory itself, because TensorBoard looks for the metrics in the folders below.

    Args:
        run_dir: the run directory.
        hyperparameters: see `dashboards.hyperparameters`.

    Returns:
        A function that marks the run as finished.
    """
    with disk.writing(run_dir):
        _remove_own(run_dir, "")
    writer = _Writer(run_dir)
    with writer.writes(0, 3):
        tf.summary.experimental.write_raw_pb(custom_scalars.pb(dashboards.layout()).SerializeToString())
        hparams.hparams(hyperparameters, trial_id=_trial(run_dir))
        tf.summary.text("page", _way_to_page(run_dir))
    writer.flush()

    def end() -> None:
        with writer.writes(0, 1):
            status = hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS)
            tf.summary.experimental.write_raw_pb(status.SerializeToString())
        writer.flush()

    return end


def _way_to_page(run_dir: str) -> str:
    """Returns Markdown for the tab TEXT. It cannot be a link: browsers open no local file from a page of a server."""
    export = f"python -m charrnn.export --run_dir={shlex.quote(run_dir)} --output=page --formats=html"
    return f"To see inside this model in a browser, run\n\n    {export}\n\nand open `page/model.html`."


def _trial(run_dir: str) -> str:
    """Returns the name of a run in the tab HPARAMS: its own name first, because the column is narrow."""
    parent, name = os.path.split(os.path.normpath(run_dir))
    return f"{name} in {parent}" if parent else name


def open_loop_folder(run_dir: str) -> str:
    """Creates the folder for the output of `evaluate` and `compare`, and returns its path.

    Raises:
        UserError: it cannot be created.
    """
    folder = os.path.join(run_dir, OPEN_LOOP)
    with writing_to(folder):
        tf.io.gfile.makedirs(folder)
    return folder


@contextlib.contextmanager
def writing_to(folder: str) -> Iterator[None]:
    """Raises UserError if the body cannot write to a folder of a run directory."""
    try:
        yield
    except disk.DISK_ERRORS as error:
        reason = disk.reason(error)
        raise UserError(f"{folder} cannot be written to ({reason}): copy the run to a writable folder.") from error


def write_curves(run_dir: str, curves: dict[str, Curve]) -> None:
    """Writes curves over the position in a rollout, as the step. Replaces those of an earlier evaluation.

    Args:
        run_dir: the run directory.
        curves: by name; the model's text and real text share a chart.
    """
    for which in ("own", "real"):
        with _fresh_writer(run_dir, which):
            for name, curve in curves.items():
                for position, value in zip(curve.positions, getattr(curve, which), strict=True):
                    tf.summary.scalar(f"{dashboards.OPEN_LOOP_TAGS}/{name}", value, position)


def write_pictures(run_dir: str, which: str, paths: list[str]) -> None:
    """Writes PNG files as images.

    Args:
        run_dir: the run directory.
        which: "evaluation" or "comparison"; replaces the images of an earlier one.
        paths: the files.
    """
    with _fresh_writer(run_dir, which):
        for path in paths:
            image = tf.io.decode_png(tf.io.read_file(path), channels=3)
            name = os.path.splitext(os.path.basename(path))[0]
            tf.summary.image(f"{dashboards.OPEN_LOOP_TAGS}/{name}", image[None], step=0)


@contextlib.contextmanager
def _fresh_writer(run_dir: str, which: str) -> Iterator[None]:
    """Replaces the events in a folder of open_loop/, because TensorBoard would join the curves of two writers."""
    folder = os.path.join(open_loop_folder(run_dir), which)
    with writing_to(folder):
        _remove_own(run_dir, os.path.join(OPEN_LOOP, which))
        writer = tf.summary.create_file_writer(folder, filename_suffix=EventFiles(run_dir).record().suffix)
        with writer.as_default():
            yield
        writer.close()


def _remove_own(run_dir: str, folder: str) -> None:
    for path in EventFiles(run_dir).own(folder):
        tf.io.gfile.remove(path)


def fenced(text: str) -> str:
    """Returns the text as a Markdown code block with a fence longer than any in the text."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
