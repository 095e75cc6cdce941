"""Tests the command `charrnn.generate`: only the text on standard output, one sentence for a mistake."""

import functools
import io
import json
import shutil
import subprocess
import sys

import pytest

from charrnn import command, generate, run_files
from charrnn.batches.sources import DataConfig
from charrnn.generation import loading
from charrnn.measures.rollouts import Reader
from charrnn.measures.surprisal import coloured, surprisals
from charrnn.model.config import ModelConfig
from charrnn.sampling import Sampler
from charrnn.text.reading import Reading
from trainers.configs import LoopConfig, SamplesConfig
from trainers.experiment import Experiment

pytestmark = pytest.mark.slow

XLA = "XLA: on after 1,024 characters\n"


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    """Trains a tiny model. Returns its run directory."""

    def trained(corpus, **data):
        experiment = Experiment(
            corpus=str(corpus),
            model=ModelConfig(units=8, embedding_size=5),
            data=DataConfig(**{"seq_length": 20, "batch_size": 4, **data}),
            loop=LoopConfig(steps=2, evaluate_every=1, save_every=1),
            samples=SamplesConfig(num_chars=0),
        )
        return str(finished(experiment, tmp_path_factory.mktemp("runs") / "tiny"))

    return trained


@pytest.fixture(scope="module")
def run_dir(trained):
    return trained("plays:3000")


@pytest.fixture
def run_on(capsys):
    """Runs the command on a run directory. Returns exit status, standard output and standard error."""

    def run_on(run_dir, *arguments):
        status = command.run(generate.main, generate.FLAGS, ["generate", f"--run_dir={run_dir}", *arguments])
        return (status, *capsys.readouterr())

    return run_on


@pytest.fixture
def run(run_dir, run_on):
    return functools.partial(run_on, run_dir)


@pytest.fixture
def written(run_dir):
    """Returns texts that the Python API generates with the same weights."""
    loaded = loading.load(run_dir)

    def written(prompts, num_chars, seeds, sampler=None, **arguments):
        return loaded.generator(sampler).generate(prompts, num_chars, seeds, **arguments)

    return written


def test_prints_prompt_and_text_alone(run, run_dir, written):
    status, out, err = run("--prompt=LEAR:", "--num_chars=140", "--seed=3")
    assert (status, out) == (0, f"LEAR:{written(['LEAR:'], 140, [3])[0]}\n")
    assert err == f"weights: {run_files.find_checkpoint(run_dir)}\n{XLA}"


def test_the_prompt_is_a_line_break_unless_given(run, written):
    assert run("--num_chars=20")[1] == f"\n{written([chr(10)], 20, [0])[0]}\n"


@pytest.fixture(scope="module")
def names(trained, tmp_path_factory):
    """Returns a run on documents with Windows line ends, read in lower case, and the path of its text."""
    path = tmp_path_factory.mktemp("texts") / "names.txt"
    path.write_bytes(b"Anna\r\nBob\r\nCleo\r\n" * 60)
    return trained(path, order="lines", lowercase=True, seq_length=8), path


def test_prompts_stop_strings_and_files_are_read_as_the_models_text_was(names, run_on):
    run_dir, path = names
    loaded = loading.load(run_dir)
    assert loaded.vocabulary.reading == Reading(True, lowercase=True)
    texts = {seed: loaded.generate("an", 60, seed=seed) for seed in range(20)}
    seed, whole = max(texts.items(), key=lambda item: len(item[1]))
    stop = whole[3:5]
    status, out, err = run_on(run_dir, "--prompt=AN", f"--seed={seed}", "--num_chars=60", f"--stop={stop.upper()}")
    assert (status, out) == (0, f"AN{whole[: whole.index(stop)]}\n") and err.count("\n") == 2
    status, out, err = run_on(run_dir, f"--surprisal={path}")
    assert status == 0 and "unknown" not in err
    characters = "".join(json.loads(line)["character"] for line in out.splitlines())
    assert characters == "anna\nbob\ncleo\n" * 60


def test_a_run_always_reads_its_own_file(trained, run_on, tmp_path):
    (tmp_path / "any").write_bytes(b"caf\xe9 \xff\r\n" * 60)
    (tmp_path / "late.txt").write_text("abcd " * 60 + "\xe9")  # not in the training split
    for run_dir, path, said in (
        (trained(tmp_path / "any", vocabulary="bytes"), "any", ""),
        (trained(tmp_path / "late.txt"), "late.txt", "never saw them: '\xe9'"),
    ):
        status, out, err = run_on(run_dir, f"--surprisal={tmp_path / path}")
        assert status == 0 and said in err and len(out.splitlines()) > 250
    assert run_on(run_dir, f"--surprisal={tmp_path / path}", "--unknown=refuse")[0] == 2


def test_a_text_without_line_breaks_begins_with_a_known_character(trained, run_on, tmp_path):
    (tmp_path / "dna.txt").write_text("GATTACA" * 60)
    run_dir = trained(tmp_path / "dna.txt")
    status, out, err = run_on(run_dir, "--num_chars=20")
    assert (status, out[0], len(out)) == (0, "T", 22) and "begins with 'T'" in err
    status, out, err = run_on(run_dir, "--num_chars=20", "--num_samples=2", "--stop=###", "--stop=")
    assert (status, out[0]) == (0, "T") and "--stop='###'" in err and "--stop=''" in err and "'#'" in err


def test_many_samples_are_written_as_json_or_as_lines(run, written):
    texts = written(["A"] * 3, 200, [5, 6, 7])
    assert "\n" in "".join(texts)
    asked = ["--prompt=A", "--num_samples=3", "--seed=5", "--num_chars=200"]
    status, out, _ = run(*asked, "--format=jsonl", "--temperature=1")
    records = [json.loads(line) for line in out.splitlines()]
    expected = [{"prompt": "A", "seed": 5 + i, "temperature": 1.0, "text": text} for i, text in enumerate(texts)]
    assert (status, records) == (0, expected)
    lines = run(*asked, "--format=lines")[1].splitlines()
    assert [line.replace("\\n", "\n") for line in lines] == [f"A{text}" for text in texts]
    one = json.loads(run("--prompt=A", "--num_chars=5", "--format=jsonl", "--greedy")[1])
    assert (one["temperature"], one["text"]) == (0.0, written(["A"], 5, [0], Sampler(greedy=True))[0])
    best = json.loads(run("--prompt=A", "--num_chars=5", "--format=jsonl", "--beam=2")[1])
    assert best["prompt"] == "A" and best["log_prob"] < 0 and len(best["text"]) == 5


def test_an_impossible_stop_string_is_reported_once_and_the_others_still_work(run, written):
    whole = written(["A"], 60, [0])[0]
    status, out, err = run("--prompt=A", "--num_chars=60", "--stop=☃", f"--stop={whole[30:34]}")
    assert (status, out) == (0, f"A{whole[: whole.index(whole[30:34])]}\n")
    assert err.count("☃'") == 2 and err.count("\n") == 3  # the stop string and the reason, then the weights and XLA
    assert "--stop" in run("--prompt=A", "--num_chars=5", "--stop=too long for it")[2]


def test_xla_starts_at_a_position_of_the_text_or_on_request(run, run_dir, written):
    def said(*arguments):
        return run("--prompt=A", *arguments)[2].splitlines()[-1]

    long = written(["A"], 1300, [0])[0]
    status, out, err = run("--prompt=A", "--num_chars=1300")
    assert (status, out) == (0, f"A{long}\n") and err.endswith(XLA)
    assert run("--prompt=A", "--num_chars=1100")[1] == f"A{long[:1100]}\n"
    assert run("--prompt=A", "--num_chars=100")[1] == f"A{long[:100]}\n"
    assert said("--num_chars=5", "--xla") == "XLA: on"
    assert said("--num_chars=5", "--noxla") == said("--num_chars=5", "--beam=2") == "XLA: off"
    assert said("--num_chars=5", "--num_samples=3", "--prompt=B") == "XLA: off"
    assert said("--num_chars=5", "--num_samples=5") == XLA.strip()


def test_an_older_checkpoint_may_be_given_by_name(run, run_dir):
    assert run("--weights=step-1", "--num_chars=1")[2] == f"weights: {run_dir}/checkpoints/step-1\n{XLA}"


def test_each_of_several_samples_has_the_next_seed(run, written):
    _, out, _ = run("--prompt=A", "--num_samples=3", "--seed=5", "--num_chars=30")
    texts = written(["A"] * 3, 30, [5, 6, 7])
    assert len(set(texts)) == 3
    assert out == "\n----------\n".join(f"A{text}" for text in texts) + "\n"
    assert run("--prompt=A", "--seed=6", "--num_chars=30")[1] == f"A{texts[1]}\n"


def test_flags_reach_the_sampler(run, written):
    for arguments, sampler in [
        (["--greedy"], Sampler(greedy=True)),
        (["--temperature=0.01"], Sampler(temperature=0.01)),
        (["--top_k=3"], Sampler(top_k=3)),
        (["--top_p=0.1"], Sampler(top_p=0.1)),
        (["--min_p=0.99"], Sampler(min_p=0.99)),
        (["--epsilon=0.03"], Sampler(epsilon=0.03)),
    ]:
        text = written(["A"], 60, [0], sampler)[0]
        assert run("--prompt=A", "--num_chars=60", *arguments)[1] == f"A{text}\n"
        assert text != written(["A"], 60, [0])[0]  # so a flag left from the call before would show


def test_the_text_ends_before_the_stop_string(run, written):
    whole = written(["A"], 60, [0])[0]
    stop = whole[30:34]
    assert run("--prompt=A", "--num_chars=60", f"--stop={stop}")[1] == f"A{whole[: whole.index(stop)]}\n"


def test_several_prompts_and_stop_strings_may_be_given(run, written):
    whole = written(["A", "LEAR:"], 60, [2, 2])
    stops = [whole[0][30:34], whole[1][20:24]]
    _, out, _ = run("--prompt=A", "--prompt=LEAR:", "--seed=2", "--num_chars=60", *(f"--stop={stop}" for stop in stops))
    texts = written(["A", "LEAR:"], 60, [2, 2], stop=stops)
    assert out == f"A{texts[0]}\n----------\nLEAR:{texts[1]}\n" and len(texts[0]) < 60
    longer = run("--prompt=A", "--seed=2", "--num_chars=60", f"--stop={stops[0]}", "--min_chars=31")[1]
    assert longer == f"A{whole[0][: (whole[0] + stops[0]).index(stops[0], 31)]}\n"


def test_unknown_characters_may_be_dropped(run, written):
    assert run("--prompt=A\N{SNOWMAN}", "--unknown=drop", "--num_chars=30")[1] == f"A☃{written(['A'], 30, [0])[0]}\n"


def test_a_text_continues_from_a_saved_state(run, written, tmp_path):
    whole, state = written(["A"], 90, [3])[0], tmp_path / "state.npz"
    assert run("--prompt=A", "--seed=3", "--num_chars=40", f"--save_state={state}")[1] == f"A{whole[:40]}\n"
    for start in (40, 65):
        _, out, _ = run(f"--state={state}", f"--save_state={state}", "--num_chars=25")
        assert out == f"{whole[start : start + 25]}\n"


def test_the_best_texts_of_a_beam_come_first(run, run_dir):
    found = loading.load(run_dir).generator().beam("A", 20, 4)
    status, out, err = run("--prompt=A", "--num_chars=20", "--beam=4", "--num_samples=2")
    assert (status, out) == (0, f"A{found[0].text}\n----------\nA{found[1].text}\n")
    assert err.startswith(f"ln p: {found[0].log_prob:.4f}, {found[1].log_prob:.4f}\n")
    assert found[0].log_prob > found[1].log_prob


def test_prompts_may_come_through_a_pipe(run, written, monkeypatch):
    lines = io.TextIOWrapper(io.BytesIO("A\nLEAR:\\n\n\n☃\nB".encode()))
    monkeypatch.setattr(sys, "stdin", lines)
    status, out, err = run("--interactive", "--num_chars=30", "--seed=4")
    texts = written(["A", "LEAR:\n", "B"], 60, [4, 5, 6])
    assert status == 0
    assert out == f"A{texts[0][:30]}\nLEAR:\n{texts[1][:30]}\n{texts[1][30:]}\nB{texts[2][:30]}\n"
    assert "never saw: '☃'" in err


def test_surprisal_is_printed_as_json_or_in_colours(run, run_dir, tmp_path, monkeypatch):
    loaded, text = loading.load(run_dir), "LEAR:\nA☃"
    (tmp_path / "text.txt").write_text(text)
    known = list(surprisals(Reader(loaded.model), loaded.vocabulary, text[:-1]))
    status, out, err = run(f"--surprisal={tmp_path / 'text.txt'}", "--unknown=drop")
    assert status == 0
    assert [tuple(json.loads(line).values()) for line in out.splitlines()] == known
    assert err == f"{sum(nats for _, nats in known[1:]) / 6:.4f} nats per character\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text[:-1].encode())))
    assert run("--surprisal=-", "--color=always")[1] == "".join(coloured(*each) for each in known) + "\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert run("--surprisal=-")[0] == 2


def test_weights_may_be_the_newest(run, run_dir):
    found = run_files.find_checkpoint(run_dir, "newest")
    assert run("--weights=newest", "--num_chars=1")[2] == f"weights: {found}\n{XLA}"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--run_dir="], "--run_dir=DIR"),
        (["--run_dir=/nowhere/at/all"], "/nowhere/at/all is not a run directory"),
        (["--prompt=caf\N{LATIN SMALL LETTER E WITH ACUTE}"], "never saw: 'é'"),
        (["--prompt="], "prompt is empty"),
        (["--temperature=0"], "temperature=0.0 is not possible: it must be above 0"),
        (["--temperature=-1"], "temperature=-1.0"),
        (["--temperature=nan"], "temperature=nan"),
        (["--temperature=inf"], "temperature=inf"),
        (["--top_p=0"], "top_p=0.0 is not possible: it must be above 0 and at most 1"),
        (["--top_p=1.5"], "top_p=1.5"),
        (["--top_p=nan"], "top_p=nan"),
        (["--top_k=-1"], "top_k=-1 is not possible: it must be at least 0"),
        (["--num_chars=0"], "--num_chars=0 is not possible: it must be at least 1"),
        (["--num_chars=-5"], "--num_chars=-5"),
        (["--num_samples=0"], "--num_samples=0 is not possible: it must be at least 1"),
        (["--seed=-1"], "--seed=-1 is not possible"),
        (["--seed=2147483648"], "--seed=2147483648 is not possible"),
        (["--weights=foo"], "no 'foo' weights: ask for best or newest"),
        (["--temprature=1"], "no flag --temprature; nearest: temperature"),
        (["--num_chars=many"], "--num_chars=many"),
        (["--temperature=warm"], "--temperature=warm"),
        (["--greedy=perhaps"], "--greedy=perhaps"),
        (["--prompt"], "prompt"),
        (["--prompt=MY", "LORD"], "'LORD' belongs to no flag"),
        (["--min_p=2"], "min_p=2.0 is not possible"),
        (["--epsilon=1"], "epsilon=1.0 is not possible: it must be at least 0 (0: all characters) and below 1"),
        (["--min_chars=501"], "--min_chars=501 is not possible: it must be at least 0, at most --num_chars"),
        (["--beam=2", "--num_samples=3"], "--beam=2 is not possible: it must be 0, or at least --num_samples"),
        (["--unknown=ignore"], "--unknown=ignore"),
        (["--interactive", "--beam=2"], "--interactive and --beam do not go together"),
        (["--surprisal=-", "--state=x"], "--surprisal and --state do not go together"),
        (["--save_state=x", "--num_samples=2"], "--save_state is for one text"),
        (["--beam=3", "--prompt=A", "--prompt=B"], "--beam is for one text"),
        (["--state=/nowhere/at/all"], "The state /nowhere/at/all cannot be read"),
        (["--surprisal=/nowhere/at/all"], "/nowhere/at/all"),
        (["--temperature=1e30"], "temperature=1e+30 is not possible"),
        (["--weights=step-7"], "step-1, step-2"),
        (["--format=xml"], "--format=xml"),
        (["--format=jsonl", "--interactive"], "--interactive and --format=jsonl do not go together"),
        (["--num_samples=10000", "--num_chars=2000000000"], "num_chars=2,000,000,000"),
        (["--beam=1000000000"], "width 1000000000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_reported_in_one_sentence(run, arguments, said):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.endswith("\n") and err.count("\n") == 1
    assert said in err


def test_a_model_must_be_named(capsys):
    assert command.run(generate.main, generate.FLAGS, ["generate"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: --run_dir ") and err.count("\n") == 1


def test_the_command_changes_nothing_in_the_run_directory(run, run_dir, tmp_path_factory):
    def listing():
        files = sorted(tmp_path_factory.getbasetemp().glob("runs*/**/*"))
        return [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]

    before = listing()
    assert len(before) > 8
    assert run("--num_chars=5")[0] == 0
    assert run("--num_chars=5", "--prompt=\N{SNOWMAN}")[0] == 2
    assert listing() == before


def run_process(*arguments):
    """Runs the command in its own process. Returns exit status, standard output and standard error."""
    process = subprocess.run([sys.executable, "-m", "charrnn.generate", *arguments], capture_output=True, text=True)
    return process.returncode, process.stdout, process.stderr


def test_nothing_else_is_printed_by_the_process(run, run_dir):
    status, out, err = run_process(f"--run_dir={run_dir}", "--prompt=A", "--num_chars=40")
    assert (status, out, err) == run("--prompt=A", "--num_chars=40")
    assert err == f"weights: {run_files.find_checkpoint(run_dir)}\n{XLA}"


def test_a_checkpoint_of_another_model_is_reported_in_one_sentence_by_the_process(run_dir, tmp_path):
    other = shutil.copytree(run_dir, tmp_path / "other")
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"units": 8', '"units": 9'))
    checkpoint = run_files.find_checkpoint(str(other))
    told = f"error: The checkpoint {checkpoint} does not hold this model's weights, or is damaged.\n"
    assert run_process(f"--run_dir={other}") == (2, "", told)
