"""Grouping metrics: counted by hand, and pair by pair by an independent brute force."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hggbook.metrics import GroupingCounts, candidate_errors, grouping_counts, image_counts
from hggbook.types import Targets


def targets(person, duplicate=None, counts=None, people=None):
    n = len(person)
    duplicate = [-1] * n if duplicate is None else duplicate
    people = max([*person, *duplicate, -1]) + 1 if people is None else people
    return Targets(
        person=torch.tensor(person, dtype=torch.int64),
        duplicate=torch.tensor(duplicate, dtype=torch.int64),
        counts=torch.tensor([True] * n if counts is None else counts, dtype=torch.bool),
        annotated=torch.ones(people, 17, dtype=torch.bool),
        batch=torch.zeros(people, dtype=torch.int64),
    )


def count(cluster, person, duplicate=None, counts=None):
    return grouping_counts(torch.tensor(cluster, dtype=torch.int64), targets(person, duplicate, counts))


def test_two_people_grouped_perfectly():
    found = count([0, 0, 0, 1, 1], [4, 4, 4, 2, 2])
    assert found == GroupingCounts(true_positive=4, people=2, perfect=2)
    assert (found.precision, found.recall, found.f1, found.perfect_share) == (1, 1, 1, 1)


def test_a_person_cut_in_two_and_one_stranger():
    # person 0 = candidates 0 1 2 (cut: 0 1 | 2), person 1 = candidates 3 4 in the cluster of 2
    found = count([0, 0, 1, 1, 1], [0, 0, 0, 1, 1])
    assert found == GroupingCounts(
        true_positive=2, false_positive=2, false_negative=2, people=2, perfect=0, splits=1, merges=1, mixed=1
    )
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)


def test_background_is_wrong_with_a_person_and_free_by_itself():
    with_person = count([0, 0, 0, 1, 1], [0, 0, -1, -1, -1])
    assert with_person == GroupingCounts(true_positive=1, false_positive=2, people=1, perfect=0)
    apart = count([0, 0, 1, 1, 1], [0, 0, -1, -1, -1])
    assert apart == GroupingCounts(true_positive=1, people=1, perfect=1)


def test_a_duplicate_is_free_with_its_own_person_and_wrong_with_another():
    own = count([0, 0, 0, 1, 1], [0, 0, -1, 1, 1], duplicate=[-1, -1, 0, -1, -1])
    assert own == GroupingCounts(true_positive=2, people=2, perfect=2)
    other = count([0, 0, 1, 1, 1], [0, 0, -1, 1, 1], duplicate=[-1, -1, 0, -1, -1])
    assert other == GroupingCounts(true_positive=2, false_positive=2, people=2, perfect=1)


def test_a_candidate_left_out_is_alone():
    found = count([0, 0, -1, -1], [0, 0, 0, 0])
    assert found == GroupingCounts(true_positive=1, false_negative=5, people=1, splits=2)


def test_candidates_in_crowds_do_not_exist():
    found = count([0, 0, 0, 1], [0, 0, -1, 0], counts=[True, True, False, False])
    assert found == GroupingCounts(true_positive=1, people=1, perfect=1)


def test_people_with_a_single_candidate_are_no_people_to_group():
    assert count([0, 1], [0, 1]) == GroupingCounts()
    assert count([0, 0], [0, 1]) == GroupingCounts(false_positive=1, merges=1, mixed=1)


@pytest.mark.parametrize(("cluster", "person"), [([], []), ([0], [0]), ([0], [-1]), ([-1], [-1]), ([0, 1], [-1, -1])])
def test_nothing_to_group_is_all_right(cluster, person):
    found = count(cluster, person)
    assert found == GroupingCounts()
    assert found.summary() == {
        "precision": 1, "recall": 1, "f1": 1, "perfect_share": 1, "true_positive": 0, "false_positive": 0,
        "false_negative": 0, "people": 0, "perfect": 0, "splits": 0, "merges": 0, "mixed": 0,
    }  # fmt: skip


def test_people_without_candidates_and_candidates_without_people():
    assert grouping_counts(torch.zeros(2, dtype=torch.int64), targets([-1, -1], people=0)) == GroupingCounts()
    assert grouping_counts(torch.zeros(0, dtype=torch.int64), targets([], people=3)) == GroupingCounts()


def test_shares_where_nothing_was_claimed():
    found = count([0, 1], [0, 0])
    assert (found.precision, found.recall, found.f1, found.perfect_share) == (1, 0, 0, 0)


def test_a_different_number_of_candidates_is_an_error():
    with pytest.raises(ValueError, match="2 candidates have targets, 3 a cluster"):
        grouping_counts(torch.zeros(3, dtype=torch.int64), targets([0, 0]))


def brute(cluster, person, duplicate, counts):
    """The definition word by word, pair by pair and person by person."""
    rows = [i for i in range(len(cluster)) if counts[i]]
    where = {i: cluster[i] if cluster[i] >= 0 else f"alone {i}" for i in rows}
    found = dict.fromkeys(("true_positive", "false_positive", "false_negative"), 0)
    for i, j in combinations(rows, 2):
        together = where[i] == where[j]
        if person[i] >= 0 and person[j] >= 0:
            if person[i] == person[j]:
                found["true_positive" if together else "false_negative"] += 1
            elif together:
                found["false_positive"] += 1
        elif together and (person[i] >= 0) != (person[j] >= 0):
            owner, other = (i, j) if person[i] >= 0 else (j, i)
            if duplicate[other] != person[owner]:
                found["false_positive"] += 1
    members = {p: [i for i in rows if person[i] == p] for p in {person[i] for i in rows} - {-1}}
    groups = {c: [i for i in rows if where[i] == c] for c in {*where.values()}}
    owners = [{person[i] for i in group} - {-1} for group in groups.values()]
    perfect = 0
    for p, mine in members.items():
        if len(mine) > 1 and len({where[i] for i in mine}) == 1:
            perfect += all(person[i] == p or duplicate[i] == p for i in groups[where[mine[0]]])
    return GroupingCounts(
        **found,
        people=sum(len(mine) > 1 for mine in members.values()),
        perfect=perfect,
        splits=sum(len({where[i] for i in mine}) - 1 for mine in members.values()),
        merges=sum(len(people) - 1 for people in owners if people),
        mixed=sum(len(people) > 1 for people in owners),
    )


@st.composite
def groupings(draw):
    n = draw(st.integers(0, 14))
    person = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    doubled = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    duplicate = [-1 if p >= 0 else d for p, d in zip(person, doubled, strict=True)]
    counts = draw(st.lists(st.sampled_from([True, True, True, False]), min_size=n, max_size=n))
    cluster = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    return cluster, person, duplicate, counts


@given(groupings())
def test_counts_equal_the_definition(grouping):
    assert count(*grouping) == brute(*grouping)


@given(groupings(), st.randoms(use_true_random=False))
def test_neither_the_order_of_candidates_nor_the_names_of_clusters_matter(grouping, random):
    order = list(range(len(grouping[0])))
    random.shuffle(order)
    cluster, person, duplicate, counts = ([values[i] for i in order] for values in grouping)
    renamed = [c if c < 0 else 90 - 7 * c for c in cluster]
    assert count(renamed, person, duplicate, counts) == count(*grouping)


@given(groupings(), groupings())
def test_counts_of_a_batch_are_the_sum_of_its_images(first, second):
    joined = (
        first[0] + [c if c < 0 else c + 10 for c in second[0]],
        *(first[k] + [p if p < 0 else p + 10 for p in second[k]] for k in (1, 2)),
        first[3] + second[3],
    )
    assert count(*joined) == sum([count(*first), count(*second)], GroupingCounts())


@given(st.integers(0, 10_000))
def test_counts_of_images_add_up_to_those_of_the_batch(seed):
    g = torch.Generator().manual_seed(seed)
    sizes = torch.randint(0, 7, (4,), generator=g).tolist()
    image = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))
    n = len(image)
    owner = torch.where(torch.rand(n, generator=g) < 0.7, image * 2 + torch.randint(2, (n,), generator=g), -1)
    twin = torch.where((owner < 0) & (torch.rand(n, generator=g) < 0.5), image * 2, -1)
    cluster = torch.where(torch.rand(n, generator=g) < 0.9, image * 3 + torch.randint(3, (n,), generator=g), -1)
    truth = Targets(
        owner, twin, torch.rand(n, generator=g) < 0.9, torch.ones(8, 17, dtype=torch.bool),
        torch.repeat_interleave(torch.arange(4), 2),
    )  # fmt: skip
    rows = image_counts(cluster, truth, image, 4)
    assert GroupingCounts(*rows.sum(dim=0).tolist()) == grouping_counts(cluster, truth)
    for i in range(4):
        here = image == i
        part = Targets(owner[here], twin[here], truth.counts[here], truth.annotated, truth.batch)
        assert GroupingCounts(*rows[i].tolist()) == grouping_counts(cluster[here], part)


def errors(cluster, person, duplicate=None, counts=None):
    found = candidate_errors(torch.tensor(cluster, dtype=torch.int64), targets(person, duplicate, counts))
    return tuple(flag.nonzero()[:, 0].tolist() for flag in (found.split, found.merge, found.stray))


def test_a_candidate_in_the_wrong_person_is_split_off_and_among_others():
    assert errors([0, 0, 1, 1, 1], [0, 0, 0, 1, 1]) == ([2], [2], [])


def test_of_equal_halves_the_lower_number_is_home():
    assert errors([5, 5, 3, 3], [0, 0, 0, 0]) == ([0, 1], [], [])
    assert errors([0, 0, 0, 0], [1, 1, 0, 0]) == ([], [0, 1], [])


def test_who_is_nobodys_keypoint_and_yet_in_a_person():
    assert errors([0, 0, 0, 1, 1, -1], [0, 0, -1, -1, -1, -1]) == ([], [], [2])
    own, other = [-1, -1, 0, -1, -1], [-1, -1, 1, -1, -1]
    assert errors([0, 0, 0, 1, 1], [0, 0, -1, 1, 1], duplicate=own) == ([], [], [])
    assert errors([0, 0, 0, 1, 1], [0, 0, -1, 1, 1], duplicate=other) == ([], [], [2])


def test_candidates_in_crowds_have_no_errors():
    assert errors([0, 0, 0, 1], [0, 0, -1, 0], counts=[True, True, False, False]) == ([], [], [])


@pytest.mark.parametrize(("cluster", "person"), [([], []), ([0], [-1]), ([-1], [0]), ([0, 0], [-1, -1])])
def test_no_errors_where_nothing_can_be_wrong(cluster, person):
    assert errors(cluster, person) == ([], [], [])
    with pytest.raises(ValueError, match="candidates have targets"):
        errors([*cluster, 0], person)


@given(groupings())
def test_errors_are_there_where_the_counts_say_so(grouping):
    cluster, person, duplicate, counts = grouping
    split, merge, stray = errors(*grouping)
    found = count(*grouping)
    assert bool(split) == (found.splits > 0)
    assert bool(merge) == (found.merges > 0)
    rows = [i for i in range(len(cluster)) if counts[i]]
    assert {*split, *merge, *stray} <= {*rows}
    for i in rows:  # a stray is whoever is no inlier and has a wrong pair, by the definition
        together = [j for j in rows if j != i and cluster[i] == cluster[j] >= 0 and person[j] >= 0]
        assert (i in stray) == (person[i] < 0 and any(person[j] != duplicate[i] for j in together))
    moved = [p for p in {person[i] for i in rows} - {-1} if sum(person[i] == p for i in rows) > 1]
    wrong = {person[i] for i in split}
    held = {cluster[i] for i in (*merge, *stray)}
    whole = [p for p in moved if p not in wrong and not any(person[i] == p and cluster[i] in held for i in rows)]
    assert len(whole) == found.perfect
