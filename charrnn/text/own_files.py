"""Finds the user's files: a file, a glob, or several of these as a JSON list or separated by commas.

    find("my texts/*.txt"), find('["a, b.txt", "c.txt"]'), find("a.txt,c.txt")

A registered name comes first. The name of an existing file is then taken literally, even with special characters.
"""

import contextlib
import glob
import itertools
import json
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from charrnn.errors import UserError, nearest
from charrnn.files import paths, systems

_MOST_FILES = 10_000  # of a folder, searched for a hint
_MOST_JOINED = 16  # parts of a list with commas that are tried as one name, besides all that remain

CORPUS, PLAN = "corpus.json", "plan.json"
"""Files of an encoded corpus: the first once it is finished, the second while it is being written."""


def is_encoded(path: str) -> bool:
    """Returns whether a folder holds an encoded corpus, finished or not."""
    return any(os.path.isfile(os.path.join(path, name)) for name in (CORPUS, PLAN))


def find(spec: str, names: Sequence[str], registered: Callable[[str], str | None]) -> list[str]:
    """Returns the files that a user's specification names.

    Args:
        spec: the specification.
        names: the registered corpora, for the error message.
        registered: a name -> the file of the registered corpus of this name, or None if there is none.

    Returns:
        The paths: a glob's sorted, a list's in its order.

    Raises:
        UserError: there are no such files.
    """
    parts = [] if exists(paths.given(spec)) else _listed(spec)
    if parts:
        return [path for part in parts for path in find(part, names, registered)]
    return _of_commas(spec, names, registered)


def joined(specs: Sequence[str]) -> str:
    """Returns one specification for several corpora, which `find` resolves to all their files."""
    # A JSON list, because in a list with commas `find` must try every way to join the names.
    return specs[0] if len(specs) == 1 else json.dumps(specs, ensure_ascii=False)


@contextlib.contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Raises TensorFlow's errors about a file in the body as UserError."""
    import tensorflow as tf

    try:
        if "\0" in path:
            raise ValueError("it contains a NUL")
        yield
    except tf.errors.OpError as error:
        raise UserError(f"{path!r} cannot be read ({error.message}): give a readable file.") from error
    except ValueError as error:  # such as a name that is not UTF-8
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path!r} cannot be a file name ({error}): give another one.") from error


def exists(path: str) -> bool:
    """Returns whether a file or folder has exactly this name."""
    with file_errors(path):
        return systems.functions(path).exists(path)


def _matches(spec: str, registered: Callable[[str], str | None]) -> list[str]:
    """Returns the file of the registered corpus or the file of this name, or the files that match it as a glob."""
    if file := registered(spec):
        return [file]
    path = paths.given(spec)
    if path and exists(path):
        if systems.functions(path).isdir(path):
            raise UserError(_of_folder(spec, path))
        return [path]
    if not systems.is_address(path) and path == glob.escape(path):  # not a glob
        return []
    files = systems.functions(path)
    with file_errors(path):
        found = files.glob(path) if systems.is_address(path) else glob.glob(_pattern(path), recursive=True)
        # Python's glob returns the folder before "**" even if it does not exist.
        return sorted(match for match in found if files.exists(match) and not files.isdir(match))


def _pattern(path: str) -> str:
    """Returns the glob with its leading existing folders escaped."""
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return glob.escape(folder) + path[len(folder) :]


def _listed(spec: str) -> list[str]:
    """Returns the parts of a JSON list of strings; none if `spec` is not such a list."""
    try:
        parts = json.loads(spec) if spec.startswith("[") else []
    except (ValueError, RecursionError):
        return []
    return parts if isinstance(parts, list) and all(isinstance(part, str) for part in parts) else []


def _of_commas(spec: str, names: Sequence[str], registered: Callable[[str], str | None]) -> list[str]:
    """Returns the files of a list with commas. Tries the longest names first, because a name may contain commas."""
    found: list[str] = []
    parts = spec.split(",")
    while parts:
        numbers = sorted({len(parts), *range(1, min(len(parts), _MOST_JOINED) + 1)}, reverse=True)
        joined = ((number, ",".join(parts[:number])) for number in numbers)
        tried = ((number, _matches(one, registered) or _matches(one.strip(), registered)) for number, one in joined)
        number, files = next((one for one in tried if one[1]), (0, []))
        if not number:
            raise _unknown(parts[0].strip(), names, several="," in spec)
        found, parts = [*found, *files], parts[number:]
    return found


def _unknown(spec: str, names: Sequence[str], several: bool) -> UserError:
    more = ' Give several files as a JSON list, such as ["one.txt", "two.txt"].' if several else ""
    return UserError(
        f"The corpus {spec!r} is not a file, a glob that matches files, or a registered name"
        f"{nearest(spec.partition(':')[0], names)}.{more}"
    )


def _of_folder(spec: str, path: str) -> str:
    """Returns the error message for a folder, with a glob that matches its files."""
    import tensorflow as tf

    if is_encoded(path):
        return f"The corpus {spec!r} is an encoded folder, and cannot be joined or encoded again: give it alone."
    found = (os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(path) for name in names)
    files = (file[len(path) :].lstrip("/") for file in found)
    seen = [file for file in itertools.islice(files, _MOST_FILES) if not f"/{file}".count("/.")]
    endings = Counter(("**" if "/" in file else "", os.path.splitext(file)[1]) for file in seen)
    if not endings:
        return f"The corpus {spec!r} is a directory without files: give a file or a glob of files."
    (between, ending), _ = max(endings.items(), key=lambda item: (item[0][0] == "", item[1]))
    hint = shlex.quote(os.path.join(spec, between, f"*{ending}"))
    return (
        f"The corpus {spec!r} is a directory, but not one that charrnn.encode has made: give a file or a glob of "
        f"files, such as {hint}."
    )
