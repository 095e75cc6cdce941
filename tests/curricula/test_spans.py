"""Tests that own characters come in runs and have the scheduled share."""

import numpy as np

from trainers.curricula.spans import Spans


def test_own_characters_come_in_runs_and_are_as_many_as_scheduled(make_trainer):
    config = Spans.Config("constant", max_prob=0.4, length=5)
    trainer = make_trainer(Spans, config=config, data={"batch_size": 60, "seq_length": 30})
    draws = []
    for step in range(20):
        trainer.step.assign(step)
        draws.append(trainer.own_inputs(trainer.step, trainer.batch_at(step)).numpy())
    own = np.concatenate(draws)
    spread = own.mean(1).std() / np.sqrt(len(own))  # rows are independent, characters are not
    assert abs(own.mean() - float(trainer.own_input_prob(trainer.step))) <= 4 * spread
    again = own[:, 1:][own[:, :-1]].mean()  # the share of own characters that another one follows
    assert again > 0.8
