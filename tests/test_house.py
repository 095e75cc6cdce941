"""Tests the direction of imports between packages, and that some things are used in one place only."""

import ast
import functools
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("charrnn", "trainers", "experiments")
FILES = {path.relative_to(HOUSE).as_posix(): path for room in ROOMS for path in sorted((HOUSE / room).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


@functools.cache
def imported(tree):
    """Returns the full names of all imported modules and names, also inside of functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the direction"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@functools.cache
def dotted(tree):
    """Returns every dotted name `a.b.c` in the code, as it is written: a module has its local name."""
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def is_entry_point(tree):
    return any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree.body)


ENTRY_POINTS = {name for name, tree in TREES.items() if is_entry_point(tree)}


def users(of):
    """Returns the files that import a package, or something in it."""
    return {name for name, tree in TREES.items() if any(f"{i}.".startswith(f"{of}.") for i in imported(tree))}


def uses(tree, prefix):
    return any(f"{name}.".startswith(f"{prefix}.") for name in imported(tree) | dotted(tree))


def in_room(*rooms):
    return {name for name in FILES if name.split("/")[0] in rooms}


def test_the_commands_are_entry_points():
    assert {"charrnn/generate.py", "trainers/run.py"} <= ENTRY_POINTS
    assert not {"charrnn/model/char_model.py", "trainers/loop/loop.py", "charrnn/command.py"} & ENTRY_POINTS


def test_packages_import_only_the_packages_below():
    assert not users("trainers") & in_room("charrnn")
    assert not users("experiments") & in_room("charrnn")
    assert users("experiments") & in_room("trainers") == {"trainers/launch/resolve.py"}


def folder_of(module):
    """Returns a module's folder, such as `charrnn.model`, or the module itself if it is beside these folders."""
    return ".".join(module.split(".")[:2])


def imports_between(parts):
    """Returns {part: the parts that it imports}. `parts` maps a module to its part: its folder or itself."""
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in FILES}
    found = {}
    for name, tree in TREES.items():
        here = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for there in imported(tree) & modules - {here}:
            if parts(here) != parts(there) and not here.startswith(f"{there}."):
                found.setdefault(parts(here), set()).add(parts(there))
    return found


@pytest.mark.parametrize("parts", [folder_of, lambda module: module], ids=["folders", "modules"])
def test_imports_run_one_way(parts):
    left = imports_between(parts)
    while left:
        lowest = {part for part, others in left.items() if not others & left.keys()}
        assert lowest, f"these import each other: {sorted(left)}"
        left = {part: others for part, others in left.items() if part not in lowest}


def test_a_folder_holds_no_more_than_a_reader_can_take_in():
    folders = [name.rpartition("/")[0] for name in FILES]
    assert max(map(folders.count, folders)) <= 17


def test_nobody_imports_an_entry_point():
    for entry_point in ENTRY_POINTS:
        assert users(entry_point.removesuffix(".py").replace("/", ".")) == set()


def test_only_commands_read_flags():
    assert ENTRY_POINTS <= users("absl.flags") <= ENTRY_POINTS | {"charrnn/command.py"}
    assert users("absl") == users("absl.flags")


def test_one_file_writes_for_tensorboard():
    names = {name for name, tree in TREES.items() if uses(tree, "tf.summary") or uses(tree, "tensorflow.summary")}
    assert names == {"trainers/reports/summaries.py"}


@pytest.mark.parametrize(
    "private", ["tensorflow.python", "tf.python", "tensorflow.compat.v1", "tf.compat.v1", "keras.src", "tf.keras"]
)
def test_only_public_interfaces_are_used(private):
    assert not {name for name, tree in TREES.items() if uses(tree, private)}


def test_the_search_for_private_interfaces_finds_them():
    for text in (
        "from tensorflow.python.ops import rnn",
        "import tensorflow.python.ops as ops",
        "from tensorflow import python",
        "def f():\n    import tensorflow.python",
        "x = tensorflow.python.ops.rnn(1)",
    ):
        assert uses(ast.parse(text), "tensorflow.python")
    assert not uses(ast.parse("import tensorflow.pythonic"), "tensorflow.python")


def test_nothing_that_is_read_is_executed():
    """Pickles pass only between processes of one program. A flag or the project itself names the imported modules."""
    able = "pickle marshal shelve dill joblib runpy keras.models.load_model keras.saving.load_model"
    able += " keras.saving.deserialize_keras_object keras.initializers.deserialize keras.layers.deserialize"
    assert {name for name in FILES for each in able.split() if uses(TREES[name], each)} == {
        "charrnn/encoded/processes.py",  # pipes to processes that it started
    }
    assert {name for name, tree in TREES.items() if uses(tree, "importlib")} == {
        "charrnn/lazy.py",  # attributes of packages, imported at their first use
        "charrnn/moved.py",  # modules by their earlier names
        "trainers/own_class.py",  # --trainer=module:Class, --report=module:Class
        "trainers/launch/resolve.py",  # --experiment, a file of `experiments/`
    }
    called = {
        (name, node.func.id)
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not {call for call in called if call[1] in ("eval", "exec", "compile", "__import__")}
    assert ("charrnn/text/vocabulary.py", "isinstance") in called  # shows that the search finds calls
    assert not [name for name, path in FILES.items() if "allow_pickle=True" in path.read_text(encoding="utf-8")]


def test_paths_are_expanded_in_one_place_and_are_no_patterns():
    """Only corpora may be patterns, and only they know the cache folder in the home folder."""
    allowed = {"charrnn/text/corpora.py", "charrnn/text/own_files.py"}
    expanding = {name for name, tree in TREES.items() if uses(tree, "os.path.expanduser") or "~" in constants(tree)}
    assert "charrnn/files/paths.py" in expanding
    assert expanding <= allowed | {"charrnn/files/paths.py"}
    for each in ("glob", "fnmatch", "tf.io.gfile.glob", "tf.train.latest_checkpoint", "tf.train.CheckpointManager"):
        assert {name for name in FILES if uses(TREES[name], each)} <= allowed, each


def constants(tree):
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_every_file_has_a_docstring():
    for name, tree in TREES.items():
        assert ast.get_docstring(tree), name
