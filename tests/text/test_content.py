"""Tests which lines and rows become documents, which are skipped, and which CSVs are refused."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.errors import UserError
from charrnn.text import chunks
from charrnn.text.content import column

# Includes the characters that a CSV treats specially, and some at which `str.splitlines` splits.
TEXTS = st.text(st.sampled_from("ab é🎭,\"';\t\r\n\f\x85\u2028"), max_size=8)


def documents(text, csv_column=0, delimiter=",", header=False):
    """Returns the documents of a text, and the number of skipped lines or rows."""
    how = chunks.Settings(lines=True, csv_column=csv_column, csv_delimiter=delimiter, csv_header=header)
    content, findings = chunks.read_text(text, how)
    return content.split("\n")[1:-1], findings.num_empty


def refusal(text, csv_column):
    with pytest.raises(UserError) as raised:
        documents(text, csv_column)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_each_line_is_a_document():
    assert documents("Ann\nBob\nCid") == documents("Ann\nBob\nCid\n") == (["Ann", "Bob", "Cid"], 0)
    assert documents("Ann\r\nBob\n\r\nCid\r\n") == (["Ann", "Bob", "Cid"], 1)
    assert documents("\n \t\nAnn\n\u3000\n\n") == (["Ann"], 4)
    assert documents("x") == (["x"], 0)


def test_every_kind_of_line_end_ends_a_line():
    assert documents("Ann\rBob\rCid") == documents("Ann\rBob\r\nCid\n") == (["Ann", "Bob", "Cid"], 0)
    assert documents("Ann\r\r\nBob\n\rCid\r") == (["Ann", "Bob", "Cid"], 2)


def test_a_csv_may_have_another_delimiter_and_a_header():
    assert documents("id;name\n1;Ann, B.\n2;Bob\n", 2, ";", header=True)[0] == ["Ann, B.", "Bob"]
    assert documents('\n\nname\n"Ann\tB."\tx\n', 1, "\t", header=True)[0] == ["Ann\tB."]


def test_rows_of_another_width_are_yielded_with_their_line():
    found = list(column(io.StringIO('a,b\n\n"c\n",d\ne,f,g\nh\ni,j\n'), 1))
    assert found == [("a", 0), ("", 0), ("c", 0), ("e", 5), ("h", 6), ("i", 0)]


def test_a_field_may_be_long():
    csv.field_size_limit(131_072)  # Python's default, as in a new process
    assert documents(f'a,"{"x" * 200_000}"\nb,c\n', 2)[0] == ["x" * 200_000, "c"]


def test_a_carriage_return_outside_of_quotes_ends_a_row():
    assert documents('a,"b\rb"\rc,d\r', 2)[0] == ["b b", "d"]


def test_a_line_stays_as_it_is():
    lines = ['  indented, with "quotes" and\ttabs ', "form\ffeed", "next\x85line\u2028", '"unclosed']
    assert documents("\n".join(lines))[0] == lines


def test_each_row_of_a_csv_is_a_document():
    text = '"3","Fears for ""T N"" pension","Unions, in talks"\r\n4, Space ,"two\r\n\r\nlines\n"\r\n"1","",x\r\n'
    assert documents(text, 1) == (["3", "4", "1"], 0)
    assert documents(text, 2) == (['Fears for "T N" pension', "Space"], 1)
    assert documents(text, 3) == (["Unions, in talks", "two lines", "x"], 0)


def test_rows_may_have_more_fields_and_empty_lines_are_skipped():
    assert documents("a,b\n\nc,d,e,f\n\n", 2) == (["b", "d"], 2)
    assert documents('a\n   \n""\nb', 1) == (["a", "b"], 2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=6),
    # With "\n" and fewer quotes, some versions of Python write a "\r" that they read as the end of a row.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]),
)
def test_a_csv_that_python_writes_is_read_back(rows, form):
    end, quoting = form
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end, quoting=quoting).writerows(rows)
    for i in range(3):
        fields = [" ".join(re.split("[\r\n]+", row[i].strip())) for row in rows]
        expected = [field for field in fields if field]
        assert documents(file.getvalue(), i + 1) == (expected, len(rows) - len(expected))


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_no_line_is_lost_and_no_document_has_a_line_break(text):
    num_lines = len(re.findall("\r\n|\n|\r", text)) + (text[-1:] not in ("", "\n", "\r"))
    found, num_empty = documents(text)
    assert len(found) + num_empty == num_lines
    assert all(document.strip() and not set("\r\n") & set(document) for document in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "text, column, parts",
    [
        ("a,b\nc\n", 2, ("line 2 ", "has 1 column,", "at least 2 are needed")),
        ('a,"b\nb"\n\nc,d\n', 3, ("line 1 ", "has 2 columns,", "at least 3 are needed")),
        ('a,b,"c\nc"\n\nd,e\n', 3, ("line 4 ", "has 2 columns,", "at least 3 are needed")),
    ],
)
def test_a_row_with_too_few_columns_is_reported_with_its_line(text, column, parts):
    message = refusal(text, column)
    assert all(part in message for part in parts)


@pytest.mark.parametrize(
    "text, parts",
    [
        ('a,b\nc,"d\ne,f\ng,h\n', ("begins on line 2 ", "unexpected end of data")),
        ('a,b\n"c" d,e\n', ("begins on line 2 ", "expected after")),
        (f'a,b\nc,"d\n{"x" * 200_000}\n', ("begins on line 2 ", "unexpected end of data")),
        (f'a,"b\nb"\n{"x" * 17_000_000},c\n', ("begins on line 3 ", "larger than field limit")),
        ("a,b\nc\0,d\n", ("on line 2 ", "NUL")),
    ],
)
def test_a_malformed_csv_is_reported_with_its_line(text, parts):
    message = refusal(text, 1)
    assert all(part in message for part in parts)


@pytest.mark.parametrize(
    "text, config",
    [
        ("\n \n\r\n", {"order": "lines"}),
        ('a,\nb," "\n', {"order": "lines", "csv_column": 2}),
        ('a,\nb," "\n', {"csv_column": 2}),
    ],
)
def test_a_corpus_without_documents_is_refused(tmp_path, text, config):
    (tmp_path / "text").write_text(text)
    with pytest.raises(UserError, match="no document"):
        load_texts(str(tmp_path / "text"), DataConfig(**config), print)


def test_a_negative_column_is_refused():
    with pytest.raises(UserError, match="csv_column=-1"):
        DataConfig(csv_column=-1)
