"""Tests generated text against a loop with one model call per character, and the inputs that a text depends on."""

import gc
import math

import numpy as np
import pytest
import tensorflow as tf

from charrnn import randomness
from charrnn.errors import COOLEST, HOTTEST, UserError
from charrnn.generation import generator as generation
from charrnn.generation.generator import Generator
from charrnn.generation.state import GenerationState
from charrnn.generation.writer import XLA_PLACE
from charrnn.sampling import Sampler
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary

LETTERS = Vocabulary("abcdef")  # 7 ids with the unknown character, the default of `make_model`
DECODE_BLOCK_CHARS = 128
LONG = "fedcab" * 25  # 150 characters: the prompt itself crosses the border of a block
CELLS = [pytest.param({"cell": cell, "num_layers": n}, id=f"{cell}-{n}") for cell in ("gru", "lstm") for n in (1, 2)]
CELLS.append(pytest.param({"num_layers": 2, "skip_connections": True, "zoneout": 0.2}, id="skip-zoneout"))


_GENERATOR = []


@pytest.fixture
def generator(make_model):
    """Returns a generator that all tests share, because texts do not change it: its loops are compiled only once."""
    if not _GENERATOR:
        _GENERATOR.append(Generator(make_model(), LETTERS))
    return _GENERATOR[0]


def likeliest(logits, noise):
    return int(logits.argmax())


def sampled(temperature=1.0):
    return lambda logits, noise: int((logits / np.float32(temperature) + noise).argmax())


def one_by_one(model, vocabulary, prompt, num_chars, seed, choose):
    """Returns the text of a plain loop: after the prompt, one `model(...)` call per chosen character."""
    read = tf.function(model, reduce_retracing=True)
    size = model.vocabulary_size
    ids = vocabulary.encode(prompt).tolist()
    logits, state = model(tf.constant([ids]))
    while len(ids) < len(vocabulary.encode(prompt)) + num_chars:
        block, place = divmod(len(ids), DECODE_BLOCK_CHARS)
        noise_seed = randomness.seed_for(seed, randomness.Purpose.GENERATION, block * DECODE_BLOCK_CHARS)
        known = logits[0, -1].numpy()
        if vocabulary.unknown_id is not None:
            known[vocabulary.unknown_id] = -np.inf
        ids.append(choose(known, randomness.gumbel([DECODE_BLOCK_CHARS, size], noise_seed)[place].numpy()))
        logits, state = read(tf.constant([[ids[-1]]]), state)
    return vocabulary.decode(ids[len(vocabulary.encode(prompt)) :])


@pytest.mark.slow
def test_xla_does_not_change_the_text(make_model):
    plain, compiled = (Generator(make_model(), LETTERS, xla=xla) for xla in (False, True))
    for prompts in (["a", LONG], ["fab"]):
        assert compiled.generate(prompts, 20, range(len(prompts))) == plain.generate(prompts, 20, range(len(prompts)))


def test_xla_runs_the_loop_from_a_fixed_position_on(make_model, monkeypatch):
    generator = Generator(make_model(), LETTERS)
    compiled = generator.writer._compiled_loop.experimental_get_tracing_count
    generator.generate(["a"], XLA_PLACE - 1, [7])
    assert compiled() == 0
    generator.generate(["a"], XLA_PLACE, [7])
    assert compiled() == 1
    places = {xla: Generator(make_model(), LETTERS, xla=xla).writer.xla_from for xla in (None, False, True)}
    assert [places[None](count) for count in (1, 5, 6)] == [XLA_PLACE, XLA_PLACE, math.inf]
    assert [places[False](1), places[True](1), places[True](64)] == [math.inf, 0, 0]
    gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [gpu] if kind == "GPU" else [])
    assert [places[None](1), places[True](1)] == [math.inf, 0]


def test_a_long_text_begins_with_the_bits_of_a_short_one(make_model):
    """Compares the text and the logits after it, also for a text that continues from a state."""
    model = make_model()
    chosen, plain = (Generator(model, LETTERS, xla=xla) for xla in (None, False))
    whole = chosen.generate(["a"], XLA_PLACE + 300, [7])[0]

    def after(generator, num_chars, **arguments):
        stream = generator.stream("" if arguments else "a", num_chars, 7, **arguments)
        return "".join(stream), stream.state

    for num_chars in (1, XLA_PLACE - 1, XLA_PLACE, XLA_PLACE + 1, XLA_PLACE + 200):
        text, state = after(chosen, num_chars)
        assert text == whole[:num_chars] == chosen.generate(["a"], num_chars, [7])[0]
        text, expected = after(plain, num_chars)
        assert text == whole[:num_chars]  # XLA rounds differently, but this seed has no close choice
        if num_chars < XLA_PLACE:
            np.testing.assert_array_equal(state.logits, expected.logits)
        np.testing.assert_allclose(state.logits, expected.logits, rtol=0, atol=1e-5)
    _, first = after(chosen, XLA_PLACE - 50)
    rest, last = after(chosen, 250, state=first)
    assert rest == whole[XLA_PLACE - 50 : XLA_PLACE + 200]
    np.testing.assert_array_equal(last.logits, state.logits)


@pytest.mark.slow
def test_a_text_beyond_the_xla_position_is_the_same_with_one_call_per_character(make_model):
    model, prompt = make_model(cell="lstm"), LONG * 6
    expected = one_by_one(model, LETTERS, prompt, 300, 3, sampled())
    assert Generator(model, LETTERS).generate([prompt], 300, [3])[0] == expected
    expected = one_by_one(model, LETTERS, LONG * 9, 30, 3, sampled())
    assert Generator(model, LETTERS).generate([LONG * 9], 30, [3])[0] == expected


@pytest.mark.parametrize("config", CELLS)
def test_greedy_text_is_the_same_with_one_call_per_character(make_model, config):
    model = make_model(**config)
    text = Generator(model, LETTERS, Sampler(greedy=True)).generate(["fab"], 60, [0])[0]
    assert text == one_by_one(model, LETTERS, "fab", 60, 0, likeliest)
    assert len(text) == 60


@pytest.mark.slow
@pytest.mark.parametrize("config", CELLS)
def test_sampled_text_is_the_same_with_one_call_per_character_and_the_same_noise(make_model, config):
    model = make_model(**config)
    text = Generator(model, LETTERS, Sampler(temperature=0.7)).generate(["fab"], 140, [11])[0]
    assert text == one_by_one(model, LETTERS, "fab", 140, 11, sampled(0.7))
    assert text != one_by_one(model, LETTERS, "fab", 140, 12, sampled(0.7))


def test_sampled_text_is_the_same_after_a_prompt_longer_than_a_block(make_model):
    model = make_model()
    assert Generator(model, LETTERS).generate([LONG], 20, [3])[0] == one_by_one(model, LETTERS, LONG, 20, 3, sampled())


def test_top_k_and_top_p_agree_with_numpy(make_model):
    def choose(logits, noise):
        logits = logits / np.float32(1.5)
        logits[logits < np.sort(logits)[-4]] = -np.inf
        weights = np.exp(logits - logits.max())
        order = np.argsort(-logits)
        before = np.cumsum(weights[order] / weights.sum()) - weights[order] / weights.sum()
        logits[order[before >= 0.8]] = -np.inf
        return int((logits + noise).argmax())

    model = make_model()
    text = Generator(model, LETTERS, Sampler(temperature=1.5, top_k=4, top_p=0.8)).generate(["d"], 80, [5])[0]
    assert text == one_by_one(model, LETTERS, "d", 80, 5, choose)
    assert text != Generator(model, LETTERS, Sampler(temperature=1.5)).generate(["d"], 80, [5])[0]


def test_a_text_does_not_depend_on_the_other_rows(make_model):
    model = make_model(cell="lstm", num_layers=2)
    generator = Generator(model, LETTERS)
    prompts, seeds = ["a", LONG, "fe", "a", "bcd"], [0, 1, 2, 3, 0]
    together = generator.generate(prompts, 150, seeds)
    alone = [generator.generate([prompt], 150, [seed])[0] for prompt, seed in zip(prompts, seeds, strict=True)]
    assert together == alone
    assert [len(text) for text in together] == [150] * 5
    assert len(set(together)) == 5


@pytest.mark.parametrize("prompt", ["a", LONG])
def test_a_text_does_not_depend_on_how_much_of_it_is_asked_for(generator, prompt):
    whole = generator.generate([prompt], 300, [7])[0]
    for num_chars in (0, 1, 105, 106, 107, 127, 128, 129, 255, 256):
        assert generator.generate([prompt], num_chars, [7])[0] == whole[:num_chars]


def test_equal_seeds_give_equal_texts_and_different_seeds_different_texts(make_model):
    model = make_model()
    first, second, other = Generator(model, LETTERS).generate(["cab"] * 3, 200, [4, 4, 5])
    assert first == second != other
    assert first == Generator(make_model(), LETTERS).generate(["cab"], 200, [4])[0]


@pytest.mark.parametrize("greedy", [False, True], ids=["sampled", "greedy"])
def test_the_unknown_character_is_never_written(make_model, greedy):
    model = make_model()
    bias = model.readout.bias.numpy()
    bias[LETTERS.unknown_id] = 1000.0
    model.readout.bias.assign(bias)
    logits, _ = model(tf.constant([LETTERS.encode("fab").tolist()]))
    assert (logits.numpy().argmax(-1) == LETTERS.unknown_id).all()
    text = Generator(model, LETTERS, Sampler(greedy=greedy, top_p=0.9)).generate(["fab"], 200, [0])[0]
    assert len(text) == 200 and set(text) <= set("abcdef")


def test_id_zero_of_a_byte_vocabulary_is_a_byte_like_any_other(make_model):
    model = make_model(vocabulary_size=256)
    bias = model.readout.bias.numpy()
    bias[0] = 1000.0
    model.readout.bias.assign(bias)
    assert Generator(model, Vocabulary.bytes()).generate(["a"], 9, [0])[0] == "\0" * 9


@pytest.mark.parametrize("sampler", [Sampler(greedy=True), Sampler()], ids=["greedy", "sampled"])
def test_a_byte_vocabulary_reads_and_writes_utf_8(make_model, sampler):
    model, vocabulary = make_model(vocabulary_size=256), Vocabulary.bytes()
    text = Generator(model, vocabulary, sampler).generate(["Ô, 🎭!"], 40, [2])[0]
    choose = likeliest if sampler.greedy else sampled()
    assert text == one_by_one(model, vocabulary, "Ô, 🎭!", 40, 2, choose)


def test_the_bytes_of_a_character_are_written_as_one_character(make_model):
    model, euro = make_model(vocabulary_size=256, embedding_size=0, units=256), "€".encode()
    for weight in model.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    kernel, _, bias = model.recurrent_layers[0].trainable_weights
    kernel.assign(np.concatenate([np.zeros((256, 512)), 50 * np.eye(256)], 1))  # the state is the last byte, one-hot;
    bias.assign(np.repeat([[-50.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 256, axis=1))  # it forgets the byte before
    follows = np.zeros((256, 256))
    follows[list(euro), list(euro[1:] + euro[:1])] = 50.0
    model.readout.kernel.assign(follows)
    generator = Generator(model, Vocabulary.bytes(), Sampler(greedy=True))
    assert generator.generate(["€"], 9, [0]) == ["€€€"]
    assert generator.generate(["€"], 5, [0]) == ["€\N{REPLACEMENT CHARACTER}"]  # num_chars counts bytes


def test_each_row_has_its_own_temperature(make_model):
    model = make_model()
    rows = Generator(model, LETTERS).generate(["e"] * 3, 150, [9, 9, 9], temperatures=[0.3, 1.0, 3.0])
    for text, temperature in zip(rows, (0.3, 1.0, 3.0), strict=True):
        assert text == Generator(model, LETTERS, Sampler(temperature=temperature)).generate(["e"], 150, [9])[0]
    assert len(set(rows)) == 3


def test_top_k_of_1_is_greedy(make_model):
    model = make_model()
    greedy = Generator(model, LETTERS, Sampler(greedy=True)).generate(["ab", LONG], 150, [0, 1])
    assert Generator(model, LETTERS, Sampler(top_k=1)).generate(["ab", LONG], 150, [5, 6]) == greedy
    assert Generator(model, LETTERS, Sampler(top_k=2)).generate(["ab", LONG], 150, [5, 6]) != greedy


def test_a_text_ends_before_the_stop_string(generator):
    prompts, seeds = ["a", "fed"], [1, 2]
    whole = generator.generate(prompts, 300, seeds)
    across = whole[0][DECODE_BLOCK_CHARS - 8 : DECODE_BLOCK_CHARS + 8]  # it crosses the border of a block
    assert whole[0].count(across) == 1 and across not in whole[1]
    first, second = generator.generate(prompts, 300, seeds, stop=across)
    assert first == whole[0][: DECODE_BLOCK_CHARS - 8] and second == whole[1]
    for stop in (whole[0][:1], whole[0][5:7], whole[1][40:45]):
        expected = [text[: text.index(stop)] if stop in text else text for text in whole]
        assert generator.generate(prompts, 300, seeds, stop=stop) == expected


def test_a_stop_string_in_the_prompt_does_not_end_the_text(generator):
    whole = generator.generate([LONG], 100, [1])[0]
    assert LONG[:20] not in whole
    assert generator.generate([LONG], 100, [1], stop=LONG[:20]) == [whole]


def test_an_empty_prompt_is_refused(make_model):
    with pytest.raises(UserError, match="prompt is empty"):
        Generator(make_model(), LETTERS).generate(["ab", ""], 5, [0, 1])


def test_characters_that_the_model_never_saw_are_named(make_model):
    with pytest.raises(UserError, match=r"'aXb☂X'.*never saw: 'X', '☂'; .*'abcdef'"):
        Generator(make_model(), LETTERS).generate(["ab", "aXb☂X"], 5, [0, 1])


def test_each_call_uses_the_current_weights(make_model):
    model, other = make_model(), make_model(seed=1)
    generator = Generator(model, LETTERS)
    before = generator.generate(["ab"], 100, [0])
    model.set_weights(other.get_weights())
    assert generator.generate(["ab"], 100, [0]) == Generator(other, LETTERS).generate(["ab"], 100, [0]) != before


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_pairs_of_characters_have_the_models_probability(make_model, temperature):
    model, rows = make_model(), 4000
    texts = Generator(model, LETTERS, Sampler(temperature)).generate(["fab"] * rows, 2, range(rows))
    logits, state = model(tf.constant([LETTERS.encode("fab").tolist()]))

    def probabilities(logits):
        return tf.nn.softmax(logits[1:] / temperature).numpy()  # without the unknown character

    first = probabilities(logits[0, -1])
    for i, a in enumerate("abcdef"):
        second = probabilities(model(tf.constant([[i + 1]]), state)[0][0, -1])
        for b, p in zip("abcdef", first[i] * second, strict=True):
            assert abs(texts.count(a + b) - rows * p) < 4 * np.sqrt(rows * p * (1 - p)) + 1


def streamed(generator, *arguments, **options):
    """Returns the pieces of a text."""
    return list(generator.stream(*arguments, **options))


@pytest.mark.parametrize("prompt", ["fab", LONG])
def test_a_stream_yields_the_text_in_growing_pieces(generator, prompt):
    pieces = streamed(generator, prompt, 300, seed=7)
    assert "".join(pieces) == generator.generate([prompt], 300, [7])[0]
    assert len(pieces[0]) <= 8 and len(pieces[1]) <= 16 and max(map(len, pieces)) > 32


@pytest.mark.filterwarnings("ignore:The stop string 'x'")
def test_a_stream_holds_back_the_beginning_of_a_stop_string(generator):
    whole = generator.generate(["fab"], 300, [7])[0]
    for stops in ([whole[100:140], "fff"], [whole[3:5], whole[2:6]], ["x", ""], [whole[290:302] + "a"]):
        pieces = streamed(generator, "fab", 300, seed=7, stop=stops)
        assert ["".join(pieces)] == generator.generate(["fab"], 300, [7], stop=stops)
        assert whole.startswith("".join(pieces)) and all(pieces)


def test_a_stream_never_cuts_a_character_in_two(make_model):
    generator = Generator(make_model(vocabulary_size=256), Vocabulary.bytes())
    for seed in range(20):
        whole = generator.generate(["é"], 200, [seed])[0]
        stream = generator.stream("é", 200, seed=seed)
        text = "".join(stream) + stream.pending.decode("utf-8", "replace")
        assert text == whole


@pytest.mark.parametrize("config", [CELLS[0], CELLS[-1]])
def test_a_continued_text_equals_an_uninterrupted_text_to_the_bit(make_model, config):
    generator = Generator(make_model(**config), LETTERS)
    whole = generator.stream("fab", 300, seed=7)
    text = "".join(whole)
    part = generator.stream("fab", 41, seed=7)
    assert "".join(part) == text[:41]
    for num_chars in (0, 1, 100, 158):
        prefix, part = part, generator.stream("", num_chars, state=part.state)
        assert "".join(part) == text[prefix.state.position - 3 :][:num_chars]
    assert part.state.position == whole.state.position == 303
    for got, expected in zip(tf.nest.flatten(part.state[2:4]), tf.nest.flatten(whole.state[2:4]), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_text_in_bytes_continues_within_a_character(make_model):
    generator = Generator(make_model(vocabulary_size=256), Vocabulary.bytes())
    whole, cut = "".join(generator.stream("é", 120, seed=4)), False
    for num_chars in range(40, 60):
        first = generator.stream("é", num_chars, seed=4)
        start = "".join(first)
        cut |= bool(first.state.pending)
        assert start + "".join(generator.stream("", 120 - num_chars, state=first.state)) == whole
    assert cut


def test_a_stopped_text_continues_before_the_stop_string(generator):
    whole = generator.generate(["fab"], 300, [7])[0]
    for place in (5, 130, 131):
        stop = whole[place : place + 12]
        stream = generator.stream("fab", 300, seed=7, stop=stop)
        assert "".join(stream) == whole[:place]
        assert "".join(generator.stream("", 300 - place, state=stream.state)) == whole[place:]
        more = generator.stream("cab", 30, state=stream.state)  # another prompt is possible, too
        assert "".join(more) != whole[place:][:30]
        assert more.state.position == 3 + place + 3 + 30


def test_an_abandoned_stream_has_the_state_after_its_last_piece(generator):
    whole = generator.generate(["fab"], 300, [7])[0]
    for stop in ("", whole[20:40]):  # the stop string cuts the second piece off at 20 characters
        stream = generator.stream("fab", 300, seed=7, stop=stop)
        pieces = iter(stream)
        start = next(pieces) + next(pieces)
        assert start == whole[: len(start)] and len(start) == (20 if stop else 24)
        assert "".join(generator.stream("", 50, state=stream.state)) == whole[len(start) :][:50]


def test_stop_strings_and_ends_of_documents_are_ignored_before_min_chars(make_model):
    model, prompts, seeds = make_model(), ["ab", LONG, "c"], [1, 2, 3]
    generator = Generator(model, LETTERS)
    whole = generator.generate(prompts, 200, seeds)
    stopped = generator.generate(prompts, 200, seeds, stop=["f", "ab"], min_chars=90)
    for text, expected in zip(stopped, whole, strict=True):
        ends = [place for stop in ("f", "ab") if (place := expected.find(stop, 90)) >= 0]
        assert text == expected[: min(ends)]
    for sampler in (Sampler(), Sampler(top_k=2)):
        documents = Generator(model, LETTERS, sampler, end_of_text="f")
        short = documents.generate(prompts, 200, seeds)
        texts = documents.generate(prompts, 200, seeds, min_chars=90)
        assert min(map(len, short)) < 90 <= min(map(len, texts)) and "f" not in "".join(texts)
        endless = documents.generate(prompts, 200, seeds, min_chars=2**31 - 1)  # no position overflows
        assert endless == documents.generate(prompts, 200, seeds, min_chars=200)
        if sampler == Sampler():  # with top_k, an excluded end lets another character in
            assert all(text.startswith(other[:90]) for text, other in zip(texts, short, strict=True))


def test_characters_that_the_model_never_saw_are_dropped_or_read_as_unknown(make_model):
    model = make_model()
    drop, replace = (Generator(model, LETTERS, unknown=unknown) for unknown in ("drop", "replace"))
    known = Generator(model, LETTERS)
    assert drop.generate(["aXb☂"], 50, [1]) == known.generate(["ab"], 50, [1])
    text = replace.generate(["aXb☂"], 50, [1])[0]
    assert text == one_by_one(model, LETTERS, "aXb☂", 50, 1, sampled())
    assert text != known.generate(["ab"], 50, [1])[0]
    with pytest.raises(UserError, match="prompt is empty"):
        drop.generate(["☂"], 5, [0])
    with pytest.raises(UserError, match="unknown=ignore is not possible: it must be one of refuse, drop, replace"):
        Generator(model, LETTERS, unknown="ignore").generate(["a"], 5, [0])


def test_a_text_of_a_model_of_realistic_size_does_not_depend_on_the_batch(make_model):
    """Matmuls of other batch sizes may round differently, by about 1e-6. That is tiny compared with the noise."""
    model = make_model(vocabulary_size=66, units=128, embedding_size=0)
    for weight in model.trainable_variables:
        weight.assign(0.3 * weight)
    vocabulary = Vocabulary([chr(33 + i) for i in range(65)])
    generator = Generator(model, vocabulary)
    together = generator.generate(["A" * (i + 1) for i in range(17)], 300, range(17))
    for i in (0, 7, 16):
        assert generator.generate(["A" * (i + 1)], 300, [i])[0] == together[i]


def live_states():
    return sum(type(each) is GenerationState for each in gc.get_objects())


@pytest.mark.slow
def test_memory_apart_from_the_text_does_not_depend_on_the_length(make_model):
    generator, calls = Generator(make_model(), LETTERS), []
    before = live_states()
    stream = generator.stream("fab", 3000, seed=1, stop=["fedcbafedcba"])
    held = [len(stream._since) for _ in stream]
    assert len(held) > 20 and live_states() - before <= 4
    assert max(held) <= DECODE_BLOCK_CHARS + 12  # ids since the last state: one call's, and the held-back ids
    generator.generate(["fab", "c"], 3000, [1, 2], look=lambda: calls.append(len(calls) == 20 and live_states()))
    assert calls[20] - before <= 8


def test_a_batch_is_written_in_parts_that_fit(make_model, monkeypatch):
    generator = Generator(make_model(), LETTERS)
    prompts, seeds, temperatures = ["a", "bc", LONG, "fe", "d"], [3, 1, 4, 1, 5], [1.0, 0.5, 0.0, 2.0, 0.7]
    whole = generator.generate(prompts, 60, seeds, temperatures)
    monkeypatch.setattr(generation, "_MOST_FLOATS", 2 * (DECODE_BLOCK_CHARS * LETTERS.size + 8 * 6))
    parts = list(generator.in_parts(prompts, 60, seeds, temperatures))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [text for part in parts for text in part] == whole
    assert generator.generate(prompts, 60, seeds, temperatures) == whole


def test_texts_that_do_not_fit_into_memory_are_refused_before_the_start(make_model):
    generator, prompts = Generator(make_model(), LETTERS), ["a"] * 20_000
    for call in (generator.generate, generator.in_parts):
        with pytest.raises(UserError, match=r"num_chars=2,000,000,000 .*prompts"):
            call(prompts, 2_000_000_000, range(20_000))
    with pytest.raises(UserError, match="width 2000000000"):
        generator.beam("a", 500, 2_000_000_000)


def test_two_graphs_serve_all_temperatures_and_numbers_of_texts(make_model):
    generator = Generator(make_model(), LETTERS)
    for count in (1, 3, 2, 5):
        generator.generate(["a"] * count, 5, range(count), np.linspace(0, 2, count))
    assert generator.writer.call.experimental_get_tracing_count() <= 2
    for width in (2, 3, 5):
        assert len(generator.beam("ab", 3, width)) == width
    assert generator.writer.search.experimental_get_tracing_count() <= 2


def test_generators_that_share_a_writer_have_their_own_temperatures(make_model):
    model = make_model()
    first = Generator(model, LETTERS, Sampler(0.5, top_k=4))
    for sampler in (Sampler(2.0, top_k=4), Sampler(top_k=4, greedy=True)):
        shared = Generator(model, LETTERS, sampler, writer=first.writer)
        alone = Generator(model, LETTERS, sampler)
        assert shared.generate(["ab"], 60, [1]) == alone.generate(["ab"], 60, [1]) != first.generate(["ab"], 60, [1])
        assert "".join(shared.stream("ab", 60, seed=1)) == alone.generate(["ab"], 60, [1])[0]


@pytest.mark.parametrize("kind", [np.array, tuple, list, tf.constant], ids=["array", "tuple", "list", "tensor"])
def test_arguments_may_be_arrays_tuples_lists_and_tensors(generator, kind):
    expected = generator.generate(["a", "bc"], 20, [3, 4], [0.5, 1.0])
    prompts = ("a", "bc") if kind is tf.constant else kind(["a", "bc"])
    assert generator.generate(prompts, np.int64(20), kind([3, 4]), kind([0.5, 1.0]), min_chars=np.int32(0)) == expected
    assert "".join(generator.stream("a", np.int64(20), np.int64(3))) == generator.generate(["a"], 20, [3])[0]


def test_no_prompts_give_no_texts(generator):
    for none in ([], (), np.array([])):
        assert generator.generate(none, 5, none) == generator.generate(none, 5, none, none) == []


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("abc", 5, [0, 1, 2]), "prompts"),
        ((None, 5, []), "prompts"),
        (([b"a"], 5, [0]), "prompt"),
        ((["a", None], 5, [0, 1]), "prompt"),
        (([["a"]], 5, [0]), "prompt"),
        ((["a"], 5, [0, 1]), "seeds"),
        ((["a"], 5, 0), "seeds"),
        ((["a"], 5, [0.5]), "seeds"),
        ((["a"], 5, [2**31]), "seeds"),
        ((["a"], 5, ["0"]), "seeds"),
        ((["a", "b"], 5, [0, [1]]), "seeds"),
        ((["a"], -1, [0]), "num_chars"),
        ((["a"], 5.0, [0]), "num_chars"),
        ((["a"], "5", [0]), "num_chars"),
        ((["a"], 2**31, [0]), "num_chars"),
        ((["a"], 5, [0], [1.0, 2.0]), "temperatures"),
        ((["a"], 5, [0], 1.0), "temperatures"),
        ((["a"], 5, [0], ["hot"]), "temperatures"),
        ((["a"], 5, [0], [-1.0]), "temperatures"),
        ((["a"], 5, [0], [np.nan]), "temperatures"),
        ((["a"], 5, [0], [10 * HOTTEST]), "temperatures"),
        ((["a"], 5, [0], [COOLEST / 10]), "temperatures"),
        ((["a"], 5, [0], None, 7), "stop"),
        ((["a"], 5, [0], None, ["a", None]), "stop"),
        ((["a"], 5, [0], None, "", -1), "min_chars"),
    ],
    ids=str,
)
def test_an_impossible_argument_is_named(generator, arguments, named):
    with pytest.raises(UserError, match=f"^(The )?{named}"):
        generator.in_parts(*arguments)


EXTREMES = [
    Sampler(HOTTEST),
    Sampler(COOLEST, top_p=0.9),
    Sampler(HOTTEST, top_p=1e-300),
    Sampler(COOLEST, top_p=1e-300, min_p=1.0),
    Sampler(HOTTEST, top_k=6, min_p=1e-300),
    Sampler(COOLEST, top_k=1),
    Sampler(HOTTEST, greedy=True, top_p=1e-38),
    Sampler(HOTTEST, epsilon=1e-300),
    Sampler(COOLEST, epsilon=0.999999),
]


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("sampler", EXTREMES, ids=str)
def test_no_setting_writes_the_unknown_character(make_model, sampler, precision):
    model = make_model(precision=precision)
    bias, kernel = model.readout.bias.numpy(), model.readout.kernel.numpy()
    bias[0], kernel[:, 0] = 1e29, 1e29
    model.readout.set_weights([kernel, bias])
    texts = Generator(model, LETTERS, sampler).generate(["fab"] * 40, 30, range(40))
    assert REPLACEMENT not in "".join(texts) and min(map(len, texts)) == 30


def test_non_finite_weights_are_reported(make_model):
    for vocabulary in (LETTERS, Vocabulary.bytes()):
        model = make_model(vocabulary.size)
        model.readout.bias.assign(np.full(vocabulary.size, np.nan))
        for write in ("generate", "beam"):
            arguments = (["ab"], 5, [0]) if write == "generate" else ("ab", 5, 2)
            with pytest.raises(UserError, match="not finite numbers"):
                getattr(Generator(model, vocabulary), write)(*arguments)


def test_prompts_and_stop_strings_are_read_like_the_training_text(make_model):
    model = make_model(vocabulary_size=8)
    vocabulary = Vocabulary("\nabcd\xe9f", reading=Reading(True, "NFC", True))
    generator = Generator(model, vocabulary)
    whole = generator.generate(["f\n\xe9ab"], 80, [1])[0]
    stop = whole[30:33]
    given = stop.upper().replace("\xc9", "E\u0301").replace("\n", "\r\n")
    assert generator.generate(["F\r\nE\u0301Ab"], 80, [1], stop=given) == [whole[: whole.index(stop)]]
    assert "".join(generator.stream("f\re\u0301AB", 80, 1, stop=[given])) == whole[: whole.index(stop)]
    assert generator.beam("E\u0301A", 5, 3) == generator.beam("\xe9a", 5, 3)


@pytest.mark.parametrize(
    "characters, end_of_text, beginning",
    [("\n ACGT", "", "\n"), (" ACGT", "", " "), ("ACGT", "", "T"), ("\nACGT", "\n", "")],
)
def test_the_default_prompt_is_a_known_character_or_empty_for_documents(make_model, characters, end_of_text, beginning):
    generator = Generator(make_model(len(characters) + 1), Vocabulary(characters), end_of_text=end_of_text)
    assert generator.beginning == beginning
    assert len(generator.generate([beginning], 5, [0])) == 1
    if beginning:
        with pytest.raises(UserError, match=f"prompt is empty.*{beginning!r}".replace("\\", "\\\\")):
            generator.generate([""], 5, [0])


def test_a_line_break_at_the_start_of_a_prompt_is_the_start_of_its_document(make_model):
    """The default prompt of samples is a line break. No document is empty, so the model never reads two in a row."""
    generator = Generator(make_model(8), Vocabulary("\nabcdef"), end_of_text="\n")
    assert generator.generate(["\n", "\nab"], 60, [1, 2]) == generator.generate(["", "ab"], 60, [1, 2])
    assert "".join(generator.stream("\nab", 60, 2)) == generator.generate(["ab"], 60, [2])[0]


def test_stop_strings_that_can_never_match_are_reported(make_model):
    model = make_model(vocabulary_size=8)
    vocabulary = Vocabulary("\nabcdef", reading=Reading(lowercase=True))
    running, documents = Generator(model, vocabulary), Generator(model, vocabulary, end_of_text="\n")
    asked = ["", "#end", "ab", "AB", "a\nb", "\n", "b\n", "cdefa"]
    assert [*running.impossible(asked, 10, 6)] == ["#end", "cdefa"]
    assert "'#'" in running.impossible("#end", 10)["#end"]
    assert [*documents.impossible(asked, 10)] == ["#end", "a\nb"]
    assert Generator(make_model(256), Vocabulary.bytes()).impossible(["\xe9\xe9", "é"], 3) == {
        "\xe9\xe9": running.impossible("cdefa", 3)["cdefa"]
    }
    with pytest.warns(UserWarning, match="'#end'"):
        texts = running.generate(["a"], 30, [1], stop=["#end", "b"])
    assert texts == running.generate(["a"], 30, [1], stop="b")
    assert "U+00E9" in Generator(make_model(4), Vocabulary("xe\u0301")).impossible("\xe9", 9)["\xe9"]
    with pytest.warns(UserWarning, match="'#end'"):
        running.stream("a", 30, stop="#end")


def test_an_unknown_stop_string_does_not_match_another_unknown_character(make_model):
    """Both have the id 0, which is never written."""
    generator = Generator(make_model(), LETTERS, unknown="replace")
    with pytest.warns(UserWarning, match="'x'"):
        assert generator.generate(["aX"], 20, [1], stop="x") == generator.generate(["aX"], 20, [1])
