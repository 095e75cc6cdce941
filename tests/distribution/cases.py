"""Provides trainers that several processes train as one.

    TF_CONFIG=… python -m tests.distribution.cases     # is one of the processes

It prints a JSON object. For each case it has the rows that this process made, the measurements of some steps, the
weights after them, and the shapes of the tensors that a step reduces and gathers over the processes. It also has what
the processes agree on.
"""

import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from charrnn.batches.sources import DataConfig, make_source
from charrnn.errors import UserError
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from trainers.configs import RuntimeConfig
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.curricula.self_paced import SelfPaced
from trainers.distribution.cluster import Cluster
from trainers.distribution.strategies import Workers, make_strategy
from trainers.trainer import Trainer

BATCH_SIZE, LENGTH, STEPS = 8, 8, 3


class Reversed(Trainer):
    """A curriculum whose `batch_at` has no argument `rows` and returns four rows, one for each of four processes."""

    def batch_at(self, step):
        batch = self.source.batch_at(step)
        return batch._replace(inputs=batch.inputs[::-2], targets=batch.targets[::-2], weights=batch.weights[::-2])


CASES = {
    "streams": (ScheduledSampling, {"order": "streams", "reset_probability": 0.3}, {"half_step": 2}),
    "documents": (ScheduledSampling, {"order": "lines"}, {"half_step": 2, "coin": "exact"}),
    "reversed": (Reversed, {"order": "windows"}, {}),
    "whole": (SelfPaced, {"order": "streams"}, {"grow_steps": 5}),
    "bfloat16": (Trainer, {"order": "streams"}, {}),
}
"""Name -> curriculum, settings of the data, settings of the curriculum. "bfloat16" has that precision."""


def make(name: str) -> Trainer:
    """Returns the trainer of a case, on the current strategy."""
    cls, data, config = CASES[name]
    random = np.random.default_rng(4)
    text = np.append(np.where(random.random(2000) < 0.3, 0, np.arange(2000) % 6 + 1) * (np.arange(2000) > 0), 0)
    data = DataConfig(seq_length=LENGTH, batch_size=BATCH_SIZE, **data)
    model = ModelConfig(units=6, embedding_size=5, weight_drop=0.2, output_dropout=0.2, zoneout=0.1)
    arguments = {"seed": 3, "clip_norm": 0.1, "averaging": 0.9}
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    model = CharModel(model, 7, "mixed_bfloat16" if name == "bfloat16" else "float32")
    return cls(model, make_source(text, data, seed=3), optimizer, cls.Config(**config), **arguments)


def train(trainer: Trainer) -> dict:
    """Trains some steps; returns their measurements, and the weights and the carried state after them."""
    measured = [trainer.train_steps([trainer.local_batch(step)])[0] for step in range(STEPS)]
    models = [*trainer.model.get_weights(), *trainer.averaged.get_weights()]
    with trainer.carried_by_all():
        carried = [variable.numpy().astype(np.float32) for variable in tf.nest.flatten(trainer.carried)]
    return {"measured": measured, "weights": [array.tolist() for array in [*models, *carried]]}


def over_processes(trainer: Trainer) -> dict:
    """Returns the shapes of the results of a step's collective operations, by their kind."""
    batch = trainer.local_batch(0)
    batch = batch._replace(continues=np.broadcast_to(batch.continues, len(batch.inputs)))
    graph = trainer._compiled.one.get_concrete_function(tf.nest.map_structure(tf.constant, batch)).graph
    graph = graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {
        kind: [
            [dim.size for dim in node.attr["_output_shapes"].list.shape[0].dim]
            for node in nodes
            if node.op.startswith(f"Collective{kind}V")
        ]
        for kind in ("Reduce", "Gather")
    }


def agreed(workers: Workers) -> dict:
    """Returns what this process learns about the others."""
    index, refused = Cluster.from_environment().index, []
    for numbers in ([7, 7, 7, 7], [0, 2, 2, 4]):  # of the second, two are the mean
        try:
            workers.check_same("number", numbers[index], "give the same")
        except UserError:
            refused.append(numbers)
    return {"any": [workers.any(index in which) for which in ([], [2])], "refused": refused}


if __name__ == "__main__":
    strategy = make_strategy(RuntimeConfig(strategy="multi_worker"))
    found = {"agreed": agreed(Workers(strategy))}
    for case in CASES:
        with strategy.scope():
            worker = make(case)
        rows = worker.local_batch(1).inputs.tolist()
        found[case] = {"rows": rows, "num_weights": worker.model.count_params(), **over_processes(worker)}
        found[case] |= train(worker)
    print(json.dumps(found), flush=True)
    sys.stdin.read()  # waits until all processes have printed
    os._exit(0)
