"""Pictures of an evaluation and of a comparison, as PNG files. They need matplotlib."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from charrnn.errors import UserError
from charrnn.measures.open_loop import Curve
from trainers.evaluation.comparison import Comparison, Group
from trainers.reports import summaries
from trainers.reports.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVES = {
    "divergence": "KL(reference ‖ model), nats",
    "reference_loss": "reference loss, nats per character",
    "nats_per_char": "−ln p(character) under the model",
    "recovery": "recovery after this many characters",
}


def draw(comparison: Comparison, folder: str) -> list[str]:
    """Draws quality against diversity, and the curves over the position.

    Args:
        comparison: the groups.
        folder: the folder of the files.

    Returns:
        The paths of the files.

    Raises:
        UserError: matplotlib is not installed.
    """
    return _save({"quality_diversity": _quality_diversity(comparison), "position": _position(comparison)}, folder)


def draw_curves(curves: dict[str, Curve], folder: str) -> list[str]:
    """Draws a run's curves over the position, with those of real text.

    Args:
        curves: by name.
        folder: the folder of the file.

    Returns:
        The path of the file, in a list.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = new_figure(11, 7)
    for axes, name in _charts(figure):
        axes.plot(curves[name].positions, curves[name].own, "C0", label="the model's text")
        axes.plot(curves[name].positions, curves[name].real, "C0--", label="real text")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return _save({"curves": figure}, folder)


def _save(pictures: "dict[str, Figure]", folder: str) -> list[str]:
    paths = [os.path.join(folder, f"{name}.png") for name in pictures]
    for path, figure in zip(paths, pictures.values(), strict=True):
        figure.savefig(path, dpi=120)
    return paths


def show(run_dir: str, which: str, draw: Callable[[str], list[str]]) -> None:
    """Draws pictures into a run directory and for TensorBoard, and prints their paths, or that matplotlib is missing.

    Args:
        run_dir: the run directory.
        which: "evaluation" or "comparison".
        draw: folder -> paths of the files.
    """
    try:
        paths = draw(summaries.open_loop_folder(run_dir))
    except UserError as error:  # the measures are printed without pictures
        print(error, file=sys.stderr)
        return
    summaries.write_pictures(run_dir, which, paths)
    print("\n".join(f"picture: {path}" for path in paths), file=sys.stderr)


def _quality_diversity(comparison: Comparison) -> "Figure":
    figure = new_figure(7, 5)
    axes = figure.add_subplot()
    for i, group in enumerate(comparison.groups):
        points = np.array([list(evaluation.sweep.values()) for evaluation in group.evaluations])  # [runs, T, 2]
        for each in points:
            axes.plot(*each.T, color=f"C{i}", linewidth=0.5, alpha=0.5)
        middle = points.mean(0)
        axes.plot(*middle.T, "o-", color=f"C{i}", label=group.name)
        for temperature, point in zip(group.evaluations[0].sweep, middle, strict=True):
            axes.annotate(f"{temperature:g}", point, textcoords="offset points", xytext=(4, 4), fontsize=8)
    measures = comparison.groups[0].evaluations[0].report.measures
    reals = (measures[name].real for name in ("reference_loss", "reverse_loss"))
    real = [value for value in reals if value is not None]
    if len(real) == 2:
        axes.plot(*real, "k*", markersize=12, label="real text")
    axes.set_xlabel("reference loss of the rollouts, nats per character (quality)")
    axes.set_ylabel("reverse loss, nats per character (diversity: lower is more)")
    axes.set_title("Quality and diversity by temperature")
    figure.legend(loc="outside lower center")
    return figure


def _position(comparison: Comparison) -> "Figure":
    figure = new_figure(11, 7)
    for axes, name in _charts(figure):
        for i, group in enumerate(comparison.groups):
            _band(axes, group, name, f"C{i}")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


def _charts(figure: "Figure") -> Iterator[tuple["Axes", str]]:
    """Yields the labelled axes of each curve, and its name."""
    for axes, (name, label) in zip(figure.subplots(2, 2).flat, _CURVES.items(), strict=True):
        axes.set_xlabel("characters of the rollout")
        axes.set_ylabel(label)
        yield axes, name


def _band(axes: "Axes", group: Group, name: str, colour: str) -> None:
    """Draws the group's mean ± one standard deviation over its seeds; dashed: the mean on real text."""
    curves = [evaluation.report.curves[name] for evaluation in group.evaluations]
    values = np.array([curve.own for curve in curves])
    middle, spread = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else 0.0
    axes.plot(curves[0].positions, middle, color=colour, label=group.name)
    real = np.mean([curve.real for curve in curves], axis=0)
    axes.plot(curves[0].positions, real, "--", color=colour, label=f"{group.name}: on real text")
    axes.fill_between(curves[0].positions, middle - spread, middle + spread, color=colour, alpha=0.2)
