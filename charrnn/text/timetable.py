"""Generates the built-in corpus `timetable`: fixed-width lines in which each character depends on its column only.

    timetable = Timetable()
    timetable.text(1_000_000, seed=0)
    timetable.next_distribution("17:05 N1")      # of column 8, whatever the columns before it contain
    timetable.entropy_rate                       # nats per character: the lower bound of a model's loss

The text is time-locked: the next character is independent of the characters before it, given the position in the
line. Therefore the text's next character stays the right target after a character that a model wrote itself, and
the optimum of curricula with such inputs is the true distribution, as with teacher forcing. In `plays` and in natural
text it is not (Huszár 2015, arXiv 1511.05101). This holds once the model knows the column. Before that, at the start
of a row from the zero state, an own line feed may announce a line that does not begin.

A model must find the column in the text. Only the line feed tells it with certainty: it is always the last character
of a line and never another one. All other columns contain misprints, also the separators. So the distribution of the
next character is a function of the number of characters since the last line feed.
"""

from collections import Counter

from charrnn.text.finite_state import Choice, FiniteStateSource

COLUMNS = (
    *("0111", "0123456789", ":", "001122345", "0000055555123"),  # time of departure
    *(" ", "NNNRRS", "1112234"),  # line
    *" gate ",
    "1122345678",
    *(" ", "+", "00000112345"),  # delay
)
"""The correct characters of each column but the last; one that occurs k times is k times as likely."""

MISPRINT = 0.02  # probability that a character other than the line feed is drawn from all of them with equal chances


class Timetable(FiniteStateSource):
    """The source of the corpus `timetable`. Its contexts are the columns, from 0; only `text` uses a seed.

    As the reference of an evaluation (`ExactSource`), it judges a wrong character like any other text: it is a
    misprint, which has a probability and leaves the column unchanged. Only a misplaced line feed, or another character
    where the line feed is due, is impossible and costs the slip. After an impossible line feed a new line begins,
    because the column is the number of characters since the last line feed. After another impossible character the
    column is inferred from the text that follows, and is certain again at the next line feed.
    """

    def __init__(self):
        printed = sorted(set().union(*COLUMNS))
        rules = {column: _choices(correct, printed, column + 1) for column, correct in enumerate(COLUMNS)}
        rules[len(COLUMNS)] = [Choice("\n", 1.0, 0)]
        super().__init__(rules, start=0)


def _choices(correct: str, printed: list[str], then: int) -> list[Choice]:
    """Returns (1 - MISPRINT) · the correct characters' shares + MISPRINT · uniform."""
    counts = Counter(correct)
    shares = {character: counts[character] / len(correct) for character in printed}
    return [Choice(c, (1 - MISPRINT) * share + MISPRINT / len(printed), then) for c, share in shares.items()]
