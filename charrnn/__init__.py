"""Character-level recurrent language models: characters in, characters out."""


def __getattr__(name: str):
    """Loads TensorFlow with the first use, so that commands can answer a mistyped flag at once and in silence."""
    if name in ("load", "Loaded"):
        from charrnn.generation import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
