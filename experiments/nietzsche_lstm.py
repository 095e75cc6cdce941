"""Nietzsche in lower case: a small LSTM predicts only the character after each window of 60.

    python -m trainers.run --experiment=nietzsche_lstm

One-hot input, LSTM 128, windows of 60 characters with stride 3, RMSprop 0.01, batch 128, up to 60 epochs. After each
epoch it samples 400 characters after a random place of the text, at temperatures 0.2, 0.5, 1.0 and 1.2. An epoch takes
half a minute to a minute on two cores. Expect a validation loss of 1.54 nats per character after five, 1.51 after 11,
and 1.58 after 60.
"""

from trainers.experiment import DataConfig, Experiment, LoopConfig, ModelConfig, OptimizerConfig, SamplesConfig

EXPERIMENT = Experiment(
    corpus="nietzsche",
    model=ModelConfig(cell="lstm", units=128, embedding_size=0),
    data=DataConfig(order="windows", seq_length=60, batch_size=128, stride=3, targets="last", lowercase=True),
    optimizer=OptimizerConfig(name="rmsprop", learning_rate=0.01),
    loop=LoopConfig(epochs=60, log_every=200),
    samples=SamplesConfig(prompts=(), from_text=60, temperatures=(0.2, 0.5, 1.0, 1.2), num_chars=400),
)
