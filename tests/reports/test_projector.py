"""Tests the embedding for TensorBoard's projector with TensorBoard's own plugin and the rules of its page."""

import re
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client
from werkzeug.wrappers import Response

from charrnn.text.vocabulary import Vocabulary
from trainers.reports.projector import FOLDER, Projector, labels
from trainers.reports.summaries import begin_session

ODD = Vocabulary(
    [
        *"\t\n\r\x0b\x0c\x1c\x85\x00\x1b\x7f \xa0\u2028\u2029\u3000\ufeff\u200b\u0301\ue000\ud800\U0010ffff",
        *"\"'a\\,🎭Ä☂n0",
    ]
)
NAMES = ["characters.tsv", "embedding.tsv", "projector_config.pbtxt"]


@pytest.fixture
def write(tmp_path, make_model):
    """Starts a projector with a vocabulary in a run directory; returns it and its model."""

    def start(vocabulary=ODD, **config):
        begin_session(str(tmp_path / "run"), {})
        model = make_model(vocabulary.size, **config)
        projector = Projector(str(tmp_path / "run"), model, vocabulary)
        projector.start(0, 0)
        return projector, model

    return start


def shown(logdir):
    """Starts TensorBoard's plugin; returns a function that takes a route and arguments and returns the response."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    apps = ProjectorPlugin(base_plugin.TBContext(logdir=str(logdir), data_provider=provider)).get_plugin_apps()

    def ask(route, **arguments):
        answer = Client(apps[route], Response).get(route, query_string=arguments)
        assert answer.status_code == 200, answer.data
        return answer

    return ask


def page_rows(content):
    """Returns the rows as the page reads them: it skips blank lines, and the first other line is the head."""
    blank = "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000\ufeff"  # JavaScript's trim() removes these
    lines = [line for line in content.split("\n") if line.strip(blank)]
    head = lines.pop(0).split("\t")
    return [dict(zip(head, line.split("\t"), strict=True)) for line in lines]


@pytest.mark.parametrize("logdir", ["", "run"])
@pytest.mark.parametrize("vocabulary", [ODD, Vocabulary.bytes()], ids=["characters", "bytes"])
def test_tensorboard_shows_each_vector_with_its_character(write, tmp_path, vocabulary, logdir):
    _, model = write(vocabulary)
    ask = shown(tmp_path / logdir)
    run = "." if logdir else "run"
    assert ask("/runs").json == [run]
    (embedding,) = ask("/info", run=run).json["embeddings"]
    assert (embedding["tensorName"], embedding["tensorShape"]) == ("embedding", [vocabulary.size, 5])
    vectors = np.frombuffer(ask("/tensor", run=run, name="embedding").data, np.float32).reshape(-1, 5)
    np.testing.assert_allclose(vectors, model.embedding.embeddings.numpy(), rtol=1e-5)
    rows = page_rows(ask("/metadata", run=run, name="embedding").data.decode())
    assert len(rows) == vocabulary.size
    if vocabulary is ODD:
        assert [row["code point"] for row in rows] == ["none", *(f"U+{ord(c):04X}" for c in ODD.characters)]
        plain = {row["character"] for row in rows if len(row["character"]) == 1}
        assert plain == set("\"'a\\,🎭Ä☂n0")
        escaped = {row["character"]: row["code point"] for row in rows if len(row["character"]) > 1}
        assert {
            "unknown",
            "\\t",
            "\\n",
            "\\r",
            "\\x85",
            "space",
            "\\u3000",
            "\\ud800",
            "\u25cc\u0301",
        } <= escaped.keys()
        assert escaped["\\t"] == "U+0009" and len(escaped) == len(rows) - len(plain)
    else:
        assert [rows[i]["character"] for i in (0, 9, 10, 32, 65, 127, 128, 255)] == [
            "\\x00", "\\t", "\\n", "space", "A", "\\x7f", "\\x80", "\\xff",
        ]  # fmt: skip
        assert len({row["character"] for row in rows}) == 256


def test_the_labels_of_all_of_unicode_are_distinct_and_printable():
    every = [chr(code) for code in range(0x110000)]
    head, unknown, *rows = labels(Vocabulary(every))
    assert len({row[0] for row in rows} | {unknown[0]}) == 0x110000 + 1
    fields = {field for row in (head, unknown, *rows) for field in row}
    assert all(field.isprintable() and field.strip() for field in fields)
    categories = {character: row[3] for character, row in zip(every, rows, strict=True)}
    assert [categories[c] for c in "Aa1.+ \n\u0301語"] == [
        "uppercase letter", "lowercase letter", "number", "punctuation", "symbol", "space", "control", "mark", "letter",
    ]  # fmt: skip
    assert rows[ord("A")] == ("A", "U+0041", unicodedata.name("A"), "uppercase letter")


def vectors(tmp_path):
    return np.loadtxt(tmp_path / "run" / FOLDER / "embedding.tsv", dtype=np.float32)


def test_the_vectors_come_from_the_newest_checkpoint(write, tmp_path):
    projector, model = write()
    first = model.embedding.embeddings.numpy()
    model.embedding.embeddings.assign(2 * first)
    projector.saved(3, str(tmp_path / "run" / "best" / "step-3"))
    np.testing.assert_allclose(vectors(tmp_path), first, rtol=1e-5)
    projector.saved(3, str(tmp_path / "run" / "checkpoints" / "step-3"))
    np.testing.assert_allclose(vectors(tmp_path), 2 * first, rtol=1e-5)
    model.embedding.embeddings.assign(3 * first)
    projector.start(2, 2)  # rolled back
    np.testing.assert_allclose(vectors(tmp_path), 3 * first, rtol=1e-5)
    assert sorted(path.name for path in (tmp_path / "run" / FOLDER).iterdir()) == NAMES


def test_the_vectors_of_a_model_on_two_replicas_are_written(tmp_path, make_model):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = make_model(ODD.size)
    Projector(str(tmp_path / "run"), model, ODD).start(0, 0)
    np.testing.assert_allclose(vectors(tmp_path), model.get_weights()[0], rtol=1e-5)


def test_without_an_embedding_nothing_is_written(write, tmp_path):
    projector, _ = write(embedding_size=0)
    projector.saved(3, str(tmp_path / "run" / "checkpoints" / "step-3"))
    assert not (tmp_path / "run" / "plugins").exists()


@pytest.mark.parametrize(
    "name, folder",
    [
        ("plugins", False),
        (FOLDER, False),
        *((f"{FOLDER}/{name}", folder) for name in NAMES for folder in (False, True)),
    ],
)
def test_the_users_own_files_stay_and_nothing_is_written_beside_them(write, tmp_path, name, folder):
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    path.mkdir() if folder else path.write_text("embeddings { tensor_path: 'mine.tsv' }\n")
    projector, _ = write()
    projector.saved(3, str(tmp_path / "run" / "checkpoints" / "step-3"))
    assert path.is_dir() if folder else path.read_text() == "embeddings { tensor_path: 'mine.tsv' }\n"
    assert list(path.parent.iterdir()) == [path] or name == "plugins"


def test_files_of_the_run_are_written_again_also_after_a_kill_between_them(write, tmp_path):
    write()
    folder = tmp_path / "run" / FOLDER
    for name in NAMES[:2]:
        (folder / name).unlink()
    (folder / "mine.tsv").write_text("1\t2\n")
    write(Vocabulary("ab"))
    assert vectors(tmp_path).shape == (3, 5)
    assert [row["character"] for row in page_rows((folder / "characters.tsv").read_text())] == ["unknown", "a", "b"]
    assert (folder / "mine.tsv").read_text() == "1\t2\n"


def test_the_config_is_text_that_names_the_other_two_files(write, tmp_path):
    write()
    content = (tmp_path / "run" / FOLDER / "projector_config.pbtxt").read_text()
    assert content.startswith("# charrnn writes this file and the two that it names.\n")
    assert re.findall(r'path: "(.*)"', content) == ["embedding.tsv", "characters.tsv"]
    assert tf.io.gfile.exists(str(tmp_path / "run" / FOLDER))
