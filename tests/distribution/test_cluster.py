"""Tests how TF_CONFIG is read, and how workers meet over real sockets."""

import concurrent.futures
import json
import socket
import time

import pytest

from charrnn.errors import UserError
from trainers.distribution.cluster import Cluster


def tf_config(kind="worker", index=0, **cluster):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    "text, addresses, index",
    [
        (tf_config(index=1, worker=["a:1", "b:2"]), ("a:1", "b:2"), 1),
        (tf_config(index=0, worker=["a:1"], chief=["c:3"]), ("c:3", "a:1"), 1),
        (tf_config("chief", worker=["a:1"], chief=["c:3"]), ("c:3", "a:1"), 0),
        (tf_config(index="1", worker=["a:1", "[::1]:2"]), ("a:1", "[::1]:2"), 1),
    ],
)
def test_tf_config_gives_all_addresses_and_the_index_of_this_worker(monkeypatch, text, addresses, index):
    monkeypatch.setenv("TF_CONFIG", text)
    cluster = Cluster.from_environment()
    assert (cluster.addresses, cluster.index, cluster.is_chief) == (addresses, index, index == 0)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "needs the environment variable TF_CONFIG"),
        ("{", "is not understood"),
        ("[]", "is not understood"),
        (json.dumps({"cluster": {"worker": ["a:1", "b:2"]}}), "is not understood"),
        (tf_config(index=2, worker=["a:1", "b:2"]), "is not understood"),
        (tf_config(index="first", worker=["a:1", "b:2"]), "is not understood"),
        (tf_config("ps", worker=["a:1"], ps=["b:2"]), "is not understood"),
        (tf_config(worker=["a", "b:2"]), "is not understood"),
        (tf_config(worker=["a:1", "b:99999"]), "is not understood"),
        (tf_config(worker=5), "is not understood"),
        (tf_config(chief=["a:1", "b:2"], worker=["c:3"]), "is not understood"),
        (tf_config(worker=["a:1"]), "names one worker only"),
    ],
)
def test_an_impossible_tf_config_is_refused(monkeypatch, text, says):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=says):
        Cluster.from_environment()


@pytest.fixture
def addresses():
    """Returns three addresses at which no process listens."""
    listeners = [socket.create_server(("localhost", 0)) for _ in range(3)]
    found = tuple(f"localhost:{one.getsockname()[1]}" for one in listeners)
    for one in listeners:
        one.close()
    return found


def meet(addresses, runs, seconds, late=None):
    """Lets the workers in `runs` meet, `late` half a second after the others; returns each one's error, or None."""

    def come(index):
        time.sleep(0.5 if index == late else 0)
        try:
            return Cluster(addresses, index).meet(runs[index], seconds)
        except UserError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        return dict(zip(runs, threads.map(come, runs), strict=True))


def connected(host, port):
    """Returns a connection to an address at which a process will soon listen."""
    while True:
        try:
            return socket.create_connection((host, port))
        except ConnectionRefusedError:
            time.sleep(0.01)


@pytest.mark.parametrize("late", [0, 2])  # 0 is the chief
def test_all_workers_continue_when_the_last_one_has_come(addresses, late):
    assert meet(addresses, dict.fromkeys(range(3), "run"), 100, late) == dict.fromkeys(range(3))


def test_a_worker_that_never_comes_is_named_to_all(addresses):
    start = time.monotonic()
    errors = meet(addresses, {0: "run", 1: "run"}, 2)
    assert errors[0] == errors[1] == f"No word from {addresses[2]} of TF_CONFIG within 2 s: start all workers."
    assert time.monotonic() - start < 60


def test_a_chief_that_never_comes_is_named(addresses):
    errors = meet(addresses, {1: "run"}, 0.5)
    assert errors[1] == f"No word from the chief at {addresses[0]} of TF_CONFIG within 0.5 s: start all."


def test_other_settings_are_refused_everywhere(addresses):
    errors = meet(addresses, {0: "run", 1: "run", 2: "other"}, 100)
    assert set(errors.values()) == {
        f"{addresses[2]} was started with other settings than {addresses[0]}: give the same."
    }


def test_a_client_that_is_no_worker_is_ignored(addresses):
    host, port = addresses[0].split(":")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        chief = threads.submit(Cluster(addresses[:2], 0).meet, "run", 100)
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b""):
            with connected(host, int(port)) as stranger:
                stranger.sendall(words)
        Cluster(addresses[:2], 1).meet("run", 100)
        assert chief.result() is None
