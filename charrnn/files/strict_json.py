"""JSON that every reader takes: it has no NaN and no Infinity, so that such numbers become null."""

import json
import math
from typing import Any


def dumps(value: object, **how: Any) -> str:
    """Returns `value` as JSON, with null for each number that is not finite.

    Args:
        value: what `json.dumps` takes.
        how: further arguments of `json.dumps`.
    """
    return json.dumps(_finite(value), allow_nan=False, **how)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
