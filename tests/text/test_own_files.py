"""Tests which files a specification names, even with commas, brackets and quotes in it, and that hints work."""

import glob
import json
import os
import re
import shlex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn import command
from charrnn import corpora as corpora_command
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.errors import UserError
from charrnn.text import corpora, own_files

NAMES = st.text(st.sampled_from("ab ,[]{}*?!'\"\\~-é.&$"), min_size=1, max_size=8).filter(
    lambda name: name.strip(".") and name not in ("-",) and not name.startswith("~")
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def write(here, *names):
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"<{name}>")


def found(spec):
    return corpora.find(spec, lambda line: None)


def refusal(spec):
    with pytest.raises(UserError) as refused:
        found(spec)
    return str(refused.value)


def test_names_with_commas_are_taken_literally(here):
    write(here, "a, b.txt", "b.txt", "c.txt", "vol 1, new/d.txt", "a")
    assert found("a, b.txt") == ["a, b.txt"]
    assert found("b.txt,c.txt") == found("b.txt, c.txt") == ["b.txt", "c.txt"]
    assert found("a, b.txt,c.txt") == ["a, b.txt", "c.txt"]
    assert found("c.txt,a, b.txt") == ["c.txt", "a, b.txt"]
    assert found("vol 1, new/*.txt") == ["vol 1, new/d.txt"]
    assert found('["c.txt", "a, b.txt", "vol*/*"]') == ["c.txt", "a, b.txt", "vol 1, new/d.txt"]
    assert "'d.txt'" in refusal("c.txt,d.txt") and "JSON list" in refusal("c.txt,d.txt")


def test_a_name_of_many_commas_is_found_alone_and_at_the_end_of_a_list(here):
    """Longer names between other files are found in a JSON list only: the search would take a minute."""
    name = ",".join(map(str, range(30)))
    write(here, name, "b.txt", "1,2,3")
    assert found(name) == [name]
    assert found(f"b.txt,{name}") == ["b.txt", name]
    assert found(f"b.txt,1,2,3,{name}") == ["b.txt", "1,2,3", name]


def test_a_long_list_looks_for_few_names_at_each_place(here):
    looked_up = []
    with pytest.raises(UserError):
        own_files.find(",".join(map(str, range(300))), [], looked_up.append)
    assert 0 < len(looked_up) <= 2 * (own_files._MOST_JOINED + 1)
    files = [f"{number}.txt" for number in range(300)]
    write(here, *files)
    looked_up.clear()
    assert own_files.find(",".join(files), [], looked_up.append) == files
    assert len(looked_up) <= 2 * len(files) * (own_files._MOST_JOINED + 1)


def test_an_existing_file_named_like_a_list_or_a_glob_is_taken_literally(here):
    write(here, '["b.txt"]', "b.txt", "[b].txt", "x*")
    assert found('["b.txt"]') == ['["b.txt"]']
    assert found("[b].txt") == ["[b].txt"]
    assert found("x*") == ["x*"]
    assert found("[!x].txt") == ["b.txt"]


def test_existing_folders_before_a_glob_are_taken_literally(here):
    write(here, "proj [v2]/b.txt", "proj v/b.txt", "{x}*/deep/c.txt", "{x}more/deep/c.txt")
    assert found("proj [v2]/*.txt") == ["proj [v2]/b.txt"]
    assert found(f"{here}/proj [v2]/*.txt") == [f"{here}/proj [v2]/b.txt"]
    assert found("{x}*/**/*.txt") == ["{x}*/deep/c.txt"]
    assert found("proj ?/*.txt") == ["proj v/b.txt"]


def test_a_tilde_is_the_home_folder(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    write(here, "home/my.txt", "home/data/shakespeare.txt")
    assert found("~/my.txt") == found("~/*.txt") == [str(here / "home/my.txt")]
    assert found('["~/my.txt"]') == [str(here / "home/my.txt")]
    monkeypatch.setenv("CHARRNN_DATA_DIR", "~/data")
    assert found("shakespeare") == [str(here / "home/data/shakespeare.txt")]
    monkeypatch.setenv("XDG_CACHE_HOME", "~/kept")
    assert corpora.cache_folder() == str(here / "home/kept/charrnn")


@pytest.mark.parametrize(
    "folder, name",
    [("my texts, vol 1", "a.txt"), ("proj [v2]", "b.md"), ("it's", "c"), ("*", "deep/er/d.csv"), ('"', "e.TXT")],
)
def test_the_hint_for_a_folder_works(here, folder, name):
    write(here, f"{folder}/{name}", f"{folder}/.hidden/x.zip")
    (hint,) = shlex.split(re.search(r"such as (.*)\.$", refusal(folder))[1])
    assert found(hint) == [f"{folder}/{name}"]


def test_an_encoded_folder_among_other_files_is_refused(here):
    write(here, "a.txt", "made/corpus.json")
    assert "'made' is an encoded folder" in refusal("a.txt,made")


def test_a_folder_without_files_is_refused(here):
    (here / "empty" / "inside").mkdir(parents=True)
    assert "'empty' is a directory without files" in refusal("empty")


def test_a_glob_in_a_folder_that_does_not_exist_matches_nothing(here):
    write(here, "'", "**")
    assert found("./',./**") == ["./'", "./**"]


def test_a_registered_name_may_be_in_a_list(here, monkeypatch):
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(here))
    write(here, "my.txt", "nietzsche.txt", "linux.txt")
    for spec in ('["nietzsche", "my.txt"]', "nietzsche, my.txt", corpora.joined(["nietzsche", "my.txt"])):
        assert found(spec) == [str(here / "nietzsche.txt"), "my.txt"]
    assert found("my.txt,linux") == ["my.txt", str(here / "linux.txt")]


@pytest.mark.parametrize("spec", ['["my.txt", "plays"]', "my.txt,plays", '["plays:500", "my.txt"]'])
def test_a_built_in_corpus_in_a_list_is_refused(here, spec):
    write(here, "my.txt", "plays")
    assert "cannot be joined or encoded" in refusal(spec) and "'./plays" in refusal(spec)
    assert found(spec.replace(":500", "").replace("plays", "./plays")).count("./plays") == 1


def test_a_file_named_like_a_registered_corpus_is_reported_and_not_read(here, monkeypatch):
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(here / "data"))
    write(here, "nietzsche", "plays", "data/nietzsche.txt")
    lines = []
    assert corpora.find("nietzsche", lines.append) == [str(here / "data/nietzsche.txt")]
    assert "give ./nietzsche to read the file" in lines[0]
    lines.clear()
    assert load_texts("plays", DataConfig(), lines.append).entropy_rate
    assert "give ./plays to read the file" in lines[0]
    lines.clear()
    assert corpora.load("plays", log=lines.append).entropy_rate and "give ./plays" in lines[0]
    assert corpora.load("./plays").content == "<plays>"


def test_many_files_are_found_without_a_search(here, monkeypatch):
    """A search for each way to join 300 names with commas took a minute."""
    names, searched, tried = [f"part {i}.txt" for i in range(300)], [], []
    write(here, *names)
    for module, name in ((os.path, "isdir"), (glob, "glob")):
        monkeypatch.setattr(module, name, lambda path, **how: searched.append(path) or [])
    exists = own_files.exists
    monkeypatch.setattr(own_files, "exists", lambda path: tried.append(path) or exists(path))
    assert found(corpora.joined(names)) == names
    assert len(tried) <= 3 * len(names)
    assert found(",".join(names[:9])) == names[:9]
    assert searched == []


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_several_files_of_any_names_can_be_one_corpus(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    places = [str(folder / name) for name in names]
    for place in places:
        with open(place, "w") as file:
            file.write("x")
    spec = corpora.joined(places)
    assert found(spec) == places
    assert found(json.dumps(places)) == places


def test_the_last_line_of_a_first_look_names_the_same_files(here, capsys):
    write(here, "plain.txt")
    names = ["a, b.txt", "it's [1].txt", '"q".txt']
    for name in names:
        (here / name).write_text("never say never\n" * 60)
    assert command.run(corpora_command.main, corpora_command.FLAGS, ["corpora", *names]) == command.DONE
    last = shlex.split(capsys.readouterr().out.splitlines()[-1])
    (given_corpus,) = [part.removeprefix("--corpus=") for part in last if part.startswith("--corpus=")]
    assert found(given_corpus) == names
