"""The README.md of an exported folder: inputs and outputs of each format, and code that needs no charrnn."""

import dataclasses
from collections.abc import Iterable

from charrnn.generation.loading import Loaded
from charrnn.sampling import Sampler

_HEAD = """# A language model of {kind}

Exported by charrnn. It has V = {size} ids; B is the number of texts, T their length.

## From text to ids and back
{ids} `read` prepares a text as the model's own text was.
```python
{code}
```
"""

_SAVED_MODEL = """
## saved_model: strings in, strings out
| signature | inputs | outputs |
|---|---|---|
| `generate` | `prompt` string [B], `num_chars` int32 [], `seed` int32 [B], `temperature` float32 [B]: {temperatures} \
| `text` string [B], the text after each prompt |
| `score` | `text` string [B] | `nats` float32 [B, T], -ln p of each {unit}, 0 without a prediction; \
`nats_per_char` float32 [B] |
| `step` | `text` string [B], one {unit} each; `state` float32 [B, {state}], zeros at first | \
`log_probs` float32 [B, V] of the next {unit}, `characters` string [V], `state` |

{does} {begins}{filters} Impossible input raises `InvalidArgumentError`.
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
It turns ids int32 [B, T] into logits float32 [B, T, V] of the id after each. {begins_ids}{one_a_row}
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
    predicted = step(id=np.array([ids[i]], np.int32), state=state)
    state, log_probs = predicted["state"], predicted["log_probs"][0, {first}:]
    if i == len(ids) - 1:{cut_off}
        ids.append({first} + int(np.argmax(log_probs + random.gumbel(size=len(log_probs)))))
print(decode(ids))
```
"""

_CUT_OFF = """
        likely = np.exp(log_probs) >= {epsilon}
        log_probs = np.where(likely | (log_probs == log_probs.max()), log_probs, -np.inf)"""

_HTML = """
## model.html: a page that shows the model at work
Open it in a browser, from the disk or from a server. It needs no network and no other file, and sends nothing.
"""

_FORMATS = {"saved_model": _SAVED_MODEL, "keras": _KERAS, "tflite": _TFLITE, "html": _HTML}

_IDS = "vocabulary.json has the characters in the order of their ids, from 1 on; 0 is the unknown character."

_CODE = """import json
import unicodedata

with open("vocabulary.json", encoding="utf-8") as file:
    vocabulary = json.load(file)
characters, reading, in_bytes = vocabulary["characters"], vocabulary["reading"], vocabulary["kind"] == "bytes"
id_of = {character: i for i, character in enumerate(characters, 1)}


def normalize(text):
    return unicodedata.normalize(reading["normalization"], text) if reading["normalization"] else text


def read(text):
    if reading["universal_newlines"]:
        text = text.replace("\\r\\n", "\\n").replace("\\r", "\\n")
    text = normalize(text)
    return normalize(LOWER) if reading["lowercase"] else text


def encode(text):
    return list(read(text).encode()) if in_bytes else [id_of.get(character, 0) for character in read(text)]


def decode(ids):
    return bytes(ids).decode("utf-8", "replace") if in_bytes else "".join(("\\ufffd", *characters)[i] for i in ids)"""


def readme(loaded: Loaded, formats: Iterable[str], temperatures: str, sampler: Sampler | None = None) -> str:
    """Returns the text of the README.

    Args:
        loaded: the model.
        formats: those in the folder, some of `exporting.FORMATS`.
        temperatures: the range that `generate` accepts.
        sampler: the filters of `generate`; its temperature and `greedy` are ignored.
    """
    filters = _filters(sampler or Sampler())
    generator, vocabulary = loaded.generator(), loaded.vocabulary
    in_bytes, end = vocabulary.kind == "bytes", generator.end_id
    unit = "byte" if in_bytes else "character"
    lower = "text.encode().lower().decode()" if vocabulary.lowers_ascii_only else "text.lower()"
    values = {
        "kind": f"{unit}s",
        "unit": unit,
        "size": vocabulary.size,
        "state": loaded.model.state_size,
        "temperatures": temperatures,
        "prompt": ascii("A" if in_bytes else generator.beginning or vocabulary.characters[-1]),
        "first": 0 if in_bytes else 1,
        "before": "",
        "begins": f"A prompt has at least one {unit}.",
        "begins_ids": "",
        "one_a_row": "",
        "filters": f" The filters of its choice are {', '.join(filters)}." if filters else "",
        "cut_off": _CUT_OFF.format(epsilon=sampler.epsilon) if sampler and sampler.epsilon else "",
        "does": "It reads text as `read`, above, does.",
        "ids": "The id of a byte is its value." if in_bytes else _IDS,
        "code": _CODE.replace("LOWER", lower),
    }
    if end is not None:
        values["before"] = f"[{end}] + "
        values["begins"] = "It puts a line break, the start of a document, before a prompt or text; `step` does not."
        values["begins_ids"] = f"A document begins and ends with the id {end}, a line break."
        values["one_a_row"] = " A row is one document."
    if vocabulary.reading.normalization:
        values["does"] = "It cannot normalize Unicode: give it the result of `read`, above."
    return "".join(part.format(**values) for part in [_HEAD, *(_FORMATS[name] for name in _FORMATS if name in formats)])


def _filters(sampler: Sampler) -> list[str]:
    """Returns the filters that are not at their defaults, as "name=value"."""
    fields = [field for field in dataclasses.fields(Sampler) if field.name not in ("temperature", "greedy")]
    values = {field.name: getattr(sampler, field.name) for field in fields}
    return [f"{field.name}={values[field.name]}" for field in fields if values[field.name] != field.default]
