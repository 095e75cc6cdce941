"""A run that begins with another run's weights: what both call the same character keeps its weights.

An embedding, or a first layer's kernel where the input is one-hot, has a row for each character; the readout has a
column in its kernel and a number in its bias. Those of characters that both runs know are copied, whatever their ids; a
new character keeps its fresh ones. Fresh readout weights give it about the mean logit, for what training adds to all
logits of a softmax together is about nothing: it is then neither expected nor ruled out.
"""

import numpy as np

from charrnn.errors import UserError
from charrnn.generation import loading
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from charrnn.text.vocabulary import Vocabulary, listed

_MUST_MATCH = ("cell", "units", "num_layers", "embedding_size", "skip_connections")  # shapes and meaning of weights
_CHARACTER_AXES = ((0, 0), (-2, 1), (-1, 0))
"""Which of a model's weights have an entry for each character, and along which axis: the first, be it the embedding or
a kernel; the readout's kernel; its bias."""


def warm_start(model: CharModel, vocabulary: Vocabulary, run_dir: str) -> str:
    """Gives a model another run's weights: its best by validation, or where there are none its newest. Eager.

    Args:
        model: as it begins.
        vocabulary: its own.
        run_dir: the other run.

    Returns:
        A sentence on what was taken over.

    Raises:
        UserError: there is no such run, or its model is another; nothing was changed.
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
    return f"Begins with the weights of {loaded.checkpoint}: {_said(vocabulary, loaded.vocabulary)}"


def _check_same(run_dir: str, theirs: ModelConfig, ours: ModelConfig) -> None:
    """UserError where the weights of one model mean nothing to the other."""
    differing = [name for name in _MUST_MATCH if getattr(theirs, name) != getattr(ours, name)]
    if differing:
        was, now = (
            " and ".join(f"model.{name}={getattr(config, name)}" for name in differing) for config in (theirs, ours)
        )
        raise UserError(f"--init_from={run_dir} has {was}, and this run {now}: set them alike, or give another run.")


def _matches(ours: Vocabulary, theirs: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The ids of what both know, in the one vocabulary and in the other; the unknown character is one of them."""
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
