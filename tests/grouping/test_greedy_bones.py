"""Greedy bone-by-bone parsing: matching along a bone, putting bones together."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hggbook.grouping.groupers import GreedyBones
from hggbook.skeleton import COCO, CROWDPOSE
from tests.grouping.builders import random_candidates, same_partition
from tests.grouping.pairs import of_types, pair_scores, random_scores

CHAIN = ((0, 1), (1, 2), (2, 3))


def grouped(types, listed, bones=CHAIN, **options):
    return GreedyBones(bones, **options)(of_types(*types), pair_scores(listed)).tolist()


def test_a_chain_of_bones():
    # two of each of the types 0, 1, 2; the person of candidate 0 goes 0-3-4
    listed = {(0, 2): 1.0, (0, 3): 3.0, (1, 2): 2.0, (1, 3): 2.5, (2, 4): 1.0, (2, 5): 2.0, (3, 4): 1.5, (3, 5): 0.5}
    assert grouped((0, 0, 1, 1, 2, 2), listed) == [0, 1, 1, 0, 0, 1]


def test_along_a_bone_the_best_pair_is_taken_first_and_nobody_twice():
    # greedy takes 0-2 (5) and must then take 1-3 (1), though 0-3 and 1-2 together would be better (4 + 4)
    listed = {(0, 2): 5.0, (0, 3): 4.0, (1, 2): 4.0, (1, 3): 1.0}
    assert grouped((0, 0, 1, 1), listed) == [0, 1, 0, 1]


def test_pairs_under_the_cut_and_pairs_of_no_bone_are_not_looked_at():
    listed = {(0, 1): 0.0, (0, 2): 9.0, (1, 2): -0.125}
    assert grouped((0, 1, 2), listed) == [0, 0, 1]  # 0-2 is no bone
    assert grouped((0, 1, 2), listed, cut=-0.125) == [0, 0, 0]
    assert grouped((0, 1, 2), listed, cut=0.1) == [0, 1, 2]


def test_a_missed_keypoint_tears_a_tree_and_a_redundant_bone_mends_it():
    listed = {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0}  # of types 0, 2, 3: nobody of type 1
    assert grouped((0, 2, 3), listed) == [0, 1, 1]
    assert grouped((0, 2, 3), listed, bones=(*CHAIN, (3, 0))) == [0, 0, 0]


def test_partial_people_are_joined_only_if_they_share_no_type():
    # bones 0-1 and 2-3 make {0, 2} and {1, 4}, {3, 5}; bone 1-2 then finds 2-3 the best pair.
    types = (0, 0, 1, 2, 1, 3)
    listed = {(0, 2): 1.0, (1, 4): 1.0, (3, 5): 1.0, (2, 3): 2.0, (3, 4): 1.0}
    bones = ((0, 1), (2, 3), (1, 2))
    assert grouped(types, listed, bones) == [0, 1, 0, 0, 1, 0]
    # With one of type 0 more that claims 3 first (bone 0-2), {0, 2} and {3, 5, 6} have type 0 in common.
    listed[3, 6] = 1.0
    assert grouped((*types, 0), listed, ((0, 1), (2, 3), (0, 2), (1, 2))) == [0, 1, 0, 2, 1, 2, 2]


def test_a_pair_that_assembly_drops_is_not_replaced():
    # {0, 1, 2} are complete. Along the last bone 2-3 is the best, but is of no use; 3 has been used for it, and 3-4
    # is not taken instead (later releases of OpenPose would).
    listed = {(0, 1): 1.0, (1, 2): 1.0, (2, 3): 9.0, (3, 4): 5.0}
    assert grouped((0, 1, 2, 0, 2), listed, ((0, 1), (1, 2), (2, 0))) == [0, 0, 0, 1, 2]


def test_earlier_bones_go_first():
    # 0 (type 0) is linked to 1 (type 1), 1 to 2 (type 2), 2 to 3 (type 0): only one of the type-0 ends can stay.
    listed = {(0, 1): 1.0, (1, 2): 5.0, (2, 3): 9.0}
    assert grouped((0, 1, 2, 0), listed, ((0, 1), (1, 2), (2, 0))) == [0, 0, 0, 1]
    assert grouped((0, 1, 2, 0), listed, ((2, 0), (1, 2), (0, 1))) == [0, 1, 1, 1]


def test_the_direction_of_a_bone_does_not_matter():
    listed = {(0, 1): 1.0, (1, 2): 1.0}
    assert grouped((0, 1, 2), listed, ((1, 0), (2, 1))) == grouped((2, 1, 0), listed, ((1, 0), (2, 1))) == [0, 0, 0]


def test_of_equal_scores_the_lower_rows_go_first():
    assert grouped((0, 1, 1), {(0, 1): 1.0, (0, 2): 1.0}) == [0, 0, 1]


def test_no_bones_no_people_of_two():
    assert grouped((0, 1), {(0, 1): 1.0}, ()) == [0, 1]


@pytest.mark.parametrize("bones", [((0, 0),), ((0, 1), (3, 3)), ((0, 1), (1, 0))])
def test_bones_that_are_none(bones):
    with pytest.raises(ValueError, match="bones: expected"):
        GreedyBones(bones)


@pytest.mark.parametrize("skeleton", [COCO, CROWDPOSE])
def test_the_bones_of_our_skeletons_are_accepted(skeleton):
    for bones in (skeleton.tree, skeleton.drawn, skeleton.tree + skeleton.extra):
        GreedyBones(bones)


@settings(max_examples=40)
@given(left=st.integers(0, 7), right=st.integers(0, 7), seed=st.integers(0, 10_000))
def test_on_one_bone_it_is_greedy_matching(left, right, seed):
    c = random_candidates([left + right], seed)
    c = c.replace(type=(torch.arange(left + right) >= left).long())
    scores = random_scores(c, seed)
    table = torch.full((left + right, left + right), -torch.inf)
    table[tuple(scores.edge_index)] = scores.logit
    expected = torch.arange(left + right)
    while table.numel() and table.max() >= 0:
        a, b = divmod(int(table.argmax()), left + right)
        expected[b] = a
        table[a], table[:, b] = -torch.inf, -torch.inf
    assert same_partition(GreedyBones(((0, 1),))(c, scores), expected)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 20))
def test_a_person_is_connected_by_pairs_that_were_accepted(seed, n):
    """In a tree whose scores are all high, each candidate is linked along bones to all the others of its person."""
    c = random_candidates([n], seed)
    c = c.replace(type=c.type % 4)
    scores = random_scores(c, seed)
    scores = scores.replace(logit=scores.logit + 10)
    person = GreedyBones(CHAIN)(c, scores)
    for members in (torch.nonzero(person == p).squeeze(1) for p in person.unique()):
        kinds = sorted(c.type[members].tolist())
        assert kinds == list(range(kinds[0], kinds[-1] + 1))  # no type of the chain is skipped
