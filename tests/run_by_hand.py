"""Writes a run directory without training, for tests that load a model from one."""

import dataclasses
import json
from pathlib import Path

import tensorflow as tf

from charrnn.model.char_model import CharModel
from charrnn.text.vocabulary import Vocabulary


def write_run(folder: Path, model: CharModel, vocabulary: Vocabulary, **data: object) -> str:
    """Writes a model's weights, its vocabulary and its settings to a folder; returns the folder's path."""
    tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(folder / "checkpoints"), 1).save()
    vocabulary.save(str(folder / "vocabulary.json"))
    described = {"model": dataclasses.asdict(model.config), "data": {"order": "windows", **data}}
    (folder / "config.json").write_text(json.dumps({**described, "runtime": {"precision": "float32"}}))
    return str(folder)
