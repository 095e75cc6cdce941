"""Tests where stop strings end a text, against a search of all positions."""

import random

import pytest

from charrnn.generation.stop_strings import StoppingText


def end_by_search(ids, stops, min_chars, max_chars):
    """Returns the start of the stop string that ends first (the longest if several do), or else the length."""
    ids = ids[:max_chars]
    for end in range(1, len(ids) + 1):
        starts = [end - len(s) for s in stops if s and end >= len(s) and ids[end - len(s) : end] == s]
        starts = [start for start in starts if start >= min_chars]
        if starts:
            return min(starts)
    return len(ids)


@pytest.mark.parametrize("seed", range(5))
def test_a_text_ends_at_the_same_place_whatever_its_pieces(seed):
    rng = random.Random(seed)
    for _ in range(60):
        ids = [rng.randrange(3) for _ in range(rng.randrange(1, 40))]
        stops = [[rng.randrange(3) for _ in range(rng.randrange(0, 5))] for _ in range(rng.randrange(4))]
        min_chars, max_chars = rng.randrange(10), rng.randrange(40)
        text, done = StoppingText(stops, min_chars, max_chars), 0
        certain = []
        while done < len(ids):
            count = rng.randrange(1, 6)
            text.add(ids[done : done + count])
            done += count
            assert text.num_certain >= len(certain)  # certain ids stay certain
            assert text.ids().tolist()[: len(certain)] == certain
            certain = text.ids(0, text.num_certain).tolist()
        place = end_by_search(ids, stops, min_chars, max_chars)
        assert text.ids().tolist() == ids[:place]
        if place < len(ids):
            assert text.ended and text.num_certain == place
        assert certain == ids[: len(certain)]
        kept = ids[len(certain) : place]
        assert not kept or any(stop[: len(kept)] == kept for stop in stops)  # held-back ids may begin a stop string


def test_without_stop_strings_all_ids_are_certain_up_to_max_chars():
    text = StoppingText([], 0, 5)
    text.add([1, 2, 3])
    assert (text.ended, text.num_certain) == (False, 3)
    text.add([4, 5, 6])
    assert (text.ended, text.ids().tolist()) == (True, [1, 2, 3, 4, 5])
    assert StoppingText([], 0, 0).ended


def test_ids_may_be_any_numbers_of_a_vocabulary():
    text = StoppingText([[0, 0xD800, 70_000]], 0, 10)
    text.add([5, 0, 0xD800])
    assert text.num_certain == 1
    text.add([70_000, 1])
    assert text.ids().tolist() == [5]


@pytest.mark.parametrize("seed", range(5))
def test_taking_the_certain_ids_forgets_them_and_changes_nothing_else(seed):
    rng = random.Random(seed)
    for _ in range(60):
        ids = [rng.randrange(3) for _ in range(rng.randrange(1, 40))]
        stops = [[rng.randrange(3) for _ in range(rng.randrange(0, 5))] for _ in range(rng.randrange(4))]
        bounds = rng.randrange(10), rng.randrange(40)
        kept, taken, forgetful, done = StoppingText(stops, *bounds), [], StoppingText(stops, *bounds), 0
        while done < len(ids):
            count = rng.randrange(1, 6)
            for text in (kept, forgetful):
                text.add(ids[done : done + count])
            done += count
            taken += forgetful.take().tolist()
            assert taken == kept.ids(0, kept.num_certain).tolist()
            assert len(forgetful.ids()) <= 4 and forgetful.ended == kept.ended
