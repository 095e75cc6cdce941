"""Tests the description of a model from its run directory."""

import json

import pytest

from charrnn.generation import description
from charrnn.generation.loading import Loaded
from charrnn.text.vocabulary import Vocabulary

CONFIG = {
    "experiment": "mine",
    "corpus": "/home/ann/secret/a.txt,plays",
    "trainer": {"class": "scheduled_sampling", "k": 3},
}


@pytest.fixture
def describe(make_model, tmp_path):
    """Returns the facts, the experiment and the prompt of a model whose run directory has these files."""

    def describe(config, metrics="", checkpoint="step-1020"):
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        (tmp_path / "metrics.jsonl").write_text(metrics)
        loaded = Loaded(make_model(), Vocabulary("abcdef"), str(tmp_path / "best" / checkpoint), "")
        return description.facts(loaded), description.experiment(loaded), description.prompt(loaded)

    return describe


def records(*values):
    keys = "step", "split", "nats_per_char"
    return "\n".join(json.dumps(dict(zip(keys, value, strict=True))) for value in values)


def test_a_run_is_described_by_all_facts(describe):
    losses = (10, "train", 3.5), (10, "validation", 3.25), (1020, "train", 2.5), (1030, "validation", 1.0)
    facts, experiment, _ = describe(CONFIG, records(*losses))
    assert experiment == "mine"
    assert facts == {
        "Corpus": "a.txt, plays",
        "Network": "GRU, 1 layer of 6 units",
        "Weights": "318, step 1,020",
        "Loss": "train 2.5000, validation 3.2500 nats per character",
        "Curriculum": "scheduled sampling (k=3)",
        "Vocabulary": "6 characters",
    }


@pytest.mark.parametrize(
    "corpus, shown",
    [
        ("plays", "plays"),
        ('["/a b/c, d.txt", "/e/[f].txt"]', "c, d.txt, [f].txt"),
        ("/home/my name/texts/", "texts"),
        ("[1, 2]", "[1, 2]"),
        ("[broken/x.txt", "x.txt"),
    ],
)
def test_no_folder_of_the_machine_is_shown(describe, corpus, shown):
    assert describe({"corpus": corpus})[0]["Corpus"] == shown


@pytest.mark.parametrize(
    "config, metrics",
    [
        ("{}", ""),
        ("not JSON", "not JSON\n[1]\n" + records(("x", "train", 1.0), (3, "train", None), (4, ["train"], 1.0))),
        ({"corpus": 3, "trainer": [], "experiment": None}, records((True, 1, "x"))),
        ({"trainer": {"class": 3}}, "\x00"),
    ],
)
def test_an_unknown_fact_is_left_out(describe, config, metrics):
    facts, experiment, prompt = describe(config, metrics)
    assert experiment == "" and prompt == "f" and set(facts) == {"Network", "Weights", "Vocabulary"}


@pytest.mark.parametrize(
    "prompts, used", [(["ab", "c"], "ab"), (["aB"], "f"), ([""], "f"), ([], "f"), ([3], "f"), ("ab", "f"), (None, "f")]
)
def test_the_prompt_is_the_first_sample_prompt_if_the_model_knows_its_characters(describe, prompts, used):
    assert describe({"samples": {"prompts": prompts}})[2] == used


def test_a_checkpoint_of_an_unusual_name_has_no_losses(describe):
    assert "Loss" not in describe({}, records((1, "train", 2.0)), "stopped-x")[0]
    assert "Loss" in describe({}, records((1, "train", 2.0)), "retry-1-step-3")[0]
