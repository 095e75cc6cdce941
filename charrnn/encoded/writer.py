"""Encodes a corpus of any size into a folder, once, on all cores, in little memory.

    first pass     each chunk: how many ids, which characters; beside it the sha256 of all
    plan.json      what there will be
    second pass    each chunk: a shard, under its name only when it is whole
    corpus.json    the plan, now that all of it is there

A process that is killed leaves a folder that the same call goes on with.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from charrnn.encoded import processes, reader
from charrnn.errors import UserError
from charrnn.files import atomic, systems
from charrnn.files.paths import given
from charrnn.process import streams
from charrnn.text import chunks, corpora, own_files
from charrnn.text.chunks import END_OF_TEXT, Chunk, Findings, Settings, Survey
from charrnn.text.documents import no_document
from charrnn.text.vocabulary import Vocabulary

_LOCK = ".charrnn-lock"  # made first: a folder that has it is of this module
_SHARD = re.compile(r"shard-\d{5,}\.(ids|json)")


class Parts(NamedTuple):
    """What is for training, and so what the vocabulary is of: fractions as in `corpora.split`."""

    by_documents: bool = False  # rather than by ids
    validation_fraction: float = 0.1
    test_fraction: float = 0.0


def encode(
    name: str,
    paths: Sequence[str],
    settings: Settings,
    parts: Parts,
    folder: str,
    log: Callable[[str], None],
    replace: bool = False,
) -> None:
    """Encodes files into a folder; does nothing where that was done, and goes on where it was begun.

    Args:
        name: what the user called the corpus.
        paths: the files, in their order.
        settings: how they are read.
        parts: which part the vocabulary is of.
        folder: a local one; made if need be.
        log: is given each line for the user.
        replace: whether another corpus in the folder gives way.

    Raises:
        UserError: a file cannot be read, or the folder is in use for something else or cannot be written.
    """
    folder = given(folder)
    asked: dict[str, Any] = {
        "format": reader.FORMAT,
        "files": [[path, *corpora.stat(path)] for path in paths],
        "settings": settings._asdict(),
        "parts": parts._asdict(),
    }
    with _write_errors(folder), _locked(folder):
        if _asked_of(reader.read_json(os.path.join(folder, own_files.CORPUS))) == asked:
            return log(f"{folder} has {name} encoded already")
        plan = reader.read_json(os.path.join(folder, own_files.PLAN))
        if _asked_of(plan) != asked:
            _clear(folder, replace)
            plan = None
        num_bytes = sum(num_bytes for _, num_bytes, _ in asked["files"])
        log(f"Encoding {name}, {num_bytes:,} bytes, into {folder}{'' if plan is None else ', where it was begun'}")
        all_chunks = chunks.cut([(path, num_bytes) for path, num_bytes, _ in asked["files"]], settings)
        plan = plan or _make_plan(name, asked, all_chunks, settings, parts, folder)
        _make_shards(all_chunks, settings, plan, folder)
        _write_documents(plan, settings, folder)
        reader.write_json(os.path.join(folder, own_files.CORPUS), plan)
        os.remove(os.path.join(folder, own_files.PLAN))


def cached(
    name: str, paths: Sequence[str], settings: Settings, parts: Parts, log: Callable[[str], None]
) -> reader.Encoded:
    """The corpus, encoded in the cache folder: now, if the files have changed since, or else once before.

    Raises:
        UserError: as `encode`.
    """
    places = [path if systems.is_address(path) else os.path.abspath(path) for path in paths]
    key = reader.fingerprint([places, settings, parts])[:16]
    folder = os.path.join(corpora.cache_folder(), "encoded", key)
    encode(name, places, settings, parts, folder, log, replace=True)
    try:
        return reader.load(folder)
    except UserError as error:
        log(f"{error} That is done now.")
        os.remove(os.path.join(folder, own_files.CORPUS))
        encode(name, places, settings, parts, folder, log, replace=True)
        return reader.load(folder)


def _asked_of(plan: dict | None) -> dict | None:
    """What a corpus or plan is of; a setting that the program did not have then is as it was."""
    asked = plan and {name: plan.get(name) for name in ("format", "files", "settings", "parts")}
    return asked and {**asked, "settings": {**Settings()._asdict(), **(asked["settings"] or {})}}


def _make_plan(
    name: str, asked: dict, all_chunks: list[Chunk], settings: Settings, parts: Parts, folder: str
) -> dict:
    """Reads all once; writes plan.json and the vocabulary."""
    calls: list[tuple[Callable, tuple]] = [(chunks.digest, ([path for path, _, _ in asked["files"]],))]
    calls += [(chunks.survey, (chunk, settings)) for chunk in all_chunks]
    sha256, *surveys = processes.call_all(calls, processes.available())
    num_documents, findings = sum(survey.num_documents for survey in surveys), Findings.total(survey.findings for survey in surveys)
    if settings.of_documents and not num_documents:
        raise no_document(settings.csv_column, findings.num_empty)
    if not any(sum(survey.lengths) for survey in surveys):
        raise UserError(f"The corpus {name!r} is empty; give a file with text in it.")
    vocabulary = Vocabulary.bytes()
    if settings.vocabulary == "characters":
        vocabulary = Vocabulary.from_text(_training_characters(all_chunks, surveys, settings, parts))
    lengths = _lengths_of_files(all_chunks, surveys)
    plan = {
        **asked,
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
    """The distinct characters of the training part; of the chunk that it ends in, read once more."""
    if parts.by_documents:
        counts, limit, ends = [survey.num_documents for survey in surveys], "most_documents", 0
    else:
        counts, limit, ends = [sum(survey.lengths) for survey in surveys], "most_ids", int(settings.of_documents)
    # Running text of documents does not count the end-of-text before the first and after the last.
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
    """How many ids each file has."""
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
    """Where documents begin: at each end-of-text, or with each file."""
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


def _names(num_shards: int) -> Iterator[str]:
    """The names of all files that an encoded corpus, finished or begun, has."""
    yield from (own_files.CORPUS, own_files.PLAN, reader.VOCABULARY)
    for base, end in [(reader.DOCUMENTS, "bin"), *((reader.shard_name(i), "ids") for i in range(num_shards))]:
        yield from (f"{base}.{end}", f"{base}.json")


def _clear(folder: str, replace: bool) -> None:
    """Makes room for another corpus: removes the files of the one that is there, and no others."""
    if own_files.is_encoded(folder) and not replace:
        raise UserError(f"{folder} holds another encoded corpus, or this one as it was before: give another --output.")
    there = os.listdir(folder)
    names = list(_names(sum(map(bool, map(_SHARD.fullmatch, there)))))
    atomic.remove_remains(folder, names)
    for name in there:
        if name in names or _SHARD.fullmatch(name):
            os.remove(os.path.join(folder, name))


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Makes the folder, where it is not there, for this process alone; others wait."""
    import fcntl  # not on every system, and not for small corpora

    if systems.is_address(folder):
        raise UserError(f"{folder} is not on this machine: give a local --output.")
    made = not os.path.exists(folder)
    if not made and not _is_ours(folder):
        raise UserError(f"{folder} is in use for something else: give an --output that does not exist.")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, _LOCK), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            atomic.remove_remains(folder, _names(4 * chunks.MOST_CHUNKS))  # also those of interrupted processes
            if os.listdir(folder) == [_LOCK]:  # refused: nothing was written
                os.remove(lock.name)
                if made:
                    os.rmdir(folder)


def _is_ours(folder: str) -> bool:
    """Whether a folder is empty, or holds an encoded corpus, finished or begun."""
    if not os.path.isdir(folder):
        return False
    if os.path.exists(os.path.join(folder, _LOCK)) or set(os.listdir(folder)) <= {".lock"}:  # an earlier version's lock
        return True
    plans = (reader.read_json(os.path.join(folder, name)) for name in (own_files.CORPUS, own_files.PLAN))
    return any(asked and None not in asked.values() for asked in map(_asked_of, plans))  # an earlier version's


@contextlib.contextmanager
def _write_errors(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if streams.is_full(error):
            raise  # not a mistake in what was given: commands answer it with a status of its own
        raise UserError(
            f"{folder} cannot be written to ({error.strerror or error}): give another --output, or for the cache of "
            "large corpora another folder by XDG_CACHE_HOME."
        ) from error
