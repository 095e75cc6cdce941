"""Exports a model for programs without charrnn (SavedModel, Keras model of stock layers, TFLite), or as a page.

export(load("runs/x"), "exported")
generate = tf.saved_model.load("exported/saved_model").signatures["generate"]
"""

import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from charrnn import run_files
from charrnn.errors import COOLEST, HOTTEST, UserError, require
from charrnn.files import atomic, paths
from charrnn.generation import decode_loop
from charrnn.generation.decode_loop import DECODE_BLOCK_CHARS, OWN
from charrnn.generation.html_page import html_page, require_small
from charrnn.generation.loading import Loaded
from charrnn.generation.lower_case import LowerCase
from charrnn.generation.readme import readme
from charrnn.generation.unknown import UNKNOWN
from charrnn.generation.writer import writing_network
from charrnn.model.char_model import CharModel
from charrnn.model.weights import Network
from charrnn.process import outputs
from charrnn.sampling import Sampler
from charrnn.text.vocabulary import REPLACEMENT

_TEMPERATURES = f"0 (the likeliest character always), or from {COOLEST:.0e} to {HOTTEST:.0e}"
_MOST_CHARS = 1 << 30  # of one call, so that no position overflows int32

FORMATS = {"saved_model": "saved_model", "keras": "model.keras", "tflite": "step.tflite", "html": "model.html"}
"""The formats, and the name of each in the folder."""

DEFAULT_FORMATS = ("saved_model", "keras", "tflite")


def export(
    loaded: Loaded,
    output: str,
    formats: Sequence[str] = DEFAULT_FORMATS,
    sampler: Sampler | None = None,
    unknown: str = "refuse",
) -> None:
    """Writes a folder with the model in each format, its vocabulary, and a README.md that explains their use.

    Args:
        loaded: the model.
        output: the folder to make.
        formats: some of FORMATS.
        sampler: the filters of the SavedModel's `generate`; the temperature is an input of the signature. A page opens
            with these filters.
        unknown: the SavedModel's treatment of unknown characters, one of `unknown.UNKNOWN`; a page opens with it.

    Raises:
        UserError: the folder exists already or cannot be written, or a format cannot hold the model.
    """
    for name in formats:
        require("formats", name, name in FORMATS, f"some of {', '.join(FORMATS)}")
    config = loaded.model.config
    if "keras" in formats and (config.skip_connections or config.state_rates):
        raise UserError("Keras has no layers with zoneout or skip connections: give --formats=saved_model,tflite.")
    if "html" in formats:
        require("unknown", unknown, unknown in UNKNOWN, f"one of {', '.join(UNKNOWN)}")
        require_small(loaded)
    output = paths.given(output)
    if "://" in output:
        raise UserError(f"{output} is not on this machine: give a local --output.")
    outputs.require_new_folder(output)
    try:
        with atomic.scratch(*os.path.split(os.path.abspath(output))) as scratch:
            folder = os.path.join(scratch, "exported")
            os.mkdir(folder)
            _write(loaded, folder, formats, sampler or Sampler(), unknown)
            os.rename(folder, output)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"The folder {output} cannot be made ({reason}): give another --output.") from error


def _write(loaded: Loaded, folder: str, formats: Sequence[str], sampler: Sampler, unknown: str) -> None:
    places = {name: os.path.join(folder, FORMATS[name]) for name in formats}
    loaded.vocabulary.save(os.path.join(folder, run_files.VOCABULARY))
    atomic.replace(os.path.join(folder, "README.md"), readme(loaded, formats, _TEMPERATURES, sampler).encode())
    if "saved_model" in places:
        Serving(loaded, sampler, unknown).save(places["saved_model"])
    if "keras" in places:
        stock_model(loaded.model).save(places["keras"])
    if "tflite" in places:
        atomic.replace(places["tflite"], tflite_step(loaded.model, loaded.generator().end_id))
    if "html" in places:
        atomic.replace(places["html"], html_page(loaded, sampler, unknown))


class Serving:
    """A model's functions of strings, in graphs that need no Python; B rows, V ids, T characters.

    - `step`: text string `[B]`, one character each, and state float32 `[B, S]`, zeros at first -> log_probs float32
      `[B, V]` of the next character, the state after it, and characters string `[V]`, in the order of log_probs.
    - `generate`: prompt string `[B]`, num_chars int32 `[]`, seed int32 `[B]`, temperature float32 `[B]`, 0: the
      likeliest character always -> text string `[B]`, the result of `Generator.generate` for each prompt.
    - `score`: text string `[B]` -> nats float32 `[B, T]` of each character, 0 beyond the end and without a prediction;
      and nats_per_char float32 `[B]`, the mean over the predictions.

    Strings are read as the model's training text was, except for a Unicode normalization, which no graph can do. With a
    vocabulary of bytes each byte counts as a character. Refused input raises InvalidArgumentError.

    Args:
        loaded: the model.
        sampler: the filters of `generate`.
        unknown: treatment of unknown characters, one of `unknown.UNKNOWN`.
    """

    def __init__(self, loaded: Loaded, sampler: Sampler, unknown: str = "refuse"):
        require("unknown", unknown, unknown in UNKNOWN, f"one of {', '.join(UNKNOWN)}")
        self._model, self._vocabulary, self._unknown = loaded.model, loaded.vocabulary, unknown
        self._writer = loaded.generator(sampler).writer
        self._network = loaded.model.network().map(lambda weight: tf.Variable(weight, trainable=False))
        codes = [*map(ord, loaded.vocabulary.characters)] or [0]
        unicode = loaded.vocabulary.reading.lowercase and not loaded.vocabulary.lowers_ascii_only
        self._lower = LowerCase() if unicode else None
        ids = tf.range(1, len(codes) + 1, dtype=tf.int64)
        self._id_of_code = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(codes, tf.int64), ids), default_value=0
        )

    def save(self, path: str) -> None:
        """Writes the SavedModel."""
        spec = tf.TensorSpec
        text, state = spec([None], tf.string, "text"), spec([None, self._model.state_size], tf.float32, "state")
        prompt, num_chars = spec([None], tf.string, "prompt"), spec([], tf.int32, "num_chars")
        seed, temperature = spec([None], tf.int32, "seed"), spec([None], tf.float32, "temperature")
        takes = {"step": (text, state), "generate": (prompt, num_chars, seed, temperature), "score": (text,)}
        module = tf.Module()  # holds the variables and tables of the functions
        module.held = [entry for entry in tf.nest.flatten(self._network) if tf.is_tensor(entry)]
        module.tables = [self._id_of_code, self._lower and self._lower.table]
        signatures = {
            name: tf.function(getattr(self, name), autograph=False).get_concrete_function(*specs)
            for name, specs in takes.items()
        }
        tf.saved_model.save(module, path, signatures)

    def step(self, text: tf.Tensor, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """Reads one character per row. Graph."""
        ids = self._encode(text)
        _require(tf.reduce_all(ids.row_lengths() == 1), "Each text must be one character.")
        log_probs, state = advance_flat(self._current_network(), self._model, ids.values, state, self._writer.end_id)
        return {"log_probs": log_probs, "state": state, "characters": tf.constant(self._characters())}

    def generate(
        self, prompt: tf.Tensor, num_chars: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Writes one text per row. Graph."""
        network = writing_network(self._current_network(), self._vocabulary)
        end_id = self._writer.end_id
        if end_id is not None:
            prompt = tf.strings.regex_replace(prompt, r"\A(\r\n?|\n)", "")
        ids = self._after_end(self._encode(prompt))
        lengths = tf.cast(ids.row_lengths(), tf.int32)[:, None]
        _require(tf.reduce_all(lengths > 0), "A prompt is empty: give at least one character.")
        possible = (temperature == 0) | ((temperature >= COOLEST) & (temperature <= HOTTEST))
        _require(tf.reduce_all(possible), f"temperature must be {_TEMPERATURES}, not", temperature)
        right = (num_chars >= 0) & (num_chars <= _MOST_CHARS)
        with tf.control_dependencies([_require(right, f"num_chars must be from 0 to {_MOST_CHARS}, not", num_chars)]):
            num_chars = tf.identity(num_chars)

        def call(forced, position, count, state, logits):
            return self._writer.block(network, forced, seed, temperature, position, count, state, logits)

        rows = self._in_blocks(ids, tf.reduce_max(lengths) + num_chars, call, tf.int32)
        places = tf.range(tf.shape(rows)[1])
        written = (places >= lengths) & (places < lengths + num_chars)
        if end_id is not None:
            written &= tf.cumsum(tf.cast(written & (rows == end_id), tf.int32), 1) == 0
        characters = tf.constant([*self._characters(), b""])
        rows = tf.where(written, rows, self._vocabulary.size)
        return {"text": tf.strings.reduce_join(tf.gather(characters, rows), 1)}

    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the nats of each character. Graph."""
        network, end_id = self._current_network(), self._writer.end_id
        ids = self._after_end(self._encode(text))
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        longest = tf.maximum(0, tf.reduce_max(lengths))  # 0 without texts

        def call(forced, position, count, state, logits):
            reads = tf.transpose(tf.maximum(forced, 0))
            block = decode_loop.read_and_write(
                network, lambda _, t: reads[t], state, logits, 0, count, end_id, predictions=True
            )
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=reads, logits=block.predictions)
            return tf.transpose(losses), block.state, block.logits

        nats = self._in_blocks(ids, longest, call, tf.float32)
        predicted = tf.sequence_mask(lengths, tf.shape(nats)[1]) & (tf.range(tf.shape(nats)[1]) > 0)
        nats = tf.where(predicted, nats, 0.0)
        mean = tf.math.divide_no_nan(tf.reduce_sum(nats, 1), tf.reduce_sum(tf.cast(predicted, tf.float32), 1))
        return {"nats": nats[:, int(end_id is not None) : longest], "nats_per_char": mean}

    def _in_blocks(self, ids: tf.RaggedTensor, total: tf.Tensor, call: Callable, dtype: tf.DType) -> tf.Tensor:
        """Runs `call` block by block until `total` characters.

        Args:
            ids: of each row, to be read first.
            total: characters, int32 `[]`.
            call: (forced, position, count, state, logits) -> an entry for each character of a block
                `[B, DECODE_BLOCK_CHARS]`, and state and logits after it.
            dtype: of the entries.

        Returns:
            The entries, `[B, ≥ total]`.
        """
        num_blocks = tf.maximum(1, -(-total // DECODE_BLOCK_CHARS))
        given = ids.to_tensor(OWN)
        given = tf.pad(given, [[0, 0], [0, num_blocks * DECODE_BLOCK_CHARS - tf.shape(given)[1]]], constant_values=OWN)

        def body(i, state, logits, found):
            start = i * DECODE_BLOCK_CHARS
            forced = tf.ensure_shape(given[:, start : start + DECODE_BLOCK_CHARS], [None, DECODE_BLOCK_CHARS])
            entries, state, logits = call(forced, start, tf.minimum(DECODE_BLOCK_CHARS, total - start), state, logits)
            return i + 1, state, logits, found.write(i, tf.transpose(entries))

        batch_size = tf.shape(given)[0]
        found = tf.TensorArray(dtype, size=num_blocks, element_shape=[DECODE_BLOCK_CHARS, None])
        logits = tf.zeros((batch_size, self._model.vocabulary_size))
        start = (tf.constant(0), self._model.initial_state(batch_size), logits, found)
        return tf.transpose(tf.while_loop(lambda i, *_: i < num_blocks, body, start)[-1].concat())

    def _current_network(self) -> Network:
        """Returns the values of the variables, because a loop over variables would read them at each character."""
        return self._network.map(tf.convert_to_tensor)

    def _encode(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Turns strings `[B]` into ids int32 `[B, None]`."""
        text = self._read(text)
        if self._vocabulary.kind == "bytes":
            each = tf.strings.bytes_split(text)
            return each.with_values(tf.cast(tf.reshape(tf.io.decode_raw(each.values, tf.uint8), [-1]), tf.int32))
        codes = tf.strings.unicode_decode(text, "UTF-8")
        ids = codes.with_values(tf.cast(self._id_of_code.lookup(tf.cast(codes.values, tf.int64)), tf.int32))
        if self._unknown == "drop":
            return tf.ragged.boolean_mask(ids, ids != self._vocabulary.unknown_id)
        if self._unknown == "refuse":
            unknown = tf.boolean_mask(codes.values, ids.values == self._vocabulary.unknown_id)[:, None]
            seen = tf.strings.unicode_encode(unknown, "UTF-8")
            _require(tf.size(unknown) == 0, "The text has characters that the model never saw:", seen)
        return ids

    def _read(self, text: tf.Tensor) -> tf.Tensor:
        """Does `Vocabulary.read` for strings `[B]`, without its normalization."""
        reading = self._vocabulary.reading
        if reading.universal_newlines:
            text = tf.strings.regex_replace(text, "\r\n?", "\n")
        if not reading.lowercase:
            return text
        return tf.strings.lower(text) if self._lower is None else self._lower(text)

    def _after_end(self, ids: tf.RaggedTensor) -> tf.RaggedTensor:
        """Puts the end of a document before each row, if the model was trained on documents."""
        if self._writer.end_id is None:
            return ids
        return tf.concat([tf.fill([ids.nrows(), 1], self._writer.end_id), ids], 1)

    def _characters(self) -> list[bytes]:
        """Returns the character of each id, in UTF-8."""
        if self._vocabulary.kind == "bytes":
            return [bytes([i]) for i in range(256)]
        return [character.encode("utf-8", "replace") for character in (REPLACEMENT, *self._vocabulary.characters)]


def advance_flat(
    network: Network, model: CharModel, ids: tf.Tensor, state: tf.Tensor, end_id: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads one character per row; an end of a document from the zero state. Graph.

    Args:
        network: the weights.
        model: the model to which they belong.
        ids: int32 `[B]`.
        state: float32 `[B, S]`.
        end_id: the id between documents; None: the text is not documents.

    Returns:
        ln p of the next character, float32 `[B, V]`, and the state after the characters.
    """
    if end_id is not None:
        state = tf.where((ids == end_id)[:, None], tf.zeros_like(state), state)
    layers = model.initial_state(1)
    parts = tf.split(state, len(tf.nest.flatten(layers)), -1)
    kernel = network.layers[0].kernel
    layers = tf.nest.pack_sequence_as(layers, [tf.cast(part, kernel.dtype) for part in parts])
    layers, _ = network.advance(ids, layers)
    state = tf.concat([tf.cast(entry, tf.float32) for entry in tf.nest.flatten(layers)], -1)
    return tf.nn.log_softmax(network.predict(layers)), state


def stock_model(model: CharModel) -> keras.Model:
    """Builds a model of Keras's own layers: ids `[B, T]`, from the zero state -> logits float32 `[B, T, V]`."""
    size, policy, embedding = model.vocabulary_size, model.dtype_policy, model.embedding
    stock = keras.Sequential(name=model.name)
    stock.add(keras.Input((None,), dtype="int32", name="ids"))
    width = model.config.embedding_size or size
    stock.add(keras.layers.Embedding(size, width, trainable=embedding is not None, dtype=policy))
    for layer in model.recurrent_layers:
        stock.add(type(layer)(model.config.units, return_sequences=True, name=layer.name, dtype=policy))
    stock.add(keras.layers.Dense(size, name="readout", dtype="float32"))
    embeddings = [np.eye(size, dtype=np.float32)] if embedding is None else embedding.get_weights()
    recurrent = (layer.get_weights() for layer in model.recurrent_layers)
    readout = [weight / model.config.temperature for weight in model.readout.get_weights()]
    for layer, weights in zip(stock.layers, [embeddings, *recurrent, readout], strict=True):
        layer.set_weights(weights)
    return stock


def tflite_step(model: CharModel, end_id: int | None = None) -> bytes:
    """Converts `step` to a TFLite model for one row, in float32 and with built-in operations only.

    It takes an id instead of a string: id int32 `[1]`, state float32 `[1, S]` -> log_probs float32 `[1, V]`, state.

    Args:
        model: the model.
        end_id: the id between documents; None: the text is not documents.
    """
    network = model.network().map(lambda weight: tf.cast(weight, tf.float32))
    takes = tf.TensorSpec([1], tf.int32, "id"), tf.TensorSpec([1, model.state_size], tf.float32, "state")

    def step(id, state):
        log_probs, state = advance_flat(network, model, id, state, end_id)
        return {"log_probs": log_probs, "state": state}

    module = tf.Module()
    module.step = tf.function(step, autograph=False, input_signature=takes)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.step.get_concrete_function()], module)
    return converter.convert()


def _require(condition: tf.Tensor, sentence: str, *values: tf.Tensor) -> tf.Operation:
    """Fails if the condition is false, with the sentence and the first of the values."""
    return tf.debugging.Assert(condition, [sentence, *values])
