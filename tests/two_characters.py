"""A text of two characters whose distribution is known, as a source of batches."""

import numpy as np

from charrnn.batches.sources import Batch

GIVEN_Z, OVERALL = np.array([0.9, 0.2]), 0.69
"""The probability of an A as the second character: after an A, after a B; overall."""


class TwoCharacters:
    """Texts of two characters after a beginning 0, each as often as its probability: AA 63 %, AB 7, BA 6, BB 24."""

    batch_size, steps_per_epoch, carries_state, order = 1000, 1, False, "windows"

    def batch_at(self, step):
        rows = np.repeat([[0, 1, 1], [0, 1, 2], [0, 2, 1], [0, 2, 2]], [630, 70, 60, 240], 0).astype(np.int32)
        return Batch(rows[:, :-1], rows[:, 1:], np.ones((1000, 2), np.float32))
