"""Finds the name that an unknown name stands for: a misspelling, another case, or another program's word."""

import difflib
import re
from collections.abc import Iterable

_OTHER_NAMES = {  # words of other programs, and of earlier versions
    "divisible": "needs_whole_batch",
    "whole_batches": "needs_whole_batch",
    "compute_loss": "loss",
    "loss_fn": "loss",
    "training_step": "loss",
    "on_step_end": "on_step",
    "on_train_batch_end": "on_step",
    "on_validation_end": "on_evaluation",
    "on_epoch_end": "on_evaluation",
}


def meant(name: str, known: Iterable[str], suitable: Iterable[str], lost_words: bool) -> str | None:
    """Returns the known name that `name` stands for; None if it stands for none.

    Args:
        name: the unknown name.
        known: the names that another program's word may stand for.
        suitable: the names that a misspelling may stand for.
        lost_words: whether two of the three words of a name also count as a misspelling.
    """
    other_name = _OTHER_NAMES.get(name.lower())
    if other_name and other_name in known:
        return other_name
    near = [other for other in suitable if _near(_words(name), _words(other), lost_words)]
    return max(near, key=lambda other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio(), default=None)


def _near(ours: list[str], theirs: list[str], lost_words: bool) -> bool:
    """Returns whether two names have the same words up to spelling; with `lost_words`, two words of three suffice."""
    if "".join(ours) == "".join(theirs):
        return True
    if len(ours) == len(theirs):
        return all(_same_word(*pair, len(ours) == 1) for pair in zip(ours, theirs, strict=True))
    rest = iter(theirs)
    in_order = all(any(_same_word(word, other, False) for other in rest) for word in ours)
    return lost_words and in_order and 2 <= len(ours) < len(theirs)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def _same_word(ours: str, theirs: str, alone: bool) -> bool:
    """Returns whether two words are the same up to spelling or, unless `alone`, one abbreviates the other."""
    if min(len(ours), len(theirs)) <= 3:
        return sorted(ours) == sorted(theirs)
    begins = ours.startswith(theirs) or theirs.startswith(ours)
    if begins and (not alone or abs(len(ours) - len(theirs)) <= 2):
        return True
    return difflib.SequenceMatcher(None, ours, theirs).ratio() > (0.8 if alone else 0.75)
