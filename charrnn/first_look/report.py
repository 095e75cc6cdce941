"""A first look at a corpus: what is in it, how a run would read it, how n-grams do on it, and what to begin with.

look = first_look("my.txt", DataConfig())
look.tally.counts.most_common(10), look.ngram_loss, look.suggestion
"""

import functools
import operator
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
from charrnn.first_look.counts import Tally, tally, tally_piece
from charrnn.measures.reference import KneserNey
from charrnn.text import chunks, corpora, own_files
from charrnn.text.chunks import READ_BYTES

MOST_COUNTED = 2_000_000  # characters to train on whose 7-grams are counted
MOST_PREDICTED = 100_000  # characters to validate that these predict
MOST_COMPARED = 4_000_000  # characters to train on whose lines are looked for elsewhere
LONG = 40  # characters; a shorter line may well stand in a text twice

_UNITS = ((100_000, 128), (400_000, 256), (800_000, 512))  # for so many characters to train on, at most
_MOST_UNITS = 1024
_ROWS_AND_LENGTHS = ((64, 100), (32, 100), (16, 100), (8, 50), (4, 25))
_FEWEST_IN_EPOCH = 20  # steps: the first rows and lengths that have so many
_EPOCHS, _MOST_STEPS = 20, 3000
_LONGEST_DOCUMENT = 400
_SMALL = ("optimizer.learning_rate=0.004", "optimizer.clip_norm=1.0")  # of a network of 256 units and less


class Repeats(NamedTuple):
    """How many long lines stand there more than once."""

    num_train: int  # long lines to train on, as far as they were looked at
    again: int  # of them, those that stand there before
    num_validation: int
    known: int  # of them, those that are also there to train on


class Suggestion(NamedTuple):
    """What to begin with."""

    units: int
    data: DataConfig  # with seq_length and batch_size
    steps: int
    epochs: float  # that is
    optimizer: tuple[str, ...]  # settings


@dataclass(frozen=True)
class FirstLook:
    """What `first_look` found.

    Attributes:
        spec: the corpus, as it was given.
        num_files: of it; 0 for `plays` and an encoded folder.
        data: how it was read, with what was found by a look at it.
        tally: what stands in it; of documents in a CSV, in these.
        texts: what a run reads.
        said: what a run says of it.
        steps_per_epoch: with the sizes of `data`; 0 where there is too little for one batch.
        repeats: of long lines.
        ngram_loss: nats per character to validate, by 7-grams of the text to train on; None where nothing is there.
        suggestion: what to begin with.
    """

    spec: str
    num_files: int
    data: DataConfig
    tally: Tally
    texts: Texts
    said: list[str]
    steps_per_epoch: int
    repeats: Repeats
    ngram_loss: float | None
    suggestion: Suggestion

    @property
    def unknown(self) -> Counter[str]:
        """The characters that are not there to train on, which a model knows not apart, and their counts."""
        vocabulary = self.texts.vocabulary
        known = set(self.tally.counts if vocabulary.kind == "bytes" else vocabulary.characters)
        known |= {"\r"} if settings_of(self.data).of_documents else set()  # read as a line end
        return Counter({character: n for character, n in self.tally.counts.items() if character not in known})


    @property
    def decomposed(self) -> bool:
        """Whether letters and their accents are two characters somewhere, at the beginning of each part."""
        ids = self.texts.train[:MOST_COMPARED], self.texts.validation[:MOST_COMPARED]
        texts = (self.texts.vocabulary.decode(np.asarray(part)) for part in ids)
        return not all(unicodedata.is_normalized("NFC", text) for text in texts)


def first_look(spec: str, data: DataConfig) -> FirstLook:
    """Reads a corpus as a run would: a large one is encoded into the cache, where it is not there already.

    Args:
        spec: as in `load_texts`.
        data: how it is read.

    Raises:
        UserError: as `load_texts`; or there is too little of it to train on.
    """
    said = []
    texts = load_texts(spec, data, said.append)
    data = texts.data or data
    num_files, found = _tally_of(spec, data)
    return FirstLook(
        spec,
        num_files,
        data,
        found,
        texts,
        said,
        steps_per_epoch=_steps_per_epoch(texts, data),
        repeats=count_repeats(texts),
        ngram_loss=ngram_loss(texts),
        suggestion=suggest(texts, data, found),
    )


def count_repeats(texts: Texts) -> Repeats:
    """Looks for the long lines of the text to train on, or of its beginning, there and in the text to validate."""
    train, validation = (_long_lines(texts, ids) for ids in (texts.train[:MOST_COMPARED], texts.validation[1:]))
    seen = set(train)
    return Repeats(len(train), len(train) - len(seen), len(validation), sum(line in seen for line in validation))


def ngram_loss(texts: Texts) -> float | None:
    """Nats per character to validate, by 7-grams of the text to train on; of large ones, of both the beginnings.

    Seven, for longer ones gain nothing on prose, and shorter ones nothing on little text: docs/data.md.
    """
    validation = np.asarray(texts.validation[: MOST_PREDICTED + 1])
    if len(validation) < 2:
        return None
    ngrams = KneserNey(np.asarray(texts.train[:MOST_COUNTED]), texts.vocabulary.size)
    return -float(ngrams.log_probs(validation[None])[0, 1:].mean())


def suggest(texts: Texts, data: DataConfig, found: Tally) -> Suggestion:
    """Sizes by the rule of docs/data.md; UserError where there is too little text for the smallest."""
    units = next((units for most, units in _UNITS if len(texts.train) <= most), _MOST_UNITS)
    longest = min(found.longest(0.99) + 1, _LONGEST_DOCUMENT)
    for rows, length in _ROWS_AND_LENGTHS:
        sizes = replace(data, batch_size=rows, seq_length=longest if data.order == "lines" else length)
        if _steps_per_epoch(texts, sizes) >= _FEWEST_IN_EPOCH:
            break
    in_epoch = make_source(texts.train, sizes, seed=0).steps_per_epoch
    steps = min(_EPOCHS * in_epoch, _MOST_STEPS)
    return Suggestion(units, sizes, steps, steps / in_epoch, _SMALL if units <= 256 else ())


def _tally_of(spec: str, data: DataConfig) -> tuple[int, Tally]:
    """The number of files, and what stands in them; the text as it is, also where lines are documents."""
    settings = settings_of(data)._replace(lines=False)
    if corpora.is_plays(spec):
        return 0, tally([settings.reading.apply(corpora.plays(spec).content)])
    folder = paths.given(spec)
    if own_files.is_encoded(folder):
        return 0, tally(_decoded(reader.load(folder)))
    files = corpora.find(spec, log=lambda line: None)  # `load_texts` has told it
    parts = chunks.cut([(path, corpora.stat(path)[0]) for path in files], settings)
    found = processes.call_all([(tally_piece, (piece, settings)) for piece in parts], processes.available())
    return len(files), functools.reduce(operator.add, found)


def _decoded(corpus: reader.Encoded) -> Iterator[str | bytes]:
    for start in range(0, len(corpus.ids), READ_BYTES):
        ids = np.asarray(corpus.ids[start : start + READ_BYTES])
        yield ids.tobytes() if corpus.vocabulary.kind == "bytes" else corpus.vocabulary.decode(ids)


def _long_lines(texts: Texts, ids: np.ndarray | Sharded) -> list[str]:
    lines = map(str.strip, texts.vocabulary.decode(np.asarray(ids)).split("\n"))
    return [line for line in lines if len(line) >= LONG]


def _steps_per_epoch(texts: Texts, data: DataConfig) -> int:
    """0 where there is too little for one batch."""
    try:
        return make_source(texts.train, data, seed=0).steps_per_epoch
    except UserError:
        return 0
