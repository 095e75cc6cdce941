"""Tests lower case in a graph against Python's `str.lower`, for all letters that it changes."""

import sys

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from charrnn.generation.lower_case import LowerCase


@pytest.fixture(scope="module")
def lower():
    each = LowerCase()
    return lambda texts: [text.decode() for text in each(tf.constant([text.encode() for text in texts])).numpy()]


def test_every_letter_becomes_the_same_as_in_python(lower):
    letters = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c]
    assert len(letters) > 1300
    assert lower(letters) == [letter.lower() for letter in letters]


LETTERS = st.sampled_from("AΣσςİIıÌĮJ\u0301\u0307 .'a1\uff21\U00010570") | st.characters(
    min_codepoint=1, exclude_categories=["Cs"]
)


@given(text=st.text(LETTERS))
def test_the_lower_case_of_a_letter_may_depend_on_its_word(lower, text):
    assert lower([text]) == [text.lower()]


def test_several_texts_may_have_different_lengths(lower):
    assert lower(["", "ΑΣ", "İstanbul ΣΑΣ"]) == ["", "ας", "i̇stanbul σας"]
