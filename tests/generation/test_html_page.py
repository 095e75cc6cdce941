"""Tests the page of an exported model without a browser: its scripts run in Node and must agree with the model."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from charrnn import randomness
from charrnn.errors import UserError
from charrnn.generation.exporting import export
from charrnn.generation.html_page import SCRIPTS, html_page, read
from charrnn.generation.loading import Loaded
from charrnn.model.config import ModelConfig
from charrnn.sampling import Sampler
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

HERE = Path(__file__).parent
WEB = HERE / "web"
LETTERS = Vocabulary("\nabcdé🎭")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs node on the path")

CELLS = {
    "gru": {},
    "gru, one-hot, two layers": {"embedding_size": 0, "num_layers": 2},
    "gru, a large embedding": {"embedding_size": 40},
    "lstm, skip connections": {"cell": "lstm", "num_layers": 3, "skip_connections": True},
    "lstm, zoneout": {"cell": "lstm", "zoneout": 0.2, "zoneout_cell": 0.4},
    "lstm, a large embedding": {"cell": "lstm", "embedding_size": 40, "units": 9},
    "rnn": {"cell": "rnn", "num_layers": 2, "units": 13},
    "gru, temperature, zoneout": {"temperature": 0.5, "zoneout": 0.3},
    "gru, large weights": {"embedding_size": 0, "scale": 1e6},
    "gru, small weights": {"embedding_size": 0, "scale": 1e-7},
}


@pytest.fixture
def ask(tmp_path):
    """Returns a page's answers to questions, by running its scripts in Node; see `ask.js`."""

    def ask(page, **questions):
        path = tmp_path / "model.html"
        path.write_bytes(page)
        command = ["node", str(WEB / "ask.js"), str(path), json.dumps(questions)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return ask


@pytest.fixture
def make_loaded(make_model):
    def make(vocabulary=LETTERS, end_of_text="", **config):
        return Loaded(make_model(vocabulary.size, **config), vocabulary, "", end_of_text)

    return make


@pytest.fixture
def make_exact(make_loaded):
    """Builds a model whose weights are exact in 16 bits, so that the page computes with the same weights."""

    def make(*arguments, **config):
        loaded = make_loaded(*arguments, **{"embedding_size": 0, "units": 24, **config})
        for weight in loaded.model.trainable_variables:
            weight.assign(np.round(weight.numpy() * 64) / 64)
        return loaded

    return make


def characters(count):
    """Returns a vocabulary of `count` ids."""
    return Vocabulary(map(chr, range(0x100, 0xFF + count)))


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("case", CELLS)
def test_logits_agree_to_the_rounding_of_the_weights(make_loaded, ask, case):
    config = dict(CELLS[case])
    size, scale = 30, config.pop("scale", 1)
    loaded = make_loaded(characters(size), **config)
    for weight in loaded.model.readout.trainable_weights:
        weight.assign(weight * scale)
    ids = np.random.default_rng(1).integers(0, size, 120)
    logits, _ = loaded.model(tf.constant(ids[None], tf.int32))
    found = np.array(ask(html_page(loaded), logits=ids.tolist())["logits"])
    assert found.shape == logits.shape[1:]
    assert np.abs(found - logits[0]).max() < 2e-3 * np.abs(logits).max()
    assert np.abs(logits).max() > 0.1 * scale


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_the_page_computes_a_mixed_precision_model_without_rounding_its_states(make_model, ask, precision):
    """The page has the model's rounded weights but does not round states. The reference model is in float32."""
    model, exact = make_model(8, precision, num_layers=2), make_model(8, num_layers=2)
    exact.set_weights(model.get_weights())
    ids = np.random.default_rng(1).integers(0, 8, 60)
    found = np.array(ask(html_page(Loaded(model, LETTERS, "", "")), logits=ids.tolist())["logits"])
    logits, _ = exact(tf.constant(ids[None], tf.int32))
    assert np.abs(found - logits[0]).max() < 4e-2 * np.abs(logits).max()


@needs_node
@pytest.mark.slow
def test_a_page_stores_an_embedding_in_the_smaller_form(make_loaded):
    for embedding, named in ((0, "table"), (50, "table"), (40, "embedding")):
        loaded = make_loaded(characters(90), embedding_size=embedding, units=31)
        names = re.findall(r'id="tensor-([\w.]+)"', html_page(loaded).decode())
        assert names[0] == named and ("layer_0.input" in names) == (named == "embedding")


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 7, -3, 2**31 - 1])
def test_the_page_draws_the_same_noise_as_generation(make_loaded, ask, seed):
    positions = [0, 1, 127, 128, 300]
    asked = {"seed": seed, "size": 7, "positions": positions}
    found = ask(html_page(make_loaded()), noise=asked)["noise"]
    for position, noise in zip(positions, found, strict=True):
        place = position % 128
        folded = randomness.seed_for(seed, randomness.Purpose.GENERATION, position - place)
        np.testing.assert_allclose(noise, randomness.gumbel([128, 7], folded)[place], rtol=1e-5, atol=1e-6)


@needs_node
@pytest.mark.slow
def test_the_same_seed_gives_the_same_text(make_exact, ask):
    loaded = make_exact()
    samplers = [
        {"temperature": 0.7},
        {"top_k": 3},
        {"top_p": 0.6},
        {"min_p": 0.3, "temperature": 1.4},
        {"epsilon": 0.2},
    ]
    samplers += [{"greedy": True}, {"top_k": 5, "top_p": 0.9, "min_p": 0.05, "epsilon": 0.01}]
    cases = [(sampler, seed, stop) for seed, sampler in enumerate(samplers) for stop in ("", "ab", "é\n")]
    expected = [loaded.generate("ab🎭", 300, seed, stop, **sampler) for sampler, seed, stop in cases]
    asked = [
        {"prompt": "ab🎭", "stop": stop, "seed": seed, "count": 300, "unknown": "refuse", "filters": filters(sampler)}
        for sampler, seed, stop in cases
    ]
    found = ask(html_page(loaded), texts=asked)["texts"]
    assert found == expected
    assert {len(text) for text in found} > {300} and len(set(found)) > len(samplers)


def filters(sampler):
    """Returns a sampler's settings with the names that the page uses."""
    given = Sampler(**sampler)
    names = {"topK": given.top_k, "topP": given.top_p, "minP": given.min_p, "epsilon": given.epsilon}
    return {"temperature": 0 if given.greedy else given.temperature, **names}


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize(
    "vocabulary, end, prompts",
    [(LETTERS, "\n", ["", "ab", "\nab"]), (Vocabulary.bytes(), "", ["a", "é🎭", "\xff"])],
    ids=["documents", "bytes"],
)
def test_the_page_writes_documents_and_bytes_like_the_model(make_exact, ask, vocabulary, end, prompts):
    loaded = make_exact(vocabulary, end, cell="lstm")
    expected = [loaded.generate(prompt, 200, 3) for prompt in prompts]
    asked = {"stop": "", "seed": 3, "count": 200, "unknown": "refuse", "filters": filters({})}
    assert ask(html_page(loaded), texts=[{"prompt": prompt, **asked} for prompt in prompts])["texts"] == expected


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_read_text_has_the_models_surprisals_and_outputs(make_loaded, ask, end):
    loaded = make_loaded(LETTERS, end, num_layers=2)
    text = "ab\néb🎭xa\nbb"
    ids = loaded.vocabulary.encode(end + text)
    surprisals, outputs, state = [np.nan], [], loaded.model.initial_state(1)
    for i, id in enumerate(ids):
        state = loaded.model.initial_state(1) if end and id == 1 else state
        logits, state = loaded.model(tf.constant([[id]], tf.int32), state)
        outputs.append(np.concatenate([layer[0][0] for layer in state]))
        if i + 1 < len(ids):
            surprisals.append(-tf.nn.log_softmax(logits[0, 0])[ids[i + 1]].numpy())
    found = ask(html_page(loaded), trace=text)["trace"]
    np.testing.assert_allclose(np.array(found["surprisals"], float), surprisals, atol=5e-3)
    np.testing.assert_allclose(np.reshape(found["outputs"], (len(ids), -1)), outputs, atol=2e-3)


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary("\nabcdiςσé", reading=Reading(True, "NFC", True)),
        Vocabulary("\r\nAb\u0301e", reading=Reading(False, "NFD", False)),
        Vocabulary((), kind="bytes", reading=Reading(lowercase=True)),
        Vocabulary((), kind="bytes", reading=Reading(True, "", True)),
        LETTERS,
    ],
    ids=["lower case, NFC", "NFD", "lower ASCII", "lower bytes", "plain"],
)
def test_a_text_is_read_as_the_model_reads_it(make_loaded, ask, vocabulary):
    random = np.random.default_rng(2)
    alphabet = np.array(list("aABbÉé\u0301\r\nIİΣσςJ\u030c🎭 xyZ\tÄ\u212b"))
    texts = ["", "AB\r\nC\rD", "ΌΣΟΣ ΟΔΥΣΣΕΥΣ", "İI", *("".join(random.choice(alphabet, 40)) for _ in range(30))]
    found = ask(html_page(make_loaded(vocabulary)), read=texts, ids=texts)
    assert found["read"] == [vocabulary.read(text) for text in texts]
    assert found["ids"] == [vocabulary.encode(vocabulary.read(text)).tolist() for text in texts]


@needs_node
@pytest.mark.slow
def test_the_scripts_own_tests_pass():
    tests = sorted(map(str, WEB.glob("*.test.js")))
    done = subprocess.run(["node", "--test", *tests], capture_output=True, text=True)
    assert done.returncode == 0 and len(tests) > 1, done.stdout


def test_no_text_becomes_markup(make_model, tmp_path):
    """Covers the model's characters, and names in a run directory, which a stranger may have chosen."""
    markup = "</script><b>&amp;'\"é\ud800$x"
    (tmp_path / "config.json").write_text(json.dumps({"experiment": f"{markup}${{style}}", "corpus": markup}))
    (tmp_path / "metrics.jsonl").write_text("")
    nasty = Vocabulary(dict.fromkeys(markup))
    loaded = Loaded(make_model(nasty.size), nasty, str(tmp_path / "best" / "step-3"), "")
    page = html_page(loaded).decode()
    opened = re.findall(r"<(\w+)", re.sub(r"(?s)(<script[^>]*>).*?(</script>)", r"\1\2", page))
    assert opened.count("script") == len(SCRIPTS) + 1 + page.count('id="tensor-') and "b" not in opened
    described = json.loads(re.search(r'(?s)id="described">(.*?)</script>', page)[1])
    assert tuple(described["vocabulary"]["characters"]) == nasty.characters


def test_no_script_ends_its_element_and_nothing_is_requested(make_loaded):
    page = html_page(make_loaded()).decode()
    assert not [name for name in SCRIPTS if re.search("</script|<!--", read(name), re.I)]
    assert "default-src 'none'" in page
    addresses = set(re.findall(r"https?://[^\"' ]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a namespace, which no browser fetches
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,"]


def test_a_model_too_large_for_a_page_is_refused_before_work(tmp_path, make_loaded):
    loaded = make_loaded()
    object.__setattr__(loaded.model, "config", ModelConfig(units=6000, embedding_size=5))
    with pytest.raises(UserError, match=r"takes? 2\d\d MB in 16 bits, and a page holds at most 200 MB"):
        export(loaded, str(tmp_path / "out"), ["html"])
    assert not list(tmp_path.iterdir())


def test_the_package_data_contains_the_sources_of_the_page():
    root = HERE.parent.parent
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg")
    folder = root / "charrnn" / "generation"
    named = set(folder.glob(setup["options.package_data"]["charrnn.generation"]))
    assert {folder / "web" / name for name in (*SCRIPTS, "page.html", "page.css")} == named
