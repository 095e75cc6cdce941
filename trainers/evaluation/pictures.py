"""Pictures of an evaluation and of a comparison, as PNG files. They need matplotlib."""

import itertools
import math
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

OF_A_STUDY = "quality_diversity.png", "effects.png"  # the files of draw_study
_PANELS = 4  # side by side
_FAR = 2.5  # widths of the first group and real text, beyond which a group is not drawn
_LEAST_WIDTH = 0.01  # nats per character
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


def draw_study(comparison: Comparison, folder: str) -> list[str]:
    """Draws quality against diversity, and the differences from the first group with their confidence intervals.

    Args:
        comparison: the groups.
        folder: the folder of the files.

    Returns:
        The paths of the files.

    Raises:
        UserError: matplotlib is not installed.
    """
    return _save({"quality_diversity": _quality_diversity(comparison), "effects": _effects(comparison)}, folder)


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
    """Draws a curve per group over the temperatures. Groups that are very far from the first one are named only."""
    figure = new_figure(10, 6)
    axes = figure.add_subplot()
    base = _middle(comparison.groups[0])
    real = _real_text(comparison)
    near = np.concatenate([base, [real]] if real else [base])
    widths = np.maximum(np.ptp(near, axis=0), _LEAST_WIDTH)
    for i, group in enumerate(comparison.groups):
        middle = _middle(group)
        apart = np.abs(middle - near.mean(0)) / widths
        if np.nanmin(apart.max(1)) > _FAR:
            place = ", ".join(f"{value:.2f}" for value in middle[-1])
            axes.plot([], [], "o", color=f"C{i}", label=f"{group.name}: far outside, at {place}")
            continue
        for evaluation in group.evaluations:
            axes.plot(*np.array(list(evaluation.sweep.values())).T, color=f"C{i}", linewidth=0.5, alpha=0.4)
        axes.plot(*middle.T, "o-", color=f"C{i}", label=group.name)
        for temperature, point in zip(group.evaluations[0].sweep, middle, strict=True):
            axes.annotate(
                f"{temperature:g}", point, textcoords="offset points", xytext=(4, 4), fontsize=7, color=f"C{i}"
            )
    _cut_off_curves(axes, comparison.groups[0])
    if real:
        axes.plot(*real, "k*", markersize=12, label="real text")
    axes.set_xlabel("reference loss of the rollouts, nats per character (quality)")
    axes.set_ylabel("reverse loss, nats per character (diversity: lower is more)")
    axes.set_title("Quality and diversity by temperature; dotted: the first one's with cut-offs ε")
    figure.legend(loc="outside right upper")
    return figure


def _middle(group: Group) -> np.ndarray:
    """Returns the means over the runs: reference loss and reverse loss at each temperature, `[T, 2]`."""
    return np.mean([list(evaluation.sweep.values()) for evaluation in group.evaluations], axis=0)


def _real_text(comparison: Comparison) -> list[float] | None:
    measures = comparison.groups[0].evaluations[0].report.measures
    reals = [measures[name].real for name in ("reference_loss", "reverse_loss")]
    return [value for value in reals if value is not None] if None not in reals else None


def _cut_off_curves(axes: "Axes", group: Group) -> None:
    """Draws the group's curve at each cut-off, dotted; together they are the union that `union_gap` is measured to."""
    frontier = group.evaluations[0].frontier
    for epsilon in sorted({epsilon for _, epsilon in frontier if epsilon}):
        pairs = [pair for pair in sorted(frontier) if pair[1] == epsilon]
        points = [[e.frontier[pair] for pair in pairs] for e in group.evaluations]
        middle = np.array([[(p.reference_loss, p.reverse_loss) for p in run] for run in points]).mean(0)
        axes.plot(*middle.T, ":", color="C0", linewidth=1)
        axes.annotate(f"ε {epsilon:g}", middle[0], textcoords="offset points", xytext=(-4, 6), fontsize=7, color="C0")


def _effects(comparison: Comparison) -> "Figure":
    """Draws a panel per measure: each group's difference from the first one, with its 95 % confidence interval."""
    others, names = comparison.groups[1:], comparison.measures
    rows = -(-len(names) // _PANELS)
    figure = new_figure(3.2 * _PANELS, rows * (1.1 + 0.22 * len(others)))
    grid = figure.subplots(rows, _PANELS, sharey=True, squeeze=False)
    places = -np.arange(len(others))
    for axes, name in itertools.zip_longest(grid.flat, names):
        if name is None:
            axes.set_axis_off()
            continue
        for place, group in zip(places, others, strict=True):
            difference = comparison.differences.get((group.name, name))
            if difference:
                width = None if math.isnan(difference.half_width) else difference.half_width
                axes.errorbar(difference.mean, place, xerr=width, fmt="o", color="C0", markersize=4, capsize=2)
        axes.axvline(0, color="0.5", linewidth=0.8)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
    grid[0, 0].set_yticks(places, [group.name for group in others])
    figure.suptitle(f"Differences from {comparison.groups[0].name}, with 95 % intervals", fontsize=10)
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
