"""The same models in PyTorch, in float32; used if torch is installed."""

import time

from benchmarks.contest import Turn


def _network(model, size: int):
    import torch

    class CharRNN(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(size, model.embedding_size) if model.embedding_size else None
            recurrent = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}[model.cell]
            width = model.embedding_size or size
            self.recurrent = recurrent(width, model.units, model.num_layers, batch_first=True)
            self.readout = torch.nn.Linear(model.units, size)

        def forward(self, ids, state=None, last=False):
            one_hot = torch.nn.functional.one_hot
            x = one_hot(ids, size).float() if self.embedding is None else self.embedding(ids)
            outputs, state = self.recurrent(x, state)
            return self.readout(outputs[:, -1:] if last else outputs), state

    return CharRNN()


def fit(experiment: str, settings: list[str]) -> Turn:
    """Trains an experiment's model on its batches."""
    import torch

    from benchmarks.ours import resolve
    from charrnn.batches.sources import make_source

    found, texts = resolve(experiment, settings)
    size, last = texts.vocabulary.size, found.data.targets == "last"
    network = _network(found.model, size)
    optimizer = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[found.optimizer.name](
        network.parameters(), found.optimizer.learning_rate
    )
    source = make_source(texts.train, found.data, found.seed)
    batches = [
        [torch.from_numpy(part) for part in source.batch_at(step)[:3]] for step in range(min(8, source.steps_per_epoch))
    ]

    def step(number: int) -> None:
        inputs, targets, weights = batches[number % len(batches)]
        targets, weights = (targets[:, -1:], weights[:, -1:]) if last else (targets, weights)
        logits, _ = network(inputs.long(), last=last)
        nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets.long(), reduction="none")
        optimizer.zero_grad()
        ((nats * weights).sum() / weights.sum()).backward()
        if found.optimizer.clip_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), found.optimizer.clip_norm)
        optimizer.step()

    def turn(num_steps: int) -> dict[str, float]:
        step(0)
        start = time.perf_counter()
        for number in range(num_steps):
            step(number)
        return {"seconds": (time.perf_counter() - start) / num_steps}

    return turn


def generate(batch_size: int, num_chars: int) -> Turn:
    """Generates with one call per character, without gradients."""
    import torch

    from charrnn.model.config import ModelConfig

    network = _network(ModelConfig(), 66)

    def turn(num_texts: int) -> dict[str, float]:
        start = time.perf_counter()
        for _ in range(num_texts):
            ids, state, texts = torch.ones(batch_size, 1, dtype=torch.long), None, []
            with torch.no_grad():
                for _ in range(num_chars):
                    logits, state = network(ids, state)
                    ids = torch.multinomial(torch.softmax(logits[:, -1], -1), 1)
                    texts.append(ids)
            torch.cat(texts, 1).numpy()
        return {"seconds": (time.perf_counter() - start) / num_texts}

    return turn
