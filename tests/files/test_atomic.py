"""Tests that files are written completely or not at all, and that no other file is touched."""

import os
import threading

import pytest
import tensorflow as tf

from charrnn.files import atomic
from trainers.loop.checkpoints import Checkpoints


@pytest.fixture(params=["on the disk", "in a bucket"])
def folder(request, tmp_path):
    """Returns a folder on the disk, or one in TensorFlow's in-memory file system, which stands for a bucket."""
    if request.param == "on the disk":
        return str(tmp_path)
    place = f"ram://{tmp_path}"
    tf.io.gfile.makedirs(place)
    return place


def read(path):
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def test_a_file_is_replaced_and_nothing_is_left_over(folder):
    for content in (b"old", b"new"):
        atomic.replace(f"{folder}/file", content)
        assert read(f"{folder}/file") == content and tf.io.gfile.listdir(folder) == ["file"]


def test_an_error_while_writing_keeps_the_old_file(folder):
    atomic.replace(f"{folder}/file", b"old")
    with pytest.raises(KeyError), atomic.writing(f"{folder}/file") as file:
        file.write(b"half")
        raise KeyError
    assert read(f"{folder}/file") == b"old" and tf.io.gfile.listdir(folder) == ["file"]


def test_a_file_that_cannot_be_written_raises_os_error(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in ("folder", "nowhere/file"):
        with pytest.raises(OSError, match=r"Is a directory|No such file"):
            atomic.replace(str(tmp_path / path), b"new")
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == []


def test_a_reader_sees_the_old_or_the_new_content_at_every_moment(tmp_path):
    contents = [bytes([digit]) * 100_000 for digit in b"ab"]
    path, seen, over = tmp_path / "file", set(), threading.Event()
    path.write_bytes(contents[0])

    def look():
        while not over.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for content in contents[::-1] * 20:
        atomic.replace(str(path), content)
    over.set()
    reader.join()
    assert seen and seen <= set(contents)


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    atomic.replace(str(tmp_path / "pipe"), b"through")
    assert os.read(reader, 100) == b"through" and os.listdir(tmp_path) == ["pipe"]
    os.close(reader)


def test_the_longest_name_that_a_file_can_have_is_possible(tmp_path):
    atomic.replace(str(tmp_path / ("x" * 255)), b"new")
    assert os.listdir(tmp_path) == ["x" * 255]


FOREIGN = ["file.tmp", "0" * 16, ".charrnn-", f".charrnn--{'0' * 16}", f".charrnn-{'0' * 16}-{'0' * 16}", "file_temp"]


@pytest.mark.parametrize("names, removed", [(["a", "b"], 2), (["a"], 1), ([], 0), (["c"], 0)])
def test_unfinished_files_of_the_given_names_are_removed_and_nothing_else(folder, names, removed):
    ours = [os.path.basename(atomic._unfinished(name)) for name in "ab"]
    for name in (ours[0], *FOREIGN, f"{ours[0]}.bak"):
        with tf.io.gfile.GFile(f"{folder}/{name}", "w") as file:
            file.write(name)
    tf.io.gfile.makedirs(f"{folder}/{ours[1]}/inner")  # an unfinished folder of `scratch`
    atomic.remove_remains(folder, names)
    kept = {name.rstrip("/") for name in tf.io.gfile.listdir(folder)}
    assert {*FOREIGN, f"{ours[0]}.bak"} <= kept and len(kept & set(ours)) == 2 - removed


def test_a_scratch_folder_is_removed_with_its_remaining_files(folder):
    with pytest.raises(KeyError), atomic.scratch(f"{folder}/new", "work") as place:
        for name in ("moved", "left"):
            with tf.io.gfile.GFile(f"{place}/{name}", "w") as file:
                file.write(name)
        atomic.move(f"{place}/moved", f"{folder}/moved")
        raise KeyError
    assert read(f"{folder}/moved") == b"moved" and tf.io.gfile.listdir(f"{folder}/new") == []


def test_a_file_system_without_fsync_causes_no_error(tmp_path):
    for path in ("/proc/self/comm", "/dev/null"):
        if os.path.exists(path):
            atomic.sync(path)  # fsync of the first fails with EINVAL
    atomic.sync("ram://anything")


@pytest.fixture
def calls(monkeypatch):
    """Returns the calls of fsync and rename in their order, as ("fsync", path) and ("rename", source, target)."""
    made, fsync, rename = [], os.fsync, os.replace

    def record_fsync(descriptor):
        fsync(descriptor)
        made.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def record_rename(source, target):
        rename(source, target)
        made.append(("rename", source, target))

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_rename)
    return made


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors have no names here")
def test_content_is_synced_before_the_rename_and_the_folder_after_it(calls, tmp_path):
    atomic.replace(str(tmp_path / "file"), b"new")
    unfinished = calls[0][1]
    file, folder = str(tmp_path / "file"), str(tmp_path)
    assert calls == [("fsync", unfinished), ("rename", unfinished, file), ("fsync", folder)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors have no names here")
def test_a_checkpoint_is_synced_before_the_list_of_checkpoints_names_it(calls, make_trainer, tmp_path):
    Checkpoints(str(tmp_path), make_trainer(), keep=1).save(1)
    folder = str(tmp_path / "checkpoints")
    files = [f"{folder}/{name}" for name in ("step-1.data-00000-of-00001", "step-1.index", "checkpoint")]
    renamed = [call for call in calls if call[0] == "rename"]
    assert [target for _, _, target in renamed] == files
    for rename in renamed:
        assert ("fsync", rename[1]) in calls[: calls.index(rename)]
    assert ("fsync", folder) in calls[calls.index(renamed[1]) : calls.index(renamed[2])] and calls[-1][1] == folder
