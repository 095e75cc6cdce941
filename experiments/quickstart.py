"""A small GRU learns the built-in source `plays`: under a minute on two cores, no download.

    python -m trainers.run --experiment=quickstart

The true entropy of the source is known: 0.6104 nats per character, the lower bound for any model. Expect a validation
loss within 2 % of it, and samples without spelling mistakes.
"""

from trainers.experiment import DataConfig, Experiment, LoopConfig, ModelConfig, OptimizerConfig, SamplesConfig

EXPERIMENT = Experiment(
    corpus="plays",
    model=ModelConfig(cell="gru", units=192, embedding_size=0, longest_memory=150),
    data=DataConfig(order="streams", seq_length=64, batch_size=32),
    optimizer=OptimizerConfig(
        name="adam",
        learning_rate=8e-3,
        clip_norm=1.0,
        schedule="cosine",
        warmup_steps=50,
        decay_steps=1500,
        final_share=0.02,
        averaging=0.99,
    ),
    loop=LoopConfig(steps=1500, log_every=50, evaluate_every=300, save_every=300),
    samples=SamplesConfig(prompts=("\n\n",), temperatures=(0.5, 1.0), num_chars=200),
)
