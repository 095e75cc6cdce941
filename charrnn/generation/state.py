"""The state of texts in the middle of generation: saved to a file, and resumed as if they had never stopped."""

import dataclasses
import hashlib
import io
import json
import zipfile
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.errors import UserError
from charrnn.files import atomic, paths
from charrnn.model.char_model import CharModel, States
from charrnn.text.vocabulary import Vocabulary


class GenerationState(NamedTuple):
    """The state of B texts. With the model and the sampler it determines how they continue."""

    position: int  # characters read so far
    seeds: np.ndarray  # int32 [B]
    layers: States
    logits: tf.Tensor  # float32 [B, V], the prediction of the next character
    pending: bytes = b""  # with a vocabulary of bytes: the unfinished character at the end of one text

    @classmethod
    def start(cls, model: CharModel, seeds: np.ndarray) -> "GenerationState":
        """Returns the state before the first character, for seeds int `[B]`."""
        logits = tf.zeros((len(seeds), model.vocabulary_size))
        return cls(0, np.asarray(seeds, np.int32), model.initial_state(len(seeds)), logits)

    def save(self, path: str, model: CharModel, vocabulary: Vocabulary) -> None:
        """Writes an .npz file of plain arrays at once.

        Args:
            path: of the file.
            model: its settings and a checksum of its weights are stored, for `load`.
            vocabulary: its characters are stored, for `load`.

        Raises:
            UserError: the file cannot be written.
        """
        # A state in 16 bits is saved in 32, without loss, because NumPy has no bfloat16.
        layers = [tf.cast(entry, tf.float32).numpy() for entry in tf.nest.flatten(self.layers)]
        content = io.BytesIO()
        np.savez(
            content,
            model=np.frombuffer(_describe(model, vocabulary).encode(), np.uint8),
            position=self.position,
            seeds=self.seeds,
            logits=self.logits.numpy(),
            pending=np.frombuffer(self.pending, np.uint8),
            **{f"layers_{i}": entry for i, entry in enumerate(layers)},
        )
        try:
            atomic.replace(paths.given(path), content.getvalue())
        except OSError as error:
            raise UserError(f"The state cannot be written to {path} ({error.strerror}).") from error

    @classmethod
    def load(cls, path: str, model: CharModel, vocabulary: Vocabulary) -> "GenerationState":
        """Reads a file that `save` wrote; nothing in it is executed.

        Args:
            path: of the file.
            model: must be the one of `save`, with the same weights.
            vocabulary: must be the one of `save`.

        Raises:
            UserError: the file cannot be read, is damaged, or belongs to another model, vocabulary or weights.
        """
        try:
            with tf.io.gfile.GFile(paths.given(path), "rb") as file:
                content = file.read()
        except tf.errors.OpError as error:
            raise UserError(f"The state {path} cannot be read ({error.message}).") from error
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                found = dict(file)
            same = found["model"].tobytes().decode() == _describe(model, vocabulary)
            state = cls.start(model, found["seeds"])._restored(found) if same else None
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, tf.errors.OpError) as error:
            raise UserError(f"{path} is damaged or not a saved state: give a file that --save_state wrote.") from error
        if state is None:
            raise UserError(
                f"{path} was saved with another model, vocabulary or weights: give the run directory that it belongs "
                "to, or continue the text without it, as a prompt."
            )
        return state

    def _restored(self, found: dict[str, np.ndarray]) -> "GenerationState":
        """Returns the state in a file, after checking that it has the types and shapes of this one."""
        layers = [
            tf.ensure_shape(tf.cast(found[f"layers_{i}"], entry.dtype), entry.shape)
            for i, entry in enumerate(tf.nest.flatten(self.layers))
        ]
        return self._replace(
            position=int(found["position"]),
            layers=tf.nest.pack_sequence_as(self.layers, layers),
            logits=tf.ensure_shape(tf.constant(found["logits"], tf.float32), self.logits.shape),
            pending=found["pending"].tobytes(),
        )


def _describe(model: CharModel, vocabulary: Vocabulary) -> str:
    """Returns the identity of a model: its settings, its characters, and a checksum of its weights."""
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights()))
    known = {"characters": vocabulary.characters, "kind": vocabulary.kind}
    parts = (dataclasses.asdict(model.config), model.compute_dtype, known, weights.hexdigest())
    return json.dumps(parts)
