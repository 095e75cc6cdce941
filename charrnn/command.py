"""What all commands share: exit statuses, one sentence for a user's mistake, and silence otherwise."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

from absl import flags

from charrnn.errors import UserError, nearest

DONE = 0
MISTAKE = 2  # the user's
DIVERGED = 3
NOT_WRITTEN = 74  # the disk is full, or gone
STOPPED = 75  # by a signal or at --max_minutes, all saved

_LONGEST = 1000  # characters of a sentence; what was given may be longer


def run(
    main: Callable[[list[str]], int],
    values: flags.FlagValues,
    argv: list[str] | None = None,
    suggest: Callable[[str, str], str] = lambda name, argument: "",
) -> int:
    """Parses the flags, calls `main`, and tells a user's mistake in one sentence on standard error.

    Args:
        main: reads the flags; takes what was given beside them, and returns the exit status.
        values: the command's flags.
        argv: default: the process's.
        suggest: (name of an unknown flag, its argument) -> the end of the sentence about it, or "".

    Returns:
        The exit status.
    """
    if "help" not in values:
        flags.DEFINE_boolean("help", False, "Show this help and leave.", short_name="h", flag_values=values)
    values.unparse_flags()
    argv = sys.argv if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # in the place of a stream that has no encoding
            stream.reconfigure(errors="replace")
    try:
        _require_text(argv)
        beside = values(argv)[1:]
        if values.help:
            print(f"{sys.modules[main.__module__].__doc__}{values.get_help()}")
        status = DONE if values.help else main(beside)
        sys.stdout.flush()  # a reader that has gone shows only now, where little was written
        return status
    except flags.UnrecognizedFlagError as error:
        end = suggest(error.flagname, error.flagvalue) or nearest(error.flagname, values)
        return _mistake(f"There is no flag --{error.flagname}{end}.")
    except (UserError, flags.Error) as error:
        return _mistake(str(error))
    except BrokenPipeError:  # whoever read standard output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def start_tensorflow() -> None:
    """Imports TensorFlow without the chatter of its start-up: what a command prints is what the user asked for.

    To be called by commands before they import anything that imports TensorFlow.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back():
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("CRITICAL")  # what it logs of a checkpoint that cannot be read, it raises too


def _require_text(arguments: list[str]) -> None:
    """Raises UserError for an argument that was not in UTF-8: TensorFlow could not open a file of that name either."""
    for argument in arguments:
        if "\0" in argument or argument != argument.encode("utf-8", "replace").decode():
            raise UserError(f"The argument {argument!a} is not text in UTF-8: give it otherwise, or rename the file.")


def _mistake(sentence: str) -> int:
    """One line, of bounded length, in which nothing that was given can drive the terminal."""
    sentence = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(sentence.split()))
    if len(sentence) > _LONGEST:
        sentence = f"{sentence[: _LONGEST - 300]} […] {sentence[-300:]}"
    print(f"error: {sentence}", file=sys.stderr)
    return MISTAKE


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Keeps what is written to standard error, by native code too, and shows it only if the body fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        real = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(real, kept.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
