"""What is done to a text before a model meets it."""

import pytest

from charrnn.errors import UserError
from charrnn.reading import Reading


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
def test_line_ends_then_normalization_then_lower_case(reading, text, expected):
    assert reading.apply(text) == expected
    assert reading.apply(expected) == expected  # a second time changes nothing


def test_an_unknown_normalization_is_refused():
    with pytest.raises(UserError, match=r"data\.normalization=nfc .*NFC"):
        Reading(normalization="nfc")
