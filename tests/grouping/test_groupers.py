"""The AE baseline, rule by rule and against a plain version of itself; the oracle."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from hggbook.grouping.groupers import AEGreedy, Grouper, Oracle, number_groups
from hggbook.grouping.groupers.ae_greedy import munkres
from hggbook.skeleton import COCO
from hggbook.types import Candidates, PairScores, Targets
from tests.grouping import ae_reference


def candidates(*rows, images=1):
    """(image, type, score, embedding or list of them) each."""
    embedding = np.array([np.atleast_1d(row[3]) for row in rows] or np.empty((0, 1)), dtype=np.float32)
    return Candidates(
        xy=torch.zeros(len(rows), 2),
        type=torch.tensor([row[1] for row in rows], dtype=torch.int64),
        score=torch.tensor([row[2] for row in rows], dtype=torch.float32),
        embedding=torch.from_numpy(embedding),
        batch=torch.tensor([row[0] for row in rows], dtype=torch.int64),
        size=torch.full((images, 2), 32.0),
    )


def grouped(*rows, order=(0, 1, 2), images=1, **options):
    return AEGreedy(order, **options)(candidates(*rows, images=images)).tolist()


def random_image(rng, types=17, d=1, ties=False):
    people = rng.integers(1, 9)
    centre = rng.normal(0, rng.choice([0.5, 2.0, 8.0]), (people, d))
    rows = []
    for kind in range(types):
        for person in range(people):
            if rng.random() < 0.8:
                rows.append((kind, rng.uniform(0.1, 1), centre[person] + rng.normal(0, 0.3, d)))
        rows += [(kind, rng.uniform(0.1, 0.5), rng.normal(0, 3, d)) for _ in range(rng.integers(0, 3))]
    if ties:
        rows = [(kind, np.round(score, 1), np.round(embedding * 2) / 2) for kind, score, embedding in rows]
    return [(0, kind, score, embedding) for kind, score, embedding in rows]


# ---- AE greedy, rule by rule ---------------------------------------------------------------------------------------


def test_a_person_is_followed_by_embedding():
    rows = (0, 0, 0.9, 0.0), (0, 0, 0.8, 5.0), (0, 1, 0.7, 5.1), (0, 1, 0.6, 0.1), (0, 2, 0.5, 4.9)
    assert grouped(*rows) == [0, 1, 1, 0, 1]


def test_people_are_numbered_as_they_are_started_and_types_visited_in_order():
    rows = (0, 0, 0.9, 0.0), (0, 1, 0.8, 9.0), (0, 2, 0.7, 5.0)
    assert grouped(*rows, order=(2, 0, 1)) == [1, 2, 0]


def test_candidates_of_a_type_are_visited_by_falling_score():
    rows = (0, 0, 0.3, 0.0), (0, 0, 0.9, 5.0), (0, 0, 0.6, 9.0)
    assert grouped(*rows) == [2, 0, 1]


def test_the_distance_must_be_below_the_threshold():
    assert grouped((0, 0, 0.9, 0.0), (0, 1, 0.9, 0.75), threshold=0.75) == [0, 1]
    assert grouped((0, 0, 0.9, 0.0), (0, 1, 0.9, 0.75), threshold=0.76) == [0, 0]


def test_the_threshold_applies_to_the_distance_before_rounding():
    """0.6 rounds to 1, but the pair is accepted at threshold 1."""
    assert grouped((0, 0, 0.9, 0.0), (0, 1, 0.9, 0.6)) == [0, 0]


def test_the_distance_is_the_root_mean_square_over_channels():
    """(1.2, 0): root mean square 0.85, Euclidean 1.2."""
    assert grouped((0, 0, 0.9, [0.0, 0.0]), (0, 1, 0.9, [1.2, 0.0])) == [0, 0]


def test_the_embedding_of_a_person_is_the_mean_of_its_members():
    """After 0.0 and 0.8 the mean is 0.4: 1.3 is 0.9 away, though 1.3 from the first and 0.5 from the second member."""
    rows = (0, 0, 0.9, 0.0), (0, 1, 0.9, 0.8), (0, 2, 0.9, 1.3)
    assert grouped(*rows) == [0, 0, 0]
    assert grouped(*rows, threshold=0.85) == [0, 0, 1]


def test_distances_are_compared_rounded_so_the_nearer_person_may_lose():
    """0.4 and 0.45 both round to 0. All sharings-out cost the same, and on a tie the k-th candidate goes to the k-th
    person: the better candidate, at 0.4, to the first person at 0, although the second person, at 0.45, is nearer."""
    rows = (0, 0, 0.9, 0.0), (0, 0, 0.8, 0.45), (0, 1, 0.9, 0.4), (0, 1, 0.8, 0.05)
    assert grouped(*rows) == [0, 1, 0, 1]


def test_halves_round_to_the_even_number():
    """Rounded distances to the people at 0 and -0.75: candidate 0.5: 0 and 1, candidate -0.25: 0 and 0, so each takes
    the person of its own rank. Halves rounded up would give 1 and 1, 0 and 1, and the crosswise sharing-out."""
    rows = (0, 0, 0.9, 0.0), (0, 0, 0.8, -0.75), (0, 1, 0.9, 0.5), (0, 1, 0.8, -0.25)
    assert grouped(*rows) == [0, 1, 0, 1]


def test_surplus_candidates_start_people_and_surplus_people_get_nothing():
    rows = (0, 0, 0.9, 0.0), (0, 1, 0.9, 0.1), (0, 1, 0.8, 0.2), (0, 2, 0.7, 0.3)
    # of two candidates near one person the better is taken (100 * 0 - 0.9 is less than 100 * 0 - 0.8), the other starts
    # a person; which has nothing of type 2, because on a tie the only candidate goes to the first person
    assert grouped(*rows) == [0, 0, 1, 0]


def test_the_assignment_is_over_all_pairs_at_once():
    """The better candidate, 2.0, is nearest to the person at 2; leaving that to the other one is cheaper in total."""
    rows = (0, 0, 0.9, 0.0), (0, 0, 0.8, 2.0), (0, 1, 0.9, 1.2), (0, 1, 0.8, 2.0)
    assert grouped(*rows, threshold=1.5) == [0, 1, 0, 1]


def test_the_first_type_that_has_candidates_starts_the_people():
    assert grouped((0, 2, 0.9, 0.0), (0, 2, 0.8, 0.1)) == [0, 1]


def test_a_type_is_skipped_once_there_are_enough_people():
    rows = (0, 0, 0.9, 0.0), (0, 0, 0.8, 9.0), (0, 1, 0.7, 0.0), (0, 2, 0.6, 0.0)
    assert grouped(*rows, max_people=2) == [0, 1, -1, -1]
    assert grouped(*rows, max_people=None) == [0, 1, 0, 0]
    assert grouped(*rows, max_people=1) == [0, 1, -1, -1]  # one type may overshoot


def test_more_than_thirty_people():
    rows = [(0, 0, 0.9 - i / 100, 5.0 * i) for i in range(31)] + [(0, 1, 0.5, 0.0)]
    assert grouped(*rows) == [*range(31), -1]
    assert grouped(*rows, max_people=None) == [*range(31), 0]


def test_candidates_at_or_below_the_detection_threshold_stay_out():
    rows = (0, 0, 0.5, 0.0), (0, 0, 0.25, 5.0), (0, 1, 0.75, 0.0)
    assert grouped(*rows, detection_threshold=0.25) == [0, -1, 0]
    assert grouped(*rows) == [0, 1, 0]


def test_types_that_the_order_does_not_name_stay_out():
    assert grouped((0, 0, 0.9, 0.0), (0, 1, 0.9, 0.0), order=(0,)) == [0, -1]


def test_people_started_by_the_same_number_are_one_and_the_later_takes_the_place():
    """Both noses have embedding 1.0: the second, weaker one ousts the first (the AE code's dict is keyed by it)."""
    assert grouped((0, 0, 0.9, 1.0), (0, 0, 0.8, 1.0)) == [-1, 0]


def test_a_candidate_that_starts_a_person_by_a_known_number_resets_the_persons_mean():
    """The person started by 0.0 has mean 0.45. Of type 2, 0.4 is assigned to it and a weaker 0.0 is to start a person:
    by its number that is the same one, so it ousts 0.4, and the mean becomes 0.0. Now 1.2 is too far (from the mean of
    0.0, 0.9 and 0.4 it would have been 0.77)."""
    rows = [
        (0, 0, 0.9, 0.0),
        (0, 1, 0.9, 0.9),
        (0, 2, 0.9, 0.4), (0, 2, 0.8, 0.0),
        (0, 3, 0.9, 1.2),
    ]  # fmt: skip
    assert grouped(*rows, order=(0, 1, 2, 3)) == [0, 0, -1, 0, 1]


def test_scores_play_no_part():
    rows = candidates((0, 0, 0.9, 0.0), (0, 1, 0.9, 0.1))
    apart = PairScores(torch.tensor([[0], [1]]), torch.tensor([-9.0]))
    assert AEGreedy((0, 1))(rows, scores=apart).equal(AEGreedy((0, 1))(rows))


# ---- AE greedy as a whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("d", [1, 2])
def test_equal_to_a_plain_version_of_the_reference(d, ties):
    rng = np.random.default_rng([7, d, ties])
    for _ in range(25):
        rows = random_image(rng, d=d, ties=ties)
        found = candidates(*rows)
        person = AEGreedy(COCO.greedy_order, detection_threshold=0.15, max_people=12)(found).numpy()
        expected = ae_reference.group(
            found.type.tolist(), found.score.double().tolist(), list(found.embedding.numpy()), COCO.greedy_order,
            detection_threshold=0.15, max_people=12,
        )  # fmt: skip
        assert [set(np.flatnonzero(person == p).tolist()) for p in range(person.max() + 1)] == expected


def test_a_batch_with_empty_images_equals_its_images_one_by_one():
    rng = np.random.default_rng(0)
    images = [random_image(rng), [], random_image(rng), []]
    rows = [(i, *row[1:]) for i, image in enumerate(images) for row in image]
    together = grouped(*rows, order=COCO.greedy_order, images=4)
    offset, expected = 0, []
    for image in images:
        alone = grouped(*image, order=COCO.greedy_order) if image else []
        expected += [p + offset if p >= 0 else -1 for p in alone]
        offset += max(alone, default=-1) + 1
    assert together == expected
    assert set(together) >= set(range(offset))


def test_permuting_candidates_permutes_the_groups():
    rng = np.random.default_rng(1)
    rows = random_image(rng)
    order = rng.permutation(len(rows))
    straight = grouped(*rows, order=COCO.greedy_order)
    assert grouped(*[rows[i] for i in order], order=COCO.greedy_order) == [straight[i] for i in order]


def test_no_candidate_and_one():
    assert AEGreedy((0,))(candidates(images=3)).tolist() == []
    assert grouped((1, 0, 0.5, 3.0), images=3) == [0]


def test_embeddings_must_be_finite():
    with pytest.raises(ValueError, match="finite scores and embeddings"):
        grouped((0, 0, 0.5, math.nan))


# ---- the assignment ------------------------------------------------------------------------------------------------


def test_cheapest_assignment_by_hand():
    cost = np.array([[4.0, 1, 3], [2, 0, 5], [3, 2, 2]])
    assert munkres(cost).tolist() == [1, 0, 2]
    assert munkres(cost[:2]).tolist() == [1, 0]


def test_equal_costs_give_each_row_its_own_number():
    assert munkres(np.zeros((3, 5))).tolist() == [0, 1, 2]
    assert munkres(np.array([[0.5, 0.5], [0.25, 0.25]])).tolist() == [0, 1]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 7), st.integers(0, 4), st.integers(1, 5))
def test_the_assignment_is_optimal_and_breaks_ties_as_munkres_does(seed, n, more, levels):
    cost = np.random.default_rng(seed).integers(0, levels, (n, n + more)).astype(np.float64)
    columns = munkres(cost)
    assert len(set(columns.tolist())) == n
    assert cost[np.arange(n), columns].sum() == cost[linear_sum_assignment(cost)].sum()
    assert columns.tolist() == ae_reference.assign(cost.tolist())


def test_the_tie_that_another_solver_breaks_otherwise():
    """Every row has two free columns. SciPy 1.17 answers 1, 2, 0: as cheap, but other people. Rounded costs are full of
    such ties, so the library brings the AE code's own solver."""
    cost = np.array([[1.0, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert munkres(cost).tolist() == ae_reference.assign(cost.tolist()) == [0, 2, 1]
    assert cost[linear_sum_assignment(cost)].sum() == 1


@pytest.mark.parametrize("cost", [np.zeros((3, 2)), np.full((1, 1), np.nan)])
def test_bad_costs(cost):
    with pytest.raises(ValueError, match="munkres: expected finite costs"):
        munkres(cost)


# ---- oracle and numbering ------------------------------------------------------------------------------------------


def targets(person, duplicate=None, people=3):
    person = torch.tensor(person, dtype=torch.int64)
    return Targets(
        person=person,
        duplicate=torch.full_like(person, -1) if duplicate is None else torch.tensor(duplicate),
        counts=torch.ones(len(person), dtype=torch.bool),
        annotated=torch.ones(people, 4, dtype=torch.bool),
        batch=torch.zeros(people, dtype=torch.int64),
    )


def test_the_oracle_groups_by_annotated_person_and_leaves_the_rest_alone():
    """Person 2 owns candidates 0 and 3; candidate 1 is background, candidate 4 a duplicate of person 2's keypoint."""
    found = candidates(*[(0, i, 0.9, 0.0) for i in range(5)])
    person = Oracle(targets([2, -1, 0, 2, -1], duplicate=[-1, -1, -1, -1, 2]))(found)
    assert person.tolist() == [0, 1, 2, 0, 3]


def test_the_oracle_without_candidates():
    assert Oracle(targets([]))(candidates()).tolist() == []


def test_targets_of_other_candidates_are_refused():
    with pytest.raises(ValueError, match="targets of 1 candidates, got 2"):
        Oracle(targets([0, 0]))(candidates((0, 0, 0.9, 0.0)))


def test_groups_are_numbered_by_their_first_candidate():
    assert number_groups(torch.tensor([9, -1, 4, 9, 0, -7, 4])).tolist() == [0, -1, 1, 0, 2, -1, 1]
    assert number_groups(torch.tensor([], dtype=torch.int64)).tolist() == []
    assert number_groups(torch.tensor([-1, -1])).tolist() == [-1, -1]


def test_both_are_groupers():
    found = candidates((0, 0, 0.9, 0.0), (0, 1, 0.9, 0.0))
    groupers: list[Grouper] = [AEGreedy((0, 1)), Oracle(targets([0, 0]))]
    assert [grouper(found).tolist() for grouper in groupers] == [[0, 0], [0, 0]]
