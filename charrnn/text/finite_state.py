"""A source of text from a finite-state process whose exact next-character distribution is known.

    source = FiniteStateSource({"coin": [Choice("heads ", 0.5, "coin"), Choice("tails ", 0.5, "coin")]}, "coin")
    source.text(1000, seed=1)
    source.entropy_rate                      # ln 2 / 6 nats per character

The process is in one of finitely many contexts. There it writes one of the context's tokens, each with its
probability and the context that follows. No token of a context is a prefix of another one, so the text written so far
always tells the context and how much of the next token has been written: as a source of single characters the process
is unifilar, and its distributions and entropy rate are exact (C. E. Shannon, "A Mathematical Theory of
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
        probability: of this token in its context.
        then: the context after it.
    """

    token: str
    probability: float
    then: Hashable


class FiniteStateSource:
    """Endless text from `rules`, starting in the context `start`; every number about it is exact.

    Args:
        rules: for each context its choices. Probabilities sum to 1; tokens are prefix-free; every context can be
            reached from every other one.
        start: the context that the text starts in.

    Attributes:
        characters: all that the source can write, sorted, as one string.

    Raises:
        ValueError: the rules are not as described (that every context can be reached is not checked).
    """

    def __init__(self, rules: Mapping[Hashable, Sequence[Choice]], start: Hashable):
        self.rules = {context: tuple(choices) for context, choices in rules.items()}
        self.start = start
        for context, choices in self.rules.items():
            _check(context, choices, self.rules)
        tokens = (choice.token for choices in self.rules.values() for choice in choices)
        self.characters = "".join(sorted(set().union(*tokens)))

    def text(self, num_chars: int, seed: int) -> str:
        """The first `num_chars` characters of the text that belongs to `seed`, an integer from 0.

        A shorter text is the beginning of a longer one with the same seed. Raises ValueError for negative numbers.
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
        """The distribution of the character after `prefix`, all text from the start: float64 [len(characters)].

        In the order of `characters`. Raises ValueError if the source cannot have written `prefix`.
        """
        state = self._contexts[self.start]
        for position, character in enumerate(prefix):
            _, state = self._follow(state, character, position)
        distribution = np.zeros(len(self.characters))
        for character, (probability, _) in self._steps[state].items():
            distribution[self.characters.index(character)] = probability
        return distribution

    def log_probs(self, text: str) -> np.ndarray:
        """ln p of each character of `text`, nats, given all before it from the start: float64 [len(text)].

        Raises ValueError if the source cannot have written `text`.
        """
        state, probabilities = self._contexts[self.start], []
        for position, character in enumerate(text):
            probability, state = self._follow(state, character, position)
            probabilities.append(probability)
        return np.log(np.array(probabilities, np.float64))

    @cached_property
    def entropy_rate(self) -> float:
        """Nats per character: the loss that no model can undercut in the long run."""
        contexts = self._contexts
        entropies, lengths = np.zeros(len(contexts)), np.zeros(len(contexts))
        for context, choices in self.rules.items():
            for token, probability, _ in choices:
                entropies[contexts[context]] -= probability * math.log(probability)
                lengths[contexts[context]] += probability * len(token)
        return float(self._visits @ entropies / (self._visits @ lengths))

    @cached_property
    def _visits(self) -> np.ndarray:
        """The share of all tokens that are written in each context in the long run."""
        contexts = self._contexts
        moves = np.zeros((len(contexts), len(contexts)))
        for context, choices in self.rules.items():
            for choice in choices:
                moves[contexts[context], contexts[choice.then]] += choice.probability
        return _stationary(moves)

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The process by characters. S states: a context, and how much of a token has been written.

        Returns:
            The probability of each of `characters` in each state, float64 [S, len(characters)]; the state that
            follows it, int64 of the same shape, where the probability is above 0; and the share of all characters
            that are written in each state in the long run, float64 [S].
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
        # A state within a token has a higher number than the one before it, and is entered from there only.
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
        """For each context the cumulative probabilities of all choices but the last, and the choices."""
        return {
            context: (list(accumulate(choice.probability for choice in choices[:-1])), choices)
            for context, choices in self.rules.items()
        }

    @cached_property
    def _steps(self) -> list[dict[str, tuple[float, int]]]:
        """The process by characters: for each state {character: (probability, next state)}.

        A state is a context and the beginning of a token; the contexts' own states come first, in their order.
        """
        steps: list[dict] = [{} for _ in self._contexts]
        for context, choices in self.rules.items():
            for choice in choices:
                self._add_token(steps, self._contexts[context], choice)
        return [_normalised(step) for step in steps]

    def _add_token(self, steps: list[dict], state: int, choice: Choice) -> None:
        """Adds the token's probability along its path from `state`, with new states where there are none yet."""
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
    # Sorted, a token that is a prefix of any other one is a prefix of the one that follows it.
    for token, following in pairwise(sorted(choice.token for choice in choices)):
        if following.startswith(token):
            raise ValueError(f"in context {context}, {token!r} is a prefix of {following!r}")


def _normalised(step: dict[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
    total = math.fsum(mass for mass, _ in step.values())
    return {character: (mass / total, following) for character, (mass, following) in step.items()}


def _stationary(moves: np.ndarray) -> np.ndarray:
    """The distribution [C] that the transition matrix [C, C] leaves as it is, for an irreducible chain."""
    equations = moves.T - np.eye(len(moves))
    # One of the balance equations follows from the others: the sum takes its place.
    equations[-1] = 1.0
    return np.linalg.solve(equations, np.eye(len(moves))[-1])


def _uniforms(seed: int, block: int = 1 << 14) -> Iterator[float]:
    """Numbers in [0, 1) with 53 bits. NumPy keeps a bit generator's raw stream fixed, but not `Generator.random`."""
    bits = np.random.Philox(seed)
    while True:
        yield from ((bits.random_raw(block) >> np.uint64(11)) * 2.0**-53).tolist()
