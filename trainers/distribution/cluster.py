"""The workers of a run, as TF_CONFIG names them, and how they meet.

TensorFlow waits for a worker that does not come without end, and deaf to signals. So they meet before, by plain sockets
at the chief's address, within a time limit, and see that all are to run the same.
"""

import dataclasses
import json
import os
import socket
import sys
import time
from typing import NoReturn

from charrnn.errors import UserError

_EXAMPLE = (
    '{"cluster": {"worker": ["first.example:2222", "second.example:2222"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """All workers of a run, and which of them this process is."""

    addresses: tuple[str, ...]  # "host:port" each; the first is the chief
    index: int  # this process's place among them

    @classmethod
    def from_environment(cls) -> "Cluster":
        """What TF_CONFIG says. UserError where it is missing, or not understood."""
        text = os.environ.get("TF_CONFIG", "")
        if not text:
            raise UserError(
                f"--strategy=multi_worker needs the environment variable TF_CONFIG, such as {_EXAMPLE}; to try it on "
                f"this machine, start with python -m trainers.local_workers."
            )
        try:
            config = json.loads(text)
            jobs, task = config["cluster"], config["task"]
            chiefs, workers = jobs.get("chief", []), jobs.get("worker", [])
            addresses = tuple(map(str, [*chiefs, *workers]))
            tasks = [("chief", 0)] * len(chiefs) + [("worker", i) for i in range(len(workers))]
            index = tasks.index((task["type"], int(task["index"])))
            understood = all(map(_split, addresses)) and jobs.keys() <= {"chief", "worker"} and len(chiefs) <= 1
        except (ValueError, KeyError, TypeError, AttributeError):
            understood = False
        if not understood:
            raise UserError(f"TF_CONFIG={text} is not understood: it must be of the form {_EXAMPLE}.")
        if len(addresses) == 1:
            raise UserError("TF_CONFIG names one worker only: name all, or give --strategy=mirrored or one_device.")
        return cls(addresses, index)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what the run leaves."""
        return self.index == 0

    def meet(self, run: str, seconds: float) -> None:
        """Returns when all workers have come.

        Args:
            run: what tells this run from another.
            seconds: the time limit.

        Raises:
            UserError: one did not come in time, or is to run something else.
        """
        if self.is_chief:
            self._receive(run, seconds)
        else:
            self._report(run, seconds)

    def _receive(self, run: str, seconds: float) -> None:
        """The chief: waits for each worker's word, and tells all whether to go on."""
        end = time.monotonic() + seconds
        came: dict[int, tuple[socket.socket, str]] = {}
        try:
            listener = socket.create_server(("", _split(self.addresses[0])[1]))
        except OSError as error:
            raise UserError(f"{self.addresses[0]} of TF_CONFIG cannot be listened at ({error.strerror}).") from error
        with listener:
            while len(came) < len(self.addresses) - 1 and time.monotonic() < end:
                listener.settimeout(max(0.01, end - time.monotonic()))
                try:
                    connection, _ = listener.accept()
                    connection.settimeout(5)
                    word = json.loads(connection.makefile().readline())
                    came[int(word["worker"])] = connection, word["run"]
                except (OSError, ValueError, KeyError, TypeError):  # nobody, or no worker
                    continue
        missing = [address for i, address in enumerate(self.addresses) if i and i not in came]
        other = [self.addresses[i] for i, (_, its) in came.items() if its != run]
        verdict = ""
        if missing:
            verdict = f"No word from {' and '.join(missing)} of TF_CONFIG within {seconds:g} s: start all workers."
        elif other:
            verdict = f"{' and '.join(other)} was started with other settings than {self.addresses[0]}: give the same."
        for connection, _ in came.values():
            with connection:
                connection.sendall(json.dumps(verdict).encode() + b"\n")
        if verdict:
            raise UserError(verdict)

    def _report(self, run: str, seconds: float) -> None:
        """The others: send word to the chief until it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with socket.create_connection(_split(self.addresses[0]), timeout=1) as connection:
                    connection.sendall(json.dumps({"worker": self.index, "run": run}).encode() + b"\n")
                    connection.settimeout(max(0.01, end + 5 - time.monotonic()))  # the chief may have come later
                    verdict = json.loads(connection.makefile().readline())
            except (OSError, ValueError):
                time.sleep(0.2)
                continue
            if verdict:
                raise UserError(verdict)
            return
        raise UserError(f"No word from the chief at {self.addresses[0]} of TF_CONFIG within {seconds:g} s: start all.")


def local_configs(count: int) -> list[str]:
    """TF_CONFIG for each of `count` workers on this machine, at ports that nobody listens at."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def leave(status: int) -> NoReturn:
    """Ends the process, as a worker must: TensorFlow's own end may wait for others that have left before.

    Args:
        status: the exit status.
    """
    if os.environ.get("TF_CONFIG"):
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(1)  # the others may not have received all
        os._exit(status)
    sys.exit(status)


def _split(address: str) -> tuple[str, int]:
    """Returns host and port. Raises ValueError if it is no address."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(address)
    return host.strip("[]"), int(port)
