"""Loads a trained model from its run directory, which may have been moved. Nothing in it is executed.

    model = load("runs/shakespeare_gru")
    print(model.generate("ROMEO:", 500, temperature=0.8))
"""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn import run_files
from charrnn.errors import UserError
from charrnn.files import paths
from charrnn.generation.arguments import Stops
from charrnn.generation.generator import Generator
from charrnn.generation.stream import Stream
from charrnn.generation.writer import Writer
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from charrnn.sampling import Sampler
from charrnn.text.chunks import END_OF_TEXT
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

_MOST_TRIED = 20  # checkpoints that were removed while they were read
_MOST_CACHED = 8  # generators of a model, and compiled graphs


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """A model ready to use.

        model = load("runs/shakespeare_gru")
        print(model.generate("ROMEO:", 500, temperature=0.8, stop="JULIET:"))
    """

    model: CharModel
    vocabulary: Vocabulary
    checkpoint: str  # path of the checkpoint with its weights
    end_of_text: str  # the character between documents; "": the training text is not documents

    def generator(self, sampler: Sampler | None = None, xla: bool | None = None, unknown: str = "refuse") -> Generator:
        """Returns a generator that writes text with the model; the same object for the same arguments.

        Generators that differ only in temperature, `greedy` or `unknown` share their graphs, which are compiled once.
        The last few generators are cached.

        Args:
            sampler: as in `Generator`.
            xla: as in `Generator`.
            unknown: as in `Generator`.
        """
        return self._generators(sampler or Sampler(), xla, unknown)

    @functools.cached_property
    def _generators(self) -> Callable[..., Generator]:
        @functools.lru_cache(_MOST_CACHED)
        def make(sampler: Sampler, xla: bool | None, unknown: str) -> Generator:
            writer = self._writers(dataclasses.replace(sampler, temperature=1.0, greedy=False), xla)
            return Generator(self.model, self.vocabulary, sampler, self.end_of_text, xla, unknown, writer)

        return make

    @functools.cached_property
    def _writers(self) -> Callable[..., Writer]:
        @functools.lru_cache(_MOST_CACHED)
        def make(filters: Sampler, xla: bool | None) -> Writer:
            return Writer(self.model, self.vocabulary, filters, self.end_of_text, xla)

        return make

    def generate(
        self,
        prompt: str,
        num_chars: int = 500,
        seed: int = 0,
        stop: Stops = "",
        min_chars: int = 0,
        unknown: str = "refuse",
        **sampling: Any,
    ) -> str:
        """Returns the model's continuation of the prompt.

        Args:
            prompt: the beginning of the text.
            num_chars: the most characters to write after it.
            seed: of the text.
            stop: as in `Generator.generate`.
            min_chars: as in `Generator.generate`.
            unknown: as in `Generator`.
            sampling: the fields of `Sampler`, such as temperature=0.8.

        Raises:
            UserError: as in `Generator.generate`.
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
        **sampling: Any,
    ) -> Stream:
        """Returns the text of `generate` piece by piece; Args and Raises are the same."""
        generator = self.generator(Sampler(**sampling), unknown=unknown)
        return generator.stream(prompt, num_chars, seed, stop, min_chars)


def load(run_dir: str, weights: str = "best") -> Loaded:
    """Loads a model.

    Args:
        run_dir: a run directory.
        weights: "best" (by validation, or the newest if there was none), "newest", or the name of a checkpoint in
            checkpoints/ or best/, such as "step-24".

    Raises:
        UserError: there is no such run or checkpoint, or one of its files is damaged.
    """
    run_dir = paths.given(run_dir)
    config = run_files.read_config(run_dir)
    end_of_text = END_OF_TEXT if run_files.read_setting(run_dir, config, str, "data", "order") == "lines" else ""
    reading = Reading.of_run(config["data"])
    vocabulary = Vocabulary.load(os.path.join(run_dir, run_files.VOCABULARY), older=reading)
    precision = run_files.read_setting(run_dir, config, str, "runtime", "precision")
    model = CharModel(run_files.read_group(run_dir, config, "model", ModelConfig), vocabulary.size, precision)
    checkpoint = _restore(model, run_dir, weights)
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise UserError(f"The checkpoint {checkpoint} has non-finite weights: give another by weights.")
    return Loaded(model, vocabulary, checkpoint, end_of_text)


def _restore(model: CharModel, run_dir: str, weights: str) -> str:
    """Restores a model's weights; returns the checkpoint's path.

    A run in progress may remove a checkpoint while it is read; then the list names another one.
    """
    failed: list[str] = []
    while (path := run_files.find_checkpoint(run_dir, weights)) not in failed and len(failed) < _MOST_TRIED:
        try:
            with paths.plain(os.path.dirname(path)) as folder:
                status = tf.train.Checkpoint(model=model).restore(os.path.join(folder, os.path.basename(path)))
                # "Partial" first, or a failure would also warn about the rest of the checkpoint.
                status.expect_partial().assert_existing_objects_matched()
            return path
        except (OSError, *run_files.CHECKPOINT_ERRORS) as error:
            failed.append(path)
            reason = error
    if path not in failed:
        raise UserError(f"{run_dir} replaces its checkpoints faster than they can be read: try again.") from reason
    raise UserError(f"The checkpoint {path} does not hold this model's weights, or is damaged.") from reason
