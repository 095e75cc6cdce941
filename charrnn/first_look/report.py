"""Reports on a corpus: its characters and lines, a run's view of it, an n-gram baseline, and suggested sizes.

look = first_look("my.txt", DataConfig())
look.tally.counts.most_common(10), look.ngram_loss, look.suggestion
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from charrnn.batches.sources import DataConfig, make_source
from charrnn.batches.texts import Texts, load_texts, settings_of
from charrnn.encoded import processes, reader
from charrnn.encoded.array import Sharded
from charrnn.errors import UserError
from charrnn.files import paths
from charrnn.first_look.counts import Tally, tally, tally_chunk, total
from charrnn.measures.ngrams import KneserNey
from charrnn.text import chunks, corpora, own_files
from charrnn.text.chunks import END_OF_TEXT, READ_BYTES

MOST_COUNTED_CHARS = 2_000_000  # training characters whose 7-grams are counted
MOST_PREDICTED_CHARS = 100_000  # validation characters that the 7-grams predict
MOST_COMPARED_CHARS = 4_000_000  # training characters that are searched for repeated lines
LONG_LINE_CHARS = 40  # shorter lines often repeat by chance

_UNITS = ((100_000, 128), (400_000, 256), (800_000, 512))  # (largest number of training characters, units)
_MOST_UNITS = 1024  # for more characters
_SIZES = ((64, 100), (32, 100), (16, 100), (8, 50), (4, 25))  # (batch_size, seq_length), in the order of preference
_FEWEST_IN_EPOCH = 20  # steps per epoch that a size must allow
_EPOCHS, _MOST_STEPS = 20, 3000  # suggested epochs; limit of the steps
_LONGEST_DOCUMENT = 400  # characters
_SMALL = ("optimizer.learning_rate=0.004", "optimizer.clip_norm=1.0")  # for at most 256 units


class Repeats(NamedTuple):
    """The numbers of repeated long lines."""

    num_train: int  # long lines in the examined part of the training text
    num_again: int  # those of them that repeat an earlier line
    num_validation: int  # long lines in the validation text
    num_known: int  # those of them that also occur in the training text


class Suggestion(NamedTuple):
    """Suggested sizes for a first run."""

    units: int
    data: DataConfig  # with the suggested seq_length and batch_size
    steps: int
    epochs: float  # the same length as `steps`
    optimizer: tuple[str, ...]  # settings, as `--set` takes them


@dataclass(frozen=True)
class FirstLook:
    """A report on a corpus.

    Attributes:
        spec: the corpus, as the user gave it.
        num_files: the number of its files; 0 for a built-in corpus and an encoded folder.
        data: the settings with which it was read, including detected ones.
        tally: its characters and lines; for a CSV column, those of the documents.
        texts: the texts that a run reads.
        notes: the lines that a run prints about it.
        steps_per_epoch: the number of batches in the training text; 0 if it is too short for one.
        repeats: the numbers of repeated long lines.
        ngram_loss: the loss of 7-grams on the validation text, nats per character; None without a validation text.
        suggestion: sizes for a first run.
    """

    spec: str
    num_files: int
    data: DataConfig
    tally: Tally
    texts: Texts
    notes: list[str]
    steps_per_epoch: int
    repeats: Repeats
    ngram_loss: float | None
    suggestion: Suggestion

    @property
    def unknown(self) -> Counter[str]:
        """The characters that occur only outside the training text, and their counts; a model maps all to unknown."""
        vocabulary = self.texts.vocabulary
        known = set(self.tally.counts if vocabulary.kind == "bytes" else vocabulary.characters)
        known |= {"\r"} if settings_of(self.data).of_documents else set()  # a line end
        return Counter({character: n for character, n in self.tally.counts.items() if character not in known})

    @property
    def decomposed(self) -> bool:
        """True if the beginning of a part contains letters with separate accents (NFD)."""
        ids = self.texts.train[:MOST_COMPARED_CHARS], self.texts.validation[:MOST_COMPARED_CHARS]
        texts = (self.texts.vocabulary.decode(np.asarray(part)) for part in ids)
        return not all(unicodedata.is_normalized("NFC", text) for text in texts)


def first_look(spec: str, data: DataConfig) -> FirstLook:
    """Reads a corpus as a run does and reports on it. Encodes a large corpus into the cache.

    Args:
        spec: the corpus, as in `load_texts`.
        data: the settings for reading it.

    Returns:
        The report.

    Raises:
        UserError: as in `load_texts`; or the training text is too short.
    """
    notes: list[str] = []
    texts = load_texts(spec, data, notes.append)
    data = texts.data or data
    num_files, found = _tally_of(spec, data)
    return FirstLook(
        spec,
        num_files,
        data,
        found,
        texts,
        notes,
        steps_per_epoch=_steps_per_epoch(texts, data),
        repeats=count_repeats(texts),
        ngram_loss=ngram_loss(texts),
        suggestion=suggest(texts, data, found),
    )


def count_repeats(texts: Texts) -> Repeats:
    """Counts the long lines that repeat within the beginning of the training text, or in the validation text."""
    train, validation = (_long_lines(texts, ids) for ids in (texts.train[:MOST_COMPARED_CHARS], texts.validation[1:]))
    seen = set(train)
    return Repeats(len(train), len(train) - len(seen), len(validation), sum(line in seen for line in validation))


def ngram_loss(texts: Texts) -> float | None:
    """Returns the loss of 7-grams on the validation text, nats per character; None if that is empty.

    Counts and predicts only the beginnings of large texts. docs/notes/sizes.md compares other lengths of n-grams.
    """
    validation = np.asarray(texts.validation[: MOST_PREDICTED_CHARS + 1])
    if len(validation) < 2:
        return None
    ngrams = KneserNey(np.asarray(texts.train[:MOST_COUNTED_CHARS]), texts.vocabulary.size)
    return -float(ngrams.log_probs(validation[None])[0, 1:].mean())


def suggest(texts: Texts, data: DataConfig, found: Tally) -> Suggestion:
    """Suggests sizes by the rule in docs/notes/sizes.md.

    Args:
        texts: the texts.
        data: the settings with which they were read.
        found: the tally of the corpus.

    Returns:
        The suggestion.

    Raises:
        UserError: the training text is too short for the smallest sizes.
    """
    units = next((units for most, units in _UNITS if len(texts.train) <= most), _MOST_UNITS)
    longest = min(found.length_quantile(0.99) + 1, _LONGEST_DOCUMENT)
    for batch_size, length in _SIZES:
        sizes = replace(data, batch_size=batch_size, seq_length=longest if data.order == "lines" else length)
        if _steps_per_epoch(texts, sizes) >= _FEWEST_IN_EPOCH:
            break
    in_epoch = make_source(texts.train, sizes, seed=0).steps_per_epoch
    steps = min(_EPOCHS * in_epoch, _MOST_STEPS)
    return Suggestion(units, sizes, steps, steps / in_epoch, _SMALL if units <= 256 else ())


def _tally_of(spec: str, data: DataConfig) -> tuple[int, Tally]:
    """Returns the number of files and their tally. Counts running text even if lines are documents."""
    settings = settings_of(data)._replace(lines=False)
    if corpora.is_built_in(spec):
        content = corpora.built_in(spec, settings, log=lambda line: None).content
        return 0, tally([content[len(END_OF_TEXT) :] if settings.of_documents else content])
    folder = paths.given(spec)
    if own_files.is_encoded(folder):
        return 0, tally(_decoded(reader.load(folder)))
    files = corpora.find(spec, log=lambda line: None)  # `load_texts` logged the lines already
    parts = chunks.cut([(path, corpora.stat(path)[0]) for path in files], settings)
    found = processes.call_all([(tally_chunk, (chunk, settings)) for chunk in parts], processes.available())
    return len(files), total(found)


def _decoded(corpus: reader.Encoded) -> Iterator[str | bytes]:
    """Yields the text of an encoded corpus, without the end-of-text before the first document."""
    for start in range(len(END_OF_TEXT) if corpus.settings.of_documents else 0, len(corpus.ids), READ_BYTES):
        ids = np.asarray(corpus.ids[start : start + READ_BYTES])
        yield ids.tobytes() if corpus.vocabulary.kind == "bytes" else corpus.vocabulary.decode(ids)


def _long_lines(texts: Texts, ids: np.ndarray | Sharded) -> list[str]:
    lines = map(str.strip, texts.vocabulary.decode(np.asarray(ids)).split("\n"))
    return [line for line in lines if len(line) >= LONG_LINE_CHARS]


def _steps_per_epoch(texts: Texts, data: DataConfig) -> int:
    """Returns the steps per epoch; 0 if the text is too short for one batch."""
    try:
        return make_source(texts.train, data, seed=0).steps_per_epoch
    except UserError:
        return 0
