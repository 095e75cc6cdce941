"""Tests the measures of the structure of plays: exact laws against frequencies, and a text counted by hand."""

import math
import re
from collections import Counter

import numpy as np
import pytest

from charrnn.measures import open_loop
from charrnn.measures.exact_source import ExactSource
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Protocol
from charrnn.measures.rollouts import Reader
from charrnn.measures.structure import Structure
from charrnn.text.plays import ADJECTIVES, MANY, NOUNS, SPEAKERS, Plays
from charrnn.text.vocabulary import Vocabulary

NAMES = list(SPEAKERS)
OF_SOURCES = ("divergence_open", "impossible", "first_impossible", "error_after_error")  # measures of any exact source


@pytest.fixture(scope="module")
def plays():
    return Plays()


@pytest.fixture(scope="module")
def structure(plays):
    return Structure(plays)


@pytest.fixture(scope="module")
def sample(plays):
    return plays.text(1_000_000, seed=5)


@pytest.fixture(scope="module")
def speeches(sample):
    """Returns all whole speeches of a long text: (name, next name, lines)."""
    whole = [speech.split("\n") for speech in sample.split("\n\n")[:-1]]
    names = [name.rstrip(":") for name, *_ in whole]
    return list(zip(names, names[1:], [lines for _, *lines in whole[:-1]], strict=False))


def expect_frequencies(law, outcomes, sigmas=4.5):
    """Asserts that each probability `[S, K]` fits the outcomes (speaker, k) of independent draws."""
    counts = np.zeros(law.shape)
    for (row, column), count in Counter(outcomes).items():
        counts[row, column] = count
    totals = counts.sum(1, keepdims=True)
    assert totals.min() > 1000
    np.testing.assert_allclose(law.sum(1), 1)
    assert (np.abs(counts / totals - law) <= sigmas * np.sqrt(law * (1 - law) / totals) + 1e-9).all()


def test_the_laws_are_the_frequencies_of_a_long_text(structure, speeches):
    laws = structure.laws
    expect_frequencies(laws["next_speaker"], [(NAMES.index(a), NAMES.index(b)) for a, b, _ in speeches])
    expect_frequencies(laws["lines_a_speech"], [(0, len(lines) - 1) for *_, lines in speeches])
    expect_frequencies(laws["exclamations"], [(NAMES.index(a), ".!".index(lines[-1][-1])) for a, _, lines in speeches])
    words = [(a, word) for a, _, lines in speeches for word in re.findall(r"\w+", " ".join(lines))]
    outcomes = [
        (NAMES.index(a), word in SPEAKERS[a].favourites) for a, word in words if word in NOUNS + MANY + ADJECTIVES
    ]
    expect_frequencies(laws["favourites"], [(row, int(favourite)) for row, favourite in outcomes])
    assert len(speeches) > 8000


def test_the_room_for_a_speech_suffices_and_is_not_wasted(plays, structure, speeches):
    lines = [
        f"{opener} the sweet heart breaks the heart from the sweet heart" for opener in ("Hear how", "And", "Till")
    ]
    longest = "MAREN:\n" + ",\n".join(lines) + ".\n\nALDER:\n"
    assert np.isfinite(plays.log_probs(longest)).all()
    assert len(longest) <= structure.longest <= len(longest) + 2
    assert max(len(f"{a}:\n{b}:\n") + len("\n".join(lines)) + 2 for a, b, lines in speeches) <= len(longest)


def test_short_texts_do_not_prefer_short_speeches(structure, sample):
    rows = [sample[i : i + 300] for i in range(0, len(sample) - 300, 300)]
    counts = structure.count(rows)
    np.testing.assert_array_equal(counts.speeches[:, 0], counts.speeches[:, 1])
    lengths = np.repeat(range(4), counts.lines_a_speech.sum(0)[0].astype(int))
    expect_frequencies(structure.laws["lines_a_speech"], [(0, length) for length in lengths.tolist()])
    whole = [(0, speech.count("\n") - 1) for row in rows for speech in row.split("\n\n")[1:-1]]
    with pytest.raises(AssertionError):  # the rows have too few long speeches that are whole
        expect_frequencies(structure.laws["lines_a_speech"], whole)


def test_a_text_of_the_source_differs_from_the_laws_only_by_chance(structure, plays):
    rows = [plays.text(1300, seed)[300:] for seed in range(100)]
    found = structure.measure(rows)
    assert list(found) == [*structure.laws, "verbs_agree", "speeches_parsed", "lines_parsed"]
    assert [found[name] for name in ("verbs_agree", "speeches_parsed", "lines_parsed")] == [(1, 0)] * 3
    counts = structure.count(rows)
    for name, law in structure.laws.items():
        totals = getattr(counts, name).sum(0).sum(1, keepdims=True)
        chance = np.sqrt(2 / math.pi * law * (1 - law) * totals).sum() / 2 / totals.sum()  # if draws are independent
        assert 0.2 * chance < found[name][0] < 2 * chance < 0.12
        assert 0 < found[name][1] < 2 * chance


def test_measures_equal_a_count_by_hand(structure):
    text = (
        "lost.\n\n"
        "ALDER:\nThe king burns!\n\n"
        "BRYN:\nMy dogs fall,\nAnd thy old owl sleep.\n\n"
        "ALDER:\nYet it rains.\n\n"
        "BRYN:\nThe sea waits\n\n"  # without a mark
        "DUKE:\nO,\nO,\nO,\nO!\n\n"  # too long
        f"DUKE:\n{'x' * 190}"  # no room for a speech
    )
    counts = structure.count([text, "\n\nWREN:\nO.\n\nDUKE:\n" + "x" * 200, "\n\nWREM:\nO.\n\nDUKE:\n" + "x" * 200])
    assert counts.speeches.tolist() == [[5, 4], [2, 1], [2, 0]]
    assert counts.lines.tolist() == [[9, 4], [1, 0], [1, 0]]
    assert counts.verbs.tolist() == [[4, 3], [0, 0], [0, 0]]
    assert [(NAMES[a], NAMES[b]) for a, b in np.argwhere(counts.next_speaker[1])] == [("WREN", "DUKE")]
    other, favourite = (structure.laws["favourites"][NAMES.index(name), i] for i, name in enumerate(["ALDER", "BRYN"]))
    expected = {
        "next_speaker": (2 * (1 - 0.35) + (1 - 0.2) + 1) / 4,  # ALDER-BRYN twice, BRYN-ALDER, DUKE-DUKE
        "lines_a_speech": (abs(2 / 4 - 0.3) + abs(1 / 4 - 0.35) + 0.35 + 1 / 4) / 2,
        "exclamations": (2 * abs(1 / 2 - 0.3) + 0.1 + (1 - 0.7)) / 4,  # ALDER "!" and ".", BRYN ".", DUKE "!"
        "favourites": (other + 3 * favourite) / 4,  # ALDER: king; BRYN: dogs, old, owl
        "verbs_agree": 3 / 4,
        "speeches_parsed": 4 / 5,
        "lines_parsed": 4 / 9,
    }
    found = structure.measure([text, text])
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(expected)
    assert {error for _, error in found.values()} == {0}


def test_the_errors_equal_the_jackknife(structure, plays):
    texts = [plays.text(1300, seed)[300:].replace("s ", " ", 3) for seed in range(6)]
    found = structure.measure(texts)
    left = [structure.measure(texts[:i] + texts[i + 1 :]) for i in range(6)]
    for name, (_, error) in found.items():
        values = [each[name][0] for each in left]
        assert error == pytest.approx(math.sqrt(5 / 6 * sum((value - np.mean(values)) ** 2 for value in values)))
    assert 0.9 < found["verbs_agree"][0] < 1 and found["verbs_agree"][1] > 0


def test_a_text_without_a_speaker_has_no_structure(structure):
    assert np.isnan(list(structure.measure(["no end, no name " * 40] * 2).values())).all()
    assert np.isnan(list(structure.measure(["ALDER:\nO.\n\nDUKE:"] * 2)["next_speaker"])).all()  # no room
    found = structure.measure(["No name, no end.\n\n" * 40] * 2)
    assert (found["speeches_parsed"], found["lines_parsed"]) == ((0, 0), (0, 0))
    assert np.isnan([found[name] for name in [*structure.laws, "verbs_agree"]]).all()


def test_only_plays_have_these_measures(plays, structure, make_model):
    vocabulary = Vocabulary(plays.characters)
    train, validation = (vocabulary.encode(plays.text(6000, seed)) for seed in (1, 2))
    reader, protocol = Reader(make_model(vocabulary.size), vocabulary.unknown_id), Protocol(4, 500, warm_up=10)
    references = ExactSource(plays, vocabulary), KneserNey(train, vocabulary.size, 3)
    found, without = (
        open_loop.measure(reader, reference, vocabulary, train, validation, 3.0, protocol).measures
        for reference in references
    )
    gold = [vocabulary.decode(row) for row in protocol.pieces(validation)[:, 10:]]
    real = structure.measure(gold)
    assert real.keys() == found.keys() - without.keys() - {name for name in found if name.startswith(OF_SOURCES)}
    assert {name: found[name].real for name in real} == {name: value for name, (value, _) in real.items()}
    assert found["next_speaker"].value is None  # the model is untrained
    assert found["lines_parsed"].value == 0
