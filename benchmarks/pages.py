"""Outputs of a benchmark: a JSON file, and a table on a page of docs/.

The table lies between two marks that name the command, so no figure is typed by hand.
"""

import json
import re
from types import ModuleType

from charrnn.errors import UserError
from charrnn.files import strict_json
from charrnn.process import outputs


class Page:
    """The table of one command on a page. Refuses mistakes before the work starts.

    Args:
        path: the page; None: no page.
        maker: the command in the marks.

    Raises:
        UserError: the page cannot be read, or has no such marks.
    """

    def __init__(self, path: str | None, maker: str):
        self._path = path
        self._marks = f"<!-- made by {maker}: begin -->", f"<!-- made by {maker}: end -->"
        self._between = re.compile(".*".join(map(re.escape, self._marks)), re.DOTALL)
        if path is not None and not self._between.search(self._read()):
            raise UserError(f"{path} lacks the two marks {' and '.join(self._marks)}.")
        if path is not None:
            outputs.require_file("--page", path)

    def put(self, text: str) -> None:
        """Replaces the text between the marks."""
        if self._path:
            page = self._between.sub(lambda _: "\n".join([self._marks[0], text, self._marks[1]]), self._read())
            with open(self._path, "w", encoding="utf-8") as file:
                file.write(page)

    def _read(self) -> str:
        try:
            with open(self._path, encoding="utf-8") as file:
                return file.read()
        except (OSError, ValueError) as error:
            raise UserError(f"{self._path} cannot be read ({error}).") from error


class Figures:
    """A JSON file of measurements. Refuses mistakes before the work starts.

    Args:
        path: the file; None: no file.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: str | None):
        self._path = path
        if path is not None:
            outputs.require_file("--json", path)

    def put(self, figures: dict) -> None:
        """Writes the file."""
        if self._path:
            with open(self._path, "w", encoding="utf-8") as file:
                file.write(strict_json.dumps(figures, indent=2))


def require_nothing(beside: list[str]) -> None:
    """Raises UserError for arguments that are no flags."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag.")


def load_json(path: str) -> dict:
    """Returns the content of a JSON file; raises UserError if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error


def import_pyplot(path: str) -> ModuleType:
    """Returns matplotlib's pyplot; raises UserError if it is not installed or `path` cannot be written."""
    outputs.require_file("--plot", path)
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("--plot needs matplotlib: pip install matplotlib.") from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot
