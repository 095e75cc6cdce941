"""A trained model from its run directory. The directory may have been moved; nothing in it is executed.

    loaded = load("runs/shakespeare_gru")
    print(loaded.generate("ROMEO:", 500))
"""

import json
import os
from typing import NamedTuple

import tensorflow as tf

from charrnn.errors import UserError
from charrnn.generation import Generator
from charrnn.model import CharModel, ModelConfig
from charrnn.sampling import Sampler
from charrnn.texts import END_OF_TEXT
from charrnn.vocabulary import Vocabulary

CONFIG = "config.json"
VOCABULARY = "vocabulary.json"
NEWEST = "checkpoints"
BEST = "best"

CHECKPOINT_ERRORS = (tf.errors.OpError, AssertionError, ValueError, IndexError)
"""What TensorFlow raises for a checkpoint of other objects, or a damaged one: IndexError where data are cut off."""


class Loaded(NamedTuple):
    """A model ready to use."""

    model: CharModel
    vocabulary: Vocabulary
    checkpoint: str  # where its weights came from
    end_of_text: str  # the character between documents, or "" where it has learnt running text

    def generator(self, sampler: Sampler | None = None, xla: bool = False) -> Generator:
        """Writes text with the model."""
        return Generator(self.model, self.vocabulary, sampler, self.end_of_text, xla)

    def generate(self, prompt: str, num_chars: int, sampler: Sampler | None = None, seed: int = 0) -> str:
        """What the model writes after the prompt: `num_chars` characters, or fewer where the text ends."""
        return self.generator(sampler).generate([prompt], num_chars, [seed])[0]


def load(run_dir: str, weights: str = "best") -> Loaded:
    """Loads a model.

    Args:
        run_dir: a run directory.
        weights: "best" by validation, where there is one, else the newest; or "newest".

    Raises:
        UserError: there is no such run, or a file of it is damaged.
    """
    config = read_config(run_dir)
    vocabulary = Vocabulary.load(os.path.join(run_dir, VOCABULARY))
    try:
        model = _build(config["model"], vocabulary.size, config["runtime"]["precision"])
        end_of_text = END_OF_TEXT if config["data"]["order"] == "lines" else ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # Keras tells a wrong type by any of them
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(f"{os.path.join(run_dir, CONFIG)} does not describe a model ({reason}).") from error
    checkpoint = find_checkpoint(run_dir, weights)
    try:
        # "Partial" first: what a checkpoint has beside the model would else be told as a warning when this fails.
        tf.train.Checkpoint(model=model).restore(checkpoint).expect_partial().assert_existing_objects_matched()
    except CHECKPOINT_ERRORS as error:
        raise UserError(f"The checkpoint {checkpoint} does not hold this model's weights, or is damaged.") from error
    return Loaded(model, vocabulary, checkpoint, end_of_text)


def _build(config: dict, vocabulary_size: int, precision: str) -> CharModel:
    if not isinstance(precision, str):  # Keras would take null for its default
        raise TypeError(f"precision {precision!r} is not a name")
    return CharModel(ModelConfig(**config), vocabulary_size, precision)


def read_config(run_dir: str) -> dict:
    """A run directory's config.json; UserError where there is none, or no JSON object in it."""
    path = os.path.join(run_dir, CONFIG)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{run_dir} is not a run directory: it has no {CONFIG}. Give one that trainers.run has made.")
    try:
        with tf.io.gfile.GFile(path) as file:
            config = json.load(file)
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be read ({error.message}).") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object.")
    return config


def find_checkpoint(run_dir: str, weights: str = "best") -> str:
    """The checkpoint's path prefix; UserError where none is there."""
    if weights not in ("best", "newest"):
        raise UserError(f"There are no {weights!r} weights: ask for best or newest.")
    folders = (BEST, NEWEST) if weights == "best" else (NEWEST,)
    try:
        found = [tf.train.latest_checkpoint(os.path.join(run_dir, folder)) for folder in folders]
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(f"The list of checkpoints in {run_dir} is damaged, in {' or '.join(folders)}.") from error
    if not any(found):
        raise UserError(f"{run_dir} has no checkpoint yet: let trainers.run reach its first save.")
    return next(filter(None, found))


