"""The one place where a path comes in: from a flag, from Python, or from an experiment.

    run_dir = paths.given("~/runs/mine")     # "/home/me/runs/mine"
"""

import os

from charrnn.errors import UserError


def given(path: str | os.PathLike) -> str:
    """Returns a path that the user gave, as text, with a leading `~` or `~user` expanded.

    Args:
        path: of a local file or folder, or an address such as "gs://bucket/folder". Every character stands for itself.

    Raises:
        UserError: no file can have this name.
    """
    text = os.fsdecode(path)
    if "\0" in text or text != text.encode("utf-8", "replace").decode():
        raise UserError(f"The path {text!a} is not possible: it must be UTF-8 text without NUL. Rename the file.")
    return os.path.expanduser(text)
