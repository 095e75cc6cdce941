"""Tests that output paths are checked before the work, and that the check leaves nothing behind."""

import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from charrnn.errors import UserError
from charrnn.process import outputs


@pytest.fixture
def place(tmp_path):
    """Returns a folder with a subfolder, a file, a link to the file, a dangling link and a pipe."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def snapshot(folder):
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


@pytest.mark.parametrize("name", ["new", "file", "link", "a[b]*?{c}", "folder/new", "é", "folder/../new"])
def test_a_file_that_can_be_written_is_left_as_it_is(place, name, monkeypatch):
    before = snapshot(place)
    outputs.require_file("--json", str(place / name))
    monkeypatch.chdir(place)
    outputs.require_file("--json", name)
    assert snapshot(place) == before


NO_PLACE = ["", "folder", "pipe", "/dev/full", "new/", "nowhere/new", "file/new", "dangling", "x" * 300]


@pytest.mark.parametrize("name", NO_PLACE)
def test_a_file_that_cannot_be_written_is_refused_with_flag_and_name(place, name, monkeypatch):
    monkeypatch.chdir(place)
    before = snapshot(place)
    with pytest.raises(UserError, match=rf"^--json={re.escape(name)} cannot be written \(\w[^()]*\): "):
        outputs.require_file("--json", name)
    assert snapshot(place) == before


@pytest.mark.parametrize(("name", "right"), [("folder", True), ("a/b/c", True), ("file", False), ("file/a", False)])
def test_a_folder_is_tried_at_its_deepest_existing_part(place, name, right):
    before = snapshot(place)
    if right:
        outputs.require_folder(str(place / name), "give another")
    else:
        with pytest.raises(UserError, match=f"{name} cannot be written .*: give another.$"):
            outputs.require_folder(str(place / name), "give another")
    assert snapshot(place) == before


def test_read_only_files_and_folders_are_refused_to_an_ordinary_user(place):
    (place / "file").chmod(0o444)
    (place / "folder").chmod(0o555)
    for parent in (place, *list(place.parents)[:3]):
        parent.chmod(parent.stat().st_mode | 0o011)
    user = os.geteuid()
    if user == 0:
        os.chown(place, 65534, 65534)
        os.chown(place / "file", 65534, 65534)
        os.seteuid(65534)
    try:
        for name in ("file", "folder/new"):
            with pytest.raises(UserError, match="Permission denied"):
                outputs.require_file("--page", str(place / name))
        with pytest.raises(UserError, match="Permission denied"):
            outputs.require_folder(str(place / "folder" / "a" / "b"), "give another")
    finally:
        os.seteuid(user)


MOUNT = ["unshare", "-rm", "sh", "-c"]
CAN_MOUNT = shutil.which("unshare") and not subprocess.run(
    [*MOUNT, "mount -t tmpfs none /mnt"], capture_output=True
).returncode


@pytest.mark.skipif(not CAN_MOUNT, reason="no small disk can be mounted here: unshare -rm, mount -t tmpfs")
def test_a_full_disk_is_found_and_nothing_is_left_there():
    program = """
        import os
        from charrnn.process import outputs
        from charrnn.errors import UserError

        outputs.require_file("--json", "/mnt/new")
        with open("/mnt/filling", "wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096 and os.statvfs("/mnt").f_bavail:
                pass
        for require, *given in ((outputs.require_file, "--json", "/mnt/new"), (outputs.require_folder, "/mnt/a", "x")):
            try:
                require(*given)
            except UserError as error:
                assert "No space left on device" in str(error), error
            else:
                raise AssertionError(given)
        assert os.listdir("/mnt") == ["filling"]
    """
    shell = f'mount -t tmpfs -o size=64k none /mnt && exec {sys.executable} -c "$0"'
    process = subprocess.run([*MOUNT, shell, textwrap.dedent(program)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_commands_refuse_an_unwritable_output_before_tensorflow_is_loaded():
    program = """
        import sys
        from charrnn import command, encode, export, generate
        from trainers import compare, evaluate

        for module, arguments in [
            (generate, ["--run_dir=run", "--save_state=/nowhere/state.npz"]),
            (export, ["--run_dir=run", "--output=/dev/null/exported"]),
            (encode, ["text", "--output=/dev/null/encoded"]),
            (evaluate, ["--run_dir=/proc/1"]),
            (compare, ["run", "--markdown=/nowhere/tables.md"]),
            (compare, ["/proc/1"]),
        ]:
            assert command.run(module.main, module.FLAGS, ["it", *arguments]) == command.MISTAKE
            place = arguments[-1].rpartition("=")[2]
            print(place, file=sys.stderr)
        assert "tensorflow" not in sys.modules
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    told = process.stderr.splitlines()
    assert len(told) == 12
    for sentence, place in zip(told[::2], told[1::2], strict=True):
        assert sentence.startswith("error: ") and place in sentence and "cannot be written" in sentence
