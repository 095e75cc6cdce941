"""Imports names of a package at their first use, because TensorFlow's import takes seconds.

    __getattr__ = lazy.attributes(__name__, CharModel="char_model")     # in a package's __init__.py
"""

import importlib
from collections.abc import Callable


def attributes(package: str, **modules: str) -> Callable[[str], object]:
    """Returns a package's `__getattr__`.

    Args:
        package: the package's name.
        **modules: for each attribute's name, the package's module that defines it.
    """

    def attribute(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return attribute
