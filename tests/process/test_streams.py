"""Tests standard output and standard error in every state: pipes, terminals, full devices, closed descriptors."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from charrnn.process import streams
from charrnn.process.streams import Guarded, Unread, guard, guarded

FULL = "No space left on device"
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")


def without_reader():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")


def on_a_terminal_that_went_away():
    master, slave = pty.openpty()
    stream = Guarded(os.fdopen(slave, "w"))
    os.close(master)
    return stream


def with_closed_descriptor():
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    os.close(write)
    return stream


def closed():
    stream = without_reader()
    stream.close()
    return stream


def read_only():
    return open(os.open(os.devnull, os.O_RDONLY), "w")


STATES = {  # the function that opens the stream: the expected (`gone`, `full`)
    without_reader: (True, ""),
    on_a_terminal_that_went_away: (True, ""),
    with_closed_descriptor: (False, ""),
    closed: (False, ""),
    read_only: (False, ""),
    lambda: None: (False, ""),
    lambda: open("/dev/full", "w"): (False, FULL),
    lambda: open("/dev/full", "w", buffering=1): (False, FULL),
    lambda: open(os.devnull, "w"): (False, ""),
}


@needs_full
@pytest.mark.parametrize(("make", "expected"), STATES.items())
@pytest.mark.parametrize("text", ["line\n", "x" * 100_000])
def test_writing_never_raises_and_the_first_cause_is_kept(make, expected, text):
    stream = guard(make())
    for _ in range(3):
        assert stream.write(text) == len(text)
        stream.writelines([text])
        print(text, file=stream, flush=True)
    assert not stream.isatty()
    assert (stream.gone, stream.full) == expected
    stream.leave()
    stream.close()  # drops the rest of the buffer and does not raise


def test_a_limit_of_the_file_size_counts_as_a_full_disk(tmp_path):
    program = f"""
        import resource
        from charrnn.process.streams import Guarded

        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        stream = Guarded(open({str(tmp_path / "log")!r}, "w"))
        print("x" * 100, file=stream, flush=True)
        assert stream.full == "File too large" and not stream.gone, stream.full
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_a_process_that_ignores_hangups_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stream = on_a_terminal_that_went_away()
        print("text", file=stream, flush=True)
        assert (stream.gone, stream.full) == (False, "")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_text_is_written_and_other_attributes_are_the_streams_own(tmp_path):
    path = tmp_path / "text"
    with open(path, "w", encoding="latin-1") as file:
        stream = guard(file)
        assert guard(stream) is stream and stream.encoding == "latin-1" and stream.fileno() == file.fileno()
        print("café", file=stream)
        stream.flush()
        assert path.read_bytes() == b"caf\xe9\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "latin-1", "utf-8"])
def test_characters_that_the_encoding_lacks_are_written_as_question_marks(tmp_path, encoding):
    """The stream's own way with errors comes first."""
    with open(tmp_path / "text", "w+", encoding=encoding) as file:
        print("é─🎭\udcff", file=guard(file), flush=True)
        file.seek(0)
        kept = {"cp437": "é─??", "latin-1": "é???", "utf-8": "é─🎭?"}
        assert file.read() == kept.get(encoding, "????") + "\n"
        file.reconfigure(errors="ignore")
        assert guard(file).write("a\udcffb") == 3
        file.seek(0)
        assert file.read().endswith("\nab")


def test_other_errors_are_not_swallowed():
    with open(os.devnull, "w") as file, pytest.raises(TypeError):
        guard(file).write(b"bytes")


def test_unread_text_ends_the_writing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", without_reader())
    with guarded(), pytest.raises(Unread):
        streams.write("text")
    monkeypatch.setattr(sys, "stdout", closed())
    with guarded():
        streams.write("text")  # no error, because it was closed from the start


def test_the_streams_are_restored_afterwards():
    before = sys.stdout, sys.stderr
    with guarded() as output:
        assert sys.stdout is output and sys.stderr is not before[1]
    assert (sys.stdout, sys.stderr) == before


def test_a_file_never_gets_the_descriptor_of_a_closed_stream(tmp_path):
    program = f"""
        import os, sys
        from charrnn.process import streams

        streams.repair()
        with open({str(tmp_path / "file")!r}, "w") as file:
            assert file.fileno() > 2
            os.write(1, b"native code")
            os.write(2, b"native code")
            print("text", flush=True)
            print("text", file=sys.stderr)
            assert sys.stdin.read() == "" and sys.stdout.write("é") == 1
            assert os.read(0, 9) == b""
            file.write("whole")
    """
    shell = ["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, textwrap.dedent(program)]
    assert subprocess.run(shell).returncode == 0
    assert (tmp_path / "file").read_text() == "whole"


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_everything():
    read, write = os.pipe()
    os.set_blocking(write, False)
    program = "from charrnn.process import streams\nstreams.repair()\nprint('x' * 1_000_000)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    threading.Event().wait(0.2)
    with open(read, "rb") as file:
        assert len(file.read()) == 1_000_001
    assert (process.wait(), process.stderr.read()) == (0, b"")
