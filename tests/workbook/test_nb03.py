"""What the exercises of notebook 03 take for granted."""

from itertools import combinations

import pytest

from hggbook.workbook.exercises import nb03


def splits(hidden) -> bool:
    return sum(size >= nb03.LEAST_PIECE for size in nb03.pieces(set(hidden), "extended")) >= 2


def test_no_smaller_set_of_hidden_keypoints_splits_the_extended_graph():
    assert not any(splits(hidden) for n in range(nb03.FEWEST_HIDDEN) for hidden in combinations(range(17), n))
    assert any(splits(hidden) for hidden in combinations(range(17), nb03.FEWEST_HIDDEN))


@pytest.mark.parametrize(("configuration", "sizes"), [("tree", 5), ("bypass", 3), ("extended", 2), ("full", 1)])
def test_a_hidden_torso_leaves_as_many_pieces_as_the_notebook_says(configuration, sizes):
    assert len(nb03.pieces({5, 6, 11, 12}, configuration)) == sizes
