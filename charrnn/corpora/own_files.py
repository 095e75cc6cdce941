"""Which files a user means: a file, a glob, or several of these as a JSON list or with commas between.

    find("my texts/*.txt"), find('["a, b.txt", "c.txt"]'), find("a.txt,c.txt")

A file that exists is always meant literally, whatever its name has in it.
"""

import contextlib
import glob
import itertools
import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from charrnn import paths
from charrnn.errors import UserError, nearest

_LOOKED_AT = 10_000  # files of a folder


def find(spec: str, names: Sequence[str]) -> list[str]:
    """Returns the files, those of a glob sorted, those of a list one part after another.

    Args:
        spec: what the user gave.
        names: of registered corpora, for the message.

    Raises:
        UserError: there are no such files.
    """
    found = _matches(spec)
    if found is None:
        parts = _listed(spec)
        found = [path for part in parts for path in find(part, names)] if parts else _of_commas(spec, names)
    return found


def joined(specs: Sequence[str]) -> str:
    """Returns one text for several corpora, which `find` reads as these."""
    if len(specs) == 1:
        return specs[0]
    plain = all("," not in spec and spec == spec.strip() and spec and spec[0] != "[" for spec in specs)
    return ",".join(specs) if plain else json.dumps(specs, ensure_ascii=False)


@contextlib.contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Turns TensorFlow's errors about a file into the user's."""
    import tensorflow as tf

    try:
        if "\0" in path:
            raise ValueError("a NUL in its name")
        yield
    except tf.errors.OpError as error:
        raise UserError(f"{path!r} cannot be read ({error.message}); give a file that can.") from error
    except ValueError as error:  # a name that UTF-8 cannot hold is one
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path!r} is no name of a file ({error}); give one that can be read.") from error


def exists(path: str) -> bool:
    """Whether there is a file or folder of this very name."""
    import tensorflow as tf

    with file_errors(path):
        return tf.io.gfile.exists(path)


def _matches(spec: str) -> list[str] | None:
    """The file of this name, or the files that it matches as a glob; None where there are none."""
    import tensorflow as tf

    path = paths.given(spec)
    if path and exists(path):
        if tf.io.gfile.isdir(path):
            raise UserError(_of_folder(spec, path))
        return [path]
    with file_errors(spec):
        matches = tf.io.gfile.glob(path) if "://" in path else glob.glob(_pattern(path), recursive=True)
        return sorted(match for match in matches if not tf.io.gfile.isdir(match)) or None


def _pattern(path: str) -> str:
    """The glob, in which leading folders that exist under their very names stand for themselves."""
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return glob.escape(folder) + path[len(folder) :]


def _listed(spec: str) -> list[str]:
    """The parts of a JSON list of texts; none where it is no such list."""
    try:
        parts = json.loads(spec) if spec.startswith("[") else []
    except (ValueError, RecursionError):
        return []
    return parts if isinstance(parts, list) and all(isinstance(part, str) for part in parts) else []


def _of_commas(spec: str, names: Sequence[str]) -> list[str]:
    """The files of a list with commas; of a part, the longest that names files, for names may have commas too."""
    parts = spec.split(",")
    for number in range(len(parts) - 1, 0, -1):
        first, rest = ",".join(parts[:number]).strip(), ",".join(parts[number:]).strip()
        found = _matches(first) if first else None
        if found:
            return [*found, *find(rest, names)]
    missing = parts[0].strip()
    several = ' Several are a JSON list, such as ["one.txt", "two.txt"].' if len(parts) > 1 else ""
    raise UserError(
        f"The corpus {missing!r} is not a file, nor a glob that matches files, nor a registered name"
        f"{nearest(missing.partition(':')[0], names)}.{several}"
    )


def _of_folder(spec: str, path: str) -> str:
    """The sentence for a folder, with a glob that matches what is in it."""
    import tensorflow as tf

    found = (os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(path) for name in names)
    files = (file[len(path) :].lstrip("/") for file in found)
    seen = [file for file in itertools.islice(files, _LOOKED_AT) if not f"/{file}".count("/.")]
    endings = Counter(("**" if "/" in file else "", os.path.splitext(file)[1]) for file in seen)
    if not endings:
        return f"The corpus {spec!r} is a directory without files; give a file or a glob of files."
    (between, ending), _ = max(endings.items(), key=lambda item: (item[0][0] == "", item[1]))
    hint = shlex.quote(os.path.join(spec, between, f"*{ending}"))
    return (
        f"The corpus {spec!r} is a directory, but not one that charrnn.encode has made; give a file or a glob of "
        f"files, such as {hint}."
    )
