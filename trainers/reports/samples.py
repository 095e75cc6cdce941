"""Sample text while training: the same prompts, temperatures and seeds at each evaluation, so that progress shows."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.encoded.array import Sharded
from charrnn.generation.generator import Generator
from charrnn.model.char_model import CharModel
from charrnn.text.vocabulary import Vocabulary
from trainers.configs import SamplesConfig


class Sample(NamedTuple):
    """One line of samples.jsonl, less the step."""

    prompt: str
    temperature: float
    seed: int
    text: str  # what follows the prompt
    label: str = ""  # what a chart files it under; "": the prompt. Not in samples.jsonl


class SampleWriter:
    """Writes the samples that `config` asks for, all in one batch.

    Prompts are read as the text was. Characters that the vocabulary lacks are removed, and a prompt of which nothing
    remains is replaced; `left_out` and `replaced` say which.

    Args:
        config: what is asked for.
        model: whose weights are used, as they are at each call.
        vocabulary: its characters.
        train: the training text, ids `[N]`, where `config.from_text` takes prompts from.
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
        self._generator = Generator(model, vocabulary, end_of_text=end_of_text)
        read = [vocabulary.read(prompt) for prompt in config.prompts]
        self.left_out = sorted({c for prompt in read for c in vocabulary.unknown_characters(prompt)})
        known = ["".join(c for c in prompt if c not in self.left_out) for prompt in read]
        self._prompts = [prompt or self._generator.beginning for prompt in known]
        self.replaced = {
            given: prompt for given, part, prompt in zip(config.prompts, known, self._prompts, strict=True) if not part
        }

    def write(self, step: int, look: Callable[[], None] = lambda: None) -> list[Sample]:
        """The samples of the model as it is now. `look` is called now and then; what it raises ends the writing."""
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
        """A place of the training text; a function of the samples' seed and the step."""
        if not self._config.from_text or self._train is None:
            return
        length = min(self._config.from_text, len(self._train))
        seed = randomness.seed_for(self._config.seed, randomness.Purpose.PROMPTS, step)
        start = tf.random.stateless_uniform([], seed, 0, len(self._train) - length + 1, tf.int64).numpy()
        yield self._vocabulary.decode(np.asarray(self._train[start : start + length]))
