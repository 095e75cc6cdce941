"""Tests that a machine verifies files only once, even if several callers start at the same time."""

import threading
import zlib

import pytest

from charrnn.encoded import verified
from charrnn.errors import UserError


def test_a_second_caller_waits_for_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "shard"
    file.write_bytes(b"text")
    files = [(str(file), zlib.crc32(b"text"))]
    read, reading, may_end, both = verified._verify, threading.Event(), threading.Event(), threading.Barrier(2)
    times = []

    def slowly(files):
        times.append(len(files))
        reading.set()
        assert may_end.wait(60)
        read(files)

    def second():
        both.wait(60)
        verified.once_a_machine(files)

    monkeypatch.setattr(verified, "_verify", slowly)
    threads = [threading.Thread(target=verified.once_a_machine, args=[files]), threading.Thread(target=second)]
    threads[0].start()
    assert reading.wait(60)
    threads[1].start()
    both.wait(60)
    threads[1].join(0.2)  # without the wait, it would end or verify within this time
    assert threads[1].is_alive() and times == [1]
    may_end.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert times == [1]


def test_damage_makes_the_next_caller_verify_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "shard"
    file.write_bytes(b"text")
    for _ in range(2):
        with pytest.raises(UserError, match="damaged, because its checksum is wrong"):
            verified.once_a_machine([(str(file), zlib.crc32(b"another"))])
