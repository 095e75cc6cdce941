"""From a corpus to what a run reads: parts by position, a vocabulary from the training part, ids."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from charrnn import corpora
from charrnn.batches import DataConfig
from charrnn.documents import read_documents
from charrnn.vocabulary import Vocabulary

END_OF_TEXT = "\n"
"""What stands before, between and after documents; no document has it in itself."""


class Texts(NamedTuple):
    """A corpus, split and encoded."""

    corpus: corpora.Corpus
    vocabulary: Vocabulary
    train: np.ndarray  # ids [N]
    validation: np.ndarray  # ids; begun one character early, so that the first can be predicted too


def load_texts(spec: str, config: DataConfig, log: Callable[[str], None]) -> Texts:
    """Finds a corpus, splits it by position, and makes the vocabulary from the training part.

    Args:
        spec: a registered corpus, a file, or a glob of files.
        config: how the text is split and read.
        log: is given each line for the user.

    Raises:
        UserError: there is no such corpus, or it is not as `config` says.
    """
    as_bytes = config.vocabulary == "bytes"
    of_characters = config.order == "lines" or config.csv_column > 0  # what a document is, is said of text
    corpus = corpora.load(spec, as_bytes=as_bytes and not of_characters, log=log)
    content = corpus.content.lower() if config.lowercase else corpus.content
    train, validation = (_lines if config.order == "lines" else _running_text)(content, config, log)
    vocabulary = Vocabulary.bytes() if as_bytes else Vocabulary.from_text(train)
    texts = Texts(corpus, vocabulary, vocabulary.encode(train), vocabulary.encode(validation))
    log(
        f"{corpus.name}: {len(texts.train):,} characters to train on, {max(0, len(validation) - 1):,} to validate, "
        f"{vocabulary.size} ids"
    )
    if vocabulary.unknown_id is not None and (unknown := int((texts.validation == vocabulary.unknown_id).sum())):
        log(f"{unknown:,} characters of the validation text are not in the training text and count as unknown")
    if corpus.entropy_rate is not None:
        log(f"The source's true entropy is {corpus.entropy_rate:.4f} nats per character: no model can have less")
    return texts


def _running_text(content, config, log):
    if config.csv_column:
        content = END_OF_TEXT.join(read_documents(content, config.csv_column).texts)
    split = corpora.split(len(content), config.validation_fraction, config.test_fraction)
    return content[split.train], content[max(0, split.validation.start - 1) : split.validation.stop]


def _lines(content, config, log):
    """The documents, joined; those of the validation part are whole documents too."""
    documents, num_empty = read_documents(content, config.csv_column)
    if num_empty:
        log(f"{num_empty:,} empty documents are left out")
    split = corpora.split(len(documents), config.validation_fraction, config.test_fraction)
    if num_long := sum(len(document) >= config.seq_length for document in documents):
        log(f"{num_long:,} of {len(documents):,} documents are longer than data.seq_length allows and are cut off")
    return tuple(END_OF_TEXT.join(["", *documents[part], ""]) for part in (split.train, split.validation))
