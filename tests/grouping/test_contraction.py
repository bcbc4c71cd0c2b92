"""Greedy additive edge contraction: by hand, and against a plain version that looks at all pairs every time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hggbook.grouping.groupers import Contraction
from tests.grouping.builders import random_candidates, same_partition
from tests.grouping.pairs import of_types, pair_scores, random_scores


def grouped(types, listed, **options):
    return Contraction(**options)(of_types(*types), pair_scores(listed)).tolist()


def test_the_heaviest_edge_goes_first_and_its_parallel_edges_add_up():
    # 0-1 first; then 2 is linked to both: 2 - 4 < 0. By the best single edge 2 would have joined.
    assert grouped((0, 1, 2), {(0, 1): 3.0, (1, 2): 2.0, (0, 2): -4.0}) == [0, 0, 1]
    assert grouped((0, 1, 2), {(0, 1): 3.0, (1, 2): 2.0, (0, 2): -1.0}) == [0, 0, 0]


def test_weak_agreeing_edges_outweigh_a_strong_one():
    # {0, 1, 2} are merged by 9 and 8 + 7; then 3 goes to the three (1 + 1 + 1) rather than to 4 (2).
    listed = {(0, 1): 9.0, (0, 2): 8.0, (1, 2): 7.0, (0, 3): 1.0, (1, 3): 1.0, (2, 3): 1.0, (3, 4): 2.0, (0, 4): -9.0}
    assert grouped((0, 1, 2, 3, 4), listed) == [0, 0, 0, 0, 1]
    assert grouped((0, 1, 2, 3, 4), listed, linkage="mean") == [0, 0, 0, 1, 1]


def test_the_mean_is_over_the_pairs_that_were_scored():
    listed = {(0, 1): 9.0, (1, 2): 1.0, (0, 2): -0.5}
    assert grouped((0, 1, 2), listed, linkage="mean", cut=0.25) == [0, 0, 0]  # (1 - 0.5) / 2 = 0.25
    assert grouped((0, 1, 2), listed, linkage="mean", cut=0.26) == [0, 0, 1]
    del listed[0, 2]
    assert grouped((0, 1, 2), listed, linkage="mean", cut=1.0) == [0, 0, 0]  # 1 / 1


def test_an_edge_at_the_cut_is_contracted():
    listed = {(0, 1): 0.0, (2, 3): -0.5}
    assert grouped((0, 1, 2, 3), listed) == [0, 0, 1, 2]
    assert grouped((0, 1, 2, 3), listed, cut=-0.5) == [0, 0, 1, 1]
    assert grouped((0, 1, 2, 3), listed, cut=0.1) == [0, 1, 2, 3]
    assert grouped((0, 1, 2, 3), listed, cut=float("-inf")) == [0, 0, 1, 1]  # what is not listed is no edge


def test_a_type_conflict_bars_the_way_for_good():
    # 1-2 first, then 0-3; between the two 4 + 3 + 1, but 0 and 2 are of one type.
    listed = {(0, 1): 4.0, (0, 3): 4.5, (1, 2): 5.0, (1, 3): 3.0, (2, 3): 1.0}
    assert grouped((0, 1, 0, 2), listed) == [0, 1, 1, 0]
    assert grouped((0, 1, 0, 0), {(0, 1): 1.0, (1, 2): 3.0, (1, 3): 2.0}) == [0, 1, 1, 2]


def test_of_equal_edges_the_lowest_candidates_go_first():
    assert grouped((0, 1, 1), {(0, 1): 1.0, (0, 2): 1.0}) == [0, 0, 1]


def test_an_unknown_linkage():
    with pytest.raises(ValueError, match=r"linkage: expected one of \('sum', 'mean'\), got 'ward'"):
        Contraction(linkage="ward")


def plain(c, scores, cut, linkage):
    """Merges the best two clusters, each pair judged from its candidates' scores, until none is worth it."""
    score = dict(zip(map(tuple, scores.edge_index.T.tolist()), scores.logit.double().tolist()))
    clusters = [[row] for row in range(len(c))]
    while True:
        best = None
        for i, a in enumerate(clusters):
            for j, b in enumerate(clusters[:i]):
                between = [score[min(p, q), max(p, q)] for p in a for q in b if (min(p, q), max(p, q)) in score]
                types = c.type[a + b].tolist()
                if between and len(set(types)) == len(types):
                    weight = sum(between) / (len(between) if linkage == "mean" else 1)
                    if weight >= cut and (best is None or weight > best[0]):
                        best = weight, i, j
        if best is None:
            return clusters
        clusters[best[2]] += clusters.pop(best[1])


@settings(max_examples=60)
@given(
    n=st.integers(0, 14),
    types=st.integers(1, 10),
    seed=st.integers(0, 10_000),
    listed=st.sampled_from([0.4, 1.0]),
    cut=st.sampled_from([-1.0, 0.0, 0.5]),
    linkage=st.sampled_from(["sum", "mean"]),
)
def test_as_the_plain_version(n, types, seed, listed, cut, linkage):
    c = random_candidates([n], seed)
    c = c.replace(type=c.type % types)
    scores = random_scores(c, seed, listed)
    expected = torch.full((n,), -1)
    for number, rows in enumerate(plain(c, scores, cut, linkage)):
        expected[rows] = number
    assert same_partition(Contraction(cut, linkage)(c, scores), expected)
