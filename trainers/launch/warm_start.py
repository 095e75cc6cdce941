"""Warm start: a run whose initial weights are those of another run, matched by character.

An embedding (or, with one-hot inputs, the kernel of the first layer) has a row per character; the readout has a column
in its kernel and a number in its bias. The weights of characters that both runs know are copied, even if their ids
differ; a new character keeps its initial weights. These give it about the mean logit, because training adds about zero
to the sum of all logits: the character is then neither expected nor excluded.
"""

import numpy as np

from charrnn.errors import UserError
from charrnn.generation import loading
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from charrnn.text.vocabulary import Vocabulary, listed

_MUST_MATCH = ("cell", "units", "num_layers", "embedding_size", "skip_connections")  # they decide the weights
_CHARACTER_AXES = ((0, 0), (-2, 1), (-1, 0))
"""(index in the list of weights, axis) of the weights with an entry per character: the embedding or first kernel, the
readout's kernel, its bias."""


def warm_start(model: CharModel, vocabulary: Vocabulary, run_dir: str) -> str:
    """Copies another run's weights into a model: the best by validation, else the newest. Eager.

    Args:
        model: the model with its initial weights.
        vocabulary: the vocabulary of this model.
        run_dir: the other run.

    Returns:
        A sentence about the copied weights.

    Raises:
        UserError: there is no such run, or its model has other shapes; nothing was changed.
    """
    loaded = loading.load(run_dir)
    _check_same(run_dir, loaded.model.config, model.config)
    if loaded.vocabulary.kind != vocabulary.kind:
        raise UserError(
            f"--init_from={run_dir} has a vocabulary of {loaded.vocabulary.kind}, and this run one of "
            f"{vocabulary.kind}: set data.vocabulary={loaded.vocabulary.kind}, or give another run."
        )
    known, theirs = _matches(vocabulary, loaded.vocabulary)
    fresh, weights = model.get_weights(), loaded.model.get_weights()
    for place, axis in _CHARACTER_AXES:
        taken = fresh[place].copy()
        taken[(slice(None),) * axis + (known,)] = weights[place].take(theirs, axis)
        weights[place] = taken
    model.set_weights(weights)
    return f"Starts with the weights of {loaded.checkpoint}: {_said(vocabulary, loaded.vocabulary)}"


def _check_same(run_dir: str, theirs: ModelConfig, ours: ModelConfig) -> None:
    """Raises UserError if the weights of one model do not fit the other."""
    differing = [name for name in _MUST_MATCH if getattr(theirs, name) != getattr(ours, name)]
    if differing:
        was, now = (
            " and ".join(f"model.{name}={getattr(config, name)}" for name in differing) for config in (theirs, ours)
        )
        raise UserError(f"--init_from={run_dir} has {was}, and this run {now}: set them equal, or give another run.")


def _matches(ours: Vocabulary, theirs: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of the common characters in both vocabularies, the unknown character included."""
    if ours.kind == "bytes":
        return np.arange(ours.size), np.arange(ours.size)
    ids = np.concatenate([[0], theirs.encode("".join(ours.characters))])  # 0 is the unknown character in both
    known = np.flatnonzero((ids > 0) | (np.arange(len(ids)) == 0))
    return known, ids[known]


def _said(ours: Vocabulary, theirs: Vocabulary) -> str:
    new = theirs.unknown_characters("".join(ours.characters))
    if ours.kind == "bytes" or not new:
        return f"all {ours.size if ours.kind == 'bytes' else len(ours.characters)} {ours.kind} are known there"
    return f"{len(ours.characters) - len(new)} of {len(ours.characters)} characters are known there, new: {listed(new)}"
