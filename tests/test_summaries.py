"""Event files read back: which tags, which values, at which steps, in which split."""

import re

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorboard import plugin_util
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from charrnn.errors import UserError
from charrnn.open_loop import Curve
from trainers.samples import Sample
from trainers.summaries import Summaries, fenced, write_curves


def read_back(folder):
    """(tag, step, plugin, value) of all event files of a split, in the order in which they were written."""
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


def test_steps_beyond_32_bits(tmp_path):
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


def test_a_resumed_run_takes_out_later_events_wherever_the_last_was_torn(tmp_path):
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
    assert path.stat().st_ino == inode  # nothing to take out: not written
    Summaries(str(tmp_path)).start(2, 1)
    assert [step for _, step, _ in scalars(tmp_path / "train")] == [1, 2]
    assert [step for _, step, _ in scalars(tmp_path / "validation")] == [1]


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


def test_curves_have_the_position_for_step_and_replace_earlier_ones(tmp_path):
    write_curves(str(tmp_path), {"recovery": Curve([10], [5.0], [6.0]), "old": Curve([1], [0.0], [0.0])})
    write_curves(str(tmp_path), {"recovery": Curve([10, 50], [0.5, 0.75], [1.0, 1.25])})
    tag = "open loop/recovery"
    assert scalars(tmp_path / "open_loop" / "own") == [(tag, 10, 0.5), (tag, 50, 0.75)]
    assert scalars(tmp_path / "open_loop" / "real") == [(tag, 10, 1.0), (tag, 50, 1.25)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "open_loop").write_text("a file")
    with pytest.raises(UserError, match="open_loop cannot be written to"):
        write_curves(str(tmp_path), {})


def code_block(markdown):
    """The block's text, by CommonMark's rule: it ends at the first line of as many backticks or more."""
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
    """By its own rendering: what was written stands in one code block, and no other markup is there."""
    html = plugin_util.markdown_to_safe_html(fenced("".join(parts)))
    assert re.fullmatch(r"<pre><code>[^<>]*</code></pre>", html)


def test_tensorboards_rendering_would_show_markup_without_the_fence():
    assert "<img" in plugin_util.markdown_to_safe_html("a ![x](http://x/y.png)")
    assert "<a href" in plugin_util.markdown_to_safe_html("```\n```\n[x](http://x)\n```")


def test_three_backticks_would_not_do():
    text = "a\n```\n# b"
    assert code_block(f"```\n{text}\n```") != (text, [])
