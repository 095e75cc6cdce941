"""The structure of rollouts on `plays`: speakers, speeches and verbs, against the exact laws of the source. NumPy only.

    structure = Structure(Plays())
    structure.measure(texts)["next_speaker"]      # (total variation distance, its standard error)

The laws are computed from the rules of the source, not from a sample. The counts of a finite text are some distance
from them even if the source wrote it, so compare a value with that of as much real text.
"""

import functools
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from charrnn.text.finite_state import stationary
from charrnn.text.plays import ADJECTIVES, MANY, NOUNS, RESTING, SPEAKERS, TAKING, Plays

_NAMES = list(SPEAKERS)
_MARKS = ".!"  # of the end of a speech
_LABEL = re.compile(f"({'|'.join(_NAMES)}):\n")
_SPEECH = re.compile(rf"({'|'.join(_NAMES)}):\n((?:[^\n]+,\n)*[^\n]+)([{_MARKS}])")
_NOUNS_AND_ADJECTIVES = frozenset(NOUNS + MANY + ADJECTIVES)  # each can be a favourite
_MANY_OF = {**dict.fromkeys(NOUNS, False), **dict.fromkeys(MANY, True)}  # subject -> whether it is a plural
_VERBS = {verb + "s" * one: not one for verb in TAKING + RESTING for one in (True, False)}  # -> whether a plural's


class Speeches(NamedTuple):
    """Counts of R texts, float64.

    A speech counts if it begins where the longest one of the source, with the next name, still has room in the text.
    So the place alone decides, and short speeches are not preferred. It is parsed if it has a name, a comma at each
    line's end but the last, a mark there, and the name of the next speaker behind it.
    """

    next_speaker: np.ndarray  # [R, S, S], parsed speeches by their speaker and the next one
    lines_a_speech: np.ndarray  # [R, 1, M + 1], by the number of lines, from 1; last: more than the source's most, M
    exclamations: np.ndarray  # [R, S, 2], by the speaker and the mark, "." or "!"
    favourites: np.ndarray  # [R, S, 2], nouns and adjectives by their speaker: others, favourites
    speeches: np.ndarray  # [R, 2], all; parsed
    lines: np.ndarray  # [R, 2], whole lines without the names: all; those with one verb directly after a noun
    verbs: np.ndarray  # [R, 2], verbs directly after a noun: all; those that agree with it


_SHARES = {"verbs_agree": "verbs", "speeches_parsed": "speeches", "lines_parsed": "lines"}
NAMES = (*Speeches._fields[:4], *_SHARES)
"""The names of what `Structure.measure` measures."""


class Structure:
    """The exact laws of the source's structure, and the distance of texts from them.

    Args:
        source: the source of `plays`.

    Attributes:
        laws: the distributions of the fields of `Speeches` up to `favourites`, given the speaker, float64 `[S, K]`
            or, of `lines_a_speech`, `[1, M + 1]`. The sums over the last axis are 1.
        longest: the most characters from the beginning of a speech to the end of the next speaker's name.
    """

    def __init__(self, source: Plays):
        answers = _answers(source.rules)
        moves = np.zeros((len(_NAMES), len(_NAMES)))
        for speaker, following in answers.items():
            for name, (probability, _) in following.items():
                moves[_NAMES.index(speaker), _NAMES.index(name)] = probability
        begins = {name: place for following in answers.values() for name, (_, place) in following.items()}
        speeches = [_speech(source.rules, begins[speaker]) for speaker in _NAMES]
        most = max(lines for speech in speeches for lines, _ in speech.ends)
        ends = np.zeros((len(_NAMES), most + 1, len(_MARKS)))
        for row, speech in zip(ends, speeches, strict=True):
            for (lines, mark), probability in speech.ends.items():
                row[lines - 1, _MARKS.index(mark)] = probability
        words = np.stack([speech.words for speech in speeches])
        self.laws = {
            "next_speaker": moves,
            "lines_a_speech": stationary(moves)[None] @ ends.sum(2),
            "exclamations": ends.sum(1),
            "favourites": words / words.sum(1, keepdims=True),
        }
        self.longest = 2 * max(len(f"{name}:\n") for name in _NAMES) + max(speech.longest for speech in speeches)

    def measure(self, texts: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Measures R texts of one length.

        Args:
            texts: each begins anywhere in a play; at least 2.

        Returns:
            The total variation distance, between 0 and 1, from a text with the same speakers in which each of `laws`
            holds; the share of verbs that agree with their subject; the shares of speeches and lines that are parsed.
            Each with its standard error over the texts. Both are nan if there is nothing to measure, for example
            without a speaker.
        """
        counts = self.count(texts)._asdict()
        found = {name: _distance(counts[name], law) for name, law in self.laws.items()}
        return {**found, **{name: _jackknife(_share, counts[field]) for name, field in _SHARES.items()}}

    def count(self, texts: Sequence[str]) -> Speeches:
        """Counts what `measure` measures.

        Args:
            texts: R texts of one length, as for `measure`.
        """
        shapes = [law.shape for law in self.laws.values()] + [(2,)] * 3
        counts = Speeches(*(np.zeros((len(texts), *shape)) for shape in shapes))
        for row, text in enumerate(texts):
            self._count_speeches(Speeches(*(field[row] for field in counts)), text)
            _count_verbs(counts.lines[row], counts.verbs[row], text)
        return counts

    def _count_speeches(self, counts, text):
        begins = [match.end() for match in re.finditer("\n\n", text)]
        for begin, then in pairwise([*begins, len(text)]):
            if begin > len(text) - self.longest:
                return
            counts.speeches[0] += 1
            found, answer = _SPEECH.fullmatch(text, begin, max(begin, then - 2)), _LABEL.match(text, then)
            if found and answer:
                speaker, spoken = _NAMES.index(found[1]), found[2]
                counts.speeches[1] += 1
                counts.next_speaker[speaker, _NAMES.index(answer[1])] += 1
                counts.lines_a_speech[0, min(spoken.count("\n"), counts.lines_a_speech.size - 1)] += 1
                counts.exclamations[speaker, _MARKS.index(found[3])] += 1
                for word in re.findall("[A-Za-z]+", spoken):
                    if word in _NOUNS_AND_ADJECTIVES:
                        counts.favourites[speaker, int(word in SPEAKERS[found[1]].favourites)] += 1


def _count_verbs(lines, verbs, text):
    for line in text.split("\n")[1:-1]:
        if line and not line.endswith(":"):
            words = line.rstrip(f",{_MARKS}").split(" ")
            pairs = [(_MANY_OF[a], _VERBS[b]) for a, b in pairwise(words) if a in _MANY_OF and b in _VERBS]
            lines += 1, len(pairs) == 1
            verbs += len(pairs), sum(subject == verb for subject, verb in pairs)


class _Ends(NamedTuple):
    """The continuations of a place in the source, up to the end of the line or the speech."""

    ends: Counter  # the probability of each end; of a line: (mark, place after it); of a speech: (lines, mark)
    words: np.ndarray  # expected nouns and adjectives, float64 [2]: others, favourites
    longest: int  # characters, at most


def _answers(rules):
    """Returns the next speakers of each speaker, with their probabilities and the places after their names."""
    between = {place.speaker: choices for place, choices in rules.items() if not place.line}
    return {
        speaker: {then.speaker: (probability, then) for _, probability, then in choices}
        for speaker, choices in between.items()
    }


def _speech(rules, begin):
    """Returns what follows a place after a speaker's name, up to the end of the speech."""
    favourites = SPEAKERS[begin.speaker].favourites

    @functools.cache
    def line_from(place):
        ends, words, longest = Counter(), np.zeros(2), 0
        for token, probability, then in rules[place]:
            word = token.rstrip(f" ,\n{_MARKS}")
            if then.line == place.line:
                rest = line_from(then)
            else:
                rest = _Ends(Counter({(token[len(word)], then): 1.0}), np.zeros(2), 0)
            ends.update({end: probability * share for end, share in rest.ends.items()})
            favourite = word in favourites
            words += probability * (rest.words + (word in _NOUNS_AND_ADJECTIVES) * np.array([not favourite, favourite]))
            longest = max(longest, len(token) + rest.longest)
        return _Ends(ends, words, longest)

    def speech_from(place, number):
        line = line_from(place)
        ends, words, longest = Counter(), line.words.copy(), 0
        for (mark, then), probability in line.ends.items():
            if then.line:
                rest = speech_from(then, number + 1)
                ends.update({end: probability * share for end, share in rest.ends.items()})
                words += probability * rest.words
                longest = max(longest, rest.longest)
            else:
                ends.update({(number, mark): probability})
        return _Ends(ends, words, line.longest + longest)

    return speech_from(begin, 1)


def _distance(counts: np.ndarray, law: np.ndarray) -> tuple[float, float]:
    """Returns the total variation distance of R texts' counts `[R, S, K]` from laws `[S, K]`, and its error."""

    def distance(sums):
        off = np.abs(sums - law * sums.sum(-1, keepdims=True))
        return off.sum((-2, -1)) / 2 / sums.sum((-2, -1))

    return _jackknife(distance, counts)


def _share(sums):
    return sums[..., 1] / sums[..., 0]


def _jackknife(function, counts):
    """Returns the function of the sum over R texts, and its standard error (Efron 1982)."""
    sums = counts.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, others = float(function(sums)), function(sums - counts)
        spread = np.sum((others - others.mean()) ** 2)
    return value, float(np.sqrt((len(others) - 1) / len(others) * spread))
