"""The loss of a run as a picture. Only here, and where several runs are drawn, matplotlib is imported."""

import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def losses(history: Mapping[str, Mapping[str, np.ndarray]], title: str) -> "Figure":
    """The loss of each split over the steps: a matplotlib Figure, which a notebook shows.

    Args:
        history: columns by split, "step" and "nats_per_char" among them.
        title: what stands above.

    Raises:
        UserError: matplotlib is not installed.
    """
    drawn = new_figure(7, 4)
    axes = drawn.add_subplot()
    for split, columns in history.items():
        marker = "" if len(columns["step"]) > 30 else "."
        axes.plot(columns["step"], columns["nats_per_char"], marker=marker, label=split)
    axes.set_xlabel("step")
    axes.set_ylabel("nats per character")
    axes.set_title(title)
    if history:
        axes.legend()
    return drawn


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty matplotlib Figure of this size in inches. Raises UserError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("No pictures were drawn: they need matplotlib: pip install matplotlib.") from error
    made: Any = Figure((width, height), layout="constrained")
    made._repr_png_ = functools.partial(_png, made)  # what a notebook asks for: pyplot, which it knows, has no part
    return made


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
