"""Quality and diversity of rollouts at several temperatures and cut-offs.

    points = frontier(reader, reference, vocabulary, validation, Protocol(), [0.9, 1.0], [0.0, 0.004])
    points[1.0, 0.004].reverse_loss
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.errors import check_epsilon, check_temperature
from charrnn.measures import text_measures
from charrnn.measures.open_loop import Protocol
from charrnn.measures.reference import Reference
from charrnn.measures.rollouts import Reader
from charrnn.measures.scores import MOST_SCORED, entropies, in_parts
from charrnn.text.vocabulary import Vocabulary


class Point(NamedTuple):
    """Quality and diversity of rollouts at one temperature and cut-off, nats per character."""

    reference_loss: float
    own_entropy: float
    reverse_loss: float


def frontier(
    reader: Reader,
    reference: Reference,
    vocabulary: Vocabulary,
    validation: np.ndarray,
    protocol: Protocol,
    temperatures: Sequence[float],
    epsilons: Sequence[float] = (0.0,),
) -> dict[tuple[float, float], Point]:
    """Measures quality and diversity of the rollouts at several temperatures and cut-offs.

    One model is better than another only outside the other's curve (Caccia et al. 2018, arXiv 1811.02549), and each
    cut-off has a curve of its own.

    Args:
        reader: reads with the model.
        reference: of the training text.
        vocabulary: of the ids.
        validation: ids `[N]`.
        protocol: number and length of the rollouts; its `epsilon` is ignored.
        temperatures: of the choice of each character.
        epsilons: cut-offs, each with every temperature.

    Returns:
        The point of each pair (temperature, epsilon).

    Raises:
        UserError: a temperature or a cut-off is out of range, or the validation text is too short for the protocol.
    """
    for temperature in temperatures:
        check_temperature("temperatures", temperature)
    for epsilon in epsilons:
        check_epsilon("epsilons", epsilon)
    rows, written, means = protocol.start(protocol.pieces(validation)), [], {}
    for temperature, epsilon in dict.fromkeys(itertools.product(temperatures, epsilons)):
        found = []
        for part in in_parts(reader, rows):
            ids, log_probs = reader.read(rows[part], protocol.seeds[part], temperature, epsilon)
            for few in in_parts(reader, ids, MOST_SCORED):
                choices = reader.choices(log_probs[few, protocol.warm_up :], temperature, epsilon)
                found.append((ids[few], entropies(np.exp(choices), choices)))
        ids, each = map(np.concatenate, zip(*found, strict=True))
        written.append(ids)
        means[temperature, epsilon] = float(each.mean())
    points = {}
    for pair, ids, nats in zip(means, written, _nats(reference, written), strict=True):
        reverse = text_measures.reverse_loss(ids[:, protocol.warm_up :], validation, vocabulary.size)
        points[pair] = Point(float(nats[:, protocol.warm_up :].mean()), means[pair], reverse)
    return points


def _nats(reference: Reference, texts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields -ln p of the characters of each text, ids `[R, T]`: many rows at once, because each call is a loop."""
    at_once = max(1, MOST_SCORED // max(1, texts[0].size)) if texts else 1
    for start in range(0, len(texts), at_once):
        several = texts[start : start + at_once]
        yield from np.split(-reference.log_probs(np.concatenate(several)), len(several))
