"""Generates the built-in corpus `plays`: endless play-like text with a known entropy rate.

    plays = Plays()
    plays.text(1_000_000, seed=0)
    plays.entropy_rate                       # nats per character: the lower bound of a model's loss

A model can learn, from short range to long: the spelling of words; the order of word classes; the agreement of verbs
with their subject; the structure and end of a verse line; the limit of three lines per speech; each speaker's
favourite words and temper; and who answers whom.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from charrnn.text.finite_state import Choice, FiniteStateSource

NOUNS = (
    "ash bell crown day dog dream eye fire foe gate hand heart hill king lamp moon night oath owl rose sea "
    "ship son song star storm sun sword wall wind"
).split()
MANY = "bells dogs eyes foes gates hands kings ships songs stars".split()
ADJECTIVES = "bold cold dark dead fair grim last lost old pale proud red soft sweet true wild".split()
TAKING = "bear break call fear find hear hold keep know leave love meet seek take".split()
RESTING = "burn fall lie rest rise sing sleep wait weep".split()
DETERMINERS = "the my thy our his no".split()
PREPOSITIONS = "by for from in like on to with".split()
OPENERS = {1: ("O", "Now", "Hear how", "Once"), 2: ("And", "But", "Yet", "For"), 3: ("And", "So", "Till", "Then")}
LAST_LINE = {1: 0.3, 2: 0.5, 3: 1.0}  # probability that a line ends the speech
FAVOURED = 2.5  # relative weight of a favourite word


class Speaker(NamedTuple):
    """The properties of a speaker."""

    favourites: tuple[str, ...]  # nouns and adjectives
    temper: float  # probability that a speech ends in "!"
    answers: tuple[str, str]  # the most frequent next speakers


SPEAKERS = {
    "ALDER": Speaker(("king", "kings", "crown", "sword", "proud"), 0.3, ("BRYN", "DUKE")),
    "BRYN": Speaker(("sea", "ship", "ships", "storm", "wild"), 0.1, ("MAREN", "ALDER")),
    "DUKE": Speaker(("oath", "foe", "foes", "wall", "true"), 0.7, ("ALDER", "WREN")),
    "FOOL": Speaker(("dog", "dogs", "moon", "owl", "old"), 0.5, ("DUKE", "BRYN")),
    "MAREN": Speaker(("heart", "rose", "hand", "hands", "soft"), 0.2, ("WREN", "FOOL")),
    "WREN": Speaker(("song", "songs", "star", "stars", "pale"), 0.4, ("FOOL", "MAREN")),
}
ANSWERS = (0.35, 0.2)  # probabilities of the two most frequent next speakers; the other speakers share the rest


class Place(NamedTuple):
    """A context of the process."""

    slot: str  # the next part of the line
    speaker: str
    line: int  # from 1 to 3; 0 between two speeches


class Plays(FiniteStateSource):
    """The source of the corpus `plays`. Its construction takes milliseconds; only `text` uses a seed."""

    def __init__(self):
        rules = dict(_between(speaker) for speaker in SPEAKERS)
        for speaker in SPEAKERS:
            for line in LAST_LINE:
                rules.update(_Line(speaker, line).contexts())
        super().__init__(rules, start=Place("answer", "FOOL", 0))


def _between(speaker: str) -> tuple[Place, list[Choice]]:
    """Returns the context after a speech, and its choices: the names of the next speakers."""
    likely = dict(zip(SPEAKERS[speaker].answers, ANSWERS, strict=True))
    rest = (1 - sum(ANSWERS)) / (len(SPEAKERS) - 1 - len(ANSWERS))
    others = [name for name in SPEAKERS if name != speaker]
    return Place("answer", speaker, 0), [
        Choice(f"{name}:\n", likely.get(name, rest), Place("opening", name, 1)) for name in others
    ]


class _Line(NamedTuple):
    """A verse line: [opener] determiner [adjective] noun verb [object] [preposition and its noun]."""

    speaker: str
    number: int

    def contexts(self) -> Iterator[tuple[Place, list[Choice]]]:
        """Yields each context of the line and its choices, in the order of the line."""
        words, last_words, nouns = self._words, self._last_words, NOUNS + MANY
        capitals = [word.capitalize() for word in DETERMINERS]
        yield self._at("opening"), words(0.4, OPENERS[self.number], "determiner") + words(0.6, capitals, "subject")
        yield self._at("determiner"), words(1.0, DETERMINERS, "subject")
        yield self._at("subject"), words(0.35, ADJECTIVES, "subject noun") + self._subject(0.65)
        yield self._at("subject noun"), self._subject(1.0)
        yield self._at("verb of one"), self._verb([f"{verb}s" for verb in TAKING], [f"{verb}s" for verb in RESTING])
        yield self._at("verb of many"), self._verb(TAKING, RESTING)
        yield self._at("object's determiner"), words(1.0, DETERMINERS, "object")
        object_goes_on = words(0.35, ADJECTIVES, "last noun") + words(0.2, NOUNS, "preposition")
        yield self._at("object"), object_goes_on + last_words(0.45, nouns)
        yield self._at("preposition"), words(1.0, PREPOSITIONS, "last determiner")
        yield self._at("last determiner"), words(1.0, DETERMINERS, "last")
        yield self._at("last"), words(0.35, ADJECTIVES, "last noun") + last_words(0.65, nouns)
        yield self._at("last noun"), last_words(1.0, nouns)

    def _at(self, slot: str) -> Place:
        return Place(slot, self.speaker, self.number)

    def _words(self, probability: float, words: Sequence[str], then: str) -> list[Choice]:
        return _spread(probability, words, " ", self._at(then), self.speaker)

    def _last_words(self, probability: float, words: Sequence[str]) -> list[Choice]:
        ends = self._ends()
        return [c for mark, p, then in ends for c in _spread(probability * p, words, mark, then, self.speaker)]

    def _subject(self, probability: float) -> list[Choice]:
        one = probability * len(NOUNS) / len(NOUNS + MANY)
        return self._words(one, NOUNS, "verb of one") + self._words(probability - one, MANY, "verb of many")

    def _verb(self, taking: Sequence[str], resting: Sequence[str]) -> list[Choice]:
        goes_on = self._words(0.6, taking, "object's determiner") + self._words(0.3, resting, "preposition")
        return goes_on + self._last_words(0.1, resting)

    def _ends(self) -> list[tuple[str, float, Place]]:
        """Returns the possible ends of the line: (mark, probability, following context)."""
        last, temper = LAST_LINE[self.number], SPEAKERS[self.speaker].temper
        answer = Place("answer", self.speaker, 0)
        ends = [(".\n\n", last * (1 - temper), answer), ("!\n\n", last * temper, answer)]
        if last < 1:
            # A comma, because a full stop with one line break would be a prefix of the end of a speech.
            ends.append((",\n", 1 - last, Place("opening", self.speaker, self.number + 1)))
        return ends


def _spread(probability: float, words: Sequence[str], mark: str, then: Place, speaker: str) -> list[Choice]:
    """Splits `probability` among the words; a favourite of the speaker gets FAVOURED times another word's share."""
    shares = [FAVOURED if word in SPEAKERS[speaker].favourites else 1.0 for word in words]
    scale = probability / sum(shares)
    return [Choice(word + mark, scale * share, then) for word, share in zip(words, shares, strict=True)]
