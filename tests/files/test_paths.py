"""Tests how paths from the user are expanded and checked."""

import pathlib

import pytest

from charrnn.errors import UserError
from charrnn.files import paths


@pytest.mark.parametrize(
    "path, expected",
    [
        ("~/runs/mine", "/home/me/runs/mine"),
        (pathlib.Path("~/runs"), "/home/me/runs"),
        ("~", "/home/me"),
        ("runs/~mine", "runs/~mine"),
        ("./~", "./~"),
        (b"runs/[1]*?{2}", "runs/[1]*?{2}"),
        ("gs://bucket/~/x", "gs://bucket/~/x"),
        ("a\nb 'c' \"d\" %41", "a\nb 'c' \"d\" %41"),
    ],
)
def test_only_the_home_folder_is_expanded(monkeypatch, path, expected):
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.given(path) == expected


@pytest.mark.parametrize("path", ["a\0b", "a\ud800b", b"a\xff"])
def test_a_name_that_no_file_can_have_is_refused(path):
    with pytest.raises(UserError, match="not possible"):
        paths.given(path)
