"""Sample text while training: the same prompts, temperatures and seeds at each evaluation, so that progress shows."""

import dataclasses
from typing import NamedTuple

from charrnn.errors import check
from charrnn.generation import Generator
from charrnn.model import CharModel
from charrnn.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class SamplesConfig:
    """What is sampled at each evaluation: every prompt at every temperature."""

    prompts: tuple[str, ...] = ("\n",)
    temperatures: tuple[float, ...] = (0.5, 0.8, 1.0)
    num_chars: int = 300
    seed: int = 0

    def __post_init__(self):
        above_zero = all(0 < t < float("inf") for t in self.temperatures)
        check("samples.temperatures", self.temperatures, above_zero, "numbers above 0")
        check("samples.prompts", self.prompts, all(self.prompts), "texts of at least one character")
        check("samples.num_chars", self.num_chars, self.num_chars >= 0, "at least 0 (0: no samples)")


class Sample(NamedTuple):
    """One line of samples.jsonl, less the step."""

    prompt: str
    temperature: float
    seed: int
    text: str  # what follows the prompt


class Sampling:
    """Writes the samples that `config` asks for, all in one batch.

    Characters of a prompt that the vocabulary lacks are left out; `left_out` names them.
    """

    def __init__(self, config: SamplesConfig, model: CharModel, vocabulary: Vocabulary):
        self._config = config
        self._generator = Generator(model, vocabulary)
        self.left_out = sorted({c for prompt in config.prompts for c in vocabulary.unknown_characters(prompt)})
        known = ["".join(c for c in prompt if c not in self.left_out) for prompt in config.prompts]
        self._prompts = [prompt or vocabulary.decode([vocabulary.size - 1]) for prompt in known]

    def write(self) -> list[Sample]:
        """The samples of the model as it is now."""
        if not self._config.num_chars:
            return []
        asked = [(prompt, temperature) for prompt in self._prompts for temperature in self._config.temperatures]
        if not asked:
            return []
        prompts, temperatures = (list(column) for column in zip(*asked, strict=True))
        seeds = [self._config.seed] * len(asked)
        texts = self._generator.generate(prompts, self._config.num_chars, seeds, temperatures)
        return [Sample(*fields) for fields in zip(prompts, temperatures, seeds, texts, strict=True)]
