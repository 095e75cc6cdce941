"""Tests the settings of an experiment: each can be changed, and an impossible value is reported in one sentence."""

import dataclasses
import json
import sys
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import UserError
from charrnn.model.config import ModelConfig
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.experiment import TRAINERS, Experiment, override, registered, to_dict, with_trainer
from trainers.trainer import Trainer


class Curriculum(Trainer):
    """A curriculum with a setting of every type and no limits."""

    @dataclasses.dataclass(frozen=True)
    class Config:
        number: int = 1
        share: float = 0.5
        loud: bool = False
        word: str = "a"
        words: tuple[str, ...] = ("a", "b")
        shares: tuple[float, ...] = (0.5,)


FREE = Experiment(trainer_class=Curriculum, trainer=Curriculum.Config())
LSTM = ModelConfig(cell="lstm")  # the cell with which all settings are possible
SCHEDULED = Experiment(model=LSTM, trainer_class=ScheduledSampling, trainer=ScheduledSampling.Config())

SETTABLE = {
    "model.cell": ("rnn", "rnn"),
    "model.units": ("512", 512),
    "model.num_layers": ("3", 3),
    "model.embedding_size": ("0", 0),
    "model.recurrent_initializer": ("glorot_uniform", "glorot_uniform"),
    "model.longest_memory": ("100", 100),
    "model.skip_connections": ("true", True),
    "model.weight_drop": ("0.3", 0.3),
    "model.embedding_dropout": ("0.05", 0.05),
    "model.layer_dropout": ("0.2", 0.2),
    "model.output_dropout": ("0.4", 0.4),
    "model.zoneout": ("0.1", 0.1),
    "model.zoneout_cell": ("0.1", 0.1),
    "model.temperature": ("1.2", 1.2),
    "data.seq_length": ("50", 50),
    "data.batch_size": ("16", 16),
    "data.order": ("streams", "streams"),
    "data.reset_probability": ("0.1", 0.1),
    "data.stride": ("10", 10),
    "data.vocabulary": ("bytes", "bytes"),
    "data.targets": ("last", "last"),
    "data.lowercase": ("true", True),
    "data.csv_column": ("2", 2),
    "data.csv_delimiter": (";", ";"),
    "data.csv_header": ("true", "true"),
    "data.encoding": ("cp1252", "cp1252"),
    "data.normalization": ("NFC", "NFC"),
    "data.validation_fraction": ("0.2", 0.2),
    "data.validation_chars": ("1000", 1000),
    "data.within_documents": ("true", True),
    "data.overfit_batches": ("1", 1),
    "data.test_fraction": ("5e-2", 0.05),
    "optimizer.name": ("rmsprop", "rmsprop"),
    "optimizer.learning_rate": ("2e-3", 0.002),
    "optimizer.accumulate": ("2", 2),
    "optimizer.clip_norm": ("5", 5.0),
    "optimizer.schedule": ("inverse_square_root", "inverse_square_root"),
    "optimizer.warmup_steps": ("9", 9),
    "optimizer.decay_steps": ("90", 90),
    "optimizer.final_share": ("0.01", 0.01),
    "optimizer.weight_decay": ("0.1", 0.1),
    "optimizer.beta_2": ("0.99", 0.99),
    "optimizer.averaging": ("0.99", 0.99),
    "optimizer.label_smoothing": ("0.1", 0.1),
    "trainer.schedule": ("linear", "linear"),
    "trainer.half_step": ("70", 70),
    "trainer.max_prob": ("1", 1.0),
    "trainer.coin": ("row", "row"),
    "trainer.greedy": ("true", True),
    "trainer.temperature": ("0.7", 0.7),
    "trainer.after_mistake": ("nothing", "nothing"),
    "loop.steps": ("7", 7),
    "loop.epochs": ("2.5", 2.5),
    "loop.log_every": ("2", 2),
    "loop.evaluate_every": ("5", 5),
    "loop.save_every": ("5", 5),
    "loop.steps_per_loop": ("5", 5),
    "loop.histograms_every": ("5", 5),
    "loop.profile": ("3,4", (3, 4)),
    "loop.keep": ("9", 9),
    "loop.patience": ("5", 5),
    "loop.min_delta": ("0.01", 0.01),
    "loop.explosion": ("20", 20.0),
    "loop.retries": ("1", 1),
    "samples.prompts": ('["ROMEO:", "JULIET:"]', ("ROMEO:", "JULIET:")),
    "samples.from_text": ("60", 60),
    "samples.temperatures": ("0.5,1", (0.5, 1.0)),
    "samples.epsilon": ("0.004", 0.004),
    "samples.num_chars": ("0", 0),
    "samples.seed": ("4", 4),
    "runtime.precision": ("auto", "auto"),
    "runtime.xla": ("true", True),
    "runtime.strategy": ("one_device", "one_device"),
    "runtime.virtual_replicas": ("2", 2),
    "runtime.worker_timeout": ("5", 5.0),
    "runtime.recurrence": ("keras", "keras"),
}


def fields_of(experiment):
    """Returns {"group.field": value} of all settings."""
    groups = {field.name: getattr(experiment, field.name) for field in dataclasses.fields(experiment)}
    configs = {name: group for name, group in groups.items() if dataclasses.is_dataclass(type(group))}
    return {f"{name}.{key}": value for name, group in configs.items() for key, value in vars(group).items()}


def refused(experiment, *settings):
    """Asserts that settings are refused. Returns the sentence of the message."""
    with pytest.raises(UserError) as error:
        override(experiment, settings)
    sentence = str(error.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_the_table_has_every_setting():
    assert set(SETTABLE) == set(fields_of(SCHEDULED))


@pytest.mark.parametrize("name", SETTABLE)
def test_every_setting_can_be_changed_and_changes_nothing_else(name):
    text, value = SETTABLE[name]
    possible = override(SCHEDULED, ["data.order=streams"]) if name == "data.reset_probability" else SCHEDULED
    before = fields_of(possible)
    changed = override(possible, [f"{name}={text}"])
    assert fields_of(changed) == {**before, name: value} != before
    assert type(fields_of(changed)[name]) is type(value)
    assert fields_of(possible) == before
    assert changed.trainer_class is ScheduledSampling


def test_settings_apply_in_their_order():
    changed = override(FREE, ["model.units=5", "loop.steps=3", "model.units=6"])
    assert (changed.model.units, changed.loop.steps) == (6, 3)
    assert override(FREE, []) == FREE


def test_spaces_around_name_and_value_do_not_matter():
    assert override(FREE, [" model.units = 5 "]).model.units == 5


texts = st.text().filter(lambda text: text == text.strip())
FINITE = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no non-finite numbers
VALUES = {
    "number": st.integers(-(2**63), 2**63 - 1),
    "share": FINITE,
    "loud": st.booleans(),
    "word": texts,
    "shares": st.lists(FINITE).map(tuple),
}


@pytest.mark.parametrize("field", VALUES)
def test_a_value_is_read_back_from_its_text(field):
    @given(VALUES[field])
    def round_trip(value):
        text = ",".join(map(str, value)) if field == "shares" else str(value)
        got = getattr(override(FREE, [f"trainer.{field}={text}"]).trainer, field)
        assert type(got) is type(value) and repr(got) == repr(value)  # `repr`: -0.0 is not 0.0

    round_trip()


@given(st.lists(st.text()).map(tuple))
def test_a_json_list_may_have_texts_with_commas_and_line_breaks(words):
    for text in (json.dumps(words), json.dumps(words, ensure_ascii=False)):
        assert override(FREE, [f"trainer.words={text}"]).trainer.words == words


@pytest.mark.parametrize(
    "setting, words",
    [
        ("trainer.words=", ()),
        ("trainer.words=a", ("a",)),
        ("trainer.words=The end, my friend", ("The end, my friend",)),
        ("trainer.words=[Verse 1]", ("[Verse 1]",)),
        ("trainer.words=[1]", ("[1]",)),
        ("trainer.words=[a, b]", ("[a, b]",)),
        ("trainer.words= To be ", (" To be ",)),
        ("trainer.words = To be ", ("To be",)),
        ('trainer.words=["[1]", "a,b"]', ("[1]", "a,b")),
        ("trainer.word= ", " "),
        (r'trainer.words=["To be, or not", "\n"]', ("To be, or not", "\n")),
        ("trainer.words=[]", ()),
        ("trainer.shares=[0.5, 2]", (0.5, 2.0)),
    ],
)
def test_a_list_is_read_from_plain_text_or_json(setting, words):
    name = setting.partition("=")[0].removeprefix("trainer.").strip()
    assert getattr(override(FREE, [setting]).trainer, name) == words


def test_texts_that_are_given_twice_are_refused_and_numbers_are_not():
    assert "trainer.words" in refused(FREE, "trainer.words=a", "trainer.words=b")
    assert override(FREE, ["trainer.shares=1", "trainer.shares=2"]).trainer.shares == (2.0,)


@pytest.mark.parametrize("text, value", [("True", True), ("FALSE", False), ("true", True)])
def test_true_and_false_are_read_in_any_case(text, value):
    assert override(FREE, [f"trainer.loud={text}"]).trainer.loud is value


@pytest.mark.parametrize(
    "setting, said",
    [
        ("model.unit=5", "There is no setting 'model.unit'; nearest: model.units"),
        ("modle.units=5", "There is no setting 'modle.units'; nearest: model.units"),
        ("trainer.half_stp=5", "There is no setting 'trainer.half_stp'; nearest: trainer.half_step"),
        ("trainer_class.name=5", "There is no setting 'trainer_class.name'"),
        ("seed.x=5", "There is no setting 'seed.x'"),
        ("qqqqqq.x=5", "; there are data.batch_size"),
        ("model.units.x=5", "There is no setting 'model.units.x'; nearest: model.units"),
        ("seed=5", "--set 'seed=5' is not of the form group.field=value"),
        ("model.units", "--set 'model.units' is not of the form group.field=value"),
        ("", "--set '' is not of the form"),
        ("units=0.5", "is not of the form"),
    ],
)
def test_an_unknown_setting_is_reported_with_the_nearest(setting, said):
    assert said in refused(SCHEDULED, setting)


@pytest.mark.parametrize(
    "setting, wanted",
    [
        ("trainer.number=five", "a whole number"),
        ("trainer.number=5.5", "a whole number"),
        ("trainer.number=", "a whole number"),
        ("trainer.number=true", "a whole number"),
        ("trainer.share=half", "a number"),
        ("trainer.share=0,5", "a number"),
        ("trainer.loud=1", "true or false"),
        ("trainer.loud=yes", "true or false"),
        ("trainer.shares=0.5,x", "a number"),
        ("trainer.shares=0.5,", "a number"),
        ("trainer.shares=[[1]]", "a number"),
        ('trainer.words=["a', "a JSON list"),
        ('trainer.words=[ "a", b]', "a JSON list"),
    ],
)
def test_a_value_of_the_wrong_type_is_reported(setting, wanted):
    sentence = refused(FREE, setting)
    assert setting.partition("=")[0] in sentence and f"must be {wanted}" in sentence


@pytest.mark.parametrize(
    "setting",
    [
        "model.cell=qrnn",
        "model.units=0",
        "model.num_layers=0",
        "model.embedding_size=-1",
        "model.recurrent_initializer=wild",
        "data.seq_length=0",
        "data.batch_size=0",
        "data.order=random",
        "data.reset_probability=1.0",
        "data.reset_probability=0.1",  # without data.order=streams
        "data.stride=-1",
        "data.vocabulary=words",
        "data.csv_delimiter=::",
        'data.csv_delimiter="',
        "data.csv_header=yes",
        "data.encoding=cp0",
        "data.encoding=rot13",
        "data.normalization=nfc",
        "data.overfit_batches=-1",
        "optimizer.name=magic",
        "optimizer.learning_rate=0",
        "optimizer.learning_rate=nan",
        "optimizer.learning_rate=inf",
        "optimizer.clip_norm=-1",
        "trainer.schedule=cosine",
        "trainer.half_step=0",
        "trainer.max_prob=1.01",
        "loop.steps=0",
        "loop.log_every=0",
        "loop.evaluate_every=-1",
        "loop.save_every=-1",
        "loop.steps_per_loop=-1",
        "loop.histograms_every=-1",
        "loop.profile=4,3",
        "loop.keep=0",
        "loop.patience=-1",
        "loop.min_delta=-0.1",
        "loop.min_delta=inf",
        "loop.explosion=1",
        "loop.retries=-1",
        "samples.temperatures=0.5,-1",
        "samples.from_text=-1",
        'samples.prompts=[""]',
        "samples.num_chars=-1",
        "runtime.precision=float99",
        "optimizer.accumulate=0",
        "runtime.strategy=many",
        "runtime.virtual_replicas=-1",
        "runtime.worker_timeout=0",
        "runtime.recurrence=slow",
    ],
)
def test_a_value_out_of_range_is_reported(setting):
    name, _, value = setting.partition("=")
    sentence = refused(SCHEDULED, setting)
    assert name.rpartition(".")[2] in sentence and "must be" in sentence
    assert value in sentence or name.startswith("samples")


def test_a_trainer_is_found_by_its_name():
    for name, path in TRAINERS.items():
        experiment = with_trainer(Experiment(seed=7), name)
        cls = experiment.trainer_class
        assert f"{cls.__module__}:{cls.__name__}" == path
        assert experiment == dataclasses.replace(Experiment(seed=7), trainer_class=cls, trainer=cls.Config())
    assert with_trainer(SCHEDULED, "teacher_forcing").trainer == Trainer.Config()


def test_a_curriculum_of_the_package_has_its_name_wherever_its_module_lies():
    for name in TRAINERS:
        assert to_dict(with_trainer(Experiment(), name))["trainer"]["class"] == name
    moved = {"trainers.trainer:Trainer": "teacher_forcing", "trainers.curricula.spans:Spans": "spans"}
    moved |= {"trainers.spans:Spans": "spans", "trainers.two_pass:TwoPass": "two_pass", "spans": "spans"}
    assert {path: registered(path) for path in moved} == moved
    for other in ("mine.spans:Spans", "spans:Spans", "trainers.spans:Mine", "__main__:Trainer", ""):
        assert registered(other) == other


def test_choosing_the_same_trainer_keeps_its_settings():
    experiment = override(SCHEDULED, ["trainer.half_step=70"])
    assert with_trainer(experiment, "scheduled_sampling") is experiment


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a user's module. Returns its name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(content, name="my_curriculum"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # left by another test
        (tmp_path / f"{name}.py").write_text(content)
        return name

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


MINE = """
import dataclasses
from trainers import Trainer

class Mine(Trainer):
    @dataclasses.dataclass(frozen=True)
    class Config:
        height: int = 3

class Plain(Trainer):
    pass

class Other:
    pass

def function():
    pass
"""


def test_a_trainer_outside_of_the_package_is_found_by_module_and_class(module):
    experiment = with_trainer(Experiment(), f"{module(MINE)}:Mine")
    assert issubclass(experiment.trainer_class, Trainer) and experiment.trainer_class.__name__ == "Mine"
    assert override(experiment, ["trainer.height=8"]).trainer.height == 8
    assert to_dict(experiment)["trainer"] == {"class": "my_curriculum:Mine", "height": 3}
    assert with_trainer(Experiment(), "my_curriculum:Plain").trainer == Trainer.Config()


@pytest.mark.parametrize(
    "name, said",
    [
        ("schedueled_sampling", "no trainer 'schedueled_sampling'; nearest: scheduled_sampling"),
        ("", "no trainer ''"),
        ("my_curriculum", "give module:Class"),
        ("my_curriculum:Missing", "trainer='my_curriculum:Missing'"),
        ("my_curriculum:", "trainer='my_curriculum:'"),
        ("my_curriculum:Other", "trainer='my_curriculum:Other'"),
        ("my_curriculum:function", "trainer='my_curriculum:function'"),
        ("my_curriculum:dataclasses", "trainer='my_curriculum:dataclasses'"),
        ("not_there:Mine", "there is no module 'not_there'"),
        ("my_curriculum.inner:Mine", "there is no module 'my_curriculum.inner'"),
        (":Mine", "give module:Class"),
        (".relative:Mine", "give module:Class"),
        ("a..b:Mine", "give module:Class"),
        ("my_curriculum.py:Mine", "there is no module 'my_curriculum.py'"),
        ("./my_curriculum.py:Mine", "give module:Class"),
    ],
)
def test_a_name_of_no_trainer_is_refused(module, name, said):
    module(MINE)
    with pytest.raises(UserError) as error:
        with_trainer(Experiment(), name)
    assert said in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, said",
    [("import not_installed_here", "'not_installed_here'"), ("from math import no_such_name", "'no_such_name'")],
)
def test_a_failing_import_in_a_module_is_reported(module, content, said):
    name = module(content, "incomplete")
    with pytest.raises(UserError, match=f"--trainer=incomplete:Mine: .*{said}"):
        with_trainer(Experiment(), f"{name}:Mine")


def test_other_errors_in_a_module_keep_their_traceback(module):
    with pytest.raises(ZeroDivisionError):
        with_trainer(Experiment(), f"{module('1 / 0', 'broken')}:Mine")


@pytest.mark.parametrize("experiment", [Experiment(), SCHEDULED, FREE], ids=["plain", "scheduled", "free"])
def test_as_json_an_experiment_has_every_setting(experiment):
    described = json.loads(json.dumps(to_dict(experiment), allow_nan=False))
    groups = {"model", "data", "optimizer", "trainer", "loop", "samples", "runtime"}
    assert set(described) == groups | {"corpus", "seed", "init_from"}
    named = described["trainer"].pop("class")
    assert TRAINERS.get(named, named).endswith(f":{experiment.trainer_class.__name__}")
    flat = {f"{group}.{name}": value for group in groups for name, value in described[group].items()}
    as_lists = {name: list(v) if isinstance(v, tuple) else v for name, v in fields_of(experiment).items()}
    assert flat == as_lists
    assert (described["corpus"], described["seed"]) == ("plays", 0)


def test_the_groups_have_the_settings_that_others_rely_on():
    promised = """
        model.cell model.units model.num_layers model.embedding_size
        data.seq_length data.batch_size data.order data.stride
        optimizer.name optimizer.learning_rate optimizer.clip_norm loop.steps loop.log_every loop.evaluate_every
        loop.save_every loop.keep samples.prompts samples.temperatures samples.num_chars
    """
    assert set(promised.split()) <= set(fields_of(Experiment()))


def test_an_experiment_cannot_be_changed():
    for name, value in {"seed": 1, "model": FREE.model}.items():
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(FREE, name, value)
    assert override(FREE, ["trainer.share=0.25"]).trainer.share == 0.25 and FREE.trainer.share == 0.5
    assert typing.get_type_hints(Experiment)["seed"] is int


def test_settings_that_are_possible_only_together_may_come_in_any_order():
    for settings in (["data.targets=last", "data.order=windows"], ["data.order=windows", "data.targets=last"]):
        streams = override(FREE, ["data.order=streams"])
        assert override(streams, settings).data.targets == "last"


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("where", ["loop", "trainer"])
def test_a_setting_that_json_cannot_hold_is_refused(value, where):
    """`loop.explosion=inf` is above the lower limit of the setting, but config.json could not store it."""
    name = {"loop": "loop.explosion", "trainer": "trainer.tolerance"}[where]
    with pytest.raises(UserError, match=f"^{name}={value} is not possible"):
        override(with_trainer(Experiment(), "validation_gated"), [f"{name}={value}"])


def test_a_python_value_without_a_json_form_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Config:
        shape: object = dataclasses.field(default_factory=set)

    with pytest.raises(UserError, match=r"^trainer\.shape=set\(\) is not possible"):
        with_trainer(Experiment(), type("Mine", (Trainer,), {"Config": Config}))
