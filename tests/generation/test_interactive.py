"""Tests the loop of --interactive, with a list of lines instead of a terminal."""

import pytest

from charrnn.generation.generator import Generator
from charrnn.generation.interactive import converse
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("\nabcdef")


@pytest.fixture
def generator(make_model):
    return Generator(make_model(vocabulary_size=8), LETTERS)


@pytest.fixture
def talk(generator):
    """Runs the loop on lines of input. Returns the written text and the list of messages."""

    def talk(*lines, write=None, **options):
        lines, written, told = iter(lines), [], []
        write = write(written) if write else written.append
        converse(generator, lambda: next(lines, None), write, told.append, **options)
        return "".join(written), told

    return talk


def test_each_prompt_has_the_next_seed(talk, generator):
    texts = generator.generate(["ab", "c\nd"], 30, [5, 6])
    assert talk("ab", r"c\nd", num_chars=30, seed=5) == (f"ab{texts[0]}\nc\nd{texts[1]}\n", [])


def test_an_empty_line_continues_as_if_the_text_had_never_stopped(talk, generator):
    whole = generator.generate(["fab"], 160, [0])[0]
    written, _ = talk("fab", "", "", "b", num_chars=50, seed=0)
    assert written == f"fab{whole[:50]}\n{whole[50:100]}\n{whole[100:150]}\nb{generator.generate(['b'], 50, [1])[0]}\n"


def test_an_empty_line_continues_a_text_across_the_stop_string_that_ended_it(talk, generator):
    whole = generator.generate(["fab"], 300, [0])[0]
    stop = whole[20:24]
    ends = [whole.index(stop), whole.index(stop, whole.index(stop) + 1)]
    written, _ = talk("fab", "", num_chars=150, seed=0, stop=stop)
    assert written == f"fab{whole[: ends[0]]}\n{whole[ends[0] : min(ends[1], ends[0] + 150)]}\n"


def test_a_mistake_is_reported_and_the_next_prompt_is_read(talk, generator):
    written, told = talk("", "xyz", "a", num_chars=9, seed=0)
    assert written == f"a{generator.generate(['a'], 9, [0])[0]}\n"
    assert len(told) == 2 and "prompt is empty" in told[0] and "'x', 'y', 'z'" in told[1]


def test_ctrl_c_ends_a_text_and_an_empty_line_continues_it(talk, generator):
    whole = generator.generate(["fab"], 300, [0])[0]

    def interrupted(written):
        def write(piece):
            written.append(piece)
            if len(written) == 3:  # the prompt, and two pieces
                raise KeyboardInterrupt

        return write

    written, _ = talk("fab", "", num_chars=200, seed=0, write=interrupted)
    assert any(written == f"fab{whole[:n]}\n{whole[n : n + 200]}\n" for n in range(1, 100))
