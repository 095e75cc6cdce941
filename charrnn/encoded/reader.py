"""An encoded corpus: a folder of ids that `charrnn.encoding` has made, read by index, so that no size takes memory.

    corpus.json        which files, how they were read, how many ids each shard has; written last
    vocabulary.json
    documents.bin      int64, where in the ids each document begins, and where the last one ends
    documents.json     of which corpus it is, and its crc32
    shard-00000.ids    ids, little-endian
    shard-00000.json   of which corpus and vocabulary it is, and its crc32
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from charrnn.encoded import processes
from charrnn.encoded.array import Sharded
from charrnn.errors import UserError
from charrnn.files import atomic
from charrnn.text.chunks import READ_BYTES, Chunk, Findings, Settings, contents
from charrnn.text.own_files import CORPUS, PLAN
from charrnn.text.vocabulary import Vocabulary

VOCABULARY, DOCUMENTS = "vocabulary.json", "documents"
FORMAT = 1


class Encoded(NamedTuple):
    """A corpus that was encoded before."""

    sha256: str  # of the files' bytes
    settings: Settings
    vocabulary: Vocabulary
    ids: Sharded  # with END_OF_TEXT before, between and after documents, where the settings say so
    num_documents: int
    findings: Findings  # what was noticed in lines or rows


def shard_name(number: int) -> str:
    """The name of a shard's files, less their ends."""
    return f"shard-{number:05}"


def fingerprint(value: object) -> str:
    """Tells what JSON can hold from any other."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def vocabulary_fingerprint(vocabulary: Vocabulary) -> str:
    """A vocabulary's fingerprint."""
    return fingerprint([vocabulary.kind, list(vocabulary.characters)])


def read_json(path: str) -> dict | None:
    """A JSON object; None where there is none, or what is there is damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_json(path: str, value: dict) -> None:
    """Writes a JSON file at once: a reader finds the old one or the new one, never half of it."""
    atomic.replace(path, json.dumps(value).encode())


def label_of(corpus: dict) -> dict:
    """What the shards of a corpus are labelled with, beside their crc32."""
    return {"corpus": fingerprint(corpus), "vocabulary": corpus["vocabulary"]}


def make_shard(chunk: Chunk, settings: Settings, vocabulary: Vocabulary, base: str, label: dict, num_ids: int) -> None:
    """Encodes a chunk of the corpus, which must have as many ids as it had before."""
    dtype = vocabulary.dtype.newbyteorder("<")
    blocks = (vocabulary.encode(content).astype(dtype, copy=False) for content in contents(chunk, settings))
    if write(base, ".ids", label, blocks) != num_ids * dtype.itemsize:
        os.remove(f"{base}.json")
        raise UserError(f"{chunk.spans[0].path} or a file after it has changed while it was read: encode it again.")


def write(base: str, end: str, label: dict, blocks: Iterable[np.ndarray]) -> int:
    """Writes a shard, and then its label: each appears under its name when it is whole. Returns the size in bytes."""
    checksum = 0
    with atomic.writing(base + end) as file:
        for block in blocks:
            checksum = zlib.crc32(block.data, checksum)
            file.write(block.data)
        num_bytes = file.tell()
    write_json(f"{base}.json", {**label, "crc32": checksum})
    return num_bytes


def is_written(base: str, label: dict, num_bytes: int) -> bool:
    """Whether a shard was written, with this label."""
    found = read_json(f"{base}.json")
    return found is not None and label.items() <= found.items() and os.path.getsize(f"{base}.ids") == num_bytes


def load(folder: str) -> Encoded:
    """Opens an encoded corpus, and checks all of it.

    Raises:
        UserError: it is not finished, not whole, or not of one chunk.
    """
    corpus = read_json(os.path.join(folder, CORPUS))
    if corpus is None and read_json(os.path.join(folder, PLAN)):
        raise UserError(f"{folder} is not finished: run the same charrnn.encode again, and it goes on.")
    if corpus is None or corpus.get("format") != FORMAT:
        raise UserError(f"{folder} holds no encoded corpus of this version, or {CORPUS} is damaged: encode it again.")
    vocabulary = Vocabulary.load(os.path.join(folder, VOCABULARY))
    if vocabulary_fingerprint(vocabulary) != corpus["vocabulary"]:
        raise UserError(f"{folder} has the {VOCABULARY} of another corpus: encode this one again.")
    dtype, lengths = np.dtype(corpus["dtype"]), corpus["shards"]
    names = [(shard_name(number), ".ids", length * dtype.itemsize) for number, length in enumerate(lengths)]
    names.append((DOCUMENTS, ".bin", (corpus["num_documents"] + 1) * 8))
    with concurrent.futures.ThreadPoolExecutor(processes.available()) as threads:
        paths = list(threads.map(lambda one: _checked(folder, corpus, *one), names))
    documents = Sharded.open(paths[-1:], np.dtype("<i8"))
    ids = Sharded.open(paths[:-1], dtype, borders=documents)
    settings = Settings(**corpus["settings"])
    return Encoded(
        corpus["sha256"],
        settings,
        dataclasses.replace(vocabulary, reading=settings.reading),
        ids,
        corpus["num_documents"],
        Findings(corpus["num_empty"], *corpus.get("odd_rows", ())),
    )


def _checked(folder: str, corpus: dict, name: str, end: str, num_bytes: int) -> str:
    """The path of a shard; UserError where it is not what it was when it was made."""
    path = os.path.join(folder, name + end)
    label = read_json(os.path.join(folder, f"{name}.json"))
    if label is None or not os.path.isfile(path):
        raise UserError(f"{path} or its {name}.json is missing or damaged: encode the corpus again.")
    if label.get("vocabulary") != corpus["vocabulary"]:
        raise UserError(f"{path} was encoded with another vocabulary than its folder's: encode the corpus again.")
    if label.get("corpus") != fingerprint(corpus):
        raise UserError(f"{path} is of another corpus than its folder: encode the corpus again.")
    if os.path.getsize(path) != num_bytes:
        raise UserError(f"{path} has {os.path.getsize(path):,} of {num_bytes:,} bytes: encode the corpus again.")
    checksum = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(READ_BYTES):
            checksum = zlib.crc32(block, checksum)
    if checksum != label.get("crc32"):
        raise UserError(f"{path} is damaged, for its checksum does not fit: encode the corpus again.")
    return path
