"""Calls functions in worker processes.

Unlike `multiprocessing`, this does not import the user's main module in the workers. A worker exits after its current
call if its parent exits, even if the parent was killed.
"""

import concurrent.futures
import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def available() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def call_all(calls: Iterable[tuple[Callable, tuple]], processes: int) -> Iterator:
    """Calls functions in parallel. Uses this process if there would be only one worker.

    Args:
        calls: (function, arguments) of each call. The function must belong to a module; arguments and results must be
            picklable.
        processes: the largest number of workers.

    Yields:
        The results, in the order of the calls.

    Raises:
        Exception: the exception of the first call that failed.
    """
    calls = list(calls)
    processes = min(processes, len(calls))
    if processes <= 1:
        yield from (function(*arguments) for function, arguments in calls)
        return
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(processes))
        workers = [stack.enter_context(_worker()) for _ in range(processes)]  # killed before the threads end
        idle: queue.SimpleQueue[subprocess.Popen] = queue.SimpleQueue()
        for worker in workers:
            idle.put(worker)

        def call(one: tuple[Callable, tuple]) -> Any:
            worker = idle.get()
            try:
                return _ask(worker, one)
            finally:
                idle.put(worker)

        yield from threads.map(call, calls)


@contextlib.contextmanager
def _worker() -> Iterator[subprocess.Popen]:
    code = "from charrnn.encoded import processes; processes._serve()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    # In a separate session, because a Ctrl-C at the terminal would make each worker print a traceback.
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _ask(worker: subprocess.Popen, call: tuple[Callable, tuple]) -> Any:
    assert worker.stdin and worker.stdout
    try:
        pickle.dump(call, worker.stdin)
        worker.stdin.flush()
        result = pickle.load(worker.stdout)
    except (EOFError, BrokenPipeError) as error:
        raise RuntimeError(f"a process of charrnn.encoded.processes ended with status {worker.wait()}") from error
    if isinstance(result, Exception):
        raise result
    return result


def _serve() -> None:
    """Executes calls from standard input until it ends."""
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, arguments = pickle.load(sys.stdin.buffer)
            try:
                result = function(*arguments)
            except Exception as error:
                result = error
            pickle.dump(result, sys.stdout.buffer)
            sys.stdout.buffer.flush()
