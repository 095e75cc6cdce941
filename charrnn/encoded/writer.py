"""Encodes a corpus of any size into a folder, on all cores, in little memory.

    first pass     each chunk's number of ids and characters; the sha256 of the files
    plan.json      the description of the corpus to write
    second pass    each chunk's shard, which gets its name when it is complete
    corpus.json    the plan again, once all shards exist

If the process is killed, the same call resumes.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from charrnn.encoded import processes, reader
from charrnn.encoded.reader import Parts
from charrnn.errors import UserError
from charrnn.files import atomic, systems
from charrnn.files.paths import given
from charrnn.text import chunks, corpora, own_files
from charrnn.text.chunks import END_OF_TEXT, Chunk, Findings, Settings, Survey
from charrnn.text.content import no_document
from charrnn.text.vocabulary import Vocabulary

_LOCK = ".charrnn-lock"  # created first; shows that this module owns the folder
_DOCUMENTS = (f"{reader.DOCUMENTS}.bin", f"{reader.DOCUMENTS}.json")


def encode(
    name: str,
    paths: Sequence[str],
    settings: Settings,
    parts: Parts,
    folder: str,
    log: Callable[[str], None],
    replace: bool = False,
) -> None:
    """Encodes files into a folder. Resumes if it was interrupted. Encodes a finished one again only if it is damaged.

    Args:
        name: the user's name for the corpus.
        paths: the files, in their order.
        settings: how to read them.
        parts: the split; the vocabulary comes from the training part.
        folder: a local folder; created if it does not exist.
        log: called with each line for the user.
        replace: whether to replace another encoded corpus in the folder.

    Raises:
        UserError: a file cannot be read, or the folder has another purpose or cannot be written to.
    """
    folder = given(folder)
    request: dict[str, Any] = {
        "format": reader.FORMAT,
        "files": [[path, *corpora.stat(path)] for path in paths],
        "settings": settings._asdict(),
        "parts": parts._asdict(),
    }
    with _write_errors(folder), _locked(folder):
        found = _request_of(reader.read_json(os.path.join(folder, own_files.CORPUS)))
        if found == request and _is_whole(folder, log):
            return log(f"{folder} already contains {name}, encoded")
        plan = reader.read_json(os.path.join(folder, own_files.PLAN))
        if _request_of(plan) != request:
            _clear(folder, replace)
            plan = None
        num_bytes = sum(num_bytes for _, num_bytes, _ in request["files"])
        log(f"Encoding {name}, {num_bytes:,} bytes, into {folder}{'' if plan is None else '; resuming'}")
        all_chunks = chunks.cut([(path, num_bytes) for path, num_bytes, _ in request["files"]], settings)
        plan = plan or _make_plan(name, request, all_chunks, settings, parts, folder)
        _make_shards(all_chunks, settings, plan, folder)
        _write_documents(plan, settings, folder)
        reader.write_json(os.path.join(folder, own_files.CORPUS), plan)
        os.remove(os.path.join(folder, own_files.PLAN))


def cached(
    name: str, paths: Sequence[str], settings: Settings, parts: Parts, log: Callable[[str], None]
) -> reader.Encoded:
    """Encodes files into the cache folder unless they are there already.

    Args:
        name: the user's name for the corpus.
        paths: the files, in their order.
        settings: how to read them.
        parts: the split; the vocabulary comes from the training part.
        log: called with each line for the user.

    Returns:
        The encoded corpus.

    Raises:
        UserError: as in `encode`.
    """
    places = [path if systems.is_address(path) else os.path.abspath(path) for path in paths]
    key = reader.fingerprint([places, settings, parts])[:16]
    folder = os.path.join(corpora.cache_folder(), "encoded", key)
    encode(name, places, settings, parts, folder, log, replace=True)
    return reader.load(folder)


def _is_whole(folder: str, log: Callable[[str], None]) -> bool:
    """Verifies a finished folder, which must be locked. Clears it if it is damaged."""
    try:
        reader.load(folder)
    except UserError as error:
        log(f"{error} Encoding it again now.")
        _clear(folder, replace=True)
        return False
    return True


def _request_of(plan: dict | None) -> dict | None:
    """Returns the request that a corpus or plan fulfils; adds defaults of settings that an older version lacked."""
    request = plan and {name: plan.get(name) for name in ("format", "files", "settings", "parts")}
    return request and {**request, "settings": {**Settings()._asdict(), **(request["settings"] or {})}}


def _make_plan(
    name: str, request: dict, all_chunks: list[Chunk], settings: Settings, parts: Parts, folder: str
) -> dict:
    """Reads all files once. Writes the plan and the vocabulary, and returns the plan."""
    calls: list[tuple[Callable, tuple]] = [(chunks.digest, ([path for path, _, _ in request["files"]],))]
    calls += [(chunks.survey, (chunk, settings)) for chunk in all_chunks]
    sha256, *surveys = processes.call_all(calls, processes.available())
    num_documents = sum(survey.num_documents for survey in surveys)
    findings = Findings.total(survey.findings for survey in surveys)
    if settings.of_documents and not num_documents:
        raise no_document(settings.csv_column, findings.num_empty)
    if not any(sum(survey.lengths) for survey in surveys):
        raise UserError(f"The corpus {name!r} is empty: give a file that contains text.")
    vocabulary = Vocabulary.bytes()
    if settings.vocabulary == "characters":
        vocabulary = Vocabulary.from_text(_training_characters(all_chunks, surveys, settings, parts))
    lengths = _lengths_of_files(all_chunks, surveys)
    plan = {
        **request,
        "sha256": sha256,
        "vocabulary": reader.vocabulary_fingerprint(vocabulary),
        "dtype": vocabulary.dtype.newbyteorder("<").str,
        "shards": [sum(survey.lengths) for survey in surveys],
        "lengths": lengths,
        "num_documents": num_documents if settings.of_documents else len(lengths),
        "num_empty": findings.num_empty,
        "odd_rows": findings[1:],
    }
    vocabulary.save(os.path.join(folder, reader.VOCABULARY))
    reader.write_json(os.path.join(folder, own_files.PLAN), plan)
    return plan


def _training_characters(all_chunks: list[Chunk], surveys: list[Survey], settings: Settings, parts: Parts) -> str:
    """Returns the characters of the training part. Reads the chunk in which it ends a second time."""
    if parts.by_documents:
        counts, limit, ends = [survey.num_documents for survey in surveys], "most_documents", 0
    else:
        counts, limit, ends = [sum(survey.lengths) for survey in surveys], "most_ids", int(settings.of_documents)
    # Running text of documents excludes the first and the last END_OF_TEXT.
    left = corpora.split(sum(counts) - 2 * ends, *parts[1:]).train.stop + ends
    characters: set[str] = set()
    for chunk, survey, count in zip(all_chunks, surveys, counts, strict=True):
        part = survey if count <= left else chunks.survey(chunk, settings, **{limit: left})
        characters.update(part.characters)
        left -= count
        if left <= 0:
            break
    return "".join(characters)


def _lengths_of_files(all_chunks: list[Chunk], surveys: list[Survey]) -> list[int]:
    """Returns the number of ids of each file."""
    lengths = []
    for chunk, survey in zip(all_chunks, surveys, strict=True):
        for span, length in zip(chunk.spans, survey.lengths, strict=True):
            if span.start == 0:
                lengths.append(0)
            lengths[-1] += length
    return lengths


def _make_shards(all_chunks: list[Chunk], settings: Settings, plan: dict, folder: str) -> None:
    vocabulary = Vocabulary.load(os.path.join(folder, reader.VOCABULARY))
    label = reader.label_of(plan)
    calls = []
    for number, (chunk, num_ids) in enumerate(zip(all_chunks, plan["shards"], strict=True)):
        base = os.path.join(folder, reader.shard_name(number))
        if not reader.is_written(base, label, num_ids * vocabulary.dtype.itemsize):
            calls.append((reader.make_shard, (chunk, settings, vocabulary, base, label, num_ids)))
    for _ in processes.call_all(calls, processes.available()):
        pass


def _write_documents(plan: dict, settings: Settings, folder: str) -> None:
    """Writes the positions at which documents begin: at each END_OF_TEXT, or with each file."""
    blocks = _ends_of_text(plan, folder) if settings.of_documents else iter([np.cumsum([0, *plan["lengths"]])])
    base = os.path.join(folder, reader.DOCUMENTS)
    reader.write(base, ".bin", reader.label_of(plan), (block.astype("<i8") for block in blocks))


def _ends_of_text(plan: dict, folder: str) -> Iterator[np.ndarray]:
    (end,) = Vocabulary.load(os.path.join(folder, reader.VOCABULARY)).encode(END_OF_TEXT)
    start = 0
    for number in range(len(plan["shards"])):
        with open(os.path.join(folder, f"{reader.shard_name(number)}.ids"), "rb") as file:
            while len(ids := np.fromfile(file, plan["dtype"], chunks.READ_BYTES)):
                yield start + np.flatnonzero(ids == end)
                start += len(ids)


def _names() -> list[str]:
    """Returns the names of all files that an encoded corpus, finished or not, can have."""
    shards = map(reader.shard_name, range(4 * chunks.MOST_CHUNKS))
    files = [f"{base}.{end}" for base in shards for end in ("ids", "json")]
    return [own_files.CORPUS, own_files.PLAN, reader.VOCABULARY, *_DOCUMENTS, *files]


def _clear(folder: str, replace: bool) -> None:
    """Removes the files of the corpus in the folder, and no others. A description that is damaged counts as none."""
    described = (reader.read_json(os.path.join(folder, name)) for name in (own_files.CORPUS, own_files.PLAN))
    if any(described) and not replace:
        raise UserError(f"{folder} contains another encoded corpus, or an older state of it: give another --output.")
    for name in {*_names()} & {*os.listdir(folder)}:
        os.remove(os.path.join(folder, name))


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Creates the folder if necessary and locks it; other processes wait."""
    import fcntl  # imported here because some systems lack it, and small corpora do not need it

    if systems.is_address(folder):
        raise UserError(f"{folder} is not a local folder: give a local --output.")
    made = not os.path.exists(folder)
    if not made and not _is_ours(folder):
        raise UserError(f"{folder} contains something else: give an --output that does not exist.")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, _LOCK), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            atomic.remove_remains(folder, _names())  # also those of interrupted processes
            if os.listdir(folder) == [_LOCK]:  # the corpus was refused and nothing was written
                os.remove(lock.name)
                if made:
                    os.rmdir(folder)


def _is_ours(folder: str) -> bool:
    """Returns whether a folder is empty, or contains an encoded corpus, finished or not."""
    if not os.path.isdir(folder):
        return False
    if os.path.exists(os.path.join(folder, _LOCK)) or set(os.listdir(folder)) <= {".lock"}:  # an earlier version's lock
        return True
    plans = (reader.read_json(os.path.join(folder, name)) for name in (own_files.CORPUS, own_files.PLAN))
    return any(request and None not in request.values() for request in map(_request_of, plans))  # an earlier version's


@contextlib.contextmanager
def _write_errors(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror or error}): give another --output, or set XDG_CACHE_HOME "
            "to another folder for the cache of large corpora."
        ) from error
