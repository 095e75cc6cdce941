"""Provides a source for the tests of this folder."""

import pytest

from charrnn.measures.exact_source import ExactSource
from charrnn.text.finite_state import Choice, FiniteStateSource
from charrnn.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def swap():
    """Returns a small source, the vocabulary of its characters, and the source as a reference."""
    rules = {
        "one": [Choice("ab", 0.7, "one"), Choice("c", 0.3, "two")],
        "two": [Choice("ab", 0.2, "one"), Choice("ca", 0.8, "two")],
    }
    source, vocabulary = FiniteStateSource(rules, "one"), Vocabulary("abc")
    return source, vocabulary, ExactSource(source, vocabulary, slip=0.1)
