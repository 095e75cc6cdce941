"""The return value of `trainers.train`: a run, its measurements and samples, and its model."""

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from charrnn import run_files
from charrnn.files import paths
from charrnn.generation import loading
from charrnn.generation.loading import Loaded
from trainers.reports import plots, records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

History = dict[str, dict[str, np.ndarray]]
"""Split ("train" or "validation") -> name of a measurement, or "step" -> column."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A run at the time when `train` returned.

        result = train("quickstart")
        result.history["validation"]["nats_per_char"][-1]
        result.model.generate("ROMEO:", 300)

    The weights are loaded with the first use of `model`.
    """

    run_dir: str
    finished: bool  # false: it was interrupted, and the same call resumes it
    history: History  # the whole run, earlier calls included; nan: not measured
    samples: list[dict]  # lines of samples.jsonl: step, prompt, temperature, seed, text

    @classmethod
    def read(cls, run_dir: str, finished: bool) -> "Result":
        """Reads a run directory.

        Args:
            run_dir: the run directory.
            finished: whether the run reached its end.

        Raises:
            UserError: a file is damaged.
        """
        run_dir = paths.given(run_dir)
        lines = records.read(run_dir, run_files.METRICS)
        return cls(run_dir, finished, _columns(lines), records.read(run_dir, run_files.SAMPLES))

    @functools.cached_property
    def model(self) -> Loaded:
        """The model, as `charrnn.load` returns it: the best weights by validation, else the newest.

        Raises:
            UserError: no weights are saved.
        """
        return loading.load(self.run_dir)

    def plot(self) -> "Figure":
        """Draws the training and validation loss over the steps.

        Returns:
            A matplotlib Figure.

        Raises:
            UserError: matplotlib is not installed.
        """
        return plots.losses(self.history, self.run_dir)

    def __repr__(self):
        said = "finished" if self.finished else "unfinished"
        if self.history:
            last = max(columns["step"][-1] for columns in self.history.values())
            said += f"{'' if self.finished else ', measured'} at step {last:,}"
        if "validation" in self.history:
            step, nats = (self.history["validation"][name] for name in ("step", "nats_per_char"))
            best = np.argmin(np.nan_to_num(nats, nan=np.inf))
            said += f"; validation {nats[-1]:.4f} nats per character, best {nats[best]:.4f} at step {step[best]:,}"
        elif self.history:
            said += f"; training {self.history['train']['nats_per_char'][-1]:.4f} nats per character"
        return f"<Result {self.run_dir}: {said}>"


def _columns(lines: list[dict]) -> History:
    history: History = {}
    for split in dict.fromkeys(line["split"] for line in lines):
        of_split = [line for line in lines if line["split"] == split]
        names = dict.fromkeys(name for line in of_split for name in line if name != "split")
        columns = {name: [line.get(name) for line in of_split] for name in names}  # None becomes nan
        history[split] = {name: np.array(found, int if name == "step" else float) for name, found in columns.items()}
    return history
