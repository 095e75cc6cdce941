"""The replicas' gradients are summed once, and every optimizer then makes the update that it makes on one device."""

import json
import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

from trainers.configs import RuntimeConfig, optimizers
from trainers.distribution.cluster import local_configs
from trainers.distribution.strategies import make_strategy
from trainers.step.update import Update

pytestmark = pytest.mark.slow

REDUCED = """
import json, os, sys, keras, numpy as np
from charrnn.batches.sources import DataConfig, make_source
from charrnn.model.char_model import CharModel
from charrnn.model.config import ModelConfig
from trainers.configs import RuntimeConfig
from trainers.curricula.self_paced import SelfPaced
from trainers.distribution.strategies import make_strategy
from trainers.step.base import _tensors
from trainers.trainer import Trainer

strategy, found = make_strategy(RuntimeConfig(strategy="multi_worker")), []
for cls in (Trainer, SelfPaced):  # its loss needs the whole batch
    with strategy.scope():
        model = CharModel(ModelConfig(units=6, embedding_size=5), 7)
        source = make_source(np.arange(2000) % 7, DataConfig(seq_length=5, batch_size=4, order="streams"), seed=0)
        optimizer = keras.optimizers.AdamW(0.01)
        trainer = cls(model, source, optimizer, clip_norm=0.5, averaging=0.9)
    step = trainer._compiled.one.get_concrete_function(_tensors(trainer.batch_at(0)))
    graph = step.graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    reduced = [node.attr["_output_shapes"].list.shape[0] for node in nodes if node.op.startswith("CollectiveReduce")]
    found.append([model.count_params(), [[dim.size for dim in shape.dim] for shape in reduced]])
print(json.dumps(found), flush=True)
sys.stdin.read()  # until the other has printed too
os._exit(0)
"""


def test_two_processes_sum_their_gradients_once():
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.getcwd()}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    workers = [
        subprocess.Popen([sys.executable, "-c", REDUCED], env={**environment, "TF_CONFIG": config}, **pipes)
        for config in local_configs(2)
    ]
    lines = [worker.stdout.readline() for worker in workers]
    for worker in workers:
        worker.communicate()
    for line in lines:
        for num_weights, shapes in json.loads(line):
            (large,) = [math.prod(shape) for shape in shapes if math.prod(shape) > 1]
            assert num_weights <= large < num_weights + 8  # together with some measurements
            assert len(shapes) <= 2  # a scalar beside it


@pytest.mark.parametrize("name", [*optimizers(), "adamw in float16"])
def test_an_optimizer_moves_all_copies_as_those_of_one_device(name, make_model, relative_error):
    def update(strategy):
        with strategy.scope():
            model, averaged = make_model(), make_model()
            kind, scaled = name.removesuffix(" in float16"), name.endswith("in float16")
            decay = {"weight_decay": 0.1} if kind == "adamw" else {}
            optimizer = optimizers()[kind](learning_rate=0.01, **decay)
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
            optimizer.build(model.trainable_variables)
            step, skipped = (tf.Variable(tf.constant(value, tf.int64)) for value in (5, 0))
        made = tf.function(Update(model, optimizer, step, skipped, strategy, 0.5, 0.9, averaged))
        random = np.random.default_rng(1)
        for number in range(4):
            gradients = [tf.constant(random.normal(size=v.shape), tf.float32) for v in model.trainable_variables]
            made([gradient * (np.nan if number == 2 else 1.0) for gradient in gradients])
        assert int(skipped.numpy()) == 1
        weights = [*model.trainable_variables, *averaged.trainable_variables, *optimizer.variables]
        return [strategy.experimental_local_results(getattr(v, "value", v)) for v in weights]

    one, two = (update(make_strategy(RuntimeConfig(strategy=name))) for name in ("one_device", "mirrored"))
    for copies in two:
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies)
    assert relative_error([copies[0] for copies in two], [copies[0] for copies in one]) < rounding.MODEL
