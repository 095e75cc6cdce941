"""A trained model from its run directory. The directory may have been moved; nothing in it is executed.

    model = load("runs/shakespeare_gru")
    print(model.generate("ROMEO:", 500, temperature=0.8))
"""

import dataclasses
import json
import os

import tensorflow as tf

from charrnn.errors import UserError
from charrnn.generation import Generator, Stops, Stream
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


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """A model ready to use."""

    model: CharModel
    vocabulary: Vocabulary
    checkpoint: str  # where its weights came from
    end_of_text: str  # the character between documents, or "" where it has learnt running text
    _generators: dict = dataclasses.field(default_factory=dict, init=False, repr=False)

    def generator(self, sampler: Sampler | None = None, xla: bool = False, unknown: str = "refuse") -> Generator:
        """Writes text with the model. The same settings get the same one, whose graph is made but once."""
        key = (sampler or Sampler(), xla, unknown)
        if key not in self._generators:
            self._generators[key] = Generator(self.model, self.vocabulary, key[0], self.end_of_text, xla, unknown)
        return self._generators[key]

    def generate(
        self,
        prompt: str,
        num_chars: int = 500,
        seed: int = 0,
        stop: Stops = "",
        min_chars: int = 0,
        unknown: str = "refuse",
        **sampling,
    ) -> str:
        """What the model writes after the prompt.

        Args:
            prompt: what the text begins with.
            num_chars: how many characters follow it, at most.
            seed: the text is a function of it.
            stop: as in `Generator.generate`.
            min_chars: as in `Generator.generate`.
            unknown: as in `Generator`.
            sampling: the fields of `Sampler`, such as temperature=0.8.
        """
        generator = self.generator(Sampler(**sampling), unknown=unknown)
        return generator.generate([prompt], num_chars, [seed], None, stop, min_chars)[0]

    def stream(
        self,
        prompt: str,
        num_chars: int = 500,
        seed: int = 0,
        stop: Stops = "",
        min_chars: int = 0,
        unknown: str = "refuse",
        **sampling,
    ) -> Stream:
        """The text of `generate`, piece by piece, as they are made."""
        generator = self.generator(Sampler(**sampling), unknown=unknown)
        return generator.stream(prompt, num_chars, seed, stop, min_chars)


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


