"""The common part of all commands: flags, exit statuses, and error messages of one sentence."""

import atexit
import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from charrnn.errors import UserError, nearest
from charrnn.files import paths
from charrnn.process import interrupts, streams

DONE = 0
MISTAKE = 2  # the user's
DIVERGED = 3
NOT_WRITTEN = 74  # the disk is full or has disappeared
STOPPED = 75  # by a signal, --max_minutes or the exit of the reader; everything is saved
INTERRUPTED = 130  # by Ctrl-C

_MOST_CHARS = 1000  # of an error message, because the user's input may be long


def run(
    main: Callable[[list[str]], int],
    values: flags.FlagValues,
    argv: list[str] | None = None,
    suggest: Callable[[str, str], str] = lambda name, argument: "",
) -> int:
    """Parses the flags, calls `main`, and reports a user's mistake in one sentence on standard error.

    Standard output and standard error never raise during the call. A reader that exits, like `head`, is not an error.

    Args:
        main: the command: positional arguments -> exit status. It reads the flags from `values`.
        values: the command's flags.
        argv: the command line; None: the process's.
        suggest: (an unknown flag's name, its argument) -> the end of the sentence about it, or "".

    Returns:
        The exit status.
    """
    streams.repair()
    with streams.guarded() as output:
        status = _status(main, values, sys.argv if argv is None else argv, suggest)
        atexit.register(interrupts.ignore)
        if output.full and status == DONE:
            sentence = f"Standard output cannot be written ({output.full}): make room, or send it elsewhere."
            return ended(sentence, NOT_WRITTEN)
        return status


def ended(sentence: str, status: int) -> int:
    """Reports on standard error why the command ended. Returns `status`.

    Args:
        sentence: any text. The printed line has a bounded length and no control characters.
        status: the exit status.
    """
    sentence = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(sentence.split()))
    if len(sentence) > _MOST_CHARS:
        sentence = f"{sentence[: _MOST_CHARS - 300]} […] {sentence[-300:]}"
    print(f"error: {sentence}", file=sys.stderr)
    return status


class _Path(flags.ArgumentParser):
    """Parses a path with `paths.given`."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        """Returns the path with its `~` expanded."""
        return paths.given(argument)


def path_flag(name: str, default: str | None, text: str, values: flags.FlagValues) -> None:
    """Defines a flag for one file or folder. Not for a corpus, which may be a name or a pattern.

    Args:
        name: the flag's name.
        default: the default path.
        text: the flag's help.
        values: the command's flags.
    """
    flags.DEFINE(_Path(), name, default, text, flag_values=values)


def paths_flag(name: str, text: str, values: flags.FlagValues) -> None:
    """Defines a flag for a file or folder that the user may give several times."""
    flags.DEFINE_multi(_Path(), flags.ArgumentSerializer(), name, [], text, flag_values=values)


def numbers(name: str, values: flags.FlagValues) -> list[float]:
    """Returns the numbers of a list flag.

    Args:
        name: the flag.
        values: the command's flags.

    Raises:
        UserError: an entry is not a number.
    """
    texts = values[name].value or []
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise UserError(f"--{name}={','.join(texts)} is not a list of numbers.") from error


def reading_flags(values: flags.FlagValues) -> Callable[[], dict[str, Any]]:
    """Defines the flags for the settings `data.*` about reading a text.

    Args:
        values: the command's flags.

    Returns:
        A function that returns the given values by the names of the settings.
    """
    string, before = functools.partial(flags.DEFINE_string, default=None, flag_values=values), set(values)
    number = functools.partial(flags.DEFINE_float, default=None, flag_values=values)
    string("vocabulary", help="As data.vocabulary: characters (default) or bytes.")
    flags.DEFINE_boolean("lowercase", None, "As data.lowercase: convert the text to lower case.", values)
    column = "As data.csv_column: a CSV's column, from 1; 0 (default): plain text."
    flags.DEFINE_integer("csv_column", None, column, flag_values=values)
    string("csv_delimiter", help="As data.csv_delimiter: the character between fields, tab, space; default: detected.")
    string("csv_header", help="As data.csv_header: true, false or auto (default).")
    string("encoding", help="As data.encoding: cp1252, utf-16 or another; default: by the byte-order mark, or UTF-8.")
    string("normalization", help="As data.normalization: NFC, NFD, NFKC or NFKD; default: none.")
    number("validation_fraction", help="As data.validation_fraction: the validation part's share; default: 0.1.")
    number("test_fraction", help="As data.test_fraction: the test part's share; default: 0.")
    names = set(values) - before
    return lambda: {name: values[name].value for name in names if values[name].value is not None}


def start_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages.

    Commands call this before they import a module that imports TensorFlow. A signal ends it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back(), interrupts.insisted():
        import keras  # noqa: F401 - TensorFlow imports it lazily
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("CRITICAL")  # its errors about checkpoints are raised too


def _require_text(arguments: list[str]) -> None:
    """Raises UserError for an argument that is not UTF-8, because TensorFlow could not open a file of that name."""
    for argument in arguments:
        if "\0" in argument or argument != argument.encode("utf-8", "replace").decode():
            raise UserError(f"The argument {argument!a} is not text in UTF-8: change it, or rename the file.")


def _parsed(values: flags.FlagValues, argv: list[str]) -> list[str]:
    """Sets the flags and returns the positional arguments. absl raises ValueError for `--noxla=true`."""
    try:
        return values(argv)[1:]
    except ValueError as error:
        raise UserError(f"{error}: see --help.") from error


def _status(main: Callable, values: flags.FlagValues, argv: list[str], suggest: Callable[[str, str], str]) -> int:
    """Parses the flags, calls `main` and returns the exit status."""
    if "help" not in values:
        flags.DEFINE_boolean("help", False, "Show this help and exit.", short_name="h", flag_values=values)
    values.unparse_flags()
    try:
        _require_text(argv)
        arguments = _parsed(values, argv)
        if values.help:
            print(f"{sys.modules[main.__module__].__doc__}{values.get_help()}")
        status = DONE if values.help else main(arguments)
        sys.stdout.flush()  # a full disk may raise an error only here
        return status
    except flags.UnrecognizedFlagError as error:
        end = suggest(error.flagname, error.flagvalue) or nearest(error.flagname, values)
        return ended(f"There is no flag --{error.flagname}{end}.", MISTAKE)
    except (UserError, flags.Error) as error:
        return ended(str(error), NOT_WRITTEN if streams.is_full(error) else MISTAKE)
    except streams.Unread:
        return DONE
    except Exception as error:
        if not streams.is_full(error):
            raise
        return ended(f"A file cannot be written, the disk is full ({error}): make room.", NOT_WRITTEN)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Holds back standard error, including native code's, and shows it only if the body raises an Exception."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        real = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            with contextlib.suppress(OSError):  # standard error has no reader
                os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
