"""Describes a model by its run directory: experiment, corpus, weights, losses, curriculum, a prompt.

    facts(loaded)       # {"corpus": "plays", "network": "GRU, 1 layer of 192 units", …}

The run directory of a stranger, or of an older version, may lack any of them: such a fact is left out.
"""

import json
import os
from typing import Any

from charrnn import run_files
from charrnn.errors import UserError
from charrnn.files import systems
from charrnn.generation.loading import Loaded


def experiment(loaded: Loaded) -> str:
    """Returns the name of the model's experiment; "" if it is unknown.

    Args:
        loaded: the model.
    """
    return _text(_config(loaded).get("experiment"))


def facts(loaded: Loaded) -> dict[str, str]:
    """Returns short descriptions by their names.

    No fact has a folder of the machine, because a page goes to other people.

    Args:
        loaded: the model.
    """
    config, model = _config(loaded), loaded.model
    layers = f"{model.config.num_layers} layer{'s' * (model.config.num_layers > 1)} of {model.config.units:,} units"
    found = {
        "Corpus": _without_folders(_text(config.get("corpus"))),
        "Network": f"{model.config.cell.upper()}, {layers}",
        "Weights": f"{model.count_params():,}, {_checkpoint(loaded)}",
        "Loss": _losses(loaded),
        "Curriculum": _curriculum(config.get("trainer")),
        "Vocabulary": f"{len(loaded.vocabulary.characters) or 256:,} {loaded.vocabulary.kind}",
    }
    return {name: fact for name, fact in found.items() if fact}


def prompt(loaded: Loaded) -> str:
    """Returns the first prompt of the run's samples, or the model's default one if it has none.

    Args:
        loaded: the model.
    """
    samples = _config(loaded).get("samples")
    prompts = samples.get("prompts") if isinstance(samples, dict) else None
    first = _text(prompts[0]) if isinstance(prompts, list) and prompts else ""
    known = not loaded.vocabulary.unknown_characters(loaded.vocabulary.read(first))
    return first if first and known else loaded.generator().beginning


def _checkpoint(loaded: Loaded) -> str:
    """Returns the checkpoint's name with the number of its step for a reader, such as "step 1,500"."""
    name, _, number = os.path.basename(loaded.checkpoint).rpartition("-")
    return f"{name.replace('-', ' ')} {int(number):,}" if number.isdecimal() else os.path.basename(loaded.checkpoint)


def _run_dir(loaded: Loaded) -> str:
    return os.path.dirname(os.path.dirname(loaded.checkpoint))


def _config(loaded: Loaded) -> dict[str, Any]:
    try:
        return run_files.read_config(_run_dir(loaded))
    except UserError:
        return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _without_folders(corpus: str) -> str:
    """Returns a corpus, or a list of them in JSON or with commas, with the name of each file only."""
    try:
        parts = json.loads(corpus) if corpus.startswith("[") else corpus.split(",")
    except ValueError:
        parts = [corpus]
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        parts = [corpus]
    return ", ".join(os.path.basename(part.rstrip("/")) for part in parts)


def _curriculum(settings: object) -> str:
    """Returns the curriculum's name, with its settings in brackets."""
    if not isinstance(settings, dict):
        return ""
    name = _text(settings.get("class")).rpartition(":")[2].replace("_", " ")
    others = [f"{key}={value}" for key, value in settings.items() if key != "class" and isinstance(value, int | float)]
    return f"{name} ({', '.join(others)})" if name and others else name


def _losses(loaded: Loaded) -> str:
    """Returns the losses at the step of the checkpoint, or the last ones before it."""
    step = os.path.basename(loaded.checkpoint).rpartition("-")[2]
    found: dict[str, float] = {}
    try:
        path = os.path.join(_run_dir(loaded), run_files.METRICS)
        with systems.os_errors(path), systems.functions(path).GFile(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int) and step.isdecimal():
            split, nats = record.get("split"), record.get("nats_per_char")
            if record["step"] <= int(step) and split in ("train", "validation") and isinstance(nats, float):
                found[split] = nats
    return ", ".join(f"{split} {found[split]:.4f}" for split in found) + " nats per character" if found else ""
