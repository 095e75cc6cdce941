"""C source of the Linux kernel: an LSTM on 6 MB of code.

    python -m trainers.run --experiment=linux_lstm

Embedding 256, LSTM 1024, windows of 100 characters, batch 64, Adam 1e-3, 10 epochs of 872 steps: 5 to 14 minutes an
epoch on two cores. 4,000 characters are sampled after each epoch. Expect a validation loss of 1.63 after the first,
1.37 after the fifth, and 1.46 after the tenth.
"""

from trainers.experiment import DataConfig, Experiment, LoopConfig, ModelConfig, OptimizerConfig, SamplesConfig

EXPERIMENT = Experiment(
    corpus="linux",
    model=ModelConfig(cell="lstm", units=1024, embedding_size=256),
    data=DataConfig(order="windows", seq_length=100, batch_size=64),
    optimizer=OptimizerConfig(name="adam", learning_rate=1e-3),
    loop=LoopConfig(epochs=10, log_every=50, save_every=200),
    samples=SamplesConfig(prompts=("static int ",), temperatures=(1.0,), num_chars=4000),
)
