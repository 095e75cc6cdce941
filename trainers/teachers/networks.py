"""Networks as teachers: the average of the probabilities of one or several trained models."""

import hashlib
import math
from collections.abc import Sequence

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import UserError
from charrnn.generation import loading
from charrnn.model.char_model import CharModel, States
from charrnn.text.vocabulary import Vocabulary

_READING = ("universal_newlines", "normalization", "lowercase")
"""What decides which characters a text has. Files may have another encoding."""


class Networks:
    """The mean of the models' probabilities. The models read as in an evaluation, without dropout.

    Args:
        models: at least one, all with the same ids.
        fixed: True if the weights never change: the models then have their own temperatures, and the fingerprint is
            that of the weights. Otherwise the temperature is 1, as in training, and the fingerprint 0.
    """

    def __init__(self, models: Sequence[CharModel], fixed: bool = True):
        self.models = tuple(models)
        self.fingerprint = _fingerprint(self.models) if fixed else 0
        self._scales = tuple(1.0 if fixed else model.config.temperature for model in self.models)

    def initial_state(self, batch_size: int | tf.Tensor) -> tuple[States, ...]:
        """Returns each model's zero state. Eager or graph."""
        return tuple(model.initial_state(batch_size) for model in self.models)

    def __call__(
        self, ids: tf.Tensor, state: tuple[States, ...], batch: Batch | None = None
    ) -> tuple[tf.Tensor, tuple[States, ...]]:
        """Reads ids int32 `[B, T]`; returns ln p float32 `[B, T, V]` and the states. Eager or graph."""
        logits, states = zip(*(model(ids, own) for model, own in zip(self.models, state, strict=True)), strict=True)
        log_probs = tf.stack([tf.nn.log_softmax(s * each) for s, each in zip(self._scales, logits, strict=True)])
        mean = log_probs[0] if len(logits) == 1 else tf.reduce_logsumexp(log_probs, 0) - math.log(len(logits))
        return tf.stop_gradient(mean), tuple(states)


def load(setting: str, run_dirs: Sequence[str], vocabulary: Vocabulary) -> Networks:
    """Loads the best checkpoints of runs as one teacher. Eager.

    Args:
        setting: the setting that names the runs, for the messages.
        run_dirs: the run directories, at least one.
        vocabulary: the vocabulary of the run that learns.

    Raises:
        UserError: there is no such run or checkpoint, or its ids are of other characters or of a text read differently.
    """
    models, impossible = [], f"{setting}={','.join(run_dirs)} is not possible: "
    for run_dir in run_dirs:
        try:
            loaded = loading.load(run_dir.strip())
        except UserError as error:
            raise UserError(f"{impossible}{error}") from error
        differences = loaded.vocabulary.differences(vocabulary)
        if differences:
            raise UserError(
                f"{impossible}{run_dir.strip()} has another vocabulary than this run "
                f"({differences}); give a run that was trained on the same text."
            )
        theirs, ours = vars(loaded.vocabulary.reading), vars(vocabulary.reading)
        differing = [name for name in _READING if theirs[name] != ours[name]]
        if differing:
            said = "; ".join(f"{name} is {theirs[name]!r} there, {ours[name]!r} here" for name in differing)
            raise UserError(
                f"{impossible}{run_dir.strip()} reads its text differently ({said}); give a "
                "run with the same settings data.*."
            )
        models.append(loaded.model)
    return Networks(models)


def _fingerprint(models: Sequence[CharModel]) -> int:
    digest = hashlib.sha256()
    for model in models:
        for weight in model.get_weights():
            digest.update(weight.tobytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 1
