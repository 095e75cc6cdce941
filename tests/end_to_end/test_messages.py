"""Tests that the source can still print each message that docs/troubleshooting.md quotes."""

import ast
import pathlib
import re

import pytest

HOUSE = pathlib.Path(__file__).parents[2]
PAGE = (HOUSE / "docs/troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall("^(?:error: |(?=Stopped ))(.*)$", PAGE, re.MULTILINE)
LEAST = 20  # fixed characters that a string must have, so that it matches few messages


def parts(node):
    """Returns the parts of an f-string or a constant, with None for each inserted value; [None] for another node."""
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    return [value.value if isinstance(value, ast.Constant) else None for value in values]


@pytest.fixture(scope="module")
def makes():
    """Returns a pattern that matches all messages that the strings of the source can make."""
    patterns = []
    for path in [*(HOUSE / "charrnn").rglob("*.py"), *(HOUSE / "trainers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = parts(node)
            if sum(len(part) for part in found if isinstance(part, str)) >= LEAST:
                patterns.append("".join(re.escape(part) if isinstance(part, str) else ".*" for part in found))
    return re.compile(f"(?:.*; )?(?:{'|'.join(patterns)})")  # a message may join two strings


@pytest.mark.parametrize("message", QUOTED, ids=lambda message: message[:40])
def test_a_quoted_message_is_still_made(message, makes):
    found = makes.fullmatch(message) is not None
    assert found, f"docs/troubleshooting.md quotes what nothing prints any more: {message}"


def test_another_wording_is_noticed(makes):
    assert len(QUOTED) >= 10
    assert not makes.fullmatch(QUOTED[0].replace("There is", "There was"))
