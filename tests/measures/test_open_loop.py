"""Tests the measures of open loop against formulas, and with a good and a bad model of a known source."""

import dataclasses
import math

import numpy as np
import pytest
import rounding

from charrnn.errors import UserError
from charrnn.generation.generator import OWN
from charrnn.measures import impossible, open_loop, scores, text_measures
from charrnn.measures.exact_source import ExactSource
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Protocol
from charrnn.measures.rollouts import Reader
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdef")
SMALL = Protocol(num_rollouts=8, num_chars=60, seed=3, warm_up=10)


@pytest.fixture(scope="module")
def letters():
    """Returns training and validation text of independent random letters."""
    random = np.random.default_rng(0)
    return np.minimum(random.geometric(0.4, 3000), 6), np.minimum(random.geometric(0.4, 900), 6)


def test_pieces_lie_at_equal_distances():
    pieces = Protocol(num_rollouts=3, num_chars=50, warm_up=10).pieces(np.arange(161))
    assert pieces[:, 0].tolist() == [0, 50, 101]
    assert (np.diff(pieces, axis=1) == 1).all() and pieces.shape == (3, 60)
    with pytest.raises(UserError, match=r"has 59 characters, but a rollout of 50 after 10 needs 60: .*--num_chars"):
        Protocol(num_rollouts=3, num_chars=50, warm_up=10).pieces(np.arange(59))


def test_pieces_of_training_text_have_no_warm_up():
    protocol = Protocol(num_rollouts=3, num_chars=50, warm_up=10)
    assert protocol.pieces(np.arange(150), "training")[:, [0, -1]].tolist() == [[0, 49], [50, 99], [100, 149]]
    with pytest.raises(UserError, match="The training text has 49 characters, but a rollout of 50 needs 50: give"):
        protocol.pieces(np.arange(49), "training")


@pytest.mark.parametrize(
    "wrong", [{"num_rollouts": 1}, {"num_chars": 49}, {"seed": -1}, {"seed": 2**31 - 5}, {"epsilon": 1.0}]
)
def test_impossible_protocols_are_refused(wrong):
    with pytest.raises(UserError, match=f"--{next(iter(wrong))}"):
        Protocol(**wrong)


def test_a_known_source_adds_its_measures(make_model, swap):
    source, vocabulary, reference = swap
    reader = Reader(make_model(vocabulary.size), vocabulary.unknown_id)
    train, validation = (vocabulary.encode(source.text(3000, seed)) for seed in (1, 2))
    protocol = Protocol(40, 60, seed=3, warm_up=10, epsilon=0.3)
    found = open_loop.measure(reader, reference, vocabulary, train, validation, 1.5, protocol).measures
    ids, log_probs = reader.read(protocol.start(protocol.pieces(validation)), protocol.seeds, epsilon=0.3)
    q, probs = np.exp(reader.choices(log_probs, epsilon=0.3)), reference.distributions(ids)
    assert 0 < (q[:, 10:, 1:] == 0).mean() < 1
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(q > 0, q * np.log(q / probs), 0).sum(-1)[:, 10:]
        entropy = np.where(q > 0, -q * np.log(q), 0).sum(-1)[:, 10:]
    marked = np.isclose(np.take_along_axis(probs, ids[..., None].astype(int), -1)[..., 0], reference.floor)[:, 10:]
    value, real, error = found["divergence_open"]
    assert value == pytest.approx(divergence.mean(), rel=rounding.MODEL)
    assert 0 < real < -math.log(0.9)  # 0.1 is the slip
    assert found["own_entropy"].value == pytest.approx(entropy.mean(), rel=rounding.MODEL)
    difference = found["reference_loss"].value - found["own_entropy"].value
    assert abs(difference - value) < 4 * (error + found["reference_loss"].error)
    assert found["impossible"][:2] == (pytest.approx(1000 * marked.mean()), 0)
    assert found["first_impossible"][:2] == (impossible.before_first(marked), 60)
    after, error = impossible.after_error(marked)
    assert found["error_after_error"] == (pytest.approx(after), None, pytest.approx(error))
    grams = open_loop.measure(reader, KneserNey(train, 4, 3), vocabulary, train, validation, 1.5, protocol).measures
    assert set(found) - set(grams) == {
        *("divergence_open", "divergence_open_slip_0.001", "divergence_open_slip_0.01"),
        *("impossible", "first_impossible", "error_after_error"),
    }
    assert grams["own_entropy"][:2] == (found["own_entropy"].value, None)


@pytest.mark.parametrize("slip", [0.001, 0.01])
def test_the_divergence_at_another_slip_equals_a_reference_with_that_slip(make_model, swap, slip):
    source, vocabulary, reference = swap
    reader = Reader(make_model(vocabulary.size), vocabulary.unknown_id)
    texts = [vocabulary.encode(source.text(3000, seed)) for seed in (1, 2)]
    protocol = Protocol(20, 60, seed=3, warm_up=10, epsilon=0.3)
    found, expected = (
        open_loop.measure(reader, judge, vocabulary, *texts, 1.5, protocol).measures
        for judge in (reference, ExactSource(source, vocabulary, slip))
    )
    at_slip = found[f"divergence_open_slip_{slip}"]
    assert at_slip == pytest.approx(expected["divergence_open"])
    assert at_slip.value > 1.2 * found["divergence_open"].value  # at the reference's slip, 0.1
    assert expected[f"divergence_open_slip_{slip}"] == pytest.approx(expected["divergence_open"])


def test_excess_error_and_drift_equal_their_formulas():
    own, gold = np.array([[2.0, 4.0], [6.0, 8.0]]), np.array([[1.0, 3.0], [2.0, 2.0]])
    value, error = open_loop.excess_error(own, gold)
    assert value == pytest.approx(150)  # 5 / 2
    residuals = [(3 - 2.5 * 2) / 2, (7 - 2.5 * 2) / 2]
    assert error == pytest.approx(100 * np.std(residuals, ddof=1) / math.sqrt(2))
    nats = np.array([[1.0, 9, 9, 9, 9, 9, 9, 9, 9, 4], [2, 1, 9, 9, 9, 9, 9, 9, 5, 4]])
    value, error = open_loop.drift(nats)
    differences = [(9 + 4) / 2 - (1 + 9) / 2, (5 + 4) / 2 - (2 + 1) / 2]
    assert value == pytest.approx(np.mean(differences))
    assert error == pytest.approx(np.std(differences, ddof=1) / math.sqrt(2))


def test_standard_errors_equal_the_spread_of_repeated_experiments():
    random = np.random.default_rng(0)
    x = random.gamma(2.0, size=(3000, 40))
    y = x + random.gamma(2.0, size=(3000, 40))
    found = np.array([open_loop.ratio_of_means(*pair) for pair in zip(x, y, strict=True)])
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.1)


@pytest.mark.parametrize("epsilon", [0.0, 0.15])
def test_recovery_equals_single_calls_of_the_reader(make_model, letters, epsilon):
    model, pieces, protocol = make_model(), SMALL.pieces(letters[1]), dataclasses.replace(SMALL, epsilon=epsilon)
    reader = Reader(model, LETTERS.unknown_id)

    def loss(row, between, seed):
        """Returns the mean loss of the 50 characters after the warm-up, which the model reads after `between`."""
        row = np.concatenate([row[:10], between, row[10:60]])[None]
        ids, log_probs = reader.read(row, np.array([seed]), epsilon=epsilon)
        return -np.mean([log_probs[0, t, ids[0, t]] for t in range(ids.shape[1] - 50, ids.shape[1])])

    measures = open_loop.recovery_after(reader, pieces, protocol)
    assert list(measures) == [10, 50]
    for k in measures:
        own, real, unrelated, gold = (
            np.mean([loss(row, between(i, row), 3 + i) for i, row in enumerate(pieces)])
            for between in (
                lambda i, row: np.full(k, OWN),  # noqa: B023
                lambda i, row: row[10 : 10 + k],  # noqa: B023
                lambda i, row: pieces[(i + 4) % 8, 10 : 10 + k],  # noqa: B023
                lambda i, row: row[:0],
            )
        )
        assert measures[k].value == pytest.approx((own - gold) / (unrelated - gold), rel=1e-3)
        assert measures[k].real == pytest.approx((real - gold) / (unrelated - gold), rel=1e-3)


def test_measure_gives_the_measures_of_its_parts(make_model, letters):
    train, validation = letters
    reader, reference = Reader(make_model(), 0), KneserNey(train, 7, 3)
    report = open_loop.measure(reader, reference, LETTERS, train, validation, 1.5, SMALL)
    rows = SMALL.pieces(validation)
    gold = scores.score_predictions(*reader.read(rows, SMALL.seeds), reference).after(10)
    rows[:, 10:] = OWN
    own = scores.score_predictions(*reader.read(rows, SMALL.seeds), reference).after(10)
    measures = report.measures
    excess = 100 * (own.divergence.mean() / gold.divergence.mean() - 1)
    assert measures["excess_error_60"].value == pytest.approx(excess)
    assert measures["reference_loss"].value == pytest.approx(own.reference_nats.mean())
    assert measures["reference_loss"].real == pytest.approx(gold.reference_nats.mean())
    assert measures["entropy_drift"].value == pytest.approx(own.nats[:, -12:].mean() - 1.5)
    assert measures["reference_loss_drift"].real == pytest.approx(open_loop.drift(gold.reference_nats)[0])
    assert measures["copied_20"].real == text_measures.copied(gold.ids, train)
    curve = report.curves["nats_per_char"]
    assert curve.positions == list(range(3, 61, 3))
    assert curve.own[1] == pytest.approx(own.nats[:, 3:6].mean())
    assert curve.real[-1] == pytest.approx(gold.nats[:, -3:].mean())
    assert report.curves["recovery"].own == [measures["recovery_10"].value, measures["recovery_50"].value]
    assert open_loop.measure(reader, reference, LETTERS, train, validation, 1.5, SMALL) == report


@pytest.fixture(scope="module")
def plays():
    source = Plays()
    return source, Vocabulary(source.characters)


def texts_of(plays, seeds, length=600):
    """Returns pieces of the source's text, one per seed, without the first 300 characters of the text."""
    source, vocabulary = plays
    return np.stack([vocabulary.encode(source.text(length + 300, seed)[300:]) for seed in seeds])


def blurred(reference, rows):
    """Returns the predictions of a good model: the source's, a little too uncertain; ln p `[R, T, V]`."""
    probs = reference.distributions(rows) ** 0.8
    return np.log(probs / probs.sum(-1, keepdims=True))


def written_by(reference, rows, length, seed):
    """Continues rows with samples of n-grams, which see the last five characters."""
    random = np.random.default_rng(seed)
    for _ in range(length):
        recent = np.pad(rows[:, -5:], ((0, 0), (0, 1)))  # the last column is ignored
        cumulative = reference.distributions(recent)[:, -1].cumsum(-1)
        chosen = (cumulative < random.random((len(rows), 1))).sum(-1)
        rows = np.concatenate([rows, np.minimum(chosen, cumulative.shape[1] - 1)[:, None]], axis=1)
    return rows


def test_text_of_the_source_has_no_excess_error_and_no_drift(plays):
    reference = ExactSource(*plays)
    own, gold = (
        scores.score_predictions(rows, blurred(reference, rows), reference).after(100)
        for rows in (texts_of(plays, range(30)), texts_of(plays, range(100, 130)))
    )
    excess, error = open_loop.excess_error(own.divergence, gold.divergence)
    assert abs(excess) < 4 * error < 20
    drift, error = open_loop.drift(own.reference_nats)
    assert abs(drift) < 4 * error < 0.15
    level, error = open_loop.mean(own.reference_nats)
    assert abs(level - plays[0].entropy_rate) < 4 * error < 0.1


def test_a_bad_model_has_an_excess_error_and_a_drift(plays):
    """The model is a 6-gram, which is nearer to the source on the source's text than on its own text."""
    exact, gold_rows = ExactSource(*plays), texts_of(plays, range(100, 120), 500)
    grams = KneserNey(plays[1].encode(plays[0].text(100_000, seed=9)), plays[1].size, 6)
    own, gold = (
        scores.score_predictions(rows, np.log(grams.distributions(rows)), exact)
        for rows in (written_by(grams, gold_rows[:, :100], 400, seed=0), gold_rows)
    )
    excess, error = open_loop.excess_error(own.after(100).divergence, gold.after(100).divergence)
    assert excess > 4 * error
    drift, error = open_loop.drift(own.reference_nats)  # the first fifth is still the source's
    assert drift > 4 * error
