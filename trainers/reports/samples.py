"""Samples during training: the same prompts, temperatures and seeds at each evaluation, to show the progress."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.encoded.array import Sharded
from charrnn.generation.generator import Generator
from charrnn.model.char_model import CharModel
from charrnn.sampling import Sampler
from charrnn.text.vocabulary import Vocabulary
from trainers.configs import SamplesConfig


class Sample(NamedTuple):
    """One line of samples.jsonl, without the step."""

    prompt: str
    temperature: float
    seed: int
    text: str  # the continuation of the prompt
    label: str = ""  # name in TensorBoard; "": the prompt. Not in samples.jsonl


class SampleWriter:
    """Writes the samples of a config, all in one batch.

    Prompts are normalised like the text. Characters that are not in the vocabulary are removed (`left_out`). A prompt
    without any character left is replaced (`replaced`).

    Args:
        config: prompts, temperatures, cut-off, length and seed.
        model: the model; each call uses its current weights.
        vocabulary: its characters.
        train: the training text, ids `[N]`, the source of prompts for `config.from_text`.
        end_of_text: as in `Generator`.
    """

    def __init__(
        self,
        config: SamplesConfig,
        model: CharModel,
        vocabulary: Vocabulary,
        train: np.ndarray | Sharded | None = None,
        end_of_text: str = "",
    ):
        self._config, self._vocabulary, self._train = config, vocabulary, train
        # Without XLA, so that samples have the same bits as those of earlier versions, which a resumed run continues.
        self._generator = Generator(model, vocabulary, Sampler(epsilon=config.epsilon), end_of_text, xla=False)
        read = [vocabulary.read(prompt) for prompt in config.prompts]
        self.left_out = sorted({c for prompt in read for c in vocabulary.unknown_characters(prompt)})
        known = ["".join(c for c in prompt if c not in self.left_out) for prompt in read]
        self._prompts = [prompt or self._generator.beginning for prompt in known]
        self.replaced = {
            given: prompt for given, part, prompt in zip(config.prompts, known, self._prompts, strict=True) if not part
        }

    def write(self, step: int, look: Callable[[], None] = lambda: None) -> list[Sample]:
        """Generates the samples with the current weights. Eager.

        Args:
            step: the step, which determines the prompt from the text.
            look: called regularly; an exception that it raises ends the generation.

        Returns:
            One sample per prompt and temperature.
        """
        labelled = [*((prompt, "") for prompt in self._prompts), *((p, "from the text") for p in self._from_text(step))]
        asked = [
            (prompt, temperature, self._config.seed + i, label)
            for i, (prompt, label) in enumerate(labelled)
            for temperature in self._config.temperatures
        ]
        if not asked or not self._config.num_chars:
            return []
        prompts, temperatures, seeds, labels = (list(column) for column in zip(*asked, strict=True))
        texts = self._generator.generate(prompts, self._config.num_chars, seeds, temperatures, look=look)
        return [Sample(*fields) for fields in zip(prompts, temperatures, seeds, texts, labels, strict=True)]

    def _from_text(self, step: int) -> Iterator[str]:
        """Yields a prompt from a random place of the training text: a function of the samples' seed and the step."""
        if not self._config.from_text or self._train is None:
            return
        length = min(self._config.from_text, len(self._train))
        seed = randomness.seed_for(self._config.seed, randomness.Purpose.PROMPTS, step)
        start = tf.random.stateless_uniform([], seed, 0, len(self._train) - length + 1, tf.int64).numpy()
        yield self._vocabulary.decode(np.asarray(self._train[start : start + length]))
