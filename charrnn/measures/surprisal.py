"""How unexpected each character of a text is to a model: -ln p(character), in nats.

    for character, nats in surprisals(Reader(model), vocabulary, "ROMEO: Zounds!"):
        print(coloured(character, nats), end="")
"""

from collections.abc import Iterator

import numpy as np

from charrnn.errors import UserError
from charrnn.generation.unknown import admit
from charrnn.measures.rollouts import Reader
from charrnn.text import decoding
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary

_SCALE = ((0.5, 230), (1.0, 223), (2.0, 216), (3.0, 209), (4.5, 203), (7.0, 196))
"""From so many nats on, the background has this colour of a terminal's 256: from pale yellow to red."""


def decoded(data: bytes, name: str, vocabulary: Vocabulary, unknown: str) -> str | bytes:
    """Returns a file's text as the model's own text was read; of a byte vocabulary as bytes, which any file has.

    Args:
        data: all of the file.
        name: what a message calls it.
        vocabulary: its characters, and how their text was read.
        unknown: as in `unknown.admit`.

    Raises:
        UserError: it is no text in the model's encoding, it is empty, or it has unknown characters that are refused.
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
    """Each character with its nats, as they are read; of a byte vocabulary, the sum over its bytes.

    Args:
        reader: reads with the model.
        vocabulary: its characters.
        text: at least one character; or bytes, each of which that is no UTF-8 counts as U+FFFD.
        end_of_text: as in `Generator`. Without one the first character has no prediction, and None for its nats.
    """
    before = end_of_text.encode() if isinstance(text, bytes) else end_of_text
    nats = _nats(reader, vocabulary.encode(before + text))
    if end_of_text:
        next(nats)
    for character, num_ids in _characters(text, vocabulary):
        parts = [next(nats) for _ in range(num_ids)]
        yield character, None if None in parts else sum(parts)


def _characters(text: str | bytes, vocabulary: Vocabulary) -> Iterator[tuple[str, int]]:
    """Each character, and how many ids it has."""
    if isinstance(text, str):
        yield from ((character, len(vocabulary.encode(character))) for character in text)
        return
    for character in text.decode("utf-8", "surrogateescape"):
        broken = "\udc80" <= character <= "\udcff"
        yield REPLACEMENT if broken else character, len(character.encode("utf-8", "surrogateescape"))


def _nats(reader, ids) -> Iterator[float | None]:
    """Of each id; the first has no prediction."""
    first = True
    for reading in reader.blocks(ids[None].astype(np.int32), np.zeros(1, np.int32)):
        chosen = np.take_along_axis(reading.log_probs[0], reading.ids[0][:, None].astype(np.int64), 1)[:, 0]
        for log_prob in chosen.tolist():
            yield None if first else -log_prob
            first = False


def coloured(character: str, nats: float | None) -> str:
    """The character for a terminal, the more unexpected the redder; an unexpected line break shows as an arrow."""
    colours = [colour for limit, colour in _SCALE if nats is not None and nats >= limit]
    if not colours:
        return character
    shown, after = ("↵", "\n") if character == "\n" else (character, "")
    return f"\x1b[30;48;5;{colours[-1]}m{shown}\x1b[0m{after}"
