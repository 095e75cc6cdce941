"""The GRU of the text-generation tutorial on tiny Shakespeare, with teacher forcing.

    python -m trainers.run --experiment=shakespeare_gru

Embedding 256, 1024 units, batch 64, 100 characters, Adam 1e-3, 20 epochs of 156 steps: 45 minutes on two cores.
Expect a validation loss of 2.23, 1.95 and 1.78 nats per character after three epochs, and its best, 1.50, after ten.
"""

from trainers.experiment import DataConfig, Experiment, LoopConfig, ModelConfig, OptimizerConfig, SamplesConfig

EXPERIMENT = Experiment(
    corpus="shakespeare",
    model=ModelConfig(cell="gru", units=1024, embedding_size=256),
    data=DataConfig(order="windows", seq_length=100, batch_size=64),
    optimizer=OptimizerConfig(name="adam", learning_rate=1e-3),
    loop=LoopConfig(epochs=20, log_every=26, save_every=78),
    samples=SamplesConfig(prompts=("ROMEO:",), temperatures=(0.5, 1.0), num_chars=1000),
)
