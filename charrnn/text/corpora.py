"""Finds, downloads, verifies, caches and reads corpora, published ones and the user's files, and splits them.

corpus = load("shakespeare")                    # or "plays", "timetable:200000", "notes.txt", "books/*.txt"
parts = split(len(corpus.content), validation_fraction=0.1, test_fraction=0.0)
train = corpus.content[parts.train]
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import NamedTuple

from charrnn.errors import UserError
from charrnn.files import paths, systems
from charrnn.text import chunks, downloads, own_files, standard_input
from charrnn.text.downloads import DownloadError, Published
from charrnn.text.finite_state import FiniteStateSource
from charrnn.text.own_files import file_errors, joined
from charrnn.text.plays import Plays
from charrnn.text.timetable import Timetable

__all__ = ["built_in", "file_errors", "find", "joined", "load", "local_file", "read", "resolve", "split", "stat"]

PUBLISHED = {
    "shakespeare": Published(
        file_name="shakespeare.txt",
        url="https://storage.googleapis.com/download.tensorflow.org/data/shakespeare.txt",
        num_bytes=1_115_394,
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "nietzsche": Published(
        file_name="nietzsche.txt",
        url="https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        num_bytes=600_901,
        sha256="23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    "linux": Published(
        file_name="linux.txt",
        url="https://raw.githubusercontent.com/solaris33/deep-learning-tensorflow-book-code/master/"
        "Ch08-RNN/Char-RNN/data/linux/input.txt",
        num_bytes=6_206_996,
        sha256=None,
    ),
    # A CSV: class, title, description; no header.
    "ag_news": Published(
        file_name="ag_news_csv/train.csv",
        url="https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/train.csv",
        num_bytes=None,
        sha256=None,
    ),
}


class BuiltIn(NamedTuple):
    """The origin of a built-in corpus."""

    source: Callable[[], FiniteStateSource]
    seed: int  # of the text; chosen so that the default splits cost the entropy rate to 0.001 nats per character


BUILT_IN = {"plays": BuiltIn(Plays, 0), "timetable": BuiltIn(Timetable, 3)}
BUILT_IN_CHARS, MOST_BUILT_IN_CHARS = 1_000_000, 1_000_000_000


@dataclass(frozen=True)
class Corpus:
    """A text to learn from.

    Attributes:
        name: the user's name for it.
        content: the text, without byte-order mark and with unchanged line ends; or the raw bytes.
        sha256: the checksum of the raw bytes, hexadecimal.
        entropy_rate: the true entropy rate in nats per character, or None if it is unknown.
        findings: empty lines and ragged rows.
    """

    name: str
    content: str | bytes
    sha256: str
    entropy_rate: float | None = None
    findings: chunks.Findings = chunks.Findings()


@dataclass(frozen=True)
class Split:
    """The contiguous parts of a corpus: first train, then validation, then test."""

    train: slice
    validation: slice
    test: slice


def registered_names() -> list[str]:
    """Returns the names that `load` knows, sorted."""
    return sorted([*PUBLISHED, *BUILT_IN])


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr)


def load(spec: str, as_bytes: bool = False, log: Callable[[str], None] = _to_standard_error) -> Corpus:
    """Reads a corpus. Downloads a published one if it is neither in $CHARRNN_DATA_DIR nor in the cache.

    Args:
        spec: a registered name (a built-in one also as "plays:NUM_CHARS"), else as in `find`.
        as_bytes: True for the raw bytes of any file; False for text.
        log: called with each line for the user.

    Returns:
        The corpus.

    Raises:
        UserError: the corpus does not exist, cannot be downloaded, read or decoded, or is empty.
    """
    settings = chunks.Settings("bytes" if as_bytes else "characters")
    return built_in(spec, settings, log) if is_built_in(spec) else read(spec, find(spec, log), settings)


def find(spec: str, log: Callable[[str], None] = _to_standard_error) -> list[str]:
    """Returns the files of any corpus except a built-in one. Downloads a published one if necessary.

    Args:
        spec: a registered name, a file, or a glob of files ("**" matches folders of any depth); or several of these,
            as a JSON list or separated by commas. The files are concatenated, a glob's in the order of paths.
        log: called with each line for the user.

    Returns:
        The paths, in the order in which they are concatenated.

    Raises:
        UserError: there is no such corpus, or it cannot be downloaded, or it is a built-in one.
    """
    found = own_files.find(resolve(spec, log), registered_names(), lambda name: _registered_file(name, log))
    for path in found:
        if not systems.is_address(path) and not os.path.isfile(path):
            raise UserError(
                f"{path!r} is not a regular file, but a corpus is read more than once: give a regular file, or pipe "
                "the text into --corpus=-."
            )
        _tell_if_it_may_differ(path, log)
    return found


def resolve(spec: str, log: Callable[[str], None] = _to_standard_error) -> str:
    """Saves standard input ("-") to the cache and returns that file's path; returns any other corpus unchanged."""
    return standard_input.saved(spec, os.path.join(cache_folder(), "standard_input"), log)


def read(spec: str, paths: Sequence[str], settings: chunks.Settings | None = None) -> Corpus:
    """Reads the files of a corpus into memory. Decompresses compressed files.

    Args:
        spec: the user's name for the corpus.
        paths: the files, in their order.
        settings: how to read them. Documents are separated by END_OF_TEXT.

    Returns:
        The corpus.

    Raises:
        UserError: a file cannot be read or decoded, or all files are empty.
    """
    content, findings = chunks.read(paths, settings or chunks.Settings())
    if not content:
        raise UserError(f"The corpus {spec!r} is empty: give a file that contains text.")
    return Corpus(spec, content, chunks.digest(paths), findings=findings)


def split(length: int, validation_fraction: float, test_fraction: float) -> Split:
    """Splits `length` characters by position. A fractional character goes to the later part.

    Args:
        length: the number of characters, or of documents.
        validation_fraction: the validation part's share, at least 0 and below 1.
        test_fraction: the test part's share, at least 0 and below 1.

    Returns:
        The parts.

    Raises:
        UserError: a fraction is outside [0, 1), or nothing is left to train on.
    """
    fractions = {"data.validation_fraction": validation_fraction, "data.test_fraction": test_fraction}
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise UserError(f"{name} is {fraction}, but must be at least 0 and less than 1: change it.")
    # The decimal form is what the user wrote: a tenth of 10 characters is 1, but int((1 - 0.9) * 10) is 0.
    validation, test = (Fraction(str(float(fraction))) for fraction in fractions.values())
    if validation + test >= 1:
        raise UserError(
            f"data.validation_fraction is {validation_fraction} and data.test_fraction is {test_fraction}, but their "
            "sum must be less than 1 to leave text to train on: set smaller ones."
        )
    first, second = floor(length * (1 - validation - test)), floor(length * (1 - test))
    return Split(slice(0, first), slice(first, second), slice(second, length))


def local_file(name: str) -> str | None:
    """Returns the path of a published corpus in the data folder, else in the cache; None if it is in neither."""
    published, folder = PUBLISHED[name], paths.given(os.environ.get("CHARRNN_DATA_DIR", ""))
    if folder and own_files.exists(path := os.path.join(folder, published.file_name)):
        return path
    return _cached(published) if os.path.isfile(_cached(published)) else None


def stat(path: str) -> tuple[int, int]:
    """Returns a file's size in bytes and its time of change in nanoseconds. Raises UserError if it does not exist."""
    import tensorflow as tf

    with file_errors(path):
        found = tf.io.gfile.stat(path)
    return found.length, found.mtime_nsec


def is_built_in(spec: str) -> bool:
    """Returns whether the corpus is a built-in one."""
    return spec.partition(":")[0] in BUILT_IN


def plain(path: str) -> str:
    """Returns a path as a corpus that is not taken for a registered name or standard input."""
    special = is_built_in(path) or path in (*PUBLISHED, standard_input.NAME)
    return os.path.join(os.curdir, path) if special else path


def source_of(spec: str) -> FiniteStateSource:
    """Returns the source that writes a built-in corpus, given as in `built_in`."""
    return BUILT_IN[spec.partition(":")[0]].source()


def built_in(spec: str, settings: chunks.Settings, log: Callable[[str], None]) -> Corpus:
    """Returns a built-in corpus.

    Args:
        spec: its name, or "NAME:NUM_CHARS".
        settings: how to read its text.
        log: called with each line for the user.

    Raises:
        UserError: the number of characters is invalid.
    """
    name, colon, number = spec.partition(":")
    num_chars = int(number) if number.isdecimal() and len(number) < 12 else 0 if colon else BUILT_IN_CHARS
    if not 1 <= num_chars <= MOST_BUILT_IN_CHARS:
        raise UserError(
            f"The corpus {spec!r} has an invalid length: write {name}:NUM_CHARS with a whole number from 1 to "
            f"{MOST_BUILT_IN_CHARS}, for example {name}:{BUILT_IN_CHARS}."
        )
    _tell_of_namesake(spec, log)
    source = source_of(spec)
    text = source.text(num_chars, BUILT_IN[name].seed)
    content, findings = chunks.read_text(text, settings)
    return Corpus(spec, content, hashlib.sha256(text.encode("ascii")).hexdigest(), source.entropy_rate, findings)


def _registered_file(name: str, log: Callable[[str], None]) -> str | None:
    """Returns the file of a published corpus; None if the name is not registered."""
    if is_built_in(name):
        raise UserError(
            f"The corpus {name!r} is generated for each run, and cannot be joined or encoded: give it alone to a run; "
            f"a file of this name is {plain(name)!r}."
        )
    if name not in PUBLISHED:
        return None
    _tell_of_namesake(name, log)
    return _published_file(name, log)


def _tell_of_namesake(name: str, log: Callable[[str], None]) -> None:
    if os.path.lexists(name):
        log(f"{name} is the registered corpus; give {plain(name)} to read the file or folder of this name")


def _published_file(name: str, log: Callable[[str], None]) -> str:
    """Returns the path of a registered corpus in the data folder or the cache. Downloads it if necessary."""
    path, cached = local_file(name), _cached(PUBLISHED[name])
    if path and (path != cached or not _difference(PUBLISHED[name], path)):
        return path
    if path:
        log(f"{path} no longer matches the published file and is downloaded again.")
    return _download(name, log)


def _download(name: str, log: Callable[[str], None]) -> str:
    published, folder = PUBLISHED[name], cache_folder()
    size = "" if published.num_bytes is None else f" ({published.num_bytes:,} bytes)"
    log(f"Downloading the corpus {name!r}{size} from {published.url} to {folder}.")
    try:
        return downloads.fetch(published, folder)
    except DownloadError as error:
        problem = f"could not be downloaded from {published.url} ({error})"
    except OSError as error:
        problem = f"could not be written to the cache {folder} ({error.strerror})"
    given = os.environ.get("CHARRNN_DATA_DIR")
    now = f", now {given!r}," if given else ""
    raise UserError(
        f"The corpus {name!r} {problem}: give your own file with --corpus=FILE, set CHARRNN_DATA_DIR{now} to a folder "
        f"that contains {published.file_name}, or use the built-in --corpus=plays."
    )


def cache_folder() -> str:
    """Returns the folder for downloaded corpora and for encoded large ones."""
    base = paths.given(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore relative paths.
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "charrnn")


def _cached(published: Published) -> str:
    return os.path.join(cache_folder(), published.file_name)


def _difference(published: Published, path: str) -> str | None:
    import tensorflow as tf

    with file_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(chunks.READ_BYTES):
            sha256.update(block)
        return published.difference(file.tell(), sha256.hexdigest())


def _tell_if_it_may_differ(path: str, log: Callable[[str], None]) -> None:
    for name, published in PUBLISHED.items():
        if not f"/{path}".endswith(f"/{published.file_name}"):
            continue
        if _difference(published, path):
            mark = "sha256" if published.sha256 else "size"
            log(f"{path} differs from the published file of the corpus {name!r} (by its {mark}) and is used as it is.")
        # A file in the cache was downloaded from the publisher.
        elif published.sha256 is None and path != _cached(published):
            log(
                f"{path} cannot be verified and is used as it is: no checksum of the published file of the corpus "
                f"{name!r} is known."
            )
