"""Tests that imports from earlier documentation still work, although the modules have moved."""

import importlib
import subprocess
import sys

import pytest

from charrnn import moved


@pytest.mark.parametrize("old", moved.NAMES)
def test_an_old_name_is_the_same_module(old):
    module = importlib.import_module(old)
    assert module is importlib.import_module(moved.NAMES[old])
    assert module.__name__ == module.__spec__.name == moved.NAMES[old]


@pytest.mark.parametrize(
    "name",
    """
    charrnn.batches.DataConfig trainers.samples.SamplesConfig trainers.optimizer.OptimizerConfig
    trainers.loop.LoopConfig trainers.experiment.Experiment trainers.evaluation.evaluate
    trainers.spans.Spans charrnn.randomness.Purpose
    charrnn.open_loop.Protocol charrnn.model_config.ModelConfig charrnn.layers.GRU charrnn.first_look.first_look
    charrnn.load charrnn.coins.per_row charrnn.sampling.Sampler trainers.Trainer trainers.train trainers.trainer.Trainer
    trainers.trainer.Rollout trainers.starting.train trainers.runtime.RuntimeConfig trainers.result.Result
    charrnn.vocabulary.Vocabulary charrnn.schedules.linear charrnn.recurrence.closed_loop charrnn.model.CharModel
    charrnn.loading.Loaded charrnn.generation.Generator charrnn.generation.Sampler charrnn.cells.CELLS
    charrnn.texts.load_texts charrnn.errors.UserError
    """.split(),
)
def test_an_old_import_works(name):
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute) is not None


def test_other_names_are_not_found_and_a_new_one_imports_no_tensorflow():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("charrnn.blocks")
    code = "import sys, charrnn; from charrnn.text.vocabulary import Vocabulary; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
