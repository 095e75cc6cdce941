"""Texts of two characters whose distribution is known, as sources of batches."""

import numpy as np

from charrnn.batches.sources import Batch


class Chain:
    """Texts of two characters after a first 0; each text occurs as often as its probability says.

    Args:
        counts: the numbers of AA, AB, BA and BB among a thousand texts.
    """

    batch_size, steps_per_epoch, carries_state, order, last_only = 1000, 1, False, "windows", False

    def __init__(self, counts):
        self.rows = np.repeat([[0, 1, 1], [0, 1, 2], [0, 2, 1], [0, 2, 2]], counts, 0).astype(np.int32)
        first, second = self.rows[:, 1], self.rows[:, 2] == 1
        self.given_z = np.array([second[first == z].mean() for z in (1, 2)])  # p(second is A) after an A and after a B
        self.overall = second.mean()  # p(second is A)

    def batch_at(self, step):
        return Batch(self.rows[:, :-1], self.rows[:, 1:], np.ones((1000, 2), np.float32))


DEPENDENT, TIME_LOCKED = Chain([630, 70, 60, 240]), Chain([140, 560, 60, 240])
