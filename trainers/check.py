"""Tests a curriculum on a small source: python -m trainers.check --trainer=module:Class [--set trainer.X=VALUE].

Prints one line per requirement. Takes less than a minute and a half on two cores. Exit status: 0 all are met; 1 one is
not met; 2 a mistake in the arguments; 74 the disk behind the output is full; 130 Ctrl-C.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from trainers.launch import misplaced

if TYPE_CHECKING:
    from charrnn.batches.texts import Texts
    from trainers.checks import Finding
    from trainers.experiment import Experiment

FLAGS = flags.FlagValues()
flags.DEFINE_string("trainer", None, "Curriculum: a registered name, or module:Class.", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "A setting, group.field=value.", flag_values=FLAGS)

STEPS = 40  # optimizer steps of each training run
_SMALL = (
    "model.units=48 model.embedding_size=0 data.seq_length=32 data.batch_size=16 optimizer.learning_rate=0.01 "
    "optimizer.clip_norm=1"
).split()


def main(settings: list[str]) -> int:
    """Runs the command.

    Args:
        settings: further settings, as --set takes them.

    Returns:
        The exit status.

    Raises:
        UserError: a mistake in the arguments, or a hook returns a wrong value.
    """
    if FLAGS.trainer is None:
        raise UserError("No curriculum is given: give --trainer=NAME, or --trainer=module:Class for your own.")
    sys.path.insert(0, os.getcwd())
    command.start_tensorflow()
    from trainers.distribution.strategies import split_cpu
    from trainers.experiment import Experiment, override, with_trainer

    split_cpu(2)  # for two replicas
    experiment = override(with_trainer(Experiment(corpus="plays:60000"), FLAGS.trainer), _SMALL)
    failed = failed_checks(override(experiment, [*FLAGS.set, *settings]))
    if failed:
        print(f"{FLAGS.trainer} failed: {', '.join(failed)}")
    return 1 if failed else command.DONE


def failed_checks(experiment: "Experiment") -> list[str]:
    """Prints one line per check; returns the names of the failed ones."""
    from charrnn.batches.texts import load_texts
    from trainers.checks import Trial, same_on_replicas, same_with_xla

    texts = load_texts(experiment.corpus, experiment.data, lambda line: None)
    run = Trial(experiment, texts)
    run.trainer.check(STEPS)  # raises UserError for a wrong return value of a hook
    with tempfile.TemporaryDirectory() as folder:
        checks: dict[str, Callable[[], Finding]] = {
            "trains": lambda: run.train(STEPS, folder),
            "traces once": run.traced_once,
            "loss falls": run.loss_falls,
            "gradients finite": run.gradients_finite,
            "own-input share": run.share_as_claimed,
            "row by row": run.chooses_row_by_row,
            "resumes to the bit": lambda: run.resumes(folder),
            "two replicas": lambda: same_on_replicas(experiment, texts),
            "XLA": lambda: same_with_xla(experiment, texts),
            "bfloat16": lambda: _in_bfloat16(experiment, texts, folder),
        }
        return [name for name, look in checks.items() if not _report(name, look)]


def _in_bfloat16(experiment: "Experiment", texts: "Texts", folder: str) -> "Finding":
    from trainers.checks import Trial
    from trainers.experiment import override

    run = Trial(override(experiment, ["runtime.precision=mixed_bfloat16"]), texts)
    run.train(STEPS, os.path.join(folder, "bfloat16"))
    falls, says = run.loss_falls()
    finite, _ = run.gradients_finite()
    return falls and finite, says


def _report(name: str, look: Callable[[], "Finding"]) -> bool:
    try:
        passed, says = look()
    except Exception as error:  # any error of the user's code is the finding
        passed, says = False, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    print(f"{'ok' if passed else 'FAILED':8}{name:20}{says}", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS, suggest=misplaced.suggesting(FLAGS)))
