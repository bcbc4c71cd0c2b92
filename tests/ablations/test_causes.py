"""What errors cost: each mending changes its own kind of error and nothing else."""

import pytest
import torch

from hggbook.ablations.causes import (
    MENDINGS,
    all_but_background,
    as_it_is,
    background_never_seen,
    background_taken_out,
    merges_undone,
    splits_joined,
)
from hggbook.grouping.groupers import number_groups
from hggbook.metrics import grouping_counts
from tests.grouping.builders import people_as_candidates

# Candidates 0-2 are person 0's, 3-5 person 1's, 6 and 7 nobody's.
TRUE = [0, 0, 0, 1, 1, 1, -1, -1]
# Person 0 is split in {0, 1} and {2}; {2} is merged with 3, 4 and background 6; 5 is with background 7.
FOUND = [0, 0, 1, 1, 1, 2, 1, 2]


@pytest.fixture
def case():
    candidates, targets = people_as_candidates([[[0, 1, 2, 6], [3, 4, 5, 7]]])
    order = torch.argsort(targets.person * 100 + candidates.type)
    rows = order[[0, 1, 2, 4, 5, 6, 3, 7]]
    candidates = candidates.replace(
        xy=candidates.xy[rows], type=candidates.type[rows], score=candidates.score[rows],
        embedding=candidates.embedding[rows],
    )  # fmt: skip
    return candidates, targets.replace(person=torch.tensor(TRUE))


def found(candidates, targets):
    """A grouper that knows FOUND by the candidates' types."""
    by_type = dict(zip([0, 1, 2, 3, 4, 5, 6, 7], FOUND))
    return torch.tensor([by_type[kind] for kind in candidates.type.tolist()])


@pytest.mark.parametrize(
    ("mend", "expected"),
    [
        (as_it_is, FOUND),
        (merges_undone, [0, 0, 1, 2, 2, 3, 2, 3]),  # 6 stays with 3 and 4, who are more
        (splits_joined, [0, 0, 1, 1, 1, 1, 1, 1]),
        (all_but_background, [0, 0, 0, 1, 1, 1, 1, 1]),
        (background_taken_out, [0, 0, 1, 1, 1, 2, -1, -1]),
        (background_never_seen, [0, 0, 1, 1, 1, 2, -1, -1]),
    ],
)
def test_by_hand(case, mend, expected):
    assert mend(found, *case).tolist() == expected


@pytest.mark.parametrize(
    ("mend", "expected"),
    [
        (merges_undone, [-1, 0, 1, 2, 2, 3, 2, -1]),
        (splits_joined, [-1, 0, 1, 1, 1, 1, 1, -1]),
        (all_but_background, [-1, 0, 0, 1, 1, 1, 1, -1]),
        (background_taken_out, [-1, 0, 1, 1, 1, 2, -1, -1]),
    ],
)
def test_what_a_grouper_leaves_out_stays_out(case, mend, expected):
    def shy(candidates, targets):
        person = found(candidates, targets).clone()
        person[[0, -1]] = -1
        return number_groups(person)

    assert mend(shy, *case).tolist() == expected
    assert mend(lambda c, t: torch.full_like(t.person, -1), *case).tolist() == [-1] * 8


def test_mended_errors_are_gone(case):
    assert grouping_counts(merges_undone(found, *case), case[1]).merges == 0
    assert grouping_counts(all_but_background(found, *case), case[1]).splits == 0


def test_nothing_to_mend_in_nothing():
    candidates, targets = people_as_candidates([[]])
    for mend in MENDINGS.values():
        assert mend(lambda c, t: torch.zeros(0, dtype=torch.int64), candidates, targets).tolist() == []


def test_nobody_annotated():
    candidates, targets = people_as_candidates([[[0, 1, 2]]])
    targets = targets.replace(person=torch.full((3,), -1))
    one = lambda c, t: torch.zeros(len(c), dtype=torch.int64)  # noqa: E731
    assert all_but_background(one, candidates, targets).tolist() == [0, 0, 0]
    assert background_never_seen(one, candidates, targets).tolist() == [-1, -1, -1]
