"""Tests `charrnn.command`: flags, help, exit statuses and messages. The command of this file prints a greeting."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from absl import flags

from charrnn import command, corpora, export, generate
from charrnn.errors import UserError
from charrnn.text.vocabulary import Vocabulary
from tests.signals import wait_for_tensorflow
from trainers import run


@pytest.fixture
def values():
    values = flags.FlagValues()
    flags.DEFINE_integer("number", 3, "A number.", flag_values=values)
    flags.DEFINE_boolean("loud", False, "Whether it is loud.", flag_values=values)
    flags.DEFINE_multi_string("set", [], "Settings.", flag_values=values)
    return values


def hello(beside):
    print("hello", *beside)
    return 75


def test_returns_the_status_of_main_and_hands_over_the_other_arguments(values, capsys):
    assert command.run(hello, values, ["it", "a", "--number=5", "b"]) == 75
    assert capsys.readouterr() == ("hello a b\n", "")
    assert values.number == 5


def test_flags_of_an_earlier_call_are_forgotten(values):
    command.run(hello, values, ["it", "--number=5", "--loud", "--set=a", "--set=b"])
    assert (values.number, values.loud, values.set) == (5, True, ["a", "b"])
    command.run(hello, values, ["it", "--set=c"])
    assert (values.number, values.loud, values.set) == (3, False, ["c"])


def test_reads_the_processs_arguments_by_default(values, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["it", "--number=8", "x"])
    assert command.run(hello, values) == 75
    assert (values.number, capsys.readouterr().out) == (8, "hello x\n")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--numbr=5"], "error: There is no flag --numbr; nearest: number.\n"),
        (["--zzzzzz"], "error: There is no flag --zzzzzz; there are "),
        (["--number=five"], "--number=five"),
        (["--number"], "number"),
        (["--loud=maybe"], "--loud=maybe"),
    ],
)
def test_a_mistake_in_the_flags_is_reported_in_one_line(values, capsys, arguments, said):
    assert command.run(hello, values, ["it", *arguments]) == command.MISTAKE == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err
    assert err.startswith("error: ") and err.count("\n") == 1


def test_a_users_mistake_is_reported_in_one_line_whatever_its_text(values, capsys):
    def main(beside):
        raise UserError("This\n  cannot be:\n\ttry another.")

    assert command.run(main, values, ["it"]) == 2
    assert capsys.readouterr() == ("", "error: This cannot be: try another.\n")


def test_our_own_mistakes_are_not_swallowed(values):
    def main(beside):
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        command.run(main, values, ["it"])


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_the_docstring_and_the_flags(values, capsys, flag):
    assert command.run(hello, values, ["it", flag]) == command.DONE == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith(__doc__)
    for line in ("--number: A number.", "(default: '3')", "--[no]loud: Whether it is loud."):
        assert line in out
    assert "hello" not in out.removeprefix(__doc__)


def test_help_ends_quietly_for_a_reader_of_one_line():
    shell = f"{sys.executable} -m charrnn.generate --help | head -1"
    process = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("Writes text with a trained model") and process.stdout.count("\n") == 1


PROGRAM = """
import sys
from absl import flags
from charrnn import command

def main(beside):
    for _ in range(int(sys.argv[2])):
        print("to nobody")
    print("a warning", file=sys.stderr)
    return int(sys.argv[1])

sys.exit(command.run(main, flags.FlagValues(), ["it"]))
"""


STDERR_SHOWN = ("| true", ">/dev/full")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    ("streams", "lines", "statuses"),
    [
        (">&- 2>&- <&-", 1, {0: 0, 2: 2, 75: 75}),
        ("| true", 100_000, {0: 0, 1: 1, 75: 75}),
        ("2>&1 | true", 1, {0: 0, 3: 3, 74: 74}),
        (">/dev/full", 1, {0: 74, 1: 1, 2: 2, 75: 75}),
        (">/dev/full 2>&1", 100_000, {0: 74, 3: 3}),
        ("2>/dev/full", 1, {0: 0, 75: 75}),
        ("2>&-", 1, {0: 0}),
    ],
)
def test_broken_streams_change_a_status_only_from_done_to_not_written(streams, lines, statuses):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for status, expected in statuses.items():
        shell = f'"$0" -c "$1" {status} {lines} {streams}; exit ${{PIPESTATUS[0]}}'
        process = subprocess.run(["bash", "-c", shell, sys.executable, PROGRAM], capture_output=True, env=buffered)
        assert process.returncode == expected, (status, process.stderr)
        assert b"Traceback" not in process.stderr and process.stderr.count(b"\n") == (streams in STDERR_SHOWN) + (
            expected == 74 and streams == ">/dev/full"
        )


def test_a_broken_pipe_inside_a_command_is_not_swallowed(values):
    def main(beside):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb", buffering=0) as pipe:
            pipe.write(b"to a server")

    with pytest.raises(BrokenPipeError):
        command.run(main, values, ["it"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    ("module", "argument"), [(corpora, ""), (run, "--list"), (run, "--help"), (generate, "--help"), (export, "-h")]
)
def test_output_to_a_full_disk_is_reported_in_one_line_with_its_own_status(module, argument, monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status = command.run(module.main, module.FLAGS, ["it", argument] if argument else ["it"])
    assert status == command.NOT_WRITTEN == 74
    assert capsys.readouterr().err.splitlines() == [
        "error: Standard output cannot be written (No space left on device): make room, or send it elsewhere."
    ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_file_on_a_full_disk_is_reported_in_one_line_with_its_own_status(values, capsys):
    def main(beside):
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"text")

    assert command.run(main, values, ["it"]) == command.NOT_WRITTEN
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and "No space left on device" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_refusal_because_of_a_full_disk_keeps_its_sentence_and_gets_the_status_of_a_full_disk(values, capsys):
    assert command.run(lambda beside: Vocabulary("ab").save("/dev/full"), values, ["it"]) == command.NOT_WRITTEN
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: The vocabulary cannot be written") and err.count("\n") == 1


def test_a_value_for_the_negative_of_a_flag_is_reported_in_one_line(values, capsys):
    assert command.run(lambda beside: 0, values, ["it", "--nohelp=true"]) == command.MISTAKE
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: --nohelp=true ") and err.count("\n") == 1


def test_an_interrupt_is_reported_in_one_line_with_its_own_status(values, capsys):
    def main(beside):
        print("begun")
        signal.raise_signal(signal.SIGINT)

    assert command.run(main, values, ["it"]) == command.INTERRUPTED == 130
    assert capsys.readouterr() == ("begun\n", "Interrupted.\n")


def test_an_interrupt_while_tensorflow_is_imported_is_reported_in_one_line():
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn.corpora"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_tensorflow(process.pid)
    process.send_signal(signal.SIGINT)
    assert (*process.communicate(timeout=100), process.returncode) == ("", "Interrupted.\n", 130)


def test_a_mistyped_flag_is_reported_before_tensorflow_is_loaded():
    program = """
        import sys
        from charrnn import command, generate

        status = command.run(generate.main, generate.FLAGS, ["generate", "--promt=A"])
        sys.exit(f"status {status}, tensorflow {'tensorflow' in sys.modules}")
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert process.stderr.splitlines()[1:] == ["status 2, tensorflow False"]


def test_start_up_messages_are_shown_only_if_start_up_fails():
    program = """
        import os, sys
        from charrnn import command

        with command._held_back():
            os.write(2, b"chatter\\n")
        print("after", file=sys.stderr, flush=True)
        try:
            with command._held_back():
                os.write(2, b"reason\\n")
                raise KeyError
        except KeyError:
            os.write(2, b"end\\n")
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "after\nreason\nend\n")
