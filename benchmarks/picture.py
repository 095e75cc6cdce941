"""The picture of README.md: the loss of a finished run beside a sample of its text.

    python -m trainers.run --experiment=quickstart
    python -m benchmarks.picture --run_dir=runs/quickstart --plot=docs/pictures/quickstart.png

The loss has a logarithmic axis, because most of it is gone after a tenth of the run. --plot needs matplotlib.
"""

import sys

from absl import flags

from benchmarks.pages import import_pyplot, require_nothing
from charrnn import command
from charrnn.errors import UserError

FLAGS = flags.FlagValues()
command.path_flag("run_dir", None, "The run directory.", FLAGS)
command.path_flag("plot", None, "The picture to write.", FLAGS)

_WIDTH, _HEIGHT = 10, 3.6  # inches
_TICKS = (0.6, 0.7, 0.8, 1, 1.5, 2, 3)  # nats per character


def main(beside: list[str]) -> int:
    """Draws the picture. Returns the exit status."""
    require_nothing(beside)
    if not (FLAGS.run_dir and FLAGS.plot):
        raise UserError("Give --run_dir=DIR of a finished run, and --plot=FILE for the picture.")
    import_pyplot(FLAGS.plot)
    command.start_tensorflow()
    from charrnn.run_files import read_config
    from charrnn.text import corpora
    from trainers.launch.result import Result

    result = Result.read(FLAGS.run_dir, finished=True)
    if not (result.history and result.samples):
        raise UserError(f"{FLAGS.run_dir} has no measurements or no samples: let the run reach its end.")
    corpus = read_config(FLAGS.run_dir)["corpus"]
    entropy_rate = corpora.source_of(corpus).entropy_rate if corpora.is_built_in(corpus) else None
    _draw(result, entropy_rate).savefig(FLAGS.plot, dpi=90)
    return command.DONE


def _draw(result, entropy_rate: float | None):
    """The run's loss curve on the left half, the last sample on the right half."""
    figure = result.plot()
    figure.set_size_inches(_WIDTH, _HEIGHT)
    figure.set_layout_engine("none")
    (axes,) = figure.axes
    axes.set_position((0.06, 0.14, 0.52, 0.76))
    axes.set_yscale("log")
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
    if entropy_rate is not None:
        axes.axhline(entropy_rate, color="gray", linestyle="--", label=f"entropy of the source, {entropy_rate:.4f}")
        axes.legend()
    sample = result.samples[-1]
    title = f"sample at step {sample['step']:,}, temperature {sample['temperature']:g}"
    figure.text(0.62, 0.9, f"{title}\n\n{sample['text']}", family="monospace", fontsize=10, va="top")
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
