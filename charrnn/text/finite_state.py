"""Generates text from a finite-state process whose exact next-character distribution is known.

    source = FiniteStateSource({"coin": [Choice("heads ", 0.5, "coin"), Choice("tails ", 0.5, "coin")]}, "coin")
    source.text(1000, seed=1)
    source.entropy_rate                      # ln 2 / 6 nats per character

The process is always in one of finitely many contexts. It writes one of the context's tokens, each of which has a
probability and a following context. No token is a prefix of another token of its context, so the text so far
determines the context and the written part of the next token. As a source of single characters the process is
therefore unifilar, and its distributions and entropy rate are exact (C. E. Shannon, "A Mathematical Theory of
Communication", 1948, theorem 5).
"""

import math
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np


class Choice(NamedTuple):
    """One token that a context may write.

    Attributes:
        token: the characters, at least one.
        probability: the token's probability in its context.
        then: the context after the token.
    """

    token: str
    probability: float
    then: Hashable


class FiniteStateSource:
    """A source of endless text with exact probabilities.

    Args:
        rules: each context's choices. Their probabilities sum to 1, their tokens are prefix-free, and every context
            can be reached from every other one.
        start: the context in which the text starts.

    Attributes:
        characters: the characters that the source can write, sorted, as one string.

    Raises:
        ValueError: the rules do not meet these conditions, except that reachability is not checked.
    """

    def __init__(self, rules: Mapping[Hashable, Sequence[Choice]], start: Hashable):
        self.rules = {context: tuple(choices) for context, choices in rules.items()}
        self.start = start
        for context, choices in self.rules.items():
            _check(context, choices, self.rules)
        tokens = (choice.token for choices in self.rules.values() for choice in choices)
        self.characters = "".join(sorted(set().union(*tokens)))

    def text(self, num_chars: int, seed: int) -> str:
        """Returns a text. A shorter text is the beginning of a longer one with the same seed.

        Args:
            num_chars: its length in characters, at least 0.
            seed: an integer, at least 0.

        Raises:
            ValueError: an argument is negative.
        """
        if num_chars < 0:
            raise ValueError(f"num_chars must be 0 or more, not {num_chars}")
        tokens, length = [], 0
        tables, here = self._tables, self.start
        uniforms = _uniforms(seed)
        while length < num_chars:
            thresholds, choices = tables[here]
            token, _, here = choices[bisect_right(thresholds, next(uniforms))]
            tokens.append(token)
            length += len(token)
        return "".join(tokens)[:num_chars]

    def next_distribution(self, prefix: str) -> np.ndarray:
        """Returns the distribution of the next character.

        Args:
            prefix: the whole text so far.

        Returns:
            The probabilities of `characters`, float64 `[len(characters)]`.

        Raises:
            ValueError: the source cannot write `prefix`.
        """
        state = self._contexts[self.start]
        for position, character in enumerate(prefix):
            _, state = self._follow(state, character, position)
        distribution = np.zeros(len(self.characters))
        for character, (probability, _) in self._steps[state].items():
            distribution[self.characters.index(character)] = probability
        return distribution

    def log_probs(self, text: str) -> np.ndarray:
        """Returns the log probability of each character of a text.

        Args:
            text: a text from the source's start on.

        Returns:
            ln p of each character given the text before it, nats, float64 `[len(text)]`.

        Raises:
            ValueError: the source cannot write `text`.
        """
        state, probabilities = self._contexts[self.start], []
        for position, character in enumerate(text):
            probability, state = self._follow(state, character, position)
            probabilities.append(probability)
        return np.log(np.array(probabilities, np.float64))

    @cached_property
    def entropy_rate(self) -> float:
        """The entropy rate in nats per character: in the long run, no model has a lower loss."""
        contexts = self._contexts
        entropies, lengths = np.zeros(len(contexts)), np.zeros(len(contexts))
        for context, choices in self.rules.items():
            for token, probability, _ in choices:
                entropies[contexts[context]] -= probability * math.log(probability)
                lengths[contexts[context]] += probability * len(token)
        return float(self._visits @ entropies / (self._visits @ lengths))

    @cached_property
    def _visits(self) -> np.ndarray:
        """The long-run share of all tokens that each context writes."""
        contexts = self._contexts
        moves = np.zeros((len(contexts), len(contexts)))
        for context, choices in self.rules.items():
            for choice in choices:
                moves[contexts[context], contexts[choice.then]] += choice.probability
        return stationary(moves)

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the process as a chain over characters. Each of its S states is a context and a part of a token.

        Returns:
            The probability of each of `characters` in each state, float64 `[S, len(characters)]`; the following
            state, int64 of the same shape, valid if the probability is above 0; and the long-run share of all
            characters that each state writes, float64 `[S]`.
        """
        index = {character: i for i, character in enumerate(self.characters)}
        probabilities = np.zeros((len(self._steps), len(index)))
        following = np.zeros(probabilities.shape, np.int64)
        for state, step in enumerate(self._steps):
            for character, (probability, then) in step.items():
                probabilities[state, index[character]] = probability
                following[state, index[character]] = then
        visits = np.zeros(len(self._steps))
        visits[: len(self._contexts)] = self._visits
        # A state within a token has a higher number than its only predecessor.
        for state in range(len(visits)):
            for probability, then in self._steps[state].values():
                if then >= len(self._contexts):
                    visits[then] += visits[state] * probability
        return probabilities, following, visits / visits.sum()

    @cached_property
    def _contexts(self) -> dict[Hashable, int]:
        return {context: index for index, context in enumerate(self.rules)}

    @cached_property
    def _tables(self) -> dict[Hashable, tuple[list[float], tuple[Choice, ...]]]:
        """Each context's cumulative probabilities of all choices but the last, and its choices."""
        return {
            context: (list(accumulate(choice.probability for choice in choices[:-1])), choices)
            for context, choices in self.rules.items()
        }

    @cached_property
    def _steps(self) -> list[dict[str, tuple[float, int]]]:
        """The chain over characters: each state's {character: (probability, next state)}.

        A state is a context and the beginning of a token. The states with an empty beginning come first.
        """
        steps: list[dict] = [{} for _ in self._contexts]
        for context, choices in self.rules.items():
            for choice in choices:
                self._add_token(steps, self._contexts[context], choice)
        return [_normalised(step) for step in steps]

    def _add_token(self, steps: list[dict], state: int, choice: Choice) -> None:
        """Adds the token's probability along its path from `state`, and the states that are missing."""
        token, probability, then = choice
        for character in token[:-1]:
            mass, following = steps[state].get(character, (0.0, len(steps)))
            if following == len(steps):
                steps.append({})
            steps[state][character] = (mass + probability, following)
            state = following
        steps[state][token[-1]] = (probability, self._contexts[then])

    def _follow(self, state: int, character: str, position: int) -> tuple[float, int]:
        try:
            return self._steps[state][character]
        except KeyError:
            raise ValueError(f"the source cannot write {character!r} at position {position} of this text") from None


def _check(context: Hashable, choices: Sequence[Choice], rules: Mapping) -> None:
    if abs(math.fsum(choice.probability for choice in choices) - 1) > 1e-9:
        raise ValueError(f"the probabilities of context {context} do not sum to 1")
    if any(not choice.token or choice.probability <= 0 or choice.then not in rules for choice in choices):
        raise ValueError(f"context {context} has an empty token, a probability of 0 or less or an unknown next context")
    # In sorted order, a token that is a prefix of any other one is a prefix of the next one.
    for token, following in pairwise(sorted(choice.token for choice in choices)):
        if following.startswith(token):
            raise ValueError(f"in context {context}, {token!r} is a prefix of {following!r}")


def _normalised(step: dict[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
    total = math.fsum(mass for mass, _ in step.values())
    return {character: (mass / total, following) for character, (mass, following) in step.items()}


def stationary(moves: np.ndarray) -> np.ndarray:
    """Returns the stationary distribution of an irreducible chain.

    Args:
        moves: the probability of each move, from row to column, float64 `[C, C]`.

    Returns:
        The long-run share of each of the C contexts, float64 `[C]`.
    """
    equations = moves.T - np.eye(len(moves))
    # One balance equation follows from the others; the sum replaces it.
    equations[-1] = 1.0
    return np.linalg.solve(equations, np.eye(len(moves))[-1])


def _uniforms(seed: int, block: int = 1 << 14) -> Iterator[float]:
    """Yields 53-bit numbers in [0, 1). NumPy fixes a bit generator's raw stream, but not `Generator.random`."""
    bits = np.random.Philox(seed)
    while True:
        yield from ((bits.random_raw(block) >> np.uint64(11)) * 2.0**-53).tolist()
