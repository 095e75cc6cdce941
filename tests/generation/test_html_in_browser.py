"""Tests the page of an exported model in headless Chromium, with keys and pointer, and in a narrow window."""

import time

import numpy as np
import pytest
import tensorflow as tf
import webdriver

from charrnn.generation.html_page import html_page
from charrnn.generation.loading import Loaded
from charrnn.text.vocabulary import Vocabulary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(webdriver.MISSING), reason=f"needs {' and '.join(webdriver.MISSING)} on the path"),
]

LETTERS = Vocabulary("\n \"'(),.:;<>ABEMNRTabcdefghilmnoprstuwy/🎭é")
TEXT = 'MAREN:\nthe "old bell" (a low one) tells.\n\nBREN:\n<b>no</b> <script>a</script> 🎭 é.\n' * 4
CELLS = {
    "gru": {"num_layers": 2, "skip_connections": True},
    "lstm": {"embedding_size": 0, "zoneout": 0.1, "temperature": 0.7},
    "rnn": {"num_layers": 2},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with webdriver.browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def open_page(browser, make_model, tmp_path):
    """Opens the page of a model with random weights, and returns the model, which has no run directory."""

    def open_page(vocabulary=LETTERS, end_of_text="", **config):
        model = make_model(vocabulary.size, **{"units": 12, **config})
        path = tmp_path / "model.html"
        path.write_bytes(html_page(Loaded(model, vocabulary, "", end_of_text)))
        browser.size(1200, 900)
        browser.dark(False)
        browser.log("browser")
        browser.log("performance")
        browser.open(path.as_uri())
        browser.wait("return page !== null")
        return model

    yield open_page
    assert [entry["message"] for entry in browser.log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture
def read(browser, open_page):
    """Opens a page, lets it read a text, and returns the model."""

    def read(text=TEXT, **arguments):
        model = open_page(**arguments)
        browser.click("#tab-read")
        browser.wait("return page.read.trace && page.read.trace.isDone")
        browser.run("byId('text').value = arguments[0]; page.read.run++; page.read.trace = null", text)
        browser.click("#read-form button")
        browser.wait("return page.read.trace && page.read.trace.isDone && byId('read-progress').textContent")
        return model

    return read


def text_of(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).textContent", selector)


@pytest.mark.parametrize("cell", CELLS)
def test_logits_agree_to_the_rounding_of_the_weights(browser, open_page, cell):
    model = open_page(cell=cell, **CELLS[cell])
    ids = np.random.default_rng(1).integers(0, LETTERS.size, 100)
    logits, _ = model(tf.constant(ids[None], tf.int32))
    found = browser.run(
        "let state = page.network.initialState(); return arguments[0].map((id) => "
        "Array.from(page.network.logits((state = page.network.advance(id, state)).map(([h]) => h))))",
        ids.tolist(),
    )
    assert np.abs(np.array(found) - logits[0]).max() < 2e-3 * np.abs(logits).max()


def test_the_page_writes_pauses_steps_and_resumes(browser, open_page):
    model = open_page()
    browser.wait("return !page.write.isRunning")
    assert len(text_of(browser, "#written")) == 1001  # a line break as the prompt, and 1000 written characters
    browser.type("#prompt", "MAREN:")
    browser.type("#length", "1000000")
    browser.click("#start")
    browser.wait("return page.write.writing.ids.length > 200")
    browser.click("#pause")
    written = text_of(browser, "#written")
    time.sleep(0.2)
    assert text_of(browser, "#written") == written and text_of(browser, "#pause") == "Resume"
    browser.click("#step")
    browser.wait(f"return page.write.writing.ids.length == {len(written) - 6 + 1}")
    assert browser.run("return byId('next').children.length") == 10
    browser.type("#length", "50")
    browser.click("#pause")
    browser.wait(f"return page.write.writing.ids.length == {len(written) - 6 + 51} && !page.write.isRunning")
    text = text_of(browser, "#written")
    assert text.startswith(written) and set(text) <= set(LETTERS.characters)
    expected = Loaded(model, LETTERS, "", "").generate("MAREN:", 20)
    assert text[6:26] == expected[:20]  # later, rounded weights may choose another character


def test_a_stop_string_ends_the_text_of_a_seed(browser, open_page):
    open_page()
    browser.type("#prompt", "M")
    browser.type("#seed", "5")
    browser.click("#start")
    browser.wait("return !page.write.isRunning && page.write.writing.ids.length == 1000")
    whole = text_of(browser, "#written")
    stop = whole[301:304]
    browser.type("#stop", stop.replace("\n", "\\n"))
    browser.click("#start")
    browser.wait("return page.write.writing.ended")
    assert text_of(browser, "#written") == whole[: whole.index(stop, 1)]
    assert "ended" in text_of(browser, "#write-status")


def test_a_typed_line_break_is_the_line_end_of_the_model(browser, open_page):
    vocabulary = Vocabulary("\n\r abc")
    model = open_page(vocabulary)
    browser.type("#prompt", "ab\n")
    browser.type("#temperature", "10")
    browser.click("#start")
    browser.wait("return !page.write.isRunning && page.write.writing.ids.length == 1000")
    whole = text_of(browser, "#written")
    assert whole[:24] == "ab\r\n" + Loaded(model, vocabulary, "", "").generate("ab\r\n", 20, temperature=10)
    browser.type("#stop", "\\n")
    browser.click("#start")
    browser.wait("return page.write.writing.ended")
    assert text_of(browser, "#written") == whole[: whole.index("\r\n", 4)]
    browser.click("#tab-read")
    browser.type("#text", "a\nb")
    browser.click("#read-form button")
    browser.wait("return page.read.trace.isDone")
    assert browser.run("return page.read.trace.ids") == vocabulary.encode("a\r\nb").tolist()


@pytest.mark.parametrize("vocabulary", [Vocabulary("\n\r abc"), Vocabulary.bytes()], ids=["characters", "bytes"])
def test_the_written_text_is_read_with_its_carriage_returns(browser, open_page, vocabulary):
    open_page(vocabulary)
    browser.wait("return !page.write.isRunning")
    written = text_of(browser, "#written")
    browser.click("#tab-read")
    browser.wait("return page.read.trace.isDone")
    assert browser.run("return page.read.trace.ids") == vocabulary.encode(written).tolist()
    assert "\r" in written


def test_impossible_input_is_reported(browser, open_page):
    open_page()
    browser.type("#prompt", "x\u4e2d")
    browser.click("#start")
    assert 'never saw: "x", "中"' in text_of(browser, "#write-status")
    browser.type("#prompt", "a")
    browser.type("#temperature", "-1")
    browser.click("#start")
    assert browser.run("return byId('write-form').checkValidity()") is False
    browser.click("#tab-read")
    browser.type("#text", "ab\u4e2d")
    browser.click("#read-form button")
    assert "never saw" in text_of(browser, "#read-status")
    browser.run("byId('unknown').value = 'replace'")
    browser.click("#read-form button")
    browser.wait("return page.read.trace && page.read.trace.isDone")
    assert len(browser.run("return Array.from(page.read.trace.ids)")) == 3


def test_a_refused_prompt_pauses_the_text_which_resumes_without_the_refusal(browser, open_page):
    open_page()
    browser.type("#length", "1000000")
    browser.click("#start")
    browser.wait("return page.write.writing.ids.length > 20")
    browser.type("#prompt", "x")
    browser.click("#start")
    count = browser.run("return page.write.writing.ids.length")
    assert "never saw" in text_of(browser, "#write-status") and text_of(browser, "#pause") == "Resume"
    browser.click("#step")
    browser.wait(f"return page.write.writing.ids.length == {count + 1}")
    assert text_of(browser, "#write-status") == ""
    browser.click("#start")
    browser.click("#pause")
    browser.wait(f"return page.write.writing.ids.length > {count + 20}")
    assert text_of(browser, "#write-status") == "" and text_of(browser, "#pause") == "Pause"


def test_a_refused_text_leaves_the_one_before_to_be_read_to_its_end(browser, open_page):
    open_page()
    browser.click("#tab-read")
    browser.wait("return page.read.trace && page.read.trace.isDone")
    both = "for (const text of arguments) { page.read.field.text = text; page.read.read(); }"
    browser.run(both, TEXT, "x")
    assert "never saw" in text_of(browser, "#read-status")
    browser.wait("return page.read.trace.isDone && byId('read-progress').textContent.includes('nats')")
    assert browser.run("return page.read.view.spans.length") == len(TEXT)


def test_a_page_with_reduced_motion_offers_no_pause(browser, open_page):
    open_page()
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    browser.open(browser.run("return location.href"))
    assert text_of(browser, "#written") == "" and text_of(browser, "#pause") == "Resume"
    browser.click("#pause")
    browser.wait("return page.write.writing.ids.length == 1000 && !page.write.isRunning")


@pytest.mark.parametrize("view, button", [("write", "#start"), ("read", "#read-form button")])
def test_an_error_in_the_computation_is_shown(browser, open_page, view, button):
    open_page()
    browser.click(f"#tab-{view}")
    browser.run("page.network.advance = null")
    browser.click(button)
    browser.wait("return !byId('needs').hidden")
    assert "An error stopped the page (TypeError: this.network.advance is not a function)" in text_of(browser, "#needs")
    assert text_of(browser, "#pause") == "Resume" and not browser.run("return page.write.isRunning")
    assert "not a function" in str(browser.log("browser"))


def test_the_arrow_keys_and_the_pointer_choose_the_character_whose_prediction_is_shown(browser, read):
    model = read()
    ids = LETTERS.encode(TEXT)
    logits, _ = model(tf.constant(ids[None], tf.int32))
    probabilities = tf.nn.softmax(logits[0]).numpy()
    browser.run("byId('read-text').focus()")
    browser.press("right", "right", "right")
    assert text_of(browser, "#read-text .chosen") == TEXT[2]
    shown = browser.run("return Array.from(byId('likeliest').children, (row) => row.children[0].textContent)")
    likeliest = np.argsort(-probabilities[1], kind="stable")[:10]
    expected = ["unknown" if id == 0 else LETTERS.decode([id]) for id in likeliest]
    names = {"\n": "line break", " ": "space"}
    assert shown == [names.get(name, name) for name in expected]
    told = text_of(browser, "#chosen")
    assert told.startswith(f"{TEXT[2]}: {100 * probabilities[1, ids[2]]:.2f} %"[:5])
    assert f"{-np.log(probabilities[1, ids[2]]):.2f} nats" in told
    browser.press("down")
    assert text_of(browser, "#read-text .chosen") == TEXT.split("\n")[1][2]
    browser.hover("#read-text .line:nth-child(2) span:nth-child(5)")
    assert text_of(browser, "#read-text .chosen") == TEXT[11]
    browser.press("left", "up")
    assert text_of(browser, "#read-text .chosen") == TEXT[10 - 7]


def test_the_text_is_coloured_by_surprisal(browser, read):
    model = read()
    ids = LETTERS.encode(TEXT)
    logits, _ = model(tf.constant(ids[None], tf.int32))
    nats = -tf.nn.log_softmax(logits[0]).numpy()[np.arange(len(ids) - 1), ids[1:]]
    classes = browser.run("return page.read.view.spans.map((span) => span.className.match(/surprisal-(\\d+)/))")
    assert classes[0] is None
    levels = [int(found[1]) for found in classes[1:]]
    assert np.abs(np.array(levels) - np.minimum(nats * 2, 14.5) + 0.5).max() < 0.6
    mean = float(text_of(browser, "#read-progress").split()[0])
    assert mean == pytest.approx(nats.mean(), abs=2e-3)


def test_markup_in_a_text_is_shown_as_text(browser, read):
    read()
    shown = browser.run("return page.read.view.spans.map((span) => span.textContent).join('')")
    assert shown == TEXT
    assert browser.run("return document.querySelectorAll('main script, main b:not(li b)').length") == 0


def test_units_show_their_correlation_and_are_sorted_by_it(browser, read):
    model = read(num_layers=2)
    browser.click("#tab-units")
    _, outputs = states(model, LETTERS.encode(TEXT))
    browser.run("byId('feature').value = 'pattern'; byId('feature').dispatchEvent(new Event('input'))")
    browser.type("#pattern", "[aeio]")
    browser.wait("return byId('units').children.length > 0")
    feature = [character in "aeio" for character in TEXT]
    expected = np.array([np.corrcoef(feature, unit)[0, 1] for unit in outputs.T])
    listed = browser.run(
        "return Array.from(document.querySelectorAll('#units button'), (b) => [b.dataset.unit, b.textContent])"
    )
    assert len(listed) == 24
    strengths = [abs(expected[int(unit)]) for unit, _ in listed]
    np.testing.assert_allclose(strengths, np.sort(np.abs(expected))[::-1], rtol=0, atol=2e-3)
    for unit, label in listed:
        place, r = label.rsplit(" ", 1)
        assert place == f"layer {int(unit) // 12 + 1}, unit {int(unit) % 12 + 1}"
        assert float(r.replace("−", "-")) == pytest.approx(expected[int(unit)], abs=8e-3)
    browser.run("document.querySelector('#units button').focus()")
    browser.press("down")
    chosen = int(listed[1][0])
    assert browser.run("return page.read.unit") == chosen
    levels = browser.run("return page.read.view.spans.map((span) => +span.className.match(/activation-(\\d+)/)[1])")
    assert np.abs(np.array(levels) - 8 * (outputs[:, chosen] + 1)).max() < 0.52
    browser.type("#pattern", "(")
    assert "not a regular expression" in text_of(browser, "#unit-status")


@pytest.mark.parametrize("feature, pattern", [("brackets", ""), ("pattern", "(")], ids=["constant", "invalid"])
def test_units_without_a_list_leave_no_colour_of_surprisal(browser, read, feature, pattern):
    read("abba" * 4)
    browser.run("byId('feature').value = arguments[0]; byId('pattern').value = arguments[1]", feature, pattern)
    browser.click("#tab-units")
    assert text_of(browser, "#unit-status") and not browser.run("return byId('units').children.length")
    assert browser.run("return document.querySelectorAll('#read-text [class*=surprisal]').length") == 0


def test_a_new_text_clears_the_units_of_the_one_before(browser, read):
    read("abba" * 4)
    browser.run("byId('feature').value = 'pattern'; byId('pattern').value = 'a'")
    browser.click("#tab-units")
    browser.click("#read-text span")
    assert browser.run("return byId('units').children.length") and text_of(browser, "#unit-value")
    browser.run("byId('pattern').value = '('")
    browser.type("#text", "baab")
    browser.click("#read-form button")
    browser.wait("return page.read.trace.isDone && byId('unit-status').textContent")
    assert not browser.run("return byId('units').children.length") and text_of(browser, "#unit-value") == ""


def states(model, ids):
    """Returns the state after the ids, and the outputs of all layers `[T, L·H]`."""
    state, outputs = model.initial_state(1), []
    for id in ids:
        _, state = model(tf.constant([[id]], tf.int32), state)
        outputs.append(np.concatenate([layer[0][0] for layer in state]))
    return state, np.array(outputs)


def test_bytes_show_their_characters(browser, read):
    read("a é🎭\n", vocabulary=Vocabulary.bytes())
    assert browser.run("return page.read.view.spans.map((span) => span.textContent)") == ["a", " ", "é", "🎭", "\n"]
    browser.run("byId('read-text').focus()")
    browser.press("right", "right", "right", "right")
    assert "byte a9, byte 2 of 2 of é" in text_of(browser, "#chosen")


def test_documents_predict_their_first_character(browser, read):
    read("ab\nba", end_of_text="\n")
    assert browser.run("return page.read.view.spans.map((span) => span.textContent).join('')") == "ab\nba"
    browser.run("byId('read-text').focus()")
    browser.press("right")
    assert "nats" in text_of(browser, "#chosen")


@pytest.mark.parametrize("view", ["write", "read", "units"])
def test_the_page_fits_a_narrow_window_and_has_a_dark_mode(browser, read, view):
    read()
    browser.size(360, 700)
    browser.click(f"#tab-{view}")
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    inside = "return Array.from(document.querySelectorAll('button, input, select, textarea, pre')).filter((each) =>"
    inside += " each.offsetParent && each.getBoundingClientRect().right > innerWidth).map((each) => each.id)"
    assert browser.run(inside) == []
    light = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.dark(True)
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != light


def test_the_arrow_keys_switch_the_tabs(browser, open_page):
    open_page()
    browser.run("byId('tab-write').focus()")
    browser.press("right")
    assert browser.run("return [document.activeElement.id, document.body.dataset.view]") == ["tab-read", "read"]
    browser.press("right", "right")
    assert browser.run("return [document.activeElement.id, document.body.dataset.view]") == ["tab-write", "write"]


def test_nothing_is_requested_but_the_file(browser, open_page):
    open_page()
    browser.wait("return !page.write.isRunning")
    log = " ".join(entry["message"] for entry in browser.log("performance"))
    requested = [part.split('"')[0] for part in log.split('"url":"')[1:]]
    assert requested and {address.split(":")[0] for address in requested} <= {"file", "data", "about", "chrome"}


def test_an_old_browser_is_reported(browser, open_page, tmp_path):
    open_page()
    path = tmp_path / "model.html"
    page = without_hashes(path.read_text(encoding="utf-8"))
    path.write_text(page.replace("<title>", "<script>delete window.TextDecoder</script><title>"), encoding="utf-8")
    browser.open(path.as_uri())
    assert "lacks what the page needs (text encoding)" in text_of(browser, "#needs")
    assert browser.run("return byId('app').hidden && !byId('needs').hidden")


def without_hashes(page):
    head, _, rest = page.partition("script-src ")
    return f"{head}script-src 'unsafe-inline'; style-src 'unsafe-inline'\"{rest.partition(chr(34))[2]}"


def test_a_large_model_is_small_and_quick_enough(browser, make_model, tmp_path):
    """The time limits leave room for a busy machine: an idle one is about ten times as fast."""
    model = make_model(66, units=1024, embedding_size=256)
    content = html_page(Loaded(model, Vocabulary(map(chr, range(40, 105))), "", ""))
    assert model.count_params() > 3.5e6 and len(content) < 10e6
    path = tmp_path / "model.html"
    path.write_bytes(content)
    begin = time.perf_counter()
    browser.open(path.as_uri())
    browser.wait("return page !== null && page.write.writing.ids.length")
    first = time.perf_counter() - begin
    browser.wait("return !page.write.isRunning", 60)
    rate = int(text_of(browser, "#rate").split()[0])
    browser.click("#tab-read")
    browser.wait("return page.read.trace && page.read.trace.isDone", 60)
    answer = browser.run(
        "const begin = performance.now(); page.read.view.spans[900].click(); byId('likeliest').getBoundingClientRect();"
        "return performance.now() - begin"
    )
    print(f"{len(content):,} bytes, first character after {first:.2f} s, {rate} characters/s, click {answer:.1f} ms")
    assert first < 20 and rate > 30 and answer < 500
