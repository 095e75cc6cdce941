"""Headlines of AG News: a small LSTM writes titles, one document per sequence.

    python -m trainers.run --experiment=ag_news_lstm
    python -m trainers.run --experiment=ag_news_lstm --xla      # on a CPU, half to two thirds of the time

One-hot input, LSTM 128, RMSprop, batch 8, an end-of-text character after each title, masked padding on the right. It
makes the 60,000 updates of the original's four epochs, 15,000 each on the whole AG News. After each 15,000 it samples
titles from five prompts, greedily and at temperatures 0.3, 0.8, 1.0, 1.3 and 1.8.
"""

from trainers.experiment import DataConfig, Experiment, LoopConfig, ModelConfig, OptimizerConfig, SamplesConfig

EXPERIMENT = Experiment(
    corpus="ag_news",
    model=ModelConfig(cell="lstm", units=128, embedding_size=0),
    data=DataConfig(order="lines", seq_length=100, batch_size=8, csv_column=2),
    optimizer=OptimizerConfig(name="rmsprop", learning_rate=1e-3),
    loop=LoopConfig(steps=60_000, log_every=500, evaluate_every=15_000, save_every=5000),
    samples=SamplesConfig(
        prompts=("Today ", "On Sunday ", "Moscow, ", "President ", "Little red riding hood "),
        temperatures=(0.0, 0.3, 0.8, 1.0, 1.3, 1.8),
        num_chars=150,
    ),
)
