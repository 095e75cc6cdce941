"""Tests the treatment of unknown characters in a text, and the message that refuses them."""

import pytest

from charrnn.errors import UserError
from charrnn.generation.unknown import admit
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

COMPOSED, DECOMPOSED = "th\u00e9", "the\u0301"


def refused(text, vocabulary):
    with pytest.raises(UserError) as error:
        admit(text, "The prompt", vocabulary, "refuse")
    return str(error.value)


def test_a_text_is_read_like_the_training_text_before_it_is_checked():
    vocabulary = Vocabulary("\nhtk\u00e9", reading=Reading(True, "NFC", True))
    assert admit("THE\u0301\r\nK", "The prompt", vocabulary, "refuse") == "th\u00e9\nk"
    assert admit("THE\u0301X", "The prompt", vocabulary, "drop") == "th\u00e9"
    assert admit("THE\u0301X", "The prompt", vocabulary, "replace") == "th\u00e9x"


@pytest.mark.parametrize(
    "text, vocabulary, said",
    [
        (COMPOSED, Vocabulary.from_text(DECOMPOSED), ["'\u00e9'", "NFD", "U+00E9", "U+0065 U+0301"]),
        (DECOMPOSED, Vocabulary.from_text(COMPOSED), ["NFC", "U+00E9", "U+0065 U+0301"]),
        ("\ufb01", Vocabulary("fi"), ["NFKC", "U+FB01", "U+0066 U+0069"]),
        ("a\u00a0b", Vocabulary("a b"), ["NFKC", "U+00A0", "U+0020"]),
        ("\uac00", Vocabulary("\u1100\u1161"), ["NFD", "U+AC00", "U+1100 U+1161"]),
        ("\u2126", Vocabulary("\u03a9"), ["NFC", "U+2126", "U+03A9"]),
        ("The King", Vocabulary.from_text("the king"), ["lower case"]),
        ("a\r\nb", Vocabulary("\nab"), ["\\n alone"]),
    ],
)
def test_a_refusal_names_the_spelling_that_the_model_knows(text, vocabulary, said):
    message = refused(text, vocabulary)
    assert all(part in message for part in said) and "\n" not in message
    assert "normalization" not in message or "NF" in message


def test_no_spelling_is_suggested_if_none_helps():
    for text, vocabulary in [("☂", Vocabulary("abc")), ("\u00e9e\u0301", Vocabulary("\u00e9e"))]:
        assert refused(text, vocabulary)
    assert "normalization" not in refused("☂", Vocabulary("abc"))
    assert "lower case" not in refused("A", Vocabulary("Bab"))  # the vocabulary has both cases


def test_a_spelling_may_help_with_some_of_the_characters():
    message = refused(COMPOSED + "☂", Vocabulary.from_text(DECOMPOSED))
    assert "NFD" in message and "'☂'" in message and "more of them" in message


def test_the_message_has_a_bounded_length_for_any_vocabulary_and_text():
    vocabulary = Vocabulary([chr(i) for i in range(0x4E00, 0x9000)])
    assert len(refused("".join(map(chr, range(32, 4000))), vocabulary)) < 1200
