"""Prepares a corpus for a run: splits it by position, makes the vocabulary from the training part, and encodes it.

    texts = load_texts("my.txt", DataConfig(), print)
    texts.train, texts.validation, texts.vocabulary

Reads a small corpus into memory. Encodes a large one into the cache folder once and reads it by index, like a folder of
`charrnn.encode`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np

from charrnn.batches.sources import DataConfig, borders
from charrnn.encoded import reader, writer
from charrnn.encoded.array import Sharded
from charrnn.encoded.reader import Parts
from charrnn.errors import UserError, require
from charrnn.files import paths
from charrnn.text import chunks, corpora, decoding, dialects, formats, own_files
from charrnn.text.chunks import Findings, Settings
from charrnn.text.content import no_document
from charrnn.text.vocabulary import Vocabulary

IN_MEMORY_BYTES = 1 << 24  # largest corpus that is read into memory
_BLOCK = 1 << 20  # ids, or borders of documents, read at a time

Ids = np.ndarray | Sharded
Log = Callable[[str], None]


class Texts(NamedTuple):
    """A split and encoded corpus."""

    name: str
    sha256: str  # checksum of the files' bytes, hexadecimal
    vocabulary: Vocabulary
    train: Ids  # [N]
    validation: Ids  # [M]; starts with a character of context, so that the first one can be predicted
    entropy_rate: float | None = None  # nats per character; None: unknown
    data: DataConfig | None = None  # the given config with the detected settings


def load_texts(spec: str, config: DataConfig, log: Log, every_character: bool = False) -> Texts:
    """Finds a corpus, splits it by position, and makes the vocabulary from the training part.

    Args:
        spec: a registered corpus, a file, a glob of files, several of these, or an encoded folder.
        config: the settings for reading and splitting it.
        log: called with each line for the user.
        every_character: True to take the vocabulary from all parts, because the caller encodes the text again with a
            model's vocabulary. No effect on a corpus that is encoded in files.

    Returns:
        The texts.

    Raises:
        UserError: there is no such corpus, or it does not match `config`.
    """
    texts = _find(spec, config, log, every_character)
    whole = len(texts.validation)
    texts = texts._replace(validation=_beginning(texts.validation, config))
    measured, vocabulary = len(texts.validation), texts.vocabulary
    log(
        f"{texts.name}: {len(texts.train):,} training characters, {max(0, measured - 1):,} validation characters"
        f"{f' (of {whole - 1:,}; see data.validation_chars)' if measured < whole else ''}, {vocabulary.size} ids"
    )
    if vocabulary.unknown_id is not None and (
        unknown := int((np.asarray(texts.validation) == vocabulary.unknown_id).sum())
    ):
        log(f"{unknown:,} characters of the validation text do not occur in the training text and count as unknown")
    if texts.entropy_rate is not None:
        log(f"The source's entropy rate is {texts.entropy_rate:.4f} nats per character: no model can have a lower loss")
    return texts


def settings_of(config: DataConfig) -> Settings:
    """Returns the settings for reading a corpus, with defaults for those that are to be detected."""
    return Settings(
        config.vocabulary,
        config.lowercase,
        config.order == "lines",
        config.csv_column,
        config.encoding,
        config.normalization,
        dialects.NAMES.get(config.csv_delimiter, config.csv_delimiter) or ",",
        config.csv_header == "true",
    )


def as_settings(config: DataConfig, always: Collection[str] = ()) -> list[str]:
    """Returns the settings of a config that differ from their defaults, as `--set` takes them.

    Args:
        config: the config.
        always: names of settings to include even if they have the default value.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    changed = {name: value for name, value in values.items() if name in always or value != getattr(DataConfig(), name)}
    return [
        f"data.{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in changed.items()
    ]


def _find(spec: str, config: DataConfig, log: Log, every_character: bool) -> Texts:
    if corpora.is_built_in(spec):
        settings = settings_of(config)
        return _in_memory(corpora.built_in(spec, settings, log), settings, config, log, every_character)
    folder = paths.given(spec)
    if own_files.is_encoded(folder):
        return _from_folder(spec, reader.load(folder), config, log, every_character)
    return _from_files(spec, corpora.find(spec, log), config, log, every_character)


def _from_files(spec: str, files: list[str], config: DataConfig, log: Log, every_character: bool) -> Texts:
    settings, notes = dialects.look(files, settings_of(config), config.csv_delimiter, config.csv_header)
    config = _settled(config, settings)
    corpus: corpora.Corpus | reader.Encoded
    if config.within_documents or chunks.is_longer(files, IN_MEMORY_BYTES):
        corpus = writer.cached(spec, files, settings, _parts_of(config), log)
    else:
        corpus = corpora.read(spec, files, settings)
    for line in (*formats.notes_on(files), *_doubts(files, settings), *notes):
        log(line)
    if isinstance(corpus, reader.Encoded):
        return _from_folder(spec, corpus, config, log, every_character)
    return _in_memory(corpus, settings, config, log, every_character)


def _settled(config: DataConfig, settings: Settings) -> DataConfig:
    """Returns the config with the detected settings, with which a resumed run or an evaluation reads the same text."""
    if not settings.csv_column:
        return config
    header = str(settings.csv_header).lower()
    return dataclasses.replace(config, csv_delimiter=dialects.named(settings.csv_delimiter), csv_header=header)


def _in_memory(
    corpus: corpora.Corpus, settings: Settings, config: DataConfig, log: Log, every_character: bool
) -> Texts:
    require("data.within_documents", config.within_documents, not config.within_documents, "false for this corpus")
    content = corpus.content
    vocabulary = Vocabulary.bytes() if isinstance(content, bytes) else Vocabulary.from_text(content)
    ids = vocabulary.encode(content)
    if settings.of_documents and len(ids) < 2:
        raise no_document(settings.csv_column, corpus.findings.num_empty)
    parts = _split(ids, settings.of_documents, corpus.findings, config, log)
    if not every_character and vocabulary.kind == "characters":
        vocabulary, parts = _of_training(vocabulary, *map(np.asarray, parts))
    vocabulary = dataclasses.replace(vocabulary, reading=settings.reading)
    return Texts(corpus.name, corpus.sha256, vocabulary, *parts, corpus.entropy_rate, config)


def _of_training(
    vocabulary: Vocabulary, train: np.ndarray, validation: np.ndarray
) -> tuple[Vocabulary, tuple[np.ndarray, np.ndarray]]:
    """Returns the vocabulary of the training part's characters, and both parts in its ids."""
    used = np.zeros(vocabulary.size, bool)
    used[train] = True
    smaller = Vocabulary(tuple(itertools.compress(vocabulary.characters, used[1:])))
    new_ids = (np.cumsum(used) * used).astype(smaller.dtype)
    return smaller, (new_ids[train], new_ids[validation])


def _from_folder(spec: str, corpus: reader.Encoded, config: DataConfig, log: Log, every_character: bool) -> Texts:
    _require_fit(spec, corpus.settings, config)
    if not every_character and corpus.vocabulary.unknown_id is not None:
        _require_known(spec, corpus, _parts_of(config), log)
    train, validation = _split(corpus.ids, corpus.settings.of_documents, corpus.findings, config, log)
    config = _settled(config, corpus.settings)
    return Texts(spec, corpus.sha256, corpus.vocabulary, train, validation, data=config)


def _split(ids: Ids, of_documents: bool, findings: Findings, config: DataConfig, log: Log) -> tuple[Ids, Ids]:
    """Returns the training and the validation part; of running text, the latter with a character of context."""
    _tell_of_rows(findings, log)
    if config.order == "lines":
        places = borders(ids)
        _tell_of_documents(len(places) - 1, findings, _num_longer(places, config.seq_length), log)
    train, validation = _places(ids, of_documents, _parts_of(config))
    return ids[train], ids[validation]


def _parts_of(config: DataConfig) -> Parts:
    return Parts(config.order == "lines", config.validation_fraction, config.test_fraction)


def _places(ids: Ids, of_documents: bool, parts: Parts) -> tuple[slice, slice]:
    """Returns where in `ids` the two parts are that `_split` returns."""
    fractions = parts.validation_fraction, parts.test_fraction
    if parts.by_documents:
        places = borders(ids)
        split = corpora.split(len(places) - 1, *fractions)
        train, validation = ([int(places[p.start]), int(places[p.stop]) + 1] for p in (split.train, split.validation))
        return slice(*train), slice(*validation)
    first = int(of_documents)  # running text of documents excludes the first and the last END_OF_TEXT
    split = corpora.split(len(ids) - 2 * first, *fractions)
    start, stop = max(0, split.validation.start - 1), split.validation.stop
    return slice(first, first + split.train.stop), slice(first + start, first + stop)


def _require_known(spec: str, corpus: reader.Encoded, parts: Parts, log: Log) -> None:
    """Raises UserError if characters of a run's training part are unknown, because the folder has another split."""
    if corpus.parts == parts:
        return
    known, stop = (_places(corpus.ids, corpus.settings.of_documents, each)[0].stop for each in (corpus.parts, parts))
    blocks = (np.asarray(corpus.ids[i : min(i + _BLOCK, stop)]) for i in range(known, stop, _BLOCK))
    unknown = sum(int((block == corpus.vocabulary.unknown_id).sum()) for block in blocks)
    made = " ".join(each for each in _split_settings(corpus.parts) if each not in _split_settings(parts))
    if unknown:
        raise UserError(
            f"{spec} was encoded with {made}, and its vocabulary lacks {unknown:,} characters of this run's training "
            f"text: set {made}, or encode it again with the run's split."
        )
    log(f"{spec} was encoded with {made}, and its vocabulary comes from that training part")


def _split_settings(parts: Parts) -> list[str]:
    order = "lines" if parts.by_documents else "windows"
    fractions = (f"data.{name}={float(getattr(parts, name))}" for name in ("validation_fraction", "test_fraction"))
    return [f"data.order={order}", *fractions]


def _require_fit(spec: str, settings: Settings, config: DataConfig) -> None:
    """Raises UserError if a folder was encoded with other settings than the run's."""
    given = settings_of(config)
    named = ["vocabulary", "lowercase", "csv_column", "normalization"]
    named += ["csv_delimiter"] if config.csv_delimiter else []  # otherwise the folder's
    named += ["csv_header"] if config.csv_header != "auto" else []
    named += ["encoding"] if config.encoding else []
    for name in named:
        wanted = getattr(settings, name)
        if getattr(given, name) != wanted and (settings.csv_column or name not in ("csv_delimiter", "csv_header")):
            wanted = str(wanted).lower() if isinstance(wanted, bool) else dialects.named(wanted)
            raise UserError(f"{spec} was encoded with {name}={wanted}: set data.{name}={wanted}, or encode it again.")
    if config.order == "lines" and not settings.of_documents:
        raise UserError(
            f"{spec} was encoded with a document per file, but data.order=lines needs a document per line: encode it "
            "again with --documents=lines, or set data.order=windows and data.within_documents=true."
        )
    if config.within_documents and settings.of_documents:
        raise UserError(f"{spec} has a document per line: set data.order=lines instead of data.within_documents=true.")


def _tell_of_documents(num_documents: int, findings: Findings, num_long: int, log: Log) -> None:
    if findings.num_empty:
        log(f"{findings.num_empty:,} empty documents are skipped")
    if num_long:
        log(f"{num_long:,} of {num_documents:,} documents are longer than data.seq_length allows and are truncated")


def _tell_of_rows(findings: Findings, log: Log) -> None:
    if findings.num_ragged:
        log(
            f"{findings.num_ragged:,} rows have more or fewer fields than the first, from {findings.first_ragged} on: "
            "an unquoted text that contains the delimiter is truncated there. Put such texts in quotes, or read whole "
            "lines with data.csv_column=0"
        )


def _doubts(files: list[str], settings: Settings) -> Iterator[str]:
    """Yields a line on the first file that looks different from the given encoding or vocabulary."""
    for file in files if settings.encoding or settings.vocabulary == "bytes" else ():
        _, first = formats.head(file)
        kind = formats.non_text_format(first)
        if settings.encoding and decoding.looks_like_utf8(settings.encoding, first):
            yield f"{file} looks like UTF-8, but is read as {settings.encoding} because of data.encoding"
        elif kind and settings.vocabulary == "bytes":
            yield f"{file} is {kind.name}, and its bytes are read without decoding: {kind.remedy}"
        else:
            continue
        return


def _num_longer(borders: Ids, length: int) -> int:
    """Returns the number of documents that do not fit into `length` with the end-of-text."""
    parts = (borders[i : i + _BLOCK + 1] for i in range(0, len(borders), _BLOCK))
    return sum(int((np.diff(np.asarray(part)) > length).sum()) for part in parts)


def _beginning(validation: Ids, config: DataConfig) -> Ids:
    """Returns the first `data.validation_chars` characters; of documents, whole ones and at least one."""
    most = config.validation_chars
    if not most or len(validation) - 1 <= most:
        return validation
    if config.order == "lines":
        ends = np.asarray(borders(validation[: most + 1]))
        most = int(ends[-1]) or int(borders(validation)[1])
    return validation[: most + 1]
