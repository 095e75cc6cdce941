"""Lower case in a graph, with the results of Python's `str.lower`.

lower = LowerCase()
lower(tf.constant(["İΑΣ"]))              # "i̇ας"
"""

import functools
import sys

import tensorflow as tf

_DOTTED = "İ"  # the one letter that `str.lower` turns into two
_BY_LANGUAGE = "IJĮÌÍĨ"  # TensorFlow's result for these depends on the process's language: Turkish, Lithuanian


class LowerCase:
    """A function of strings, with the table that must be saved with it."""

    def __init__(self):
        letters = [*_exceptions(), *_BY_LANGUAGE]
        codes, lower = ([*map(ord, each)] for each in (letters, "".join(letters).lower()))
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(codes, tf.int32), tf.constant(lower, tf.int32))
        self.table = tf.lookup.StaticHashTable(pairs, default_value=-1)

    def __call__(self, text: tf.Tensor) -> tf.Tensor:
        """Turns strings `[B]` in UTF-8 into lower case. Eager or graph."""
        codes = tf.strings.unicode_decode(tf.strings.regex_replace(text, _DOTTED, _DOTTED.lower()), "UTF-8")
        lower = self.table.lookup(codes.values)
        codes = codes.with_values(tf.where(lower < 0, codes.values, lower))
        # TensorFlow does the rest, because it depends on the word: a sigma at its end.
        return tf.strings.lower(tf.strings.unicode_encode(codes, "UTF-8"), "utf-8")


@functools.cache
def _exceptions() -> list[str]:
    """Returns the letters that Python's Unicode version knows, but TensorFlow's older one does not."""
    letters = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c and c not in _DOTTED + _BY_LANGUAGE]
    lower = tf.strings.lower(tf.constant([letter.encode() for letter in letters]), "utf-8").numpy()
    return [c for c, found in zip(letters, lower, strict=True) if c.lower().encode() != found]
