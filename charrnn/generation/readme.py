"""The README.md of an exported folder: what its model takes and gives, and code for it that needs no charrnn."""

from collections.abc import Iterable

import tensorflow as tf

from charrnn.generation.loading import Loaded
from charrnn.text.vocabulary import Vocabulary

_HEAD = """# A language model of {kind}

Exported by charrnn. It has V = {size} ids; B is the number of texts, T their length.

## From text to ids and back
{how}
```python
{code}
```
"""

_SAVED_MODEL = """
## saved_model: strings in, strings out
| signature | inputs | outputs |
|---|---|---|
| `generate` | `prompt` string [B], `num_chars` int32 [], `seed` int32 [B], `temperature` float32 [B]: {temperatures} \
| `text` string [B], what follows each prompt |
| `score` | `text` string [B] | `nats` float32 [B, T], -ln p of each {unit}, 0 without a prediction; \
`nats_per_char` float32 [B] |
| `step` | `text` string [B], one {unit} each; `state` float32 [B, {state}], zeros at first | \
`log_probs` float32 [B, V] of the next {unit}, `characters` string [V], `state` |

{does} {begins} Impossible input raises `InvalidArgumentError`.
```python
import tensorflow as tf

generate = tf.saved_model.load("saved_model").signatures["generate"]
written = generate(
    prompt=tf.constant([read({prompt})]),
    num_chars=tf.constant(100),
    seed=tf.constant([0]),
    temperature=tf.constant([0.8]),
)
print(written["text"].numpy()[0].decode("utf-8", "replace"))
```
"""

_KERAS = """
## model.keras: ids in, logits out
It turns ids int32 [B, T] into logits float32 [B, T, V] of what follows each id. {begins_ids}
```python
import numpy as np
import tensorflow as tf

model = tf.keras.models.load_model("model.keras")
logits = model(np.array([{before}encode({prompt})]))[0, -1].numpy()
print(decode([{first} + int(np.argmax(logits[{first}:]))]))
```
"""

_TFLITE = """
## step.tflite: one id in, the prediction of the next out
It turns `id` int32 [1] and `state` float32 [1, {state}], zeros at first, into `log_probs` float32 [1, V] and the next
`state`. {begins_ids}
```python
import numpy as np
import tensorflow as tf

step = tf.lite.Interpreter("step.tflite").get_signature_runner()
random, state = np.random.default_rng(0), np.zeros((1, {state}), np.float32)
ids = {before}encode({prompt})
for i in range(100):
    said = step(id=np.array([ids[i]], np.int32), state=state)
    state, log_probs = said["state"], said["log_probs"][0, {first}:]
    if i == len(ids) - 1:
        ids.append({first} + int(np.argmax(log_probs + random.gumbel(size=len(log_probs)))))
print(decode(ids))
```
"""

_FORMATS = {"saved_model": _SAVED_MODEL, "keras": _KERAS, "tflite": _TFLITE}

_BEGINS = "It puts a line break, with which a document begins, before each prompt and text, but not before `step`'s."

_OF_CHARACTERS = """
def encode(text):
    return [id_of.get(character, 0) for character in read(text)]


def decode(ids):
    return "".join(("\\ufffd", *characters)[i] for i in ids)"""

_OF_BYTES = """
def encode(text):
    return list(read(text).encode())


def decode(ids):
    return bytes(ids).decode("utf-8", "replace")"""

_VOCABULARY = """import json
import unicodedata

with open("vocabulary.json", encoding="utf-8") as file:
    characters = json.load(file)["characters"]
id_of = {character: i for i, character in enumerate(characters, 1)}

"""


def readme(loaded: Loaded, formats: Iterable[str], temperatures: str) -> str:
    """Returns the README.

    Args:
        loaded: the model.
        formats: those that are in the folder, of `exporting.FORMATS`.
        temperatures: those that `generate` takes.
    """
    generator, vocabulary = loaded.generator(), loaded.vocabulary
    in_bytes, end = vocabulary.kind == "bytes", generator.end_id
    prompt = generator.beginning or vocabulary.characters[-1] if not in_bytes else "A"
    unit = "byte" if in_bytes else "character"
    values = {
        "kind": "bytes" if in_bytes else "characters",
        "unit": unit,
        "size": vocabulary.size,
        "state": sum(entry.shape[-1] for entry in tf.nest.flatten(loaded.model.initial_state(1))),
        "temperatures": temperatures,
        "prompt": ascii(prompt),
        "first": 0 if in_bytes else 1,
        "before": "" if end is None else f"[{end}] + ",
        "begins": f"A prompt has at least one {unit}." if end is None else _BEGINS,
        "begins_ids": "" if end is None else f"A document begins with the id {end}, a line break; with it, it ends.",
        "does": _does(vocabulary),
        "how": _how(vocabulary),
        "code": _code(vocabulary),
    }
    return "".join(part.format(**values) for part in [_HEAD, *(_FORMATS[name] for name in _FORMATS if name in formats)])


def _how(vocabulary: Vocabulary) -> str:
    """What the ids are, and what `read` does."""
    ids = "The id of a byte is its value."
    if vocabulary.kind == "characters":
        ids = "vocabulary.json has the characters in the order of their ids, from 1 on; 0 is the unknown character."
    done = ", ".join(_steps(vocabulary))
    return f"{ids} The model knows text with {done}: `read` does that." if done else f"{ids} Text is taken as it is."


def _steps(vocabulary: Vocabulary) -> list[str]:
    reading = vocabulary.reading
    steps = ["\\n for each line end"] if reading.universal_newlines else []
    steps += [f"Unicode normalization {reading.normalization}"] if reading.normalization else []
    return steps + (["lower case"] if reading.lowercase else [])


def _does(vocabulary: Vocabulary) -> str:
    """What a graph does of `read`, and what it cannot."""
    if vocabulary.reading.normalization:
        return "It cannot normalize Unicode: give it what `read`, above, returns."
    return "It reads text as `read`, above, does."


def _code(vocabulary: Vocabulary) -> str:
    """`read`, `encode` and `decode` in Python."""
    reading, in_bytes = vocabulary.reading, vocabulary.kind == "bytes"
    normalize = [f"    text = unicodedata.normalize({reading.normalization!r}, text)"] if reading.normalization else []
    lines = ["def read(text):"]
    if reading.universal_newlines:
        lines.append('    text = text.replace("\\r\\n", "\\n").replace("\\r", "\\n")')
    lines += normalize
    if reading.lowercase:
        lower = "text.encode().lower().decode()" if vocabulary.lowers_ascii_only else "text.lower()"
        lines += [f"    text = {lower}", *normalize]
    lines += ["    return text", "", _OF_BYTES if in_bytes else _OF_CHARACTERS]
    before = _VOCABULARY if not in_bytes else "import unicodedata\n\n"
    if not reading.normalization:
        before = before.replace("import unicodedata\n", "").lstrip()
    return f"{before}\n" * bool(before) + "\n".join(lines)
