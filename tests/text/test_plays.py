"""Tests the numbers of the exact source against independent computations, and the text that it generates."""

import math

import numpy as np
import pytest

from charrnn.text.finite_state import Choice, FiniteStateSource
from charrnn.text.plays import Plays

# The raw bits of the generator and the probabilities are fixed, so this is too.
TEXT_OF_SEED_0 = "ALDER:\nHear how thy fair stars hear no pale eye."


@pytest.fixture(scope="module")
def plays():
    return Plays()


@pytest.fixture(scope="module")
def sample(plays):
    return plays.text(300_000, seed=5)


def characters_of(source):
    """Builds the chain over characters from the rules alone.

    Returns {(context, beginning of a token): {character: (probability, next state)}}.
    """
    chain = {}
    for context, choices in source.rules.items():
        beginnings = {choice.token[:length] for choice in choices for length in range(len(choice.token))}
        mass = {b: math.fsum(c.probability for c in choices if c.token.startswith(b)) for b in beginnings}
        for token, probability, then in choices:
            for length, character in enumerate(token):
                begun, now = token[:length], token[: length + 1]
                if now == token:
                    chain.setdefault((context, begun), {})[character] = (probability / mass[begun], (then, ""))
                else:
                    chain.setdefault((context, begun), {})[character] = (mass[now] / mass[begun], (context, now))
    return chain


def entropy_rate_by_characters(source, rounds):
    """Returns Σ π(state) H(character | state), with π from power iteration on the chain over characters."""
    chain = characters_of(source)
    number = {state: index for index, state in enumerate(chain)}
    edges = [(number[s], number[then], p) for s, step in chain.items() for p, then in step.values()]
    origin, target, probability = (np.array(column) for column in zip(*edges, strict=True))
    entropy = np.bincount(origin, -probability * np.log(probability))
    visits = np.full(len(chain), 1 / len(chain))
    for _ in range(rounds):
        # Half of the mass stays, so that the chain has no period.
        visits = (visits + np.bincount(target, visits[origin] * probability, len(chain))) / 2
    return visits @ entropy


def test_a_coin_has_the_entropy_of_a_coin():
    coin = FiniteStateSource({0: [Choice("heads ", 0.5, 0), Choice("tails ", 0.5, 0)]}, start=0)
    assert coin.entropy_rate == pytest.approx(math.log(2) / 6, abs=1e-15)
    assert coin.characters == " adehilst"
    assert coin.next_distribution("heads t").tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert coin.log_probs("tails he") == pytest.approx([math.log(0.5), 0, 0, 0, 0, 0, math.log(0.5), 0], abs=1e-15)


def test_contexts_are_weighted_by_how_often_they_are_visited():
    # Context 0 follows itself with probability 3/4, so its share of the visits is 0.8. The tokens of context 0 have
    # length 1, the only token of context 1 has length 2.
    source = FiniteStateSource({0: [Choice("a", 0.75, 0), Choice("b", 0.25, 1)], 1: [Choice("cd", 1.0, 0)]}, start=0)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert source.entropy_rate == pytest.approx(0.8 * entropy / (0.8 * 1 + 0.2 * 2), rel=1e-12)


@pytest.mark.slow
def test_entropy_rate_equals_the_rate_of_the_chain_over_characters(plays):
    assert plays.entropy_rate == pytest.approx(entropy_rate_by_characters(plays, rounds=2500), rel=1e-6)


@pytest.mark.slow
def test_entropy_rate_is_in_a_range_worth_learning(plays):
    assert 0.55 < plays.entropy_rate < 0.9
    assert plays.entropy_rate < 0.2 * math.log(len(plays.characters))


def test_a_sample_costs_the_entropy_rate(plays, sample):
    costs = -plays.log_probs(sample).reshape(100, -1).mean(axis=1)
    # Blocks of 3,000 characters, tens of speeches each, are nearly independent: their spread gives the standard error.
    error = costs.std(ddof=1) / math.sqrt(len(costs))
    assert error < 0.003 * plays.entropy_rate
    assert abs(costs.mean() - plays.entropy_rate) < 4 * error


def test_every_distribution_sums_to_one(plays, sample):
    for step in plays._steps:
        assert math.fsum(probability for probability, _ in step.values()) == pytest.approx(1, abs=1e-12)
    for length in range(200):
        distribution = plays.next_distribution(sample[:length])
        assert distribution.shape == (len(plays.characters),)
        assert distribution.dtype == np.float64
        assert distribution.sum() == pytest.approx(1, abs=1e-12)


def test_log_probs_and_distributions_agree_with_the_rules(plays, sample):
    chain, state = characters_of(plays), (plays.start, "")
    log_probs = plays.log_probs(sample[:3000])
    assert log_probs.shape == (3000,)
    for position, character in enumerate(sample[:3000]):
        probability, following = chain[state][character]
        assert log_probs[position] == pytest.approx(math.log(probability), abs=1e-12)
        if position < 300:
            distribution = plays.next_distribution(sample[:position])
            expected = {c: p for c, (p, _) in chain[state].items()}
            assert distribution == pytest.approx([expected.get(c, 0.0) for c in plays.characters], abs=1e-12)
        state = following


@pytest.mark.slow
def test_frequencies_after_a_state_are_its_distribution(plays, sample):
    """Pearson's chi-square over the characters that follow the sample's most frequent states with a choice."""
    followers, state, chain = {}, (plays.start, ""), characters_of(plays)
    for character in sample:
        followers.setdefault(state, []).append(character)
        state = chain[state][character][1]
    frequent = sorted((s for s in followers if len(chain[s]) > 1), key=lambda s: -len(followers[s]))[:20]
    for state in frequent:
        seen = followers[state]
        expected = {c: p * len(seen) for c, (p, _) in chain[state].items()}
        chi_square = sum((seen.count(c) - e) ** 2 / e for c, e in expected.items())
        freedom = len(expected) - 1
        # The mean is `freedom`, the variance 2 · `freedom`. The limit is 5 standard deviations plus 5 for the skew.
        assert chi_square < freedom + 5 * math.sqrt(2 * freedom) + 5, state


def test_text_of_other_probabilities_costs_more():
    """Shows that the test of the sample's cost can fail: under another source, the text costs more."""
    biased, fair = (FiniteStateSource({0: [Choice("a", p, 0), Choice("b", 1 - p, 0)]}, start=0) for p in (0.6, 0.5))
    text = biased.text(20_000, seed=1)
    assert abs(-biased.log_probs(text).mean() - biased.entropy_rate) < 0.006  # 3 standard errors
    assert -fair.log_probs(text).mean() == pytest.approx(math.log(2))
    assert math.log(2) > biased.entropy_rate + 0.015


def test_a_seed_determines_the_text(plays):
    text = plays.text(40_000, seed=3)
    assert len(text) == 40_000
    assert Plays().text(40_000, seed=3) == text
    assert plays.text(40_000, seed=4)[:200] != text[:200]
    for length in (0, 1, 39, 17_001):
        assert plays.text(length, seed=3) == text[:length]


def test_text_is_the_same_on_every_machine(plays):
    assert plays.text(48, seed=0) == TEXT_OF_SEED_0


def test_text_looks_like_a_play(plays, sample):
    speeches = sample.split("\n\n")[:-1]
    for speech in speeches:
        name, *lines = speech.split("\n")
        assert name in ("ALDER:", "BRYN:", "DUKE:", "FOOL:", "MAREN:", "WREN:")
        assert 1 <= len(lines) <= 3
        assert all(3 <= len(line.split()) <= 14 and line[0].isupper() for line in lines)
        assert speech[-1] in ".!"
    assert set(sample) <= set(plays.characters)
    assert plays.characters == "".join(sorted(set(plays.characters)))
    assert plays.characters.isascii()
    assert len({word.strip(",.!:").lower() for word in sample.split()}) <= 160


def test_distribution_depends_on_the_speaker_and_the_subject(plays):
    """The words just before are the same, but the speakers differ, or one subject is singular and the other plural."""
    after = {name: plays.next_distribution(f"DUKE:\nMy foes wait!\n\n{name}:\nThe c") for name in ("ALDER", "WREN")}
    crown = plays.characters.index("r")
    assert after["ALDER"][crown] > 1.5 * after["WREN"][crown]  # "crown" is a favourite word of ALDER
    assert plays.log_probs("DUKE:\nThe old king sings.\n\n").size
    with pytest.raises(ValueError):
        plays.log_probs("DUKE:\nThe old kings sings.\n\n")


def test_impossible_text_is_refused(plays):
    for text, position in (("x", 0), ("DUKE:\nThe king's", 14), ("DUKE:\nthe", 6), ("ROMEO:", 0), ("DUKE:\r\n", 5)):
        for ask in (plays.log_probs, plays.next_distribution):
            with pytest.raises(ValueError, match=f"at position {position} "):
                ask(text)
    assert plays.log_probs("").shape == (0,)
    for length, seed in ((-1, 0), (1, -1)):
        with pytest.raises(ValueError):
            plays.text(length, seed)


def test_tokens_of_a_context_are_prefix_free(plays):
    for choices in plays.rules.values():
        tokens = [choice.token for choice in choices]
        for token in tokens:
            assert sum(other.startswith(token) for other in tokens) == 1


@pytest.mark.parametrize(
    "choices, complaint",
    [
        ([Choice("a", 0.5, 0), Choice("ab", 0.5, 0)], "prefix"),
        ([Choice("a", 0.5, 0), Choice("a", 0.5, 0)], "prefix"),
        ([Choice("a", 0.5, 0), Choice("b", 0.4, 0)], "sum to 1"),
        ([], "sum to 1"),
        ([Choice("", 1.0, 0)], "empty token"),
        ([Choice("a", 1.0, 1)], "unknown next"),
        ([Choice("a", 1.5, 0), Choice("b", -0.5, 0)], "0 or less"),
    ],
)
def test_rules_that_define_no_source_are_refused(choices, complaint):
    with pytest.raises(ValueError, match=complaint):
        FiniteStateSource({0: choices}, start=0)


def test_tables_describe_the_chain_over_characters(plays, sample):
    probabilities, following, visits = plays.tables()
    assert probabilities.sum(-1) == pytest.approx(np.ones(len(visits)))
    np.testing.assert_allclose(visits.sum(), 1)
    moved = np.bincount(following.ravel(), (visits[:, None] * probabilities).ravel(), len(visits))
    np.testing.assert_allclose(moved, visits, rtol=1e-9, atol=1e-15)  # a step does not change a stationary distribution
    entropy = -np.sum(visits[:, None] * probabilities * np.log(np.where(probabilities > 0, probabilities, 1)))
    assert entropy == pytest.approx(plays.entropy_rate, rel=1e-9)
    state = list(plays.rules).index(plays.start)
    for position, character in enumerate(sample[:500]):
        if position % 50 == 0:
            np.testing.assert_allclose(probabilities[state], plays.next_distribution(sample[:position]))
        state = following[state, plays.characters.index(character)]
