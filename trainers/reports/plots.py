"""The loss curves of a run. Only this module and `evaluation.pictures` use matplotlib."""

import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def losses(history: Mapping[str, Mapping[str, np.ndarray]], title: str) -> "Figure":
    """Draws the loss of each split over the steps.

    Args:
        history: split -> columns, "step" and "nats_per_char" among them.
        title: title of the figure.

    Returns:
        A matplotlib Figure, which a notebook displays.

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
    """Returns an empty matplotlib Figure.

    Args:
        width: inches.
        height: inches.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("Pictures need matplotlib, which is not installed: pip install matplotlib.") from error
    made: Any = Figure((width, height), layout="constrained")
    made._repr_png_ = functools.partial(_png, made)  # for notebooks, which know only pyplot's figures
    return made


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
