"""A GRU learns the built-in source `plays`: about a minute on two cores, no download.

    python -m trainers.run --experiment=quickstart

Expect …
"""

from charrnn.batches import DataConfig
from charrnn.model import ModelConfig
from trainers.experiment import Experiment
from trainers.loop import LoopConfig
from trainers.optimizer import OptimizerConfig
from trainers.samples import SamplesConfig

EXPERIMENT = Experiment(
    corpus="plays",
    model=ModelConfig(cell="gru", units=256, embedding_size=0),
    data=DataConfig(order="streams", seq_length=64, batch_size=32),
    optimizer=OptimizerConfig(name="adam", learning_rate=4e-3, clip_norm=1.0),
    loop=LoopConfig(steps=600, log_every=50, evaluate_every=200, save_every=200),
    samples=SamplesConfig(prompts=("\n",), temperatures=(0.7, 1.0), num_chars=300),
)
