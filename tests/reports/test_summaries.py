"""Tests the event files for TensorBoard: tags, values, steps and splits, a resume, and what TensorBoard shows."""

import json
import re
import time
import urllib.parse
import urllib.request

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorboard import plugin_util
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from charrnn.errors import UserError
from charrnn.measures.open_loop import Curve
from tests.browser import tensorboard
from trainers.reports.samples import Sample
from trainers.reports.summaries import Summaries, begin_session, fenced, write_curves, write_pictures


def read_back(folder):
    """Returns (tag, step, plugin, value) of all summaries in the event files of a folder, in the order of writing."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                found.append((value.tag, event.step, value.metadata.plugin_data.plugin_name, array))
    return found


def scalars(folder):
    return [(tag, step, array.item()) for tag, step, plugin, array in read_back(folder) if plugin == "scalars"]


def texts(folder):
    return [(tag, step, array.item().decode()) for tag, step, plugin, array in read_back(folder) if plugin == "text"]


def test_both_splits_have_the_same_tag_and_their_own_values(tmp_path):
    summaries = Summaries(str(tmp_path))
    summaries.scalars(10, "train", {"nats_per_char": 2.5, "learning_rate": 0.001})
    summaries.scalars(10, "validation", {"nats_per_char": 2.75})
    summaries.scalars(20, "train", {"nats_per_char": 1.5, "learning_rate": 0.0005})
    summaries.flush()
    assert scalars(tmp_path / "train") == [
        ("nats_per_char", 10, 2.5),
        ("learning_rate", 10, pytest.approx(0.001)),
        ("nats_per_char", 20, 1.5),
        ("learning_rate", 20, pytest.approx(0.0005)),
    ]
    assert scalars(tmp_path / "validation") == [("nats_per_char", 10, 2.75)]


def test_steps_beyond_32_bits_are_kept(tmp_path):
    summaries = Summaries(str(tmp_path))
    summaries.scalars(2**33, "train", {"nats_per_char": 1.0})
    summaries.flush()
    assert scalars(tmp_path / "train") == [("nats_per_char", 2**33, 1.0)]


def write_steps(folder, *steps):
    summaries = Summaries(str(folder))
    for step in steps:
        summaries.scalars(step, "train", {"x": 10.0 * step})
        summaries.scalars(step, "validation", {"x": step})
        summaries.flush()
    return summaries


def test_a_resumed_run_removes_later_events_and_a_torn_last_one(tmp_path):
    write_steps(tmp_path, 1, 2)
    (path,) = (tmp_path / "train").iterdir()
    whole = path.read_bytes()
    write_steps(tmp_path / "longer", 1, 2, 3)
    (longer,) = (tmp_path / "longer" / "train").iterdir()
    third = longer.read_bytes()[len(whole) :]
    for torn in range(len(third)):
        path.write_bytes(whole + third[:torn])
        Summaries(str(tmp_path)).start(2, 2)
        assert path.read_bytes() == whole
    inode = path.stat().st_ino
    Summaries(str(tmp_path)).start(2, 2)
    assert path.stat().st_ino == inode  # nothing to remove, so the file is not replaced
    Summaries(str(tmp_path)).start(2, 1)
    assert [step for _, step, _ in scalars(tmp_path / "train")] == [1, 2]
    assert [step for _, step, _ in scalars(tmp_path / "validation")] == [1]


def test_a_damaged_event_file_is_cut_before_the_first_damaged_event(tmp_path):
    """Any flipped byte of the second and third event, and zeros instead of the last bytes."""
    write_steps(tmp_path, 1, 2, 3)
    (path,) = (tmp_path / "train").iterdir()
    whole = path.read_bytes()
    version, *sizes = (16 + len(record) for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    first, second, third = (version + sum(sizes[: i + 1]) for i in range(3))
    damages = {i: whole[:i] + bytes([whole[i] ^ 0x10]) + whole[i + 1 :] for i in range(first, third)}
    damages |= {third - count: whole[:-count] + bytes(count) for count in (13, 60)}
    for place, content in damages.items():
        path.write_bytes(content)
        Summaries(str(tmp_path)).start(3, 3)
        assert path.read_bytes() == whole[: second if place >= second else first]
        assert scalars(tmp_path / "train")[-1] == ("x", *((2, 20.0) if place >= second else (1, 10.0)))


@pytest.mark.parametrize("name", ["events.out.tfevents.backup", "events.out.tfevents.1700000000.other.1.0.v2", "a.bak"])
def test_event_files_that_the_run_did_not_write_are_neither_cut_nor_removed(tmp_path, name):
    for folder in (tmp_path, *(tmp_path / split for split in ("train", "validation", "open_loop/own"))):
        folder.mkdir(parents=True, exist_ok=True)
    write_steps(tmp_path, 1, 2, 3)
    begin_session(str(tmp_path), {})
    write_curves(str(tmp_path), {"recovery": Curve([10], [5.0], [6.0])})
    copies = {}
    for path in list(tmp_path.rglob("events.out.tfevents.*")):
        copies[path.with_name(name)] = path.read_bytes()
        path.with_name(name).write_bytes(path.read_bytes())
    Summaries(str(tmp_path)).start(1, 1)
    begin_session(str(tmp_path), {})
    write_curves(str(tmp_path), {"recovery": Curve([10], [5.0], [6.0])})
    assert len(copies) == 5 and {path: path.read_bytes() for path in copies} == copies
    for folder in {path.parent for path in copies}:
        assert len([path for path in folder.iterdir() if path.is_file() and "tfevents" in path.name]) == 1 + (
            name != "a.bak"
        )


def test_event_files_of_an_earlier_version_belong_to_the_run_and_later_ones_without_its_suffix_do_not(tmp_path):
    write_steps(tmp_path, 1, 2, 3)
    (path,) = (tmp_path / "train").iterdir()
    (tmp_path / "event_files.json").unlink()
    earlier = path.rename(path.with_name(re.sub(r"\.[0-9a-f]{16}\.v2$", ".v2", path.name)))  # its earlier name
    summaries = Summaries(str(tmp_path))
    summaries.start(2, 2)
    assert [step for _, step, _ in scalars(tmp_path / "train")] == [1, 2]
    summaries.scalars(3, "train", {"x": 3.0})
    summaries.flush()
    foreign = earlier.with_name("events.out.tfevents.1700000000.other.1.0.v2")
    before = earlier.read_bytes()
    foreign.write_bytes(before)
    Summaries(str(tmp_path)).start(1, 1)
    assert foreign.read_bytes() == before
    foreign.unlink()
    assert [step for _, step, _ in scalars(tmp_path / "train")] == [1]


@pytest.mark.parametrize("content", ["{", "[]", '{"suffix": "/../x.v2", "earlier": []}'])
def test_a_damaged_record_of_event_files_is_made_again(tmp_path, content):
    write_steps(tmp_path, 1, 2)
    (tmp_path / "event_files.json").write_text(content)
    write_steps(tmp_path, 3).start(2, 2)
    assert [step for _, step, _ in scalars(tmp_path / "train")] == [1, 2]


def test_tensorboard_sees_one_curve_over_two_processes_and_a_roll_back(tmp_path):
    write_steps(tmp_path, 1, 2, 3, 4)  # killed here, with a checkpoint at 2
    summaries = Summaries(str(tmp_path))
    summaries.start(2, 2)
    for step in (3, 4, 5):
        summaries.scalars(step, "train", {"x": step})
    summaries.start(3, 3)
    for step in (4, 5):
        summaries.scalars(step, "train", {"x": step})
    summaries.flush()
    events = EventAccumulator(str(tmp_path / "train")).Reload().Tensors("x")
    values = [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in events]
    assert values == [(1, 10.0), (2, 20.0), (3, 3.0), (4, 4.0), (5, 5.0)]
    assert scalars(tmp_path / "train") == [("x", step, value) for step, value in values]  # the files' order is the same


def test_each_prompt_and_temperature_has_its_own_tag(tmp_path):
    summaries = Summaries(str(tmp_path))
    samples = [Sample("ROMEO:\n", 0.5, 0, "O 🎭"), Sample("ROMEO:\n", 1.0, 0, "P"), Sample("\n", 0.8, 0, "Q\n```\nR")]
    summaries.samples(30, samples)
    summaries.flush()
    assert texts(tmp_path / "validation") == [
        ("samples/ROMEO:/temperature 0.5", 30, "```\nROMEO:\nO 🎭\n```"),
        ("samples/ROMEO:/temperature 1", 30, "```\nROMEO:\nP\n```"),
        ("samples/line break/temperature 0.8", 30, "````\n\nQ\n```\nR\n````"),
    ]
    assert texts(tmp_path / "train") == []


def test_curves_have_the_position_as_step_and_replace_earlier_ones(tmp_path):
    write_curves(str(tmp_path), {"recovery": Curve([10], [5.0], [6.0]), "old": Curve([1], [0.0], [0.0])})
    write_curves(str(tmp_path), {"recovery": Curve([10, 50], [0.5, 0.75], [1.0, 1.25])})
    tag = "open loop/recovery"
    assert scalars(tmp_path / "open_loop" / "own") == [(tag, 10, 0.5), (tag, 50, 0.75)]
    assert scalars(tmp_path / "open_loop" / "real") == [(tag, 10, 1.0), (tag, 50, 1.25)]


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "open_loop").write_text("a file")
    with pytest.raises(UserError, match="open_loop cannot be written to"):
        write_curves(str(tmp_path), {})


def plugin(folder, name):
    return [(tag, step) for tag, step, plugin, _ in read_back(folder) if plugin == name]


def test_histograms_leave_out_non_finite_values_and_a_resumed_run_removes_later_ones(tmp_path):
    summaries = Summaries(str(tmp_path))
    for step in (1, 2):
        summaries.histograms(step, {"weights/a": tf.constant([1.0, 2.0, float("nan"), float("inf")])})
    summaries.flush()
    (*_, (_, _, _, buckets)) = read_back(tmp_path / "train")  # [left, right, count] each
    assert (buckets[0, 0], buckets[-1, 1], buckets[:, 2].sum()) == (1.0, 2.0, 2.0)
    Summaries(str(tmp_path)).start(1, 1)
    assert plugin(tmp_path / "train", "histograms") == [("weights/a", 1)]


def test_a_resumed_run_describes_itself_once(tmp_path):
    for steps in (10, 20):
        end = begin_session(str(tmp_path), {"loop.steps": steps})
        assert len(plugin(tmp_path, "hparams")) == len(plugin(tmp_path, "custom_scalars")) == 1
        end()
    tags = [tag for tag, _ in plugin(tmp_path, "hparams")]
    assert tags == ["_hparams_/session_start_info", "_hparams_/session_end_info"]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Starts a TensorBoard on three runs, one of them unfinished; yields a function that returns its JSON at a path."""
    folder = tmp_path_factory.mktemp("runs")
    for name, (rate, loss) in {"slow": (0.1, 3.0), "fast": (0.2, 2.0), "killed": (0.3, 4.0)}.items():
        run_dir = str(folder / name)
        end = begin_session(run_dir, {"optimizer.learning_rate": rate, "trainer": "spans", "data.stride": 0})
        summaries = Summaries(run_dir)
        summaries.scalars(5, "train", {"nats_per_char": loss, "chars_per_sec": 9.0, "own_input_prob": 0.5})
        summaries.scalars(5, "validation", {"nats_per_char": loss + 1})
        summaries.samples(5, [Sample("ROMEO:", 0.5, 0, " O")])
        summaries.histograms(5, {"weights/a": tf.constant([1.0, 2.0])})
        summaries.flush()
        if name != "killed":
            end()
    write_curves(str(folder / "slow"), {"recovery": Curve([10], [5.0], [6.0])})
    (folder / "curves.png").write_bytes(tf.io.encode_png(tf.zeros([2, 3, 3], tf.uint8)).numpy())
    write_pictures(str(folder / "slow"), "evaluation", [str(folder / "curves.png")])
    with tensorboard(str(folder)) as url:

        def ask(path, **body):
            data = json.dumps(body).encode() if body else None
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{url}/data/plugin/{path}", data, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        end = time.monotonic() + 60
        while "slow/open_loop/evaluation" not in ask("images/tags") and time.monotonic() < end:  # it reads as it runs
            time.sleep(0.1)
        yield ask


@pytest.mark.slow
def test_tensorboard_compares_runs_by_their_settings_and_their_metrics(ask):
    experiment = ask("hparams/experiment", experimentName="", hparamsLimit=0, includeMetrics=True)
    differ = {info["name"]: info.get("differs", False) for info in experiment["hparamInfos"]}
    assert differ == {"optimizer.learning_rate": True, "trainer": False, "data.stride": False}
    assert experiment["hparamInfos"][0]["name"] == "optimizer.learning_rate"  # TensorBoard shows the first few
    metrics = [info["name"] for info in experiment["metricInfos"]]
    assert {"group": "validation", "tag": "nats_per_char"} in metrics
    columns = [{"metric": name} for name in metrics]
    every = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    request = {"experimentName": "", "allowedStatuses": every, "colParams": columns, "startIndex": 0, "sliceSize": 9}
    found = {}
    for group in ask("hparams/session_groups", **request)["sessionGroups"]:
        (one,) = group["sessions"]
        values = {(m["name"]["group"], m["name"]["tag"]): m["value"] for m in group["metricValues"]}
        rate, loss = group["hparams"]["optimizer.learning_rate"], values["validation", "nats_per_char"]
        found[one["name"]] = group["name"].startswith(f"{one['name']} in /"), rate, loss, one["status"]
    assert found == {
        "slow": (True, 0.1, 4.0, "STATUS_SUCCESS"),
        "fast": (True, 0.2, 3.0, "STATUS_SUCCESS"),
        "killed": (True, 0.3, 5.0, "STATUS_UNKNOWN"),
    }


@pytest.mark.slow
def test_tensorboard_lays_the_charts_out_once_and_finds_their_curves(ask):
    categories = ask("custom_scalars/layout")["category"]
    assert [category["title"].partition(",")[0] for category in categories] == [
        "Loss", "Curriculum", "Speed", "Optimizer", "Open loop",
    ]  # fmt: skip
    charts = {chart["title"]: chart["multiline"]["tag"] for category in categories for chart in category["chart"]}
    found = set()
    for run in ("slow/train", "slow/validation", "slow/open_loop/own", "slow/open_loop/real"):
        for title, tags in charts.items():
            for tag in tags:
                curves = ask(f"custom_scalars/scalars?{urllib.parse.urlencode({'run': run, 'tag': tag})}")
                assert curves["regex_valid"]
                for points in curves["tag_to_events"].values():
                    found |= {(run, title, step, value) for _, step, value in points}
    assert found == {
        ("slow/train", "nats per character", 5, 3.0),
        ("slow/validation", "nats per character", 5, 4.0),
        ("slow/train", "characters per second", 5, 9.0),
        ("slow/train", "own inputs: probability and share", 5, 0.5),
        ("slow/open_loop/own", "recovery after this many characters", 10, 5.0),
        ("slow/open_loop/real", "recovery after this many characters", 10, 6.0),
    }


@pytest.mark.slow
def test_tensorboard_shows_histograms_texts_and_pictures(ask):
    assert ask("histograms/tags")["slow/train"].keys() == {"weights/a"}
    assert ask("text/tags")["slow/validation"] == ["samples/ROMEO:/temperature 0.5"]
    query = urllib.parse.urlencode({"run": "slow/validation", "tag": "samples/ROMEO:/temperature 0.5"})
    (text,) = ask(f"text/text?{query}")
    assert (text["step"], text["text"].strip()) == (5, "<pre><code>ROMEO: O\n</code></pre>")
    assert ask("images/tags")["slow/open_loop/evaluation"].keys() == {"open loop/curves"}


def code_block(markdown):
    """Returns a code block's text and the lines after it. CommonMark ends it at a line of as many or more backticks."""
    opening, *lines = markdown.split("\n")
    assert re.fullmatch("`{3,}", opening)
    for i, line in enumerate(lines):
        if re.fullmatch(f" {{0,3}}`{{{len(opening)},}} *", line):
            return "\n".join(lines[:i]), lines[i + 1 :]
    raise AssertionError("the block does not end")


@given(st.text(alphabet="`` \n#a", max_size=40))
def test_nothing_in_a_text_ends_its_fence(text):
    assert code_block(fenced(text)) == (text, [])


HOSTILE = """
    ``` ```` ~~~ </pre> </code> <script>alert(1)</script> <img src=x onerror=alert(1)> ![x](http://x/y.png) &lt; &#96;
    [x](javascript:alert(1)) # <!-- --> <![CDATA[ | --- \x02wzxhzdk:0\x03 \x02 \x03 {.c onclick=x} <svg/onload=a()> `
""".split()
SPACES = ["\n", "\r", "\n\n", "    ", "\t", " ", "\x0b", "\x85", "\u2028"]


@given(st.lists(st.sampled_from([*HOSTILE, *SPACES]), max_size=12))
def test_tensorboard_shows_a_sample_as_text_and_nothing_else(parts):
    """TensorBoard's own renderer returns one code block and no other markup."""
    html = plugin_util.markdown_to_safe_html(fenced("".join(parts)))
    assert re.fullmatch(r"<pre><code>[^<>]*</code></pre>", html)


def test_tensorboards_rendering_would_show_markup_without_the_fence():
    assert "<img" in plugin_util.markdown_to_safe_html("a ![x](http://x/y.png)")
    assert "<a href" in plugin_util.markdown_to_safe_html("```\n```\n[x](http://x)\n```")


def test_a_fence_of_three_backticks_is_not_enough():
    text = "a\n```\n# b"
    assert code_block(f"```\n{text}\n```") != (text, [])
