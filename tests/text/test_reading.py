"""Tests the normalization of a text before a model reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import UserError
from charrnn.text.reading import NORMALIZATIONS, Reading


@pytest.mark.parametrize(
    "reading, text, expected",
    [
        (Reading(), "A\r\nÉ", "A\r\nÉ"),
        (Reading(lowercase=True), "The KING ΑΣ", "the king ας"),
        (Reading(universal_newlines=True), "a\r\nb\rc\n\r\nd", "a\nb\nc\n\nd"),
        (Reading(normalization="NFC"), "the\u0301", "th\u00e9"),
        (Reading(normalization="NFD", lowercase=True), "TH\u00c9", "the\u0301"),
        (Reading(True, "NFKC", True), "\ufb01\r\n\u2168", "fi\nix"),
    ],
)
def test_apply_changes_line_ends_unicode_form_and_case(reading, text, expected):
    assert reading.apply(text) == expected
    assert reading.apply(expected) == expected  # a second time changes nothing


@given(
    st.text(st.characters() | st.sampled_from("JjHTWYΣσİıẖ\u030c\u0301\u0331\u0308\r\n")),
    st.sampled_from(NORMALIZATIONS),
)
def test_reading_a_text_a_second_time_changes_nothing(text, form):
    reading = Reading(True, form, True)
    assert reading.apply(reading.apply(text)) == reading.apply(text)


def test_lower_case_is_normalized_again():
    assert Reading(normalization="NFC", lowercase=True).apply("J\u030c") == "\u01f0"  # one character


def test_the_settings_of_a_run_determine_its_reading():
    assert Reading.of_run({"order": "windows", "csv_column": 0, "lowercase": False}) == Reading()
    assert Reading.of_run({"order": "lines", "csv_column": 0, "lowercase": True}) == Reading(True, lowercase=True)
    assert Reading.of_run({"order": "windows", "csv_column": 2}).universal_newlines
    newer = {"order": "streams", "normalization": "NFC", "encoding": "cp1252"}
    assert Reading.of_run(newer) == Reading(False, "NFC", False, "cp1252")


def test_an_unknown_normalization_is_refused():
    with pytest.raises(UserError, match=r"data\.normalization=nfc .*NFC"):
        Reading(normalization="nfc")
