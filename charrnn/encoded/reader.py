"""Reads an encoded corpus: a folder of ids, read by index, so that a corpus of any size needs little memory.

    corpus.json        the files, the settings, the number of ids in each shard; written last
    vocabulary.json
    documents.bin      int64, the position of each document's first id, and the last one's end
    documents.json     fingerprints of the corpus and the vocabulary, and the crc32 of documents.bin
    shard-00000.ids    ids, little-endian
    shard-00000.json   fingerprints of the corpus and the vocabulary, and the crc32 of shard-00000.ids
"""

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from charrnn.encoded.array import Sharded
from charrnn.encoded.verified import once_a_machine
from charrnn.errors import UserError
from charrnn.files import atomic, strict_json
from charrnn.text.chunks import Chunk, Findings, Settings, contents
from charrnn.text.own_files import CORPUS, PLAN
from charrnn.text.vocabulary import Vocabulary

VOCABULARY, DOCUMENTS = "vocabulary.json", "documents"
FORMAT = 1


class Parts(NamedTuple):
    """The split of the corpus, because the vocabulary comes from the training part."""

    by_documents: bool = False  # split by documents; False: by ids
    validation_fraction: float = 0.1  # as in `corpora.split`
    test_fraction: float = 0.0  # as in `corpora.split`


class Encoded(NamedTuple):
    """A corpus in an encoded folder."""

    sha256: str  # checksum of the files' bytes, hexadecimal
    settings: Settings
    parts: Parts
    vocabulary: Vocabulary
    ids: Sharded  # with END_OF_TEXT before, between and after documents if `settings.of_documents`
    num_documents: int
    findings: Findings  # empty lines and ragged rows


def shard_name(number: int) -> str:
    """Returns the name of a shard's files without their extensions."""
    return f"shard-{number:05}"


def fingerprint(value: object) -> str:
    """Returns the sha256 of a value's JSON, hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def vocabulary_fingerprint(vocabulary: Vocabulary) -> str:
    """Returns a vocabulary's fingerprint."""
    return fingerprint([vocabulary.kind, list(vocabulary.characters)])


def read_json(path: str) -> dict | None:
    """Returns a file's JSON object, or None if the file is missing or damaged."""
    try:
        value = strict_json.read(path)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_json(path: str, value: dict) -> None:
    """Writes a JSON file atomically."""
    atomic.replace(path, json.dumps(value).encode())


def label_of(corpus: dict) -> dict:
    """Returns the label of a corpus's shards, without their crc32."""
    return {"corpus": fingerprint(corpus), "vocabulary": corpus["vocabulary"]}


def make_shard(chunk: Chunk, settings: Settings, vocabulary: Vocabulary, base: str, label: dict, num_ids: int) -> None:
    """Encodes a chunk of the corpus into a shard.

    Args:
        chunk: the chunk.
        settings: how to read it.
        vocabulary: the corpus's vocabulary.
        base: the path of the shard's files without their extensions.
        label: the label, as `label_of` returns it.
        num_ids: the chunk's length in ids, as surveyed.

    Raises:
        UserError: the chunk has another length now, or cannot be read.
    """
    dtype = vocabulary.dtype.newbyteorder("<")
    blocks = (vocabulary.encode(content).astype(dtype, copy=False) for content in contents(chunk, settings))
    if write(base, ".ids", label, blocks) != num_ids * dtype.itemsize:
        os.remove(f"{base}.json")
        raise UserError(f"{chunk.spans[0].path} or a file after it has changed during encoding: encode it again.")


def write(base: str, end: str, label: dict, blocks: Iterable[np.ndarray]) -> int:
    """Writes a shard and then its label, each atomically. Returns the shard's size in bytes."""
    checksum = 0
    with atomic.writing(base + end) as file:
        for block in blocks:
            checksum = zlib.crc32(block.data, checksum)
            file.write(block.data)
        num_bytes = file.tell()
    write_json(f"{base}.json", {**label, "crc32": checksum})
    return num_bytes


def is_written(base: str, label: dict, num_bytes: int) -> bool:
    """Returns whether a shard of this label and size exists."""
    found = read_json(f"{base}.json")
    return found is not None and label.items() <= found.items() and os.path.getsize(f"{base}.ids") == num_bytes


def load(folder: str) -> Encoded:
    """Opens an encoded corpus and verifies its files, whose checksums are read once a machine.

    Args:
        folder: the folder.

    Returns:
        The corpus.

    Raises:
        UserError: the corpus is unfinished, incomplete or damaged, or mixes files of several corpora.
    """
    corpus = read_json(os.path.join(folder, CORPUS))
    if corpus is None and read_json(os.path.join(folder, PLAN)):
        raise UserError(f"{folder} is not finished: run the same charrnn.encode command again to resume it.")
    if corpus is None or corpus.get("format") != FORMAT:
        raise UserError(f"{folder} is no encoded corpus of this version, or {CORPUS} is damaged: encode it again.")
    vocabulary = _vocabulary(os.path.join(folder, VOCABULARY))
    if vocabulary_fingerprint(vocabulary) != corpus["vocabulary"]:
        raise UserError(f"{folder} contains the {VOCABULARY} of another corpus: encode the corpus again.")
    dtype, lengths = np.dtype(corpus["dtype"]), corpus["shards"]
    names = [(shard_name(number), ".ids", length * dtype.itemsize) for number, length in enumerate(lengths)]
    names.append((DOCUMENTS, ".bin", (corpus["num_documents"] + 1) * 8))
    files = [_labelled(folder, corpus, *one) for one in names]
    once_a_machine(files)
    paths = [path for path, _ in files]
    documents = Sharded.open(paths[-1:], np.dtype("<i8"))
    ids = Sharded.open(paths[:-1], dtype, borders=documents)
    settings = Settings(**corpus["settings"])
    return Encoded(
        corpus["sha256"],
        settings,
        Parts(**corpus["parts"]),
        dataclasses.replace(vocabulary, reading=settings.reading),
        ids,
        corpus["num_documents"],
        Findings(corpus["num_empty"], *corpus.get("odd_rows", ())),
    )


def _vocabulary(path: str) -> Vocabulary:
    try:
        return Vocabulary.load(path)
    except UserError as error:
        raise UserError(f"{path} is missing or damaged: encode the corpus again.") from error


def _labelled(folder: str, corpus: dict, name: str, end: str, num_bytes: int) -> tuple[str, int]:
    """Returns the path of a shard and its crc32. Raises UserError if it is missing, incomplete or of another corpus."""
    path = os.path.join(folder, name + end)
    label = read_json(os.path.join(folder, f"{name}.json"))
    if label is None or not os.path.isfile(path):
        raise UserError(f"{path} or its {name}.json is missing or damaged: encode the corpus again.")
    if label.get("vocabulary") != corpus["vocabulary"]:
        raise UserError(f"{path} was encoded with another vocabulary than its folder's: encode the corpus again.")
    if label.get("corpus") != fingerprint(corpus):
        raise UserError(f"{path} belongs to another corpus than its folder: encode the corpus again.")
    if os.path.getsize(path) != num_bytes:
        raise UserError(f"{path} has {os.path.getsize(path):,} of {num_bytes:,} bytes: encode the corpus again.")
    return path, label.get("crc32", -1)
