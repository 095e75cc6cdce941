"""Starts several workers on this machine: python -m trainers.local_workers --num_workers=2 -- --experiment=NAME …

The arguments after the two dashes are those of trainers.run. For trying what later runs on several machines. Ctrl-C,
SIGTERM and SIGHUP are passed on to all workers. Exit status: the first one of a worker that is not 0; for a worker that
a signal killed, 128 plus the number of the signal.
"""

import os
import signal
import subprocess
import sys

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from charrnn.process.interrupts import SIGNALS
from trainers.distribution.cluster import local_configs
from trainers.launch import misplaced

FLAGS = flags.FlagValues()
flags.DEFINE_integer("num_workers", 2, "Number of workers.", lower_bound=2, flag_values=FLAGS)


def main(arguments: list[str]) -> int:
    """Runs the command.

    Args:
        arguments: the arguments of trainers.run.

    Returns:
        The exit status.

    Raises:
        UserError: there are no arguments.
    """
    if not arguments:
        raise UserError("The workers need arguments: give them after two dashes: -- --experiment=NAME --run_dir=DIR.")
    workers: list[subprocess.Popen] = []

    def pass_on(number: int, frame: object) -> None:
        for worker in workers:
            worker.send_signal(number)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    workers.extend(_start(config, arguments) for config in local_configs(FLAGS.num_workers))
    statuses = [worker.wait() for worker in workers]
    return next((status if status > 0 else 128 - status for status in statuses if status), command.DONE)


def _start(tf_config: str, arguments: list[str]) -> subprocess.Popen:
    run = [sys.executable, "-m", "trainers.run", *arguments, "--strategy=multi_worker"]
    environment = {**os.environ, "TF_CONFIG": tf_config}
    return subprocess.Popen(run, env=environment, start_new_session=True)  # else Ctrl-C would arrive twice


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS, suggest=misplaced.suggesting(FLAGS, " behind the two dashes")))
