"""Tests the counts of characters and lines, in blocks and chunks, against a count of the whole text at once."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.first_look.counts import Tally, tally, tally_chunk, total
from charrnn.text.chunks import Settings, cut


def counted(text):
    """Returns the expected tally, from the whole text at once."""
    lines = re.split("\r\n|\n|\r", text)
    lines = lines if lines[-1] else lines[:-1]
    written = [line for line in lines if line.strip()]
    return Tally(Counter(text), Counter(map(len, written)), len(lines) - len(written), text.count("\r\n"))


@given(st.lists(st.text("ab \n\r\té€\U0001f600\u0100", max_size=12), max_size=6))
def test_a_tally_does_not_depend_on_how_the_text_is_cut(blocks):
    assert tally(blocks) == counted("".join(blocks))


def test_line_ends_of_all_kinds_and_bytes_are_counted():
    text = "one\r\n\r\n \t\r\ntwo\rthree\nfour"
    assert tally([text]) == counted(text) == Tally(Counter(text), Counter({3: 2, 5: 1, 4: 1}), 2, 3)
    assert tally([text]).line_ends == {"CR LF": 3, "CR": 1, "LF": 1}
    data = bytes(range(256)) * 2 + b"\n"
    assert tally([data[:100], data[100:]]).counts == Counter(map(chr, data))


def test_a_length_quantile_covers_a_share_of_the_lines():
    found = tally(["a\n" * 50 + "bb\n" * 45 + "c" * 7 + "\n" * 5])
    assert [found.length_quantile(share) for share in (0.5, 0.6, 0.98, 1.0)] == [1, 2, 2, 7]
    assert found.num_blank == 4 and tally([]).length_quantile(0.5) == 0


@pytest.mark.parametrize("column", [0, 2])
def test_the_tallies_of_chunks_add_up_to_the_whole(tmp_path, monkeypatch, column):
    monkeypatch.setattr("charrnn.text.chunks.CHUNK_BYTES", 300)
    texts = [f'{i},"say ""{i}"" é",x\n' * 20 for i in range(5)]
    for i, text in enumerate(texts):
        (tmp_path / str(i)).write_text(text, encoding="utf-8")
    files = [(str(tmp_path / str(i)), len(text.encode())) for i, text in enumerate(texts)]
    settings = Settings(csv_column=column)
    found = [tally_chunk(chunk, settings) for chunk in cut(files, settings)]
    expected = "".join(texts) if not column else "".join(f'say "{i}" é\n' * 20 for i in range(5))
    assert len(found) > 2 and total(found) == counted(expected)
