"""Pairwise scores: their two sources, how they are read, and what every grouper that reads them keeps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hggbook.data.coco import PoseSet
from hggbook.data.simulate import SIMULATIONS, simulate
from hggbook.grouping.discriminators import MacroNodeDiscriminator, OracleEdges
from hggbook.grouping.graph import build_graph
from hggbook.grouping.groupers import Grouper, embedding_scores, number_groups, round_scores
from hggbook.grouping.groupers.scores import group_images
from hggbook.grouping.ohgc import OHGC
from hggbook.skeleton import COCO
from hggbook.types import Candidates, PairScores, Targets
from tests.grouping.builders import FULL, K, people_as_candidates, random_candidates, random_model, same_partition
from tests.grouping.builders import group as group_by_hgg
from tests.grouping.pairs import BONES, GROUPERS, images, of_types, pair_scores, permuted, random_scores, true_scores

every_grouper = pytest.mark.parametrize("grouper", GROUPERS.values(), ids=GROUPERS)

# ---- where scores come from ----------------------------------------------------------------------------------------


def test_embedding_scores_are_the_threshold_minus_the_distance():
    c = of_types(0, 1, 2).replace(embedding=torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    scores = embedding_scores(c, FULL, 2.0)
    assert scores.edge_index.tolist() == [[0, 0, 1], [1, 2, 2]]
    # root mean square over the two channels: 5 / sqrt 2, 1 / sqrt 2, sqrt 18 / sqrt 2
    torch.testing.assert_close(scores.logit, 2 - torch.tensor([12.5, 0.5, 9.0]).sqrt())


def test_embedding_scores_keep_to_linked_types_and_to_images():
    c = of_types(0, 1, 0, 2, 0, 1, counts=(4, 0, 2))
    linked = torch.from_numpy(COCO.linked("tree"))  # 0-1 and 0-2, not 1-2
    assert embedding_scores(c, linked, 1.0).edge_index.T.tolist() == [[0, 1], [0, 3], [1, 2], [2, 3], [4, 5]]


def test_embedding_scores_have_no_gradient():
    c = of_types(0, 1).replace(embedding=torch.zeros(2, 1, requires_grad=True))
    assert not embedding_scores(c, FULL, 1.0).logit.requires_grad


@pytest.mark.parametrize("counts", [[0, 0], [1], [0, 1, 0]])
def test_no_pair_no_score(counts):
    scores = embedding_scores(random_candidates(counts), FULL, 1.0)
    assert scores.edge_index.shape == (2, 0)
    assert scores.logit.shape == (0,)


def test_round_scores_are_the_edge_logits_of_the_first_round():
    c = random_candidates([9, 0, 12])
    grouping = group_by_hgg(c, *random_model())
    assert len(grouping.levels) > 1
    assert grouping.levels[0].edge_logit.requires_grad
    scores = round_scores(grouping, cut=0.5)
    assert torch.equal(scores.edge_index, build_graph(c, torch.zeros(21, 1), FULL).edge_index)
    torch.testing.assert_close(scores.logit, grouping.levels[0].edge_logit.detach() - 0.5)
    assert not scores.logit.requires_grad


@pytest.mark.parametrize("counts", [[0], [1, 0]])
def test_round_scores_of_a_grouping_without_a_round(counts):
    grouping = group_by_hgg(random_candidates(counts), *random_model())
    assert grouping.levels == ()
    assert round_scores(grouping).edge_index.shape == (2, 0)
    assert round_scores(grouping).logit.shape == (0,)


# ---- how scores are read -------------------------------------------------------------------------------------------


def test_every_image_is_read_by_itself():
    c = of_types(4, 5, 4, 7, 6, 8, counts=(3, 0, 1, 2)).replace(score=torch.arange(6.0))
    seen = []

    def group(pairs):
        seen.append(pairs)
        return np.array([0, 1, 0][: len(pairs)])

    scores = pair_scores({(0, 1): 1.0, (0, 2): 9.0, (1, 2): -2.0, (4, 5): 3.0})
    assert group_images(c, scores, group).tolist() == [0, 1, 0, 2, 3, 4]
    first, last = seen  # nothing to ask where there is no pair
    assert first.type.tolist() == [4, 5, 4]
    assert first.pair.tolist() == [[0, 1], [1, 2]]  # 0 and 2 are of one type
    assert first.dense(first.logit).tolist() == [[0, 1, 0], [1, 0, -2], [0, -2, 0]]
    assert first.same_type().tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    assert last.score.tolist() == [4, 5]
    assert last.pair.tolist() == [[0], [1]]
    assert last.logit.tolist() == [3]


# ---- what is refused -----------------------------------------------------------------------------------------------


@every_grouper
def test_without_scores_it_says_what_to_pass(grouper):
    with pytest.raises(ValueError, match=r"PairScores, got None; pass embedding_scores\(.*\) or round_scores\("):
        grouper(of_types(0, 1))


@pytest.mark.parametrize(
    ("pairs", "logit", "message"),
    [
        ([[0], [5]], [1.0], "expected rows of 4 candidates, got 0 to 5"),
        ([[-1], [1]], [1.0], "expected rows of 4 candidates, got -1 to 1"),
        ([[1], [0]], [1.0], "smaller row first"),
        ([[0, 0], [1, 1]], [1.0, 1.0], "each pair once"),
        ([[1, 0], [2, 1]], [1.0, 1.0], "ordered by"),
        ([[0], [3]], [1.0], "within an image"),
        ([[0], [1]], [float("nan")], "finite"),
        ([[0], [1]], [float("inf")], "finite"),
    ],
)
def test_scores_that_are_none_of_these_candidates(pairs, logit, message):
    c = of_types(0, 1, 2, 0, counts=(3, 1))
    with pytest.raises(ValueError, match=message):
        GROUPERS["contraction"](c, PairScores(torch.tensor(pairs), torch.tensor(logit)))


def test_candidates_out_of_image_order():
    c = of_types(0, 1, 2).replace(batch=torch.tensor([0, 1, 0]), size=torch.ones(2, 2))
    with pytest.raises(ValueError, match="non-decreasing"):
        GROUPERS["contraction"](c, pair_scores({}))


# ---- what every grouper keeps --------------------------------------------------------------------------------------


def check_grouping(person, c: Candidates):
    """No type twice in a person, nobody in two images, nobody left out, numbered image by image."""
    assert person.shape == (len(c),)
    assert torch.equal(person, number_groups(person))
    assert (person >= 0).all()
    together = torch.triu(person[:, None] == person[None], diagonal=1)
    assert not (together & (c.type[:, None] == c.type[None])).any()
    assert not (together & (c.batch[:, None] != c.batch[None])).any()


@st.composite
def scored(draw):
    """A batch of images with few keypoint types, so that types collide, and scores of some of their pairs."""
    counts = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    seed = draw(st.integers(0, 10_000))
    c = random_candidates(counts, seed)
    c = c.replace(type=c.type % draw(st.integers(1, 7)))
    return c, random_scores(c, seed, listed=draw(st.sampled_from([0.3, 1.0])), spread=draw(st.sampled_from([1.0, 9.0])))


@every_grouper
@settings(max_examples=40)
@given(scored())
def test_the_contract(grouper, drawn):
    c, scores = drawn
    person = grouper(c, scores)
    check_grouping(person, c)
    people = 0  # a batch is its images one by one
    for rows, alone, own in images(c, scores):
        assert torch.equal(person[rows], grouper(alone, own) + people)
        people += len(person[rows].unique())


@every_grouper
@settings(max_examples=20)
@given(drawn=scored(), seed=st.integers(0, 1000))
def test_the_order_of_candidates_does_not_matter(grouper, drawn, seed):
    c, scores = drawn
    order = torch.randperm(len(c), generator=torch.Generator().manual_seed(seed))
    order = order[torch.argsort(c.batch[order], stable=True)]
    assert same_partition(grouper(c, scores)[order], grouper(*permuted(c, scores, order)))


@every_grouper
@pytest.mark.parametrize("counts", [[0], [1], [0, 0], [3, 0, 4], [3, 0], [0, 1, 0, 2, 0]])
def test_empty_images(grouper, counts):
    c = random_candidates(counts, seed=3)
    check_grouping(grouper(c, random_scores(c)), c)


@every_grouper
def test_what_is_not_listed_is_not_linked(grouper):
    c = of_types(0, 1, 2)
    assert grouper(c, pair_scores({})).tolist() == [0, 1, 2]
    assert grouper(c, pair_scores({(0, 2): 5.0})).tolist() == [0, 1, 0]
    assert grouper(c, pair_scores({(0, 2): -5.0})).tolist() == [0, 1, 2]


@every_grouper
def test_two_of_one_type_are_never_one_person_whatever_their_score(grouper):
    c = of_types(0, 0, 1)
    assert grouper(c, pair_scores({(0, 1): 100.0, (0, 2): 1.0, (1, 2): 2.0})).tolist() == [0, 1, 1]


@every_grouper
def test_scores_in_half_precision_and_with_gradient(grouper):
    c = of_types(0, 1, 2)
    scores = pair_scores({(0, 1): 1.0, (0, 2): -1.0, (1, 2): -1.0})
    for logit in (scores.logit.half(), scores.logit.bfloat16(), scores.logit.requires_grad_()):
        assert grouper(c, scores.replace(logit=logit)).tolist() == [0, 0, 1]


def test_they_are_groupers():
    groupers: list[Grouper] = list(GROUPERS.values())
    assert len(groupers) == len(GROUPERS)


# ---- perfect scores ------------------------------------------------------------------------------------------------


def simulated(people: list[int], seed: int) -> tuple[Candidates, Targets]:
    """Perfect candidates of random people, all of whose keypoints are seen."""
    g = torch.Generator().manual_seed(seed)
    m = sum(people)
    poses = PoseSet(
        torch.cat([torch.rand(m, K, 2, generator=g) * 300, torch.full((m, K, 1), 2.0)], dim=2),
        torch.full((m,), 9000.0),
        torch.repeat_interleave(torch.arange(len(people)), torch.tensor(people)),
        torch.arange(len(people)) + seed,
        torch.full((len(people), 2), 512.0),
    )
    candidates, targets, _ = simulate(poses, SIMULATIONS["perfect"], COCO)
    return candidates, targets


@every_grouper
@pytest.mark.parametrize("seed", range(2))
def test_perfect_scores_give_the_true_people(grouper, seed):
    c, targets = simulated([3, 0, 1, 6, 0], seed)
    assert len(c) == 10 * K
    assert same_partition(grouper(c, true_scores(c, targets.person)), targets.person)


@every_grouper
def test_the_first_round_of_an_oracle_gives_the_true_people(grouper):
    c, targets = simulated([2, 4], 5)
    ohgc = OHGC(OracleEdges(), MacroNodeDiscriminator(hidden=1))
    grouping = ohgc(build_graph(c, targets.person.float()[:, None], FULL))
    assert same_partition(grouper(c, round_scores(grouping)), targets.person)


@every_grouper
def test_embeddings_far_apart_give_the_true_people(grouper):
    c, targets = simulated([4, 2], 6)
    c = c.replace(embedding=10.0 * targets.person[:, None].float() + 0.01 * c.embedding)
    assert same_partition(grouper(c, embedding_scores(c, FULL, 1.0)), targets.person)


@every_grouper
@settings(max_examples=15)
@given(
    shown=st.lists(
        st.lists(st.sets(st.integers(0, K - 1), min_size=1), max_size=5), min_size=1, max_size=3
    ),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_perfect_scores_of_people_of_whom_only_parts_are_seen(grouper, shown, seed):
    c, targets = people_as_candidates([[sorted(types) for types in people] for people in shown], seed)
    expected = targets.person
    if grouper is GROUPERS["bones"]:  # sees bones only: the parts of a person that bones connect
        expected = connected_by_bones(c, expected)
    assert same_partition(grouper(c, true_scores(c, targets.person)), expected)


def connected_by_bones(c, person):
    bone = torch.zeros(K, K, dtype=torch.bool)
    for a, b in BONES:
        bone[a, b] = bone[b, a] = True
    reach = (bone[c.type][:, c.type] & (person[:, None] == person[None])) | torch.eye(len(c), dtype=torch.bool)
    for _ in range(5):  # 2^5 steps
        reach = (reach.float() @ reach.float()) > 0
    return (~reach).long().cumprod(dim=1).sum(dim=1)  # the first that is reached
