"""Puts a model into one HTML file that needs no network: weights, scripts and style are inside.

    page = html_page(loaded)
atomic.replace("model.html", page)

The sources of the page are the files of the folder `web`.
"""

import base64
import hashlib
import html
import os
import string
from collections.abc import Iterator
from typing import Any

import numpy as np

from charrnn.errors import UserError
from charrnn.files import strict_json
from charrnn.generation import description
from charrnn.generation.loading import Loaded
from charrnn.sampling import Sampler

_FOLDER = os.path.join(os.path.dirname(__file__), "web")
SCRIPTS = """
    support.js weights.js network.js noise.js sampling.js vocabulary.js writing.js trace.js features.js colours.js
    elements.js text_view.js view_write.js view_read.js main.js
""".split()
"""The scripts in the order in which the page runs them."""

_MOST_BYTES = 200_000_000  # of weights in a page, as 16-bit floats
_BYTES_PER_WEIGHT = 2


def require_small(loaded: Loaded) -> None:
    """Checks that a browser can hold the model.

    Args:
        loaded: the model.

    Raises:
        UserError: the weights take more than 200 MB.
    """
    num_bytes = _BYTES_PER_WEIGHT * loaded.model.config.num_weights(loaded.vocabulary.size)
    if num_bytes > _MOST_BYTES:
        raise UserError(
            f"The model is too large for a page: its weights take {num_bytes / 1e6:,.0f} MB in 16 bits, and a page "
            f"holds at most {_MOST_BYTES / 1e6:,.0f} MB: leave html out of --formats."
        )


def html_page(loaded: Loaded, sampler: Sampler | None = None, unknown: str = "refuse") -> bytes:
    """Returns the HTML file, in UTF-8.

    Args:
        loaded: the model.
        sampler: the filters with which the page opens; its temperature and `greedy` are ignored.
        unknown: the treatment of unknown characters with which the page opens, one of `unknown.UNKNOWN`.

    Raises:
        UserError: the model is too large.
    """
    require_small(loaded)
    style, scripts = read("page.css"), [read(name) for name in SCRIPTS]
    experiment = description.experiment(loaded)
    parts = {
        "title": html.escape(f"A character model: {experiment}" if experiment else "A character model"),
        "facts": _definitions(description.facts(loaded)),
        "style": style,
        "style_hash": _hash(style),
        "script_hashes": " ".join(map(_hash, scripts)),
        "described": _json(_described(loaded, sampler or Sampler(), unknown)),
        "tensors": "\n".join(_tensor(name, values) for name, values in _tensors(loaded)),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return string.Template(read("page.html")).substitute(parts).encode("utf-8", "replace")  # a file name may be no text


def read(name: str) -> str:
    """Returns the text of a source file of the page.

    Args:
        name: of a file in the folder `web`.
    """
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()


def _described(loaded: Loaded, sampler: Sampler, unknown: str) -> dict[str, Any]:
    """Returns everything that the scripts must know besides the weights."""
    config, vocabulary = loaded.model.config, loaded.vocabulary
    return {
        "model": {
            "cell": config.cell,
            "units": config.units,
            "num_layers": config.num_layers,
            "skip_connections": config.skip_connections,
            "keep": config.state_rates,
            "vocabulary_size": vocabulary.size,
            "has_table": _has_table(loaded),
        },
        "vocabulary": {
            "kind": vocabulary.kind,
            "characters": vocabulary.characters,
            "end_of_text": loaded.end_of_text,
            "lowers_ascii_only": vocabulary.lowers_ascii_only,
            "reading": {
                "universal_newlines": vocabulary.reading.universal_newlines,
                "normalization": vocabulary.reading.normalization,
                "lowercase": vocabulary.reading.lowercase,
            },
        },
        "prompt": description.prompt(loaded),
        "unknown": unknown,
        "sampler": {name: getattr(sampler, name) for name in ("top_k", "top_p", "min_p", "epsilon")},
    }


def _has_table(loaded: Loaded) -> bool:
    """Returns True if embedding, input kernel and bias take less room as one table than apart, or are one already."""
    size, width = loaded.model.network().layers[0].kernel.shape
    embedding_size = loaded.model.config.embedding_size
    return not embedding_size or size * width <= (size + width) * embedding_size


def _tensors(loaded: Loaded) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the weights, each matrix with one row for each of its outputs."""
    network, has_table = loaded.model.network(), _has_table(loaded)
    if has_table:
        yield "table", _float32(network.layers[0].kernel)
    else:
        (embeddings,) = loaded.model.embedding.get_weights()  # type: ignore[union-attr]
        yield "embedding", _float32(embeddings)
    for i, layer in enumerate(network.layers):
        if i:
            yield f"layer_{i}.input", _float32(layer.kernel).T
            yield f"layer_{i}.bias", _float32(layer.bias)
        elif not has_table:
            kernel, _, bias = map(_float32, loaded.model.recurrent_layers[0].trainable_weights)
            yield "layer_0.input", kernel.T
            yield "layer_0.bias", bias[0] if bias.ndim == 2 else bias
        yield f"layer_{i}.recurrent", _float32(layer.recurrent[0]).T
        if len(layer.recurrent) > 1:
            yield f"layer_{i}.recurrent_bias", _float32(layer.recurrent[1])
    yield "output.kernel", _float32(network.output_kernel).T
    yield "output.bias", _float32(network.output_bias)


def _float32(weight: Any) -> np.ndarray:
    return np.asarray(weight).astype(np.float32)


def _tensor(name: str, values: np.ndarray) -> str:
    """Returns the element of a tensor: a matrix in 16 bits, a vector in 32.

    The scale, a power of two, brings a matrix into the range in which 16-bit floats are exact to 11 bits.
    """
    largest = float(np.abs(values).max(initial=0))
    scale = 2.0 ** int(np.floor(np.log2(largest))) if values.ndim == 2 and largest else 1.0
    kind, dtype = ("half", "<f2") if values.ndim == 2 else ("float", "<f4")
    data = base64.b64encode((values / scale).astype(dtype).tobytes()).decode("ascii")
    return f'<script type="text/plain" id="tensor-{name}" data-type="{kind}" data-scale="{scale!r}">{data}</script>'


def _definitions(facts: dict[str, str]) -> str:
    pairs = ((html.escape(name), html.escape(value)) for name, value in facts.items())
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs)


def _json(value: object) -> str:
    """Returns JSON that HTML cannot take for the end of its element."""
    return strict_json.dumps(value).replace("<", "\\u003c")


def _hash(source: str) -> str:
    """Returns the name of a script or style in the page's security policy, which runs no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
