"""The files of a study beside its runs: its page, its figures and its pictures."""

import json
import os
from collections.abc import Callable, Sequence

from charrnn.errors import UserError, require
from charrnn.files import atomic, systems
from charrnn.process import outputs
from trainers.evaluation import pictures
from trainers.run_directory import disk
from trainers.run_directory.directory import write_json
from trainers.studies import page
from trainers.studies.plan import Planned
from trainers.studies.run import Found, How

PAGE = "study.md"
FIGURES = "study.json"


def prepare(study_dir: str) -> None:
    """Creates the folder of a study.

    Args:
        study_dir: the folder.

    Raises:
        UserError: it cannot be written to, or has a file that no study wrote and this one would replace.
    """
    require("--study_dir", study_dir, bool(study_dir) and not systems.is_address(study_dir), "a local folder")
    outputs.require_folder(study_dir, "give another --study_dir")
    files = [os.path.join(study_dir, name) for name in (PAGE, FIGURES, *pictures.OF_A_STUDY)]
    present = [file for file in files if os.path.lexists(file)]
    if present and not _is_studys(os.path.join(study_dir, FIGURES)):
        raise UserError(f"{present[0]} exists, and no study wrote it: give another --study_dir, or move the file.")
    os.makedirs(study_dir, exist_ok=True)


def _is_studys(path: str) -> bool:
    """Returns whether a file has the figures of a study."""
    try:
        with open(path, encoding="utf-8") as file:
            return {"finding", "arms"} <= json.load(file).keys()
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def write(
    plan: Sequence[Planned], how: How, found: Found, study_dir: str, with_pictures: bool, say: Callable[[str], None]
) -> str:
    """Writes the files: first the figures, which mark the others as a study's.

    Args:
        plan: the runs.
        how: the protocol.
        found: the comparison.
        study_dir: the folder.
        with_pictures: whether to draw, if matplotlib is installed.
        say: called with each line for the user.

    Returns:
        The page.

    Raises:
        NotWritten: the disk is full.
    """
    with disk.writing(study_dir):
        write_json(os.path.join(study_dir, FIGURES), page.as_figures(plan, how, found))
        drawn: list[str] = []
        if with_pictures:
            try:
                drawn = [os.path.basename(path) for path in pictures.draw_study(found.compared, study_dir)]
            except UserError as error:  # the page is written without pictures
                say(str(error))
        text = page.as_markdown(plan, how, found, drawn)
        atomic.replace(os.path.join(study_dir, PAGE), f"{text}\n".encode())
    return text
