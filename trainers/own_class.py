"""Imports a class of the user's by "module:Class", and describes an error in the user's code in one line."""

import importlib
import os
import traceback

from charrnn.errors import UserError

_MOST_CHARS = 300  # of an error's own text


def is_path(text: str) -> bool:
    """Returns whether a text has the form module:Class."""
    module_name, colon, _ = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in module_name.split("."))


def imported(path: str, given: str) -> object:
    """Imports a module and returns its attribute.

    Args:
        path: "module:Class", for which `is_path` is true.
        given: the flag or argument as the user gave it, the beginning of the message.

    Returns:
        The attribute; None if the module does not have it.

    Raises:
        UserError: there is no such module, or it imports something that does not exist.
    """
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(f"{given}: there is no module {error.name!r} on Python's path.") from error
    except (ImportError, RecursionError) as error:  # RecursionError: a name of very many parts
        raise UserError(f"{given}: {error}.") from error
    return getattr(module, class_name, None)


def described(error: Exception) -> str:
    """Returns an error's type, its text and the line that raised it, as one line without control characters."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(str(error).split()))
    text = f"{text[:_MOST_CHARS]}…" if len(text) > _MOST_CHARS else text
    places = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(places[-1].filename)}, line {places[-1].lineno})" if places else ""
    return f"{type(error).__name__}{f': {text}' if text else ''}{place}"
