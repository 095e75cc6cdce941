"""Compares curricula: python -m trainers.study --experiment=NAME --trainers=teacher_forcing,scheduled_sampling,my:Mine.

Trains each curriculum with several seeds, measures each run in open loop (free running: the model reads its own
output), tests the differences from the first curriculum, and writes STUDY_DIR/study.md, whose first paragraph says what
was found. Runs and measurements stay in STUDY_DIR: the same command resumes, and uses runs that were trained elsewhere
by the commands that --print_commands shows. A curriculum that diverges is left out. Exit status: 0 finished; 2 a
mistake in the arguments; 3 a run diverged; 74 the disk is full; 75 interrupted, with everything saved.
"""

import functools
import os
import shlex
import sys
import types
from typing import Any

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from trainers.launch import misplaced, resolve
from trainers.loop.stopping import Stop, Stopped

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, default=None, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_list = functools.partial(flags.DEFINE_list, flag_values=FLAGS)
_several = functools.partial(flags.DEFINE_multi_string, default=[], flag_values=FLAGS)

_string("experiment", help="Name of the experiment; python -m trainers.run --list shows all.", short_name="e")
_list("trainers", "teacher_forcing", "Curricula, names or module:Class; the others are compared with the first.")
_several("arm", help="NAME=TRAINER[ group.field=value …]: a further curriculum with its settings.")
_several("grid", help="group.field=VALUE,VALUE: each curriculum that has the setting becomes one per value.")
_several("set", help="A setting of all runs, group.field=value.")
_string("corpus", help="As in trainers.run.")
_integer("steps", None, "Total optimizer steps of each run.")
_integer("seeds", 5, "Number of seeds, from 0; below 3 nothing is tested.")
command.path_flag("study_dir", None, "Folder of the runs and the page. Default: runs/studies/NAME.", FLAGS)
_integer("num_rollouts", 100, "Number of rollouts per run.")
_integer("num_chars", 1000, "Characters per rollout.")
_list("temperatures", "0.7,0.8,0.9,1,1.1", "Of the curves of quality and diversity; 1 among them.")
_list("epsilons", "0.001,0.004,0.01", "Cut-offs of these curves, besides 0: no character of a smaller probability.")
_string("weights", default="newest", help="newest or best (by validation).")
_list("measures", "", "Measures that are tested, besides those that the finding needs; default: ten.")
flags.DEFINE_boolean("pictures", True, "Draw pictures; needs matplotlib.", flag_values=FLAGS)
flags.DEFINE_float("max_minutes", None, "Save and exit after this many minutes.", flag_values=FLAGS)
flags.DEFINE_boolean("print_commands", False, "Print the commands of the runs that are left, and exit.", FLAGS)


def main(settings: list[str]) -> int:
    """Runs the command.

    Args:
        settings: further settings of all runs, as --set takes them.

    Returns:
        The exit status.

    Raises:
        UserError: a mistake in the arguments.
    """
    if FLAGS.experiment is None:
        raise UserError(f"No experiment is given: give --experiment=NAME, one of {', '.join(resolve.known())}.")
    resolve.require_experiment(FLAGS.experiment)
    stop = Stop(FLAGS.max_minutes)
    sys.path.insert(0, os.getcwd())
    command.start_tensorflow()
    from charrnn.measures.open_loop import Protocol
    from trainers.loop.divergence import Diverged
    from trainers.run_directory.disk import NotWritten
    from trainers.studies import plan, run, start

    arms = plan.make_arms(FLAGS.trainers, dict(map(_arm, FLAGS.arm)), dict(map(_grid, FLAGS.grid)))
    study_dir = start.study_dir_of(FLAGS.experiment, FLAGS.study_dir)
    of_all = [*FLAGS.set, *settings]
    planned = plan.make_plan(FLAGS.experiment, arms, FLAGS.seeds, study_dir, of_all, FLAGS.corpus, FLAGS.steps)
    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars)
    temperatures, epsilons = (tuple(command.numbers(name, FLAGS)) for name in ("temperatures", "epsilons"))
    how = run.How(protocol, temperatures, epsilons, FLAGS.weights, tuple(FLAGS.measures))
    if FLAGS.print_commands:
        run.refuse_mistakes(planned, how)
        print("\n".join(each.command for each in planned if not each.is_complete()))
        return command.DONE
    try:
        with stop.listen(kill=True):
            say = functools.partial(print, flush=True)
            study = start.finish(planned, how, study_dir, stop.look, say, FLAGS.pictures)
    except Diverged as error:
        return command.ended(f"{error}.", command.DIVERGED)
    except NotWritten as error:
        return command.ended(f"{error}: make room, and run the same command to resume.", command.NOT_WRITTEN)
    except Stopped:
        print(f"Stopped and saved in {study_dir}; run the same command to resume.", file=sys.stderr)
        return command.STOPPED
    return command.DIVERGED if study.diverged else command.DONE


def _arm(text: str) -> tuple[str, tuple[str, dict[str, str]]]:
    """Returns name, curriculum and settings of an --arm."""
    name, _, rest = text.partition("=")
    try:
        trainer, *settings = shlex.split(rest)
        pairs = dict(setting.split("=", 1) for setting in settings)
    except ValueError as error:
        such_as = "soft='distillation trainer.soft_share=1'"
        raise UserError(
            f"--arm={text} is not possible: it must be NAME=TRAINER SETTING=VALUE …, as {such_as}."
        ) from error
    return name.strip(), (trainer, pairs)


def _grid(text: str) -> tuple[str, list[str]]:
    """Returns setting and values of a --grid."""
    name, _, values = text.partition("=")
    return name.strip(), [value for value in values.split(",") if value]


class _Callable(types.ModuleType):
    """This module, callable: once imported, it hides the function `trainers.study`, and does the same."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        from trainers.studies.start import study

        return study(*args, **named)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS, suggest=misplaced.suggesting(FLAGS)))
sys.modules[__name__].__class__ = _Callable
