"""The surprisal of each character of a text: -ln p(character) under a model, in nats.

    for character, nats in surprisals(Reader(model), vocabulary, "ROMEO: Zounds!"):
        print(coloured(character, nats), end="")
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from charrnn.errors import UserError
from charrnn.generation.unknown import admit
from charrnn.measures.reference import at_ids
from charrnn.measures.rollouts import Reader
from charrnn.text import decoding
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary

_SCALE = ((0.5, 230), (1.0, 223), (2.0, 216), (3.0, 209), (4.5, 203), (7.0, 196))
"""Pairs (nats, background colour of a terminal's 256 from this number on): from pale yellow to red."""


def decoded(data: bytes, name: str, vocabulary: Vocabulary, unknown: str) -> str | bytes:
    """Reads a file as the model's training text was read.

    Args:
        data: the content of the file.
        name: the file's name in a message.
        vocabulary: the model's.
        unknown: one of `unknown.UNKNOWN`.

    Returns:
        The text; bytes if the vocabulary is of bytes, because any file consists of bytes.

    Raises:
        UserError: the file is not text in the model's encoding, is empty, or has unknown characters that are refused.
    """
    if vocabulary.is_raw:
        text = data.decode("utf-8", "surrogateescape")
    else:
        text = "".join(decoding.texts(name, [data], vocabulary.reading.encoding, vocabulary.kind == "bytes"))
    text = admit(text, name, vocabulary, unknown)
    if not text:
        raise UserError(f"{name} has no text: give at least one character.")
    return text.encode("utf-8", "surrogateescape") if vocabulary.kind == "bytes" else text


def surprisals(
    reader: Reader, vocabulary: Vocabulary, text: str | bytes, end_of_text: str = ""
) -> Iterator[tuple[str, float | None]]:
    """Yields each character with its nats while the model reads; with a vocabulary of bytes, the sum over its bytes.

    Args:
        reader: reads with the model.
        vocabulary: the model's.
        text: at least one character or byte. A byte that is not UTF-8 counts as the character U+FFFD.
        end_of_text: as in `Generator`. If it is "", the first character has no prediction, and None for its nats.
    """
    nats = _nats(reader, np.concatenate([vocabulary.encode(end_of_text), vocabulary.encode(text)]))
    if end_of_text:
        next(nats)
    for character, num_ids in _characters(text, vocabulary):
        known = [part for part in islice(nats, num_ids) if part is not None]
        yield character, sum(known) if len(known) == num_ids else None


def _characters(text: str | bytes, vocabulary: Vocabulary) -> Iterator[tuple[str, int]]:
    """Yields each character with the number of its ids."""
    if isinstance(text, str):
        yield from ((character, len(vocabulary.encode(character))) for character in text)
        return
    for character in text.decode("utf-8", "surrogateescape"):
        broken = "\udc80" <= character <= "\udcff"
        yield REPLACEMENT if broken else character, len(character.encode("utf-8", "surrogateescape"))


def _nats(reader: Reader, ids: np.ndarray) -> Iterator[float | None]:
    """Yields the nats of each id; None for the first, which has no prediction."""
    first = True
    for block in reader.blocks(ids[None].astype(np.int32), np.zeros(1, np.int32)):
        for log_prob in at_ids(block.log_probs, block.ids)[0].tolist():
            yield None if first else -log_prob
            first = False


def coloured(character: str, nats: float | None) -> str:
    """Returns a character for a terminal, redder if it is less expected; an unexpected line break shows as an arrow."""
    colours = [colour for limit, colour in _SCALE if nats is not None and nats >= limit]
    if not colours:
        return character
    shown, after = ("↵", "\n") if character == "\n" else (character, "")
    return f"\x1b[30;48;5;{colours[-1]}m{shown}\x1b[0m{after}"
