"""Tests exported models, also in a process that has TensorFlow but not charrnn."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.errors import COOLEST, HOTTEST, UserError
from charrnn.generation.exporting import Serving, export, tflite_step
from charrnn.generation.generator import Generator
from charrnn.generation.loading import Loaded
from charrnn.generation.readme import readme
from charrnn.sampling import Sampler
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

LETTERS = Vocabulary("\nabcdé🎭")
LOWERCASE = Vocabulary("\nabcdiς", reading=Reading(True, "", True))
TWO_LSTM = {"vocabulary_size": 256, "cell": "lstm", "num_layers": 2, "embedding_size": 0}
CASES = {
    "documents": (LETTERS, {"vocabulary_size": 8, "temperature": 0.5}, "\n", Sampler(top_k=5)),
    "lowercase": (LOWERCASE, {"vocabulary_size": 8}, "", Sampler(min_p=0.01, epsilon=0.1)),
    "bytes": (Vocabulary.bytes(), TWO_LSTM, "", None),
}
PROMPTS = {
    "documents": ["", "\nab", "é🎭" * 80],
    "lowercase": ["DIABΣ", "a\r\nB", "\rI"],
    "bytes": ["a", "é🎭!", "b" * 130],
}
TEXTS = {
    "documents": ["abé\n🎭d", "a", "dcba" * 50],
    "lowercase": ["AB\r\nID", "A", "dcba" * 50],
    "bytes": ["abé\n🎭d", "a", "dcba" * 50],
}
STEPS = "\nab\nab"
STRANGER = """
import json, sys
sys.modules["charrnn"] = None  # importing it fails
import numpy as np
import tensorflow as tf

def plain(tensor):
    values = tensor.numpy().tolist()
    return [value.decode("utf-8", "replace") for value in values] if tensor.dtype == tf.string else values

said = {}
for name, asked in json.loads(sys.argv[1]).items():
    signatures = tf.saved_model.load(f"{name}/saved_model").signatures
    generate = signatures["generate"](
        prompt=tf.constant(asked["prompts"]), num_chars=tf.constant(200), seed=tf.constant([3, 4, 5]),
        temperature=tf.constant([1.0, 0.5, 0.0]))
    score = signatures["score"](text=tf.constant(asked["texts"]))
    state = tf.zeros((1, signatures["step"].structured_input_signature[1]["state"].shape[1]))
    steps = []
    for character in asked["steps"]:
        step = signatures["step"](text=tf.constant([character]), state=state)
        state = step["state"]
        steps.append(step["log_probs"][0].numpy().tolist())
    logits = tf.keras.models.load_model(f"{name}/model.keras")(np.array(asked["ids"]))
    said[name] = {"texts": plain(generate["text"]), "nats": plain(score["nats"]), "mean": plain(score["nats_per_char"]),
                  "steps": steps, "characters": [c.hex() for c in step["characters"].numpy()], "logits": plain(logits)}
assert not any(module.split(".")[0] in ("charrnn", "trainers") for module in sys.modules if sys.modules[module])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def models():
    """Returns the cache that `loaded` fills, so that each model is built once."""
    return {}


@pytest.fixture
def loaded(models, make_model):
    for name, (vocabulary, config, end, _) in CASES.items():
        models.setdefault(name, Loaded(make_model(**config), vocabulary, "", end))
    return models


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Exports all cases once, and runs them in a process without charrnn. Returns the results of each case."""
    answers = {}

    def ask(loaded):
        if not answers:
            folder = tmp_path_factory.mktemp("exported")
            for name, case in CASES.items():
                export(loaded[name], str(folder / name), sampler=case[-1], formats=("saved_model", "keras"))
            ids = np.random.default_rng(0).integers(0, 8, (2, 9)).tolist()
            given = {"ids": ids, "steps": STEPS}
            asked = {name: {"prompts": PROMPTS[name], "texts": TEXTS[name], **given} for name in CASES}
            command = [sys.executable, "-I", "-c", STRANGER, json.dumps(asked)]
            turkish = {**os.environ, "LC_ALL": "tr_TR.UTF-8"}  # in Turkish, "I" has another lower case
            process = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=turkish)
            assert process.returncode == 0, process.stderr
            answers.update(json.loads(process.stdout.splitlines()[-1]), ids=ids, folder=folder)
        return answers

    return ask


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_text_without_charrnn(loaded, stranger, case):
    model, vocabulary, end = loaded[case].model, loaded[case].vocabulary, loaded[case].end_of_text
    generator = Generator(model, vocabulary, CASES[case][-1], end)
    texts = generator.generate(PROMPTS[case], 200, [3, 4, 5], [1.0, 0.5, 0.0])
    assert stranger(loaded)[case]["texts"] == texts
    assert max(map(len, texts)) > 30


@pytest.mark.parametrize("case", CASES)
def test_scores_and_steps_are_log_probabilities_under_teacher_forcing(loaded, stranger, case):
    model, vocabulary, end = loaded[case].model, loaded[case].vocabulary, loaded[case].end_of_text
    said = stranger(loaded)[case]

    def log_probs(text):
        """Returns the log-probabilities of the next character after each character."""
        return tf.nn.log_softmax(model(tf.constant(vocabulary.encode(text)[None], tf.int32))[0][0]).numpy()

    for text, row, mean in zip(map(vocabulary.read, TEXTS[case]), said["nats"], said["mean"], strict=True):
        documents = text.splitlines(keepends=True) if end else [text]  # each from the zero state
        expected = [] if end else [[0.0]]
        for document in documents:
            ids = vocabulary.encode(end + document)
            expected.append(-log_probs(end + document)[np.arange(len(ids) - 1), ids[1:]])
        expected = np.concatenate(expected)
        np.testing.assert_allclose(row[: len(expected)], expected, atol=rounding.MODEL)
        assert not any(row[len(expected) :])
        assert mean == pytest.approx(expected.sum() / max(1, len(expected) - (not end)), abs=1e-5)
    documents = ["\nab", "\nab"] if end else [STEPS]
    np.testing.assert_allclose(said["steps"], np.concatenate([*map(log_probs, documents)]), atol=rounding.MODEL)
    characters = [bytes.fromhex(character) for character in said["characters"]]
    letters = [character.encode() for character in ("\N{REPLACEMENT CHARACTER}", *vocabulary.characters)]
    assert characters == ([bytes([i]) for i in range(256)] if case == "bytes" else letters)


@pytest.mark.parametrize("case", CASES)
def test_a_keras_model_of_stock_layers_has_equal_logits(loaded, stranger, case):
    said = stranger(loaded)
    expected = loaded[case].model(tf.constant(said["ids"]))[0]
    np.testing.assert_allclose(said[case]["logits"], expected, atol=rounding.MODEL)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")  # the interpreter moves to another package
def test_tflite_advances_by_one_character(loaded, case):
    model, end_id = loaded[case].model, loaded[case].generator().end_id
    step = tf.lite.Interpreter(model_content=tflite_step(model, end_id)).get_signature_runner()
    state = np.zeros(step.get_input_details()["state"]["shape"], np.float32)
    for document in [[3, 1, 2, 2]] if end_id is None else [[3], [end_id, 2, 2]]:
        for i, expected in zip(document, tf.nn.log_softmax(model(tf.constant([document]))[0][0]).numpy(), strict=True):
            said = step(id=np.array([i], np.int32), state=state)
            state = said["state"]
            np.testing.assert_allclose(said["log_probs"][0], expected, atol=rounding.MODEL)


def test_unknown_characters_are_refused_dropped_or_replaced(make_model):
    vocabulary = Vocabulary("abcdef")
    loaded = Loaded(make_model(), vocabulary, "", "")

    def generate(prompt, unknown):
        serving = Serving(loaded, Sampler(), unknown)
        return serving.generate(*map(tf.constant, ([prompt], 3, [1], [1.0])))["text"].numpy()[0].decode()

    for unknown in ("drop", "replace"):
        expected = Generator(loaded.model, vocabulary, unknown=unknown).generate(["aX☂b"], 3, [1])[0]
        assert generate("aX☂b", unknown) == expected
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)never saw:.*X"):
        generate("aX☂b", "refuse")
    with pytest.raises(tf.errors.InvalidArgumentError, match="empty"):
        generate("X", "drop")
    with pytest.raises(UserError, match="unknown=ignore is not possible"):
        Serving(loaded, Sampler(), "ignore")


def test_an_impossible_length_or_temperature_is_refused(make_model):
    serving = Serving(Loaded(make_model(), Vocabulary("abcdef"), "", ""), Sampler(), "refuse")
    generate = tf.function(serving.generate, autograph=False)
    wrong = [(-1, 1.0, r"num_chars.*-1"), (2**31 - 1, 1.0, "num_chars"), (3, -0.5, r"temperature.*-0.5")]
    wrong += [(3, temperature, "temperature") for temperature in (np.nan, np.inf, 2 * HOTTEST, COOLEST / 2)]
    for num_chars, temperature, says in wrong:
        with pytest.raises(tf.errors.InvalidArgumentError, match=says):
            generate(*map(tf.constant, (["a"], num_chars, [1], [temperature])))
    assert generate(*map(tf.constant, (["a"], 0, [1], [1.0])))["text"].numpy().tolist() == [b""]
    nothing = tf.function(serving.score, autograph=False)(tf.constant([], tf.string))
    assert nothing["nats"].shape == [0, 0] and nothing["nats_per_char"].shape == [0]


def test_a_refused_export_creates_nothing(loaded, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "README.md").write_text("mine")
    with pytest.raises(UserError, match="is not overwritten"):
        export(loaded["documents"], str(tmp_path / "there"))
    assert [path.read_text() for path in (tmp_path / "there").iterdir()] == ["mine"]
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/new cannot be written"):
        export(loaded["documents"], str(tmp_path / "file" / "new"))
    with pytest.raises(UserError, match="formats=onnx is not possible: it must be some of saved_model, keras, tflite"):
        export(loaded["documents"], str(tmp_path / "new"), ["onnx"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]


READINGS = [Reading(), Reading(True, "NFC", True), Reading(normalization="NFD"), Reading(lowercase=True)]


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_the_readmes_code_encodes_and_decodes_like_the_vocabulary(make_model, tmp_path, monkeypatch, kind, reading):
    monkeypatch.chdir(tmp_path)
    characters = "\nabe\u0301\xe9\u01f0" if kind == "characters" else ""
    vocabulary = Vocabulary(dict.fromkeys(characters), kind, reading)
    loaded = Loaded(make_model(vocabulary.size), vocabulary, "", "")
    (code, *_) = re.findall(r"```python\n(.*?)```", readme(loaded, ["keras"], ""), re.DOTALL)
    made = {}
    vocabulary.save("vocabulary.json")
    exec(code, made)
    for text in ("ABE\u0301\r\nb\r", "J\u030c\xe9\xc9", "e\u0301x"):
        ids = vocabulary.encode(vocabulary.read(text)).tolist()
        assert made["read"](text) == vocabulary.read(text) and made["encode"](text) == ids
        assert made["decode"](ids) == vocabulary.decode(ids)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_readmes_code_runs_in_its_folder(loaded, tmp_path, monkeypatch, case):
    model, vocabulary, end = loaded[case].model, loaded[case].vocabulary, loaded[case].end_of_text
    export(loaded[case], str(tmp_path / "exported"), sampler=CASES[case][-1])
    monkeypatch.chdir(tmp_path / "exported")
    made, codes = {}, re.findall(r"```python\n(.*?)```", (tmp_path / "exported/README.md").read_text(), re.DOTALL)
    for code in codes:
        exec(code, made)
    assert ("epsilon=0.1" in (tmp_path / "exported/README.md").read_text()) == (case == "lowercase")
    generator = Generator(model, vocabulary, CASES[case][-1], end)
    prompt = "A" if case == "bytes" else generator.beginning or "🎭"
    expected = generator.generate([prompt], 100, [0], [0.8])[0]
    assert made["written"]["text"].numpy()[0].decode("utf-8", "replace") == expected
    begin = vocabulary.encode(end + vocabulary.read(prompt)).tolist()
    np.testing.assert_allclose(made["logits"], model(tf.constant([begin]))[0][0, -1], atol=1e-5)
    assert made["ids"][: len(begin)] == begin and len(made["ids"]) == 101
    assert vocabulary.unknown_id is None or vocabulary.unknown_id not in made["ids"]


def test_the_readme_names_the_filters_and_its_code_applies_the_cut_off(make_model):
    loaded = Loaded(make_model(), LETTERS, "", "")
    text = readme(loaded, ["saved_model", "tflite"], "", Sampler(top_k=5, epsilon=0.3))
    assert "The filters of its choice are top_k=5, epsilon=0.3." in text
    assert readme(loaded, ["saved_model"], "", Sampler(2.0, greedy=True)) == readme(loaded, ["saved_model"], "")
    (cut,) = re.findall(r"( +likely = .*\n.*)\n", text)
    for probs, kept in (([0.5, 0.4, 0.1], [0, 1]), ([0.29, 0.27, 0.22, 0.22], [0])):
        made = {"np": np, "log_probs": np.log(probs)}
        exec(re.sub("^ +", "", cut, flags=re.MULTILINE), made)
        assert np.flatnonzero(np.isfinite(made["log_probs"])).tolist() == kept


def test_the_readme_says_if_a_saved_model_cannot_normalize(make_model):
    for form, told in (("NFC", True), ("", False)):
        vocabulary = Vocabulary("abcdef", reading=Reading(normalization=form))
        text = readme(Loaded(make_model(), vocabulary, "", ""), ["saved_model"], "")
        assert ("cannot normalize" in text) == told


def test_a_model_without_equivalent_stock_layers_is_refused_before_anything_is_written(make_model, tmp_path):
    for config in ({"num_layers": 2, "skip_connections": True}, {"zoneout": 0.1}):
        loaded = Loaded(make_model(**config), LETTERS, "", "")
        with pytest.raises(UserError, match="skip connections: give --formats=saved_model,tflite"):
            export(loaded, str(tmp_path / "exported"))
    assert not list(tmp_path.iterdir())
