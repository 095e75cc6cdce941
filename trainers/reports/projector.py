"""The embedding with its characters as labels, for TensorBoard's tab PROJECTOR.

The tab reads a config, which names a file of vectors and a file of labels, from a folder of the run directory. The
vectors are text, because TensorBoard reads a binary file as text first, and fails where that succeeds by chance.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator

import tensorflow as tf

from charrnn import run_files
from charrnn.files import atomic
from charrnn.model.char_model import CharModel
from charrnn.text.vocabulary import Vocabulary
from trainers.reports.reports import Report
from trainers.run_directory import disk

FOLDER = "plugins/org_tensorflow_tensorboard_projector"  # where TensorBoard looks, in a run directory
_CONFIG, _VECTORS, _LABELS = "projector_config.pbtxt", "embedding.tsv", "characters.tsv"
_MARK = b"# charrnn writes this file and the two that it names.\n"
_CONTENT = f"""\
embeddings {{
  tensor_name: "embedding"
  tensor_path: "{_VECTORS}"
  metadata_path: "{_LABELS}"
}}
""".encode()

_CATEGORIES = {
    "Lu": "uppercase letter",
    "Ll": "lowercase letter",
    "L": "letter",
    "M": "mark",
    "N": "number",
    "P": "punctuation",
    "S": "symbol",
    "Z": "space",
    "C": "control",
}
"""Unicode's general category, or its first letter -> its name, by which the tab can colour."""


class Projector(Report):
    """Writes the embedding at the start and with each checkpoint. Does nothing without an embedding.

    A user's own config in that folder, which does not begin with this module's mark, stays, and so does a user's file
    with a name of this module's.

    Args:
        run_dir: the run directory.
        model: the model; each call uses its current weights.
        vocabulary: its characters.
    """

    def __init__(self, run_dir: str, model: CharModel, vocabulary: Vocabulary):
        super().__init__(run_dir)
        self._model, self._vocabulary = model, vocabulary
        self._folder = os.path.join(run_dir, FOLDER)
        self._ours = False

    def start(self, step: int, measured: int) -> None:
        """Writes all three files, the config first: it shows the next start that the others are not the user's."""
        self._ours = self._model.embedding is not None and self._may_write()
        if self._ours:
            with disk.writing(self._folder):
                tf.io.gfile.makedirs(self._folder)
                atomic.remove_remains(self._folder, [_CONFIG, _VECTORS, _LABELS])
            self._replace(_CONFIG, _MARK + _CONTENT)
            self._replace(_LABELS, _as_tsv(labels(self._vocabulary)))
            self._write_vectors()

    def saved(self, step: int, path: str) -> None:
        """Writes the vectors of the newest checkpoint."""
        if self._ours and os.path.basename(os.path.dirname(path)) == run_files.NEWEST:
            self._write_vectors()

    def _write_vectors(self) -> None:
        assert self._model.embedding is not None
        vectors = tf.convert_to_tensor(self._model.embedding.embeddings).numpy().tolist()
        self._replace(_VECTORS, _as_tsv(map("{:.6g}".format, vector) for vector in vectors))

    def _replace(self, name: str, content: bytes) -> None:
        path = os.path.join(self._folder, name)
        with disk.writing(path):
            atomic.replace(path, content)

    def _may_write(self) -> bool:
        """Returns whether the folder's files are this module's, or do not exist yet."""
        parent = os.path.dirname(self._folder)
        if any(tf.io.gfile.exists(each) and not tf.io.gfile.isdir(each) for each in (parent, self._folder)):
            return False
        paths = [os.path.join(self._folder, name) for name in (_CONFIG, _VECTORS, _LABELS)]
        if any(tf.io.gfile.isdir(path) for path in paths):
            return False
        if not tf.io.gfile.exists(paths[0]):
            return not any(map(tf.io.gfile.exists, paths))
        with disk.writing(paths[0]), tf.io.gfile.GFile(paths[0], "rb") as file:
            return file.read(len(_MARK)) == _MARK


def labels(vocabulary: Vocabulary) -> Iterator[tuple[str, ...]]:
    """Yields a head, then a row per id: a label, the code point, Unicode's name and its category.

    No field has a tab or a line end, and no row is blank, so that the rows stay in step with the vectors.

    Args:
        vocabulary: the vocabulary.
    """
    yield "character", "code point", "name", "category"
    if vocabulary.kind == "bytes":
        for byte in range(vocabulary.size):
            yield _row(chr(byte)) if byte < 128 else (f"\\x{byte:02x}", "none", "part of a character", "byte")
        return
    yield "unknown", "none", "every unknown character", "unknown"
    yield from map(_row, vocabulary.characters)


def _row(character: str) -> tuple[str, ...]:
    kind = unicodedata.category(character)
    label = character if character.isprintable() else ascii(character)[1:-1]
    label = {" ": "space"}.get(character, f"\N{DOTTED CIRCLE}{label}" if kind in ("Mn", "Me") else label)
    name = unicodedata.name(character, "no name")
    return label, f"U+{ord(character):04X}", name, _CATEGORIES.get(kind, _CATEGORIES[kind[0]])


def _as_tsv(rows: Iterable[Iterable[str]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in rows).encode()
