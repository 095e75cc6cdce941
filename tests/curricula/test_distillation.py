"""Tests distillation: divergences against finite differences, the loss by hand, the optimum with an exact teacher."""

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf
from run_by_hand import write_run
from two_characters import DEPENDENT

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.errors import UserError
from charrnn.text.vocabulary import Vocabulary
from trainers.curricula import distillation
from trainers.curricula.distillation import DIVERGENCES, Distillation
from trainers.experiment import Experiment, override, with_trainer
from trainers.launch import build
from trainers.loop.checkpoints import Checkpoints
from trainers.teachers.networks import Networks
from trainers.teachers.stored import Stored
from trainers.trainer import Rollout, Trainer

Config = Distillation.Config
NO_TEXT = np.zeros(0, np.uint8)
TEXTS = Texts("mine", "", Vocabulary.from_text("abcdef"), NO_TEXT, NO_TEXT)


class Fixed:
    """A teacher whose distribution depends on the last character only."""

    fingerprint = 1

    def __init__(self, probs):
        self._log_probs = tf.constant(np.log(probs), tf.float32)

    def initial_state(self, batch_size):
        return ()

    def __call__(self, ids, state, batch=None):
        return tf.gather(self._log_probs, ids), state


@pytest.fixture
def make(make_model, make_trainer, monkeypatch):
    """Builds a prepared trainer. Its teacher is the given one, or another model."""

    def make(teacher=None, model=None, optimizer=None, cls=Distillation, **arguments):
        model = make_model() if model is None else model
        with monkeypatch.context() as patched:
            teacher = teacher or Networks([make_model(seed=9)])
            patched.setattr(cls, "_load", lambda self, texts: teacher)
            trainer = make_trainer(cls, model, optimizer, **arguments)
            trainer.prepare(TEXTS)
        return trainer

    return make


def distributions(seed, shape=(2, 3, 5)):
    probs = np.random.default_rng(seed).gamma(0.5, 1, shape) + 1e-3
    return probs / probs.sum(-1, keepdims=True)


def by_definition(name, t, q, beta):
    kl = lambda a, b: (a * np.log(a / b)).sum(-1)  # noqa: E731
    mixed = beta * t + (1 - beta) * q
    jsd = beta * kl(t, mixed) + (1 - beta) * kl(q, mixed)
    return {"forward": kl(t, q), "reverse": kl(q, t), "jsd": jsd}[name]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name, beta", [("forward", 0.5), ("reverse", 0.5), ("jsd", 0.5), ("jsd", 0.1)])
def test_a_divergence_equals_its_definition_and_its_gradient_finite_differences(name, beta, compiled):
    t, logits = distributions(0), np.log(distributions(1)) + 0.7

    def of_logits(logits):
        q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return by_definition(name, t, q, beta)

    def found(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = distillation.divergence(name, tf.constant(np.log(t)), tf.nn.log_softmax(logits), beta)
        return value, tape.gradient(value, logits)

    value, gradient = (tf.function(found) if compiled else found)(tf.constant(logits))  # in float64
    np.testing.assert_allclose(value, of_logits(logits), rtol=1e-12)
    step = 1e-5  # central differences err by about step², rounding by about 1e-16 / step
    for place in np.ndindex(logits.shape):
        change = np.zeros_like(logits)
        change[place] = step
        slope = (of_logits(logits + change) - of_logits(logits - change)).sum() / (2 * step)
        assert gradient[place].numpy() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("after_mistake", ["teacher", "nothing"])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_loss_and_the_logged_means_equal_their_formulas(make, name, after_mistake):
    config = Config(divergence=name, beta=0.3, soft_share=0.4, own_share=0.5, after_mistake=after_mistake)
    trainer, random = make(config=config), np.random.default_rng(2)
    batch = trainer.batch_at(0)
    weights = random.random(batch.weights.shape).astype(np.float32)
    fed = np.where(random.random(weights.shape) < 0.3, 6 - batch.inputs, batch.inputs).astype(np.int32)
    t, q = distributions(3, (3, 5, 7)), distributions(4, (3, 5, 7))
    strayed = np.cumprod(fed == batch.inputs, axis=1) == 0
    assert 0 < strayed.mean() < 1
    logits = tf.constant(np.log(q) - 2, tf.float32)
    extra = (tf.constant(np.log(t), tf.float32), tf.constant(strayed))
    loss, logged = trainer.loss(Rollout(logits, fed, fed != batch.inputs, (), extra), batch._replace(weights=weights))
    text = -np.log(np.take_along_axis(q, batch.targets[..., None], -1)[..., 0])
    apart = by_definition(name, t, q, 0.3)
    counted = weights * (~strayed if after_mistake == "nothing" else 1)
    expected = (counted * np.where(strayed, apart, 0.6 * text + 0.4 * apart)).sum() / counted.sum()
    mean = lambda values: (weights * values).sum() / weights.sum()  # noqa: E731
    assert float(loss) == pytest.approx(expected, rel=rounding.MODEL)
    assert float(logged["teacher_gap"]) == pytest.approx(mean(by_definition("forward", t, q, 0)), rel=rounding.MODEL)
    for name, p in (("own_entropy", q), ("teacher_entropy", t)):
        assert float(logged[name]) == pytest.approx(mean(-(p * np.log(p)).sum(-1)), rel=rounding.MODEL)
    assert float(logged["strayed"]) == pytest.approx(mean(strayed), rel=rounding.MODEL)


def test_distillation_without_shares_equals_teacher_forcing_to_the_bit(make, make_model, make_trainer):
    trainer, forced = make(config=Config(soft_share=0.0)), make_trainer(Trainer, make_model())
    for step in range(3):
        batch = forced.batch_at(step)
        one, other = trainer.train_step(batch), forced.train_step(batch)
        assert {name: float(one[name]) for name in other} == {name: float(other[name]) for name in other}
        assert float(one["teacher_gap"]) > 0
    for got, expected in zip(trainer.model.get_weights(), forced.model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_rows_are_own_after_their_beginning_and_the_teacher_reads_the_same_ids(make, make_model):
    data = {"batch_size": 40, "seq_length": 9}
    trainer = make(config=Config(own_share=0.5, beginning=3), data=data)
    batch = trainer.batch_at(0)
    rollout = trainer.forward(batch, trainer.initial_state(40))
    own = rollout.own.numpy()
    assert not own[:, :3].any() and (own[:, 3:] == own[:, 3:4]).all()
    assert 0.5 - 4 * np.sqrt(0.25 / 40) <= own[:, 3].mean() <= 0.5 + 4 * np.sqrt(0.25 / 40)
    log_probs, strayed = rollout.extra
    logits, _ = make_model(seed=9)(rollout.fed)
    np.testing.assert_allclose(log_probs, tf.nn.log_softmax(logits), atol=rounding.MODEL)
    assert strayed.numpy()[own[:, 3]].any() and not strayed.numpy()[~own[:, 3]].any()


def test_a_stored_teacher_gives_the_distributions_after_all_earlier_text(make, make_model):
    text = np.random.default_rng(6).integers(0, 7, 2000)
    teacher = Networks([make_model(seed=9)])
    config = Config(teacher="a run", stored=True)
    trainer = make(Stored(teacher, text, 7), config=config, text=text)
    batch = trainer.batch_at(0)
    log_probs = trainer.forward(batch, trainer.initial_state(len(batch.inputs))).extra[0]
    whole, _ = teacher(tf.constant(text[None], tf.int32), teacher.initial_state(1))
    right = whole.numpy()[0][batch.places[:, None] + np.arange(batch.inputs.shape[1])]
    np.testing.assert_allclose(log_probs, right, atol=2.0**-8 + rounding.MODEL)  # float16
    assert float(trainer.train_step(batch)["teacher_gap"]) > 0
    trainer.source.batch_at = lambda step, rows=None: batch._replace(places=-1)
    with pytest.raises(UserError, match=r"^trainer\.stored=true is not possible: .* places in the text"):
        trainer.batch_at(1)


def test_streams_carry_the_teachers_state_and_the_mistakes(make, make_model):
    text = np.random.default_rng(6).integers(0, 7, 2000)
    data = {"order": "streams", "batch_size": 3, "seq_length": 5}
    trainer = make(config=Config(own_share=1.0, beginning=1), text=text, data=data)
    batches = [trainer.batch_at(step) for step in range(2)]
    first = trainer.forward(batches[0], trainer.initial_state(3))
    trainer.train_step(batches[0])
    tf.nest.map_structure(np.testing.assert_array_equal, trainer.carried, first.state)
    assert first.extra[1].numpy()[:, -1].all()
    second = trainer.forward(batches[1], trainer.carried)
    assert second.extra[1].numpy().all()
    logits, _ = make_model(seed=9)(tf.concat([first.fed, second.fed], 1))
    both = tf.concat([first.extra[0], second.extra[0]], 1)
    np.testing.assert_allclose(both, tf.nn.log_softmax(logits), atol=rounding.MODEL)


@pytest.mark.parametrize("after_mistake", ["teacher", "nothing"])
def test_parts_of_a_batch_give_the_numbers_of_the_whole(make, relative_error, after_mistake):
    config = Config(own_share=0.7, beginning=2, after_mistake=after_mistake)
    whole, parts = (make(config=config, accumulate=accumulate) for accumulate in (1, 3))
    batch = whole.batch_at(0)
    assert relative_error(parts.gradients(batch), whole.gradients(batch)) < rounding.MODEL
    one, other = whole.train_step(batch), parts.train_step(batch)
    for name in ("teacher_gap", "own_entropy", "teacher_entropy", "strayed"):
        assert float(one[name]) > 0 and float(other[name]) == pytest.approx(float(one[name]), rel=rounding.MODEL)


def test_a_resumed_run_has_its_variables_and_the_same_teacher(make, make_model, tmp_path):
    def run(seed):
        trainer = make(Networks([make_model(seed=seed)]), config=Config(own_share=1.0, beginning=1))
        return trainer, Checkpoints(str(tmp_path), trainer, keep=1)

    trainer, checkpoints = run(9)
    trainer.train_step(trainer.batch_at(0))
    checkpoints.save(1)
    saved = tf.train.list_variables(str(tmp_path / "checkpoints" / "step-1"))
    assert sum(shape == [5, 18] for _, shape in saved) == 3  # the input kernel and its two slots; none of the teacher
    expected = trainer.train_step(trainer.batch_at(1))
    resumed, checkpoints = run(9)
    checkpoints.restore()
    got = resumed.train_step(resumed.batch_at(1))
    assert {name: float(value) for name, value in got.items()} == {k: float(v) for k, v in expected.items()}
    other, checkpoints = run(8)
    checkpoints.restore()
    with pytest.raises(UserError, match=r"^trainer\.teacher=source is not possible: this run started with another"):
        other.check(10)


@pytest.mark.parametrize(
    "field, value",
    [
        ("divergence", "kl"),
        ("beta", 0.0),
        ("beta", 1.0),
        ("soft_share", 1.1),
        ("own_share", -0.1),
        ("own_share", float("nan")),
        ("beginning", 0),
        ("after_mistake", "text"),
    ],
)
def test_config_refuses(field, value):
    with pytest.raises(UserError, match=rf"trainer\.{field}={value} is not possible"):
        Config(**{field: value})


def test_an_impossible_teacher_is_refused_before_the_first_step(make_model, make_trainer, tmp_path):
    def refused(teacher, texts=TEXTS, **settings):
        trainer = make_trainer(Distillation, make_model(), config=Config(teacher=teacher, **settings))
        with pytest.raises(UserError, match=rf"^trainer\.teacher={teacher} is not possible") as error:
            trainer.prepare(texts)
        return str(error.value)

    assert "the exact source of mine, as it is read here, is not known" in refused("source")
    data = DataConfig(lowercase=True)
    read = load_texts("plays:20000", data, lambda line: None)
    assert "the exact source of plays" in refused("source", read)
    assert "unless optimizer.averaging is above 0" in refused("average")
    assert "must be source, average, ngram, or run directories" in refused("")
    assert "is not a run directory" in refused(str(tmp_path))
    other = write_run(tmp_path / "run", make_model(5), Vocabulary.from_text("abcd"))
    assert "has another vocabulary than this run (only in the other: 'e', 'f')" in refused(other)
    with pytest.raises(UserError, match=r"has no teacher: call its prepare\(texts\)"):
        make_trainer(Distillation, make_model()).check(10)
    with pytest.raises(UserError, match=r"trainer\.stored=True is not possible: it must be false unless runs teach"):
        Config(teacher="ngram", stored=True)
    with pytest.raises(UserError, match=r"trainer\.stored=True is not possible: it must be false with own inputs"):
        Config(teacher="a run", stored=True, own_share=0.5)
    streams = {"order": "streams"}
    with pytest.raises(UserError, match=r"trainer\.after_mistake=nothing is not possible: .*data\.order=streams"):
        make_trainer(Distillation, make_model(), config=Config(after_mistake="nothing"), data=streams)


@pytest.mark.slow
@pytest.mark.parametrize("teacher", ["source", "average", "ngram", "network", "stored"])
def test_a_run_finds_its_teacher(make_model, tmp_path, teacher):
    texts = load_texts("plays:9000", DataConfig(), lambda line: None)
    network = write_run(tmp_path / "run", make_model(texts.vocabulary.size), texts.vocabulary)
    settings = ["optimizer.averaging=0.9", "data.seq_length=20", "data.batch_size=4", "model.units=8"]
    settings.append("model.temperature=1.5")  # not in training, where the average is read too
    name = network if teacher in ("network", "stored") else teacher
    stored = ["trainer.stored=true"] if teacher == "stored" else []
    experiment = override(with_trainer(Experiment("plays:9000"), "distillation"), settings)
    trainer = build.make_trainer(override(experiment, [f"trainer.teacher={name}", *stored]), texts)
    measured = trainer.train_step(trainer.batch_at(0))
    assert np.isfinite(float(measured["teacher_gap"]))
    assert (float(measured["teacher_gap"]) == pytest.approx(0, abs=rounding.MODEL)) == (teacher == "average")


@pytest.mark.slow
@pytest.mark.parametrize(
    "own_share, name, soft_share",
    [(0.5, "forward", 0.5), (1.0, "forward", 1.0), (1.0, "jsd", 1.0), (0.5, "reverse", 0.5)],
)
def test_with_an_exact_teacher_the_optimum_is_the_texts_distribution_for_every_share(
    make, make_model, own_share, name, soft_share
):
    """The teacher gives the exact distributions after 0 (the beginning), A and B; 0 never follows.

    test_scheduled_sampling.py has the optimum with the text's characters as targets.
    """
    never = 1e-6
    teacher = Fixed([[never, a, 1 - a - never] for a in (0.7, *DEPENDENT.given_z)])
    model = make_model(3, units=4, embedding_size=0)
    config = Config(divergence=name, soft_share=soft_share, own_share=own_share, beginning=1)

    class OfTwo(Distillation):
        """Distillation on texts of two characters."""

    trainer = OfTwo(model, DEPENDENT, keras.optimizers.Adam(0.03), config, seed=1)
    trainer._load = lambda texts: teacher
    trainer.prepare(TEXTS)
    for step in range(200):
        measured = trainer.train_step(trainer.batch_at(step))
    learnt = tf.nn.softmax(model(tf.constant([[0, 1], [0, 2]]))[0])[:, :, 1]
    np.testing.assert_allclose(learnt[:, 0], 0.7, atol=0.02)
    np.testing.assert_allclose(learnt[:, 1], DEPENDENT.given_z, atol=0.03)
    assert 0.1 < float(measured["strayed"]) < 0.5 and float(measured["teacher_gap"]) < 0.005
