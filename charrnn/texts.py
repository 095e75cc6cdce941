"""From a corpus to what a run reads: parts by position, a vocabulary from the training part, ids.

A small corpus is read into memory. A large one is encoded into the cache folder, once, and read from there by index, as
is a folder that `charrnn.encode` has made.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from charrnn import corpora, encoded, encoding, pieces
from charrnn.batches import DataConfig, borders
from charrnn.documents import read_documents
from charrnn.encoding import Parts
from charrnn.errors import UserError, check
from charrnn.pieces import END_OF_TEXT, Settings
from charrnn.reading import Reading
from charrnn.sharded import Sharded
from charrnn.vocabulary import Vocabulary

IN_MEMORY = 1 << 24  # bytes of a corpus that is read into memory, at most


class Texts(NamedTuple):
    """A corpus, split and encoded."""

    name: str
    sha256: str  # of the files' bytes
    vocabulary: Vocabulary
    train: np.ndarray | Sharded  # ids [N]
    validation: np.ndarray | Sharded  # ids; begun one character early, so that the first can be predicted too
    entropy_rate: float | None = None  # as in `Corpus`


def load_texts(spec: str, config: DataConfig, log: Callable[[str], None]) -> Texts:
    """Finds a corpus, splits it by position, and makes the vocabulary from the training part.

    Args:
        spec: a registered corpus, a file, a glob of files, a list of them with commas between, or an encoded folder.
        config: how the text is split and read.
        log: is given each line for the user.

    Raises:
        UserError: there is no such corpus, or it is not as `config` says.
    """
    texts = _find(spec, config, log)
    whole = len(texts.validation)
    reading = Reading.of_run(dataclasses.asdict(config))
    vocabulary = dataclasses.replace(texts.vocabulary, reading=reading)
    texts = texts._replace(vocabulary=vocabulary, validation=_beginning(texts.validation, config))
    kept = len(texts.validation)
    log(
        f"{texts.name}: {len(texts.train):,} characters to train on, {max(0, kept - 1):,} to validate"
        f"{f' (of {whole - 1:,}, as data.validation_chars has it)' if kept < whole else ''}, {vocabulary.size} ids"
    )
    if vocabulary.unknown_id is not None and (
        unknown := int((np.asarray(texts.validation) == vocabulary.unknown_id).sum())
    ):
        log(f"{unknown:,} characters of the validation text are not in the training text and count as unknown")
    if texts.entropy_rate is not None:
        log(f"The source's true entropy is {texts.entropy_rate:.4f} nats per character: no model can have less")
    return texts


def settings_of(config: DataConfig) -> Settings:
    """How the files of a corpus are read."""
    return Settings(config.vocabulary, config.lowercase, config.order == "lines", config.csv_column)


def _find(spec: str, config: DataConfig, log: Callable[[str], None]) -> Texts:
    if corpora.is_plays(spec):
        return _in_memory(corpora.plays(spec, settings_of(config).raw), config, log)
    folder = os.path.expanduser(spec)
    if encoded.is_encoded(folder):
        return _from_folder(spec, encoded.load(folder), config, log)
    paths = corpora.find(spec, log)
    if not config.within_documents and not pieces.is_longer(paths, IN_MEMORY):
        settings = settings_of(config)
        return _in_memory(corpora.read(spec, paths, settings.raw, settings.of_documents), config, log)
    parts = Parts(config.order == "lines", config.validation_fraction, config.test_fraction)
    return _from_folder(spec, encoding.cached(spec, paths, settings_of(config), parts, log), config, log)


def _in_memory(corpus: corpora.Corpus, config: DataConfig, log: Callable[[str], None]) -> Texts:
    check("data.within_documents", config.within_documents, not config.within_documents, "false for this corpus")
    content = corpus.content.lower() if config.lowercase else corpus.content
    train, validation = (_lines if config.order == "lines" else _running_text)(content, config, log)
    vocabulary = Vocabulary.bytes() if config.vocabulary == "bytes" else Vocabulary.from_text(train)
    ids = vocabulary.encode(train), vocabulary.encode(validation)
    return Texts(corpus.name, corpus.sha256, vocabulary, *ids, corpus.entropy_rate)


def _running_text(content, config, log):
    if config.csv_column:
        content = END_OF_TEXT.join(read_documents(content, config.csv_column).texts)
    split = corpora.split(len(content), config.validation_fraction, config.test_fraction)
    return content[split.train], content[max(0, split.validation.start - 1) : split.validation.stop]


def _lines(content, config, log):
    """The documents, joined; those of the validation part are whole documents too."""
    documents, num_empty = read_documents(content, config.csv_column)
    split = corpora.split(len(documents), config.validation_fraction, config.test_fraction)
    num_long = sum(len(document) >= config.seq_length for document in documents)
    _tell_of_documents(len(documents), num_empty, num_long, log)
    return tuple(END_OF_TEXT.join(["", *documents[part], ""]) for part in (split.train, split.validation))


def _from_folder(spec: str, corpus: encoded.Encoded, config: DataConfig, log: Callable[[str], None]) -> Texts:
    _require_fit(spec, corpus.settings, config)
    ids, fractions = corpus.ids, (config.validation_fraction, config.test_fraction)
    if config.order == "lines":
        split = corpora.split(corpus.num_documents, *fractions)
        train, validation = (
            ids[ids.borders[part.start] : ids.borders[part.stop] + 1] for part in (split.train, split.validation)
        )
        _tell_of_documents(corpus.num_documents, corpus.num_empty, _num_longer(ids.borders, config.seq_length), log)
    else:
        if corpus.settings.of_documents:
            ids = ids[1:-1]
        split = corpora.split(len(ids), *fractions)
        train, validation = ids[split.train], ids[max(0, split.validation.start - 1) : split.validation.stop]
    return Texts(spec, corpus.sha256, corpus.vocabulary, train, validation)


def _require_fit(spec: str, settings: Settings, config: DataConfig) -> None:
    """Raises UserError where a folder was encoded otherwise than the run would read it."""
    for name in ("vocabulary", "lowercase", "csv_column"):
        got, wanted = getattr(config, name), getattr(settings, name)
        if got != wanted:
            wanted = str(wanted).lower()
            raise UserError(f"{spec} was encoded with {name}={wanted}: set data.{name}={wanted}, or encode it anew.")
    if config.order == "lines" and not settings.of_documents:
        raise UserError(
            f"{spec} has a file as a document, and data.order=lines reads lines: encode it anew with "
            "--documents=lines, or set data.order=windows and data.within_documents=true."
        )
    if config.within_documents and settings.of_documents:
        raise UserError(f"{spec} has a line as a document: set data.order=lines, not data.within_documents=true.")


def _tell_of_documents(num_documents: int, num_empty: int, num_long: int, log: Callable[[str], None]) -> None:
    if num_empty:
        log(f"{num_empty:,} empty documents are left out")
    if num_long:
        log(f"{num_long:,} of {num_documents:,} documents are longer than data.seq_length allows and are cut off")


def _num_longer(borders: Sharded, length: int, block: int = 1 << 20) -> int:
    """How many documents do not fit into `length` with the end-of-text."""
    starts = range(0, len(borders), block)
    return sum(int((np.diff(np.asarray(borders[i : i + block + 1])) > length).sum()) for i in starts)


def _beginning(validation: np.ndarray | Sharded, config: DataConfig) -> np.ndarray | Sharded:
    """So much of the validation text as is measured; whole documents where it has them, at least one."""
    most = config.validation_chars
    if not most or len(validation) - 1 <= most:
        return validation
    if config.order == "lines":
        ends = np.asarray(borders(validation[: most + 1]))
        most = int(ends[-1]) or int(borders(validation)[1])
    return validation[: most + 1]
