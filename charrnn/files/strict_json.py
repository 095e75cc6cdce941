"""Reads JSON files, and writes JSON that every reader accepts: NaN and Infinity, which JSON lacks, become null."""

import json
import math
from typing import Any

from charrnn.files import systems


def read(path: str) -> Any:
    """Returns the content of a JSON file.

    Args:
        path: a local path or an address.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not JSON; a JSONDecodeError if its syntax is wrong.
    """
    with systems.os_errors(path), systems.functions(path).GFile(path, "rb") as file:
        content = file.read()
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dumps(value: object, **how: Any) -> str:
    """Returns `value` as JSON, with null for non-finite numbers.

    Args:
        value: a value that `json.dumps` accepts.
        **how: more arguments for `json.dumps`.
    """
    return json.dumps(_finite(value), allow_nan=False, **how)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
