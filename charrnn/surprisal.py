"""How unexpected each character of a text is to a model: -ln p(character), in nats.

    for character, nats in surprisals(Reader(model), vocabulary, "ROMEO: Zounds!"):
        print(coloured(character, nats), end="")
"""

from collections.abc import Iterator

import numpy as np

from charrnn.rollouts import Reader
from charrnn.vocabulary import Vocabulary

_SCALE = ((0.5, 230), (1.0, 223), (2.0, 216), (3.0, 209), (4.5, 203), (7.0, 196))
"""From so many nats on, the background has this colour of a terminal's 256: from pale yellow to red."""


def surprisals(
    reader: Reader, vocabulary: Vocabulary, text: str, end_of_text: str = ""
) -> Iterator[tuple[str, float | None]]:
    """Each character with its nats, as they are read; of a byte vocabulary, the sum over its bytes.

    Args:
        reader: reads with the model.
        vocabulary: its characters.
        text: at least one character.
        end_of_text: as in `Generator`. Without one the first character has no prediction, and None for its nats.
    """
    nats = _nats(reader, vocabulary.encode(end_of_text + text))
    if end_of_text:
        next(nats)
    for character in text:
        parts = [next(nats) for _ in vocabulary.encode(character)]
        yield character, None if None in parts else sum(parts)


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
