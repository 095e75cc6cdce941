"""The workers of a run, as TF_CONFIG names them, and how they meet before training.

TensorFlow waits for a missing worker forever and ignores signals meanwhile. So the workers first meet over plain
sockets at the chief's address, within a time limit, and verify that all run the same experiment.
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
    """All workers of a run, and the index of this process."""

    addresses: tuple[str, ...]  # "host:port"; the first one is the chief
    index: int  # position of this process

    @classmethod
    def from_environment(cls) -> "Cluster":
        """Returns the cluster in TF_CONFIG.

        Raises:
            UserError: it is missing or not valid.
        """
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
        """True if this process writes the files of the run."""
        return self.index == 0

    def meet(self, run: str, seconds: float) -> None:
        """Returns when all workers are connected.

        Args:
            run: a fingerprint of the run; equal on all workers.
            seconds: the time limit.

        Raises:
            UserError: a worker is missing, or runs something else.
        """
        if self.is_chief:
            self._receive(run, seconds)
        else:
            self._report(run, seconds)

    def _receive(self, run: str, seconds: float) -> None:
        """Waits for a message from each worker, and sends all the verdict; runs on the chief."""
        end = time.monotonic() + seconds
        connected: dict[int, tuple[socket.socket, str]] = {}
        try:
            listener = socket.create_server(("", _split(self.addresses[0])[1]))
        except OSError as error:
            raise UserError(f"{self.addresses[0]} of TF_CONFIG cannot be listened at ({error.strerror}).") from error
        with listener:
            while len(connected) < len(self.addresses) - 1 and time.monotonic() < end:
                listener.settimeout(max(0.01, end - time.monotonic()))
                try:
                    connection, _ = listener.accept()
                    connection.settimeout(5)
                    message = json.loads(connection.makefile().readline())
                    connected[int(message["worker"])] = connection, message["run"]
                except (OSError, ValueError, KeyError, TypeError):  # timeout, or a client that is no worker
                    continue
        missing = [address for i, address in enumerate(self.addresses) if i and i not in connected]
        other = [self.addresses[i] for i, (_, its) in connected.items() if its != run]
        verdict = ""
        if missing:
            verdict = f"No word from {' and '.join(missing)} of TF_CONFIG within {seconds:g} s: start all workers."
        elif other:
            verdict = f"{' and '.join(other)} was started with other settings than {self.addresses[0]}: give the same."
        for connection, _ in connected.values():
            with connection:
                connection.sendall(json.dumps(verdict).encode() + b"\n")
        if verdict:
            raise UserError(verdict)

    def _report(self, run: str, seconds: float) -> None:
        """Sends a message to the chief until it answers; runs on the others."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with socket.create_connection(_split(self.addresses[0]), timeout=1) as connection:
                    connection.sendall(json.dumps({"worker": self.index, "run": run}).encode() + b"\n")
                    connection.settimeout(max(0.01, end + 5 - time.monotonic()))  # the chief may have started later
                    verdict = json.loads(connection.makefile().readline())
            except (OSError, ValueError):
                time.sleep(0.2)
                continue
            if verdict:
                raise UserError(verdict)
            return
        raise UserError(f"No word from the chief at {self.addresses[0]} of TF_CONFIG within {seconds:g} s: start all.")


def local_configs(count: int) -> list[str]:
    """Returns TF_CONFIG for each of `count` workers on this machine, at free ports."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def leave(status: int) -> NoReturn:
    """Ends the process. A worker skips TensorFlow's shutdown, which may wait for workers that have already ended.

    Args:
        status: the exit status.
    """
    if os.environ.get("TF_CONFIG"):
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(1)  # other workers may still be receiving
        os._exit(status)
    sys.exit(status)


def _split(address: str) -> tuple[str, int]:
    """Returns host and port; raises ValueError for an invalid address."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(address)
    return host.strip("[]"), int(port)
