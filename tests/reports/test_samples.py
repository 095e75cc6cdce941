"""Tests the samples during training: equal weights write equal samples, and prompts fit the vocabulary."""

import math

import numpy as np
import pytest

from charrnn.errors import UserError
from charrnn.generation.generator import Generator
from charrnn.sampling import Sampler
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary
from trainers.configs import SamplesConfig
from trainers.reports.samples import Sample, SampleWriter

LETTERS = Vocabulary("abcdef")


def test_samples_equal_the_generators_for_each_prompt_and_temperature(make_model):
    model = make_model()
    config = SamplesConfig(prompts=("fab", "c"), temperatures=(0.5, 2.0), num_chars=140, seed=3)
    samples = SampleWriter(config, model, LETTERS).write(0)
    assert samples == [
        Sample(prompt, temperature, s, Generator(model, LETTERS, Sampler(temperature)).generate([prompt], 140, [s])[0])
        for prompt, s in (("fab", 3), ("c", 4))
        for temperature in (0.5, 2.0)
    ]
    assert len({sample.text for sample in samples}) == 4


def test_samples_of_any_length_are_written_without_xla(make_model):
    sampling = SampleWriter(SamplesConfig(num_chars=5000), make_model(), LETTERS)
    assert sampling._generator.writer.xla_from(1) == math.inf


def test_equal_weights_write_equal_samples_and_other_weights_or_seeds_do_not(make_model):
    model = make_model()
    sampling = SampleWriter(SamplesConfig(prompts=("a",), num_chars=50), model, LETTERS)
    before = sampling.write(0)
    assert sampling.write(0) == before
    model.set_weights(make_model(seed=1).get_weights())
    assert sampling.write(0) != before
    model.set_weights(make_model().get_weights())
    assert sampling.write(0) == before
    assert SampleWriter(SamplesConfig(prompts=("a",), num_chars=50, seed=1), model, LETTERS).write(0) != before


def test_characters_that_the_vocabulary_lacks_are_left_out_and_named(make_model):
    model = make_model()
    config = SamplesConfig(prompts=("xaybz☂", "d", "yy"), temperatures=(1.0,), num_chars=20)
    sampling = SampleWriter(config, model, LETTERS)
    assert sampling.left_out == ["x", "y", "z", "☂"]
    samples = sampling.write(0)
    assert [sample.prompt for sample in samples] == ["ab", "d", "f"]  # an empty prompt is replaced
    known = SamplesConfig(prompts=("ab", "d", "f"), temperatures=(1.0,), num_chars=20)
    assert samples == SampleWriter(known, model, LETTERS).write(0)


def test_no_known_character_is_left_out(make_model):
    config = SamplesConfig(prompts=("abc", "f"), num_chars=5)
    assert SampleWriter(config, make_model(), LETTERS).left_out == []
    config = SamplesConfig(prompts=("é🎭",), temperatures=(1.0,), num_chars=5)
    sampling = SampleWriter(config, make_model(vocabulary_size=256), Vocabulary.bytes())
    assert sampling.left_out == []
    assert [sample.prompt for sample in sampling.write(0)] == ["é🎭"]


def test_prompts_are_normalised_like_the_text_and_replacements_are_named(make_model):
    vocabulary = Vocabulary("\nabcdef"[:6], reading=Reading(True, "", True))
    config = SamplesConfig(prompts=("AB\r\n", "XY", "C"), temperatures=(1.0,), num_chars=20)
    sampling = SampleWriter(config, make_model(), vocabulary)
    assert (sampling.left_out, sampling.replaced) == (["x", "y"], {"XY": "\n"})
    assert [sample.prompt for sample in sampling.write(0)] == ["ab\n", "\n", "c"]
    documents = SampleWriter(config, make_model(), vocabulary, end_of_text="\n")
    assert documents.replaced == {"XY": ""}  # the beginning of a document
    assert len(documents.write(0)) == 3


@pytest.mark.parametrize("nothing", [{"num_chars": 0}, {"prompts": ()}, {"temperatures": ()}])
def test_nothing_is_written_without_length_prompts_or_temperatures(make_model, nothing):
    config = SamplesConfig(**{"prompts": ("a",), "num_chars": 5, **nothing})
    assert SampleWriter(config, make_model(), LETTERS).write(0) == []


@pytest.mark.parametrize(
    "field, value",
    [
        ("temperatures", (-1.0,)),
        ("temperatures", (float("nan"),)),
        ("temperatures", (float("inf"),)),
        ("temperatures", (1e30,)),
        ("prompts", ("a", "")),
        ("num_chars", -1),
        ("epsilon", 1.0),
        ("epsilon", -0.1),
    ],
)
def test_impossible_settings_are_named(field, value):
    with pytest.raises(UserError, match=f"samples.{field}=.* is not possible: it must be "):
        SamplesConfig(**{field: value})


def test_a_prompt_from_the_text_is_a_part_of_it_and_differs_at_each_evaluation(make_model):
    train = np.random.default_rng(0).integers(1, 7, 500)
    config = SamplesConfig(prompts=(), from_text=30, temperatures=(1.0,), num_chars=5)
    sampling = SampleWriter(config, make_model(), LETTERS, train)
    prompts = [sampling.write(step)[0].prompt for step in range(5)]
    assert sampling.write(0)[0].label == "from the text"  # one tag in TensorBoard, not one per evaluation
    assert all(len(prompt) == 30 and prompt in LETTERS.decode(train) for prompt in prompts)
    assert len(set(prompts)) == 5
    assert [sampling.write(step)[0].prompt for step in range(5)] == prompts


def test_no_sample_has_a_character_below_epsilon(make_model):
    model = make_model()
    config = SamplesConfig(prompts=("a",), temperatures=(2.0,), num_chars=140, epsilon=0.15)
    (sample,) = SampleWriter(config, model, LETTERS).write(0)
    generator = Generator(model, LETTERS, Sampler(2.0, epsilon=0.15))
    assert sample.text == generator.generate(["a"], 140, [0])[0]
    assert sample.text != Generator(model, LETTERS, Sampler(2.0)).generate(["a"], 140, [0])[0]


def test_temperature_zero_always_takes_the_likeliest_character(make_model):
    model = make_model()
    config = SamplesConfig(prompts=("a",), temperatures=(0.0, 1.0), num_chars=50)
    greedy, warm = SampleWriter(config, model, LETTERS).write(0)
    assert greedy.text == Generator(model, LETTERS, Sampler(greedy=True)).generate(["a"], 50, [9])[0] != warm.text
