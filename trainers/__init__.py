"""The training loop: `Trainer` says what one step is, `loop` when to log, evaluate, write samples, save and stop.

`train` is the whole of it, from Python.
"""


def __getattr__(name: str):
    """Loads TensorFlow with the first use, so that commands can answer a mistyped flag at once and in silence."""
    if name == "Trainer":
        from trainers.trainer import Trainer

        return Trainer
    if name == "train":
        from trainers.launch.start import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
