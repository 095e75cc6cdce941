"""A corpus becomes ids: parts by position, vocabulary from the training part only."""

import pytest

from charrnn.batches import DataConfig
from charrnn.errors import UserError
from charrnn.texts import load_texts


@pytest.fixture
def load(tmp_path):
    """Writes a file and loads it: -> the texts, and the lines for the user."""

    def call(data, **config):
        (tmp_path / "text").write_bytes(data if isinstance(data, bytes) else data.encode())
        lines = []
        return load_texts(str(tmp_path / "text"), DataConfig(**config), lines.append), lines

    return call


def test_the_vocabulary_is_of_the_training_part_and_the_rest_is_counted(load):
    texts, lines = load("ab" * 45 + "abxyzababa")
    assert texts.vocabulary.characters == ("a", "b")
    assert len(texts.train) == 90
    assert texts.validation.tolist() == [2, 1, 2, 0, 0, 0, 1, 2, 1, 2, 1]  # one character of context first
    assert any("3 characters of the validation text" in line for line in lines)


def test_nothing_to_validate_on(load):
    texts, _ = load("abc" * 20, validation_fraction=0.0)
    assert len(texts.train) == 60 and len(texts.validation) < 2


def test_lower_case(load):
    texts, _ = load("AbC" * 20, lowercase=True)
    assert texts.vocabulary.characters == ("a", "b", "c")


def test_bytes(load):
    texts, _ = load(bytes(range(256)) * 4, vocabulary="bytes")
    assert texts.vocabulary.size == 256 and texts.train.tolist() == (list(range(256)) * 4)[:921]


def test_lines_are_whole_documents_in_both_parts(load):
    documents = [f"document {i}" for i in range(20)]
    texts, lines = load("\r\n".join(documents) + "\r\n\r\n", order="lines")
    assert texts.vocabulary.decode(texts.train) == "\n" + "\n".join(documents[:18]) + "\n"
    assert texts.vocabulary.decode(texts.validation) == "\n" + "\n".join(documents[18:]) + "\n"
    assert any("1 empty" in line for line in lines)


def test_long_documents_are_counted(load):
    _, lines = load("\n".join(["x" * n for n in range(1, 21)]), order="lines", seq_length=15)
    assert any(line.startswith("6 of 20 documents") for line in lines)  # a 15th character leaves no room for the end


def test_a_column_of_a_csv_with_a_byte_order_mark(load):
    rows = "".join(f'"{i}","title, {i}",""\r\n' for i in range(10))
    texts, _ = load("\ufeff" + rows, order="lines", csv_column=2)
    assert texts.vocabulary.decode(texts.train).split("\n")[1:3] == ["title, 0", "title, 1"]
    running, _ = load("\ufeff" + rows, csv_column=2)
    assert running.vocabulary.decode(running.train).startswith("title, 0\ntitle, 1\n")


def test_a_broken_row_is_named(load):
    with pytest.raises(UserError, match="line 2"):
        load('"1","a"\n"2"\n', order="lines", csv_column=2)
