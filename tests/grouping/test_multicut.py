"""Exact minimum-cost multicut: by hand, against all partitions, against what is greedy, and its limits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import milp

from hggbook.grouping.groupers import Contraction, GreedyBones, Multicut, Spectral, multicut, multicut_value
from hggbook.skeleton import COCO
from tests.grouping.builders import random_candidates, same_partition
from tests.grouping.pairs import of_types, pair_scores, random_scores

MULTICUT = Multicut()


def grouped(types, listed, **options):
    return Multicut(**options)(of_types(*types), pair_scores(listed)).tolist()


@pytest.fixture
def programs(monkeypatch):
    """Of every program that is solved: the number of candidates' pairs, and whether it is an integer program."""
    solved = []

    def spy(cost, *, integrality, **options):
        solved.append((len(cost), bool(integrality.any())))
        return milp(cost, integrality=integrality, **options)

    monkeypatch.setattr(multicut, "milp", spy)
    return solved


# ---- the objective -------------------------------------------------------------------------------------------------


def test_the_value_is_the_sum_over_joined_pairs():
    scores = pair_scores({(0, 1): 1.5, (0, 2): -1.0, (1, 3): 4.0, (2, 3): 0.25})
    assert multicut_value(torch.tensor([0, 0, 0, 1]), scores) == 0.5
    assert multicut_value(torch.tensor([0, 1, 0, 1]), scores) == 3.0
    assert multicut_value(torch.tensor([-1, 0, -1, -1]), scores) == 0.0  # those left out are not together
    assert multicut_value(torch.zeros(0, dtype=torch.int64), pair_scores({})) == 0.0


# ---- by hand -------------------------------------------------------------------------------------------------------


def test_a_triangle():
    assert grouped((0, 1, 2), {(0, 1): 3.0, (1, 2): 2.0, (0, 2): -4.0}) == [0, 0, 1]  # 3 > 3 + 2 - 4
    assert grouped((0, 1, 2), {(0, 1): 3.0, (1, 2): 2.0, (0, 2): -1.0}) == [0, 0, 0]


def test_better_than_greedy():
    # Contraction takes 0-1 (5) and is left with that: 2 and 3 cost more than they bring. The best is 4 + 4.
    listed = {(0, 1): 5.0, (0, 2): 4.0, (1, 3): 4.0, (1, 2): -9.0, (0, 3): -9.0}
    c, scores = of_types(0, 1, 2, 3), pair_scores(listed)
    assert MULTICUT(c, scores).tolist() == [0, 1, 0, 1]
    assert Contraction()(c, scores).tolist() == [0, 0, 1, 2]


def test_matching_two_types_is_optimal_assignment():
    # greedy takes 5 and 1, the best is 4 + 4
    assert grouped((0, 0, 1, 1), {(0, 2): 5.0, (0, 3): 4.0, (1, 2): 4.0, (1, 3): 1.0}) == [0, 1, 1, 0]


def test_a_path_that_ends_at_one_type_twice_is_cut_where_it_is_weakest():
    assert grouped((0, 1, 2, 0), {(0, 1): 3.0, (1, 2): 1.0, (2, 3): 2.0}) == [0, 0, 1, 1]


def test_nothing_is_joined_for_nothing():
    assert grouped((0, 1, 2), {(0, 1): 0.0, (1, 2): -1.0}) == [0, 1, 2]


def test_a_fractional_solution_is_not_taken_for_the_answer(programs):
    """A wheel: the hub is drawn to each of five others that push one another off. Halves satisfy every triangle
    (5 / 2); whole people are worth 1 at most."""
    wheel = {(0, i): 1.0 for i in range(1, 6)} | {(i, j): -1.0 for j in range(1, 6) for i in range(1, j)}
    c, scores = of_types(0, 1, 2, 3, 4, 5), pair_scores(wheel)
    assert multicut_value(MULTICUT(c, scores), scores) == 1.0
    assert (15, True) in programs
    assert programs[0] == (15, False)


def test_partners_of_one_type_are_weighed_together(programs):
    # 0 is drawn to 1 and to both of the type 2, which 1 pushes off. Halves satisfy every triangle (3 / 2), but 0 has
    # at most one of the type 2: no integer program is needed to see that 1 is the best.
    listed = {(0, 1): 1.0, (0, 2): 1.0, (0, 3): 1.0, (1, 2): -1.0, (1, 3): -1.0}
    scores = pair_scores(listed)
    assert multicut_value(MULTICUT(of_types(0, 1, 2, 2), scores), scores) == 1.0
    assert not any(whole for _, whole in programs)


def test_components_of_positive_pairs_are_solved_apart(programs):
    # {0, 1, 2} and {3, 4, 5}, which push each other off, and 6, which nobody wants
    two = {(0, 1): 2.0, (1, 2): 2.0, (0, 2): -1.0, (3, 4): 2.0, (4, 5): 2.0, (3, 5): -1.0, (2, 3): -1.0, (5, 6): -3.0}
    assert grouped(range(7), two) == [0, 0, 0, 1, 1, 1, 2]
    assert {pairs for pairs, _ in programs} == {3}


def test_where_nothing_speaks_against_one_person_nothing_is_solved(programs):
    assert grouped((0, 1, 2, 3), {(0, 1): 1.0, (1, 2): 1.0, (2, 3): 1.0}) == [0, 0, 0, 0]
    assert programs == []


# ---- against all partitions ----------------------------------------------------------------------------------------


def partitions(n):
    """Every way to label n things, the first of each label in rising order."""
    labels = [[]]
    for _ in range(n):
        labels = [[*label, new] for label in labels for new in range(max(label, default=-1) + 2)]
    return torch.tensor(labels)


def best_value(c, scores):
    """The largest value of any grouping without two of one type in a person, by looking at all of them."""
    label = partitions(len(c))  # (P, n)
    a, b = torch.triu_indices(len(c), len(c), 1)
    clash = ((label[:, a] == label[:, b]) & (c.type[a] == c.type[b])).any(dim=1)
    first, second = scores.edge_index
    value = ((label[:, first] == label[:, second]) * scores.logit.double()).sum(dim=1)
    return float(value[~clash].max())


def test_there_are_as_many_partitions_as_bell_says():
    assert [len(partitions(n)) for n in range(1, 8)] == [1, 2, 5, 15, 52, 203, 877]


@st.composite
def small(draw):
    """Up to seven candidates, scores of some of their pairs: whole or random, mostly positive or mostly negative."""
    n = draw(st.integers(1, 7))
    types = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    pairs = [(i, j) for j in range(n) for i in range(j) if types[i] != types[j]]
    number = st.one_of(st.integers(-3, 3).map(float), st.floats(-4, 4, width=32))
    share = draw(st.sampled_from([0.5, 1.0]))
    listed = {pair: draw(number) for pair in pairs if share == 1.0 or draw(st.booleans())}
    return of_types(*types), pair_scores(listed)


@settings(max_examples=150)
@given(small())
def test_no_partition_is_better(drawn):
    c, scores = drawn
    assert multicut_value(MULTICUT(c, scores), scores) == pytest.approx(best_value(c, scores), abs=1e-5)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), bias=st.sampled_from([-0.5, 0.0, 0.5]), types=st.sampled_from([3, 5, 7]))
def test_no_partition_is_better_where_all_pairs_are_scored(seed, bias, types):
    c = random_candidates([7], seed)
    c = c.replace(type=c.type % types)
    scores = random_scores(c, seed)
    scores = scores.replace(logit=scores.logit + bias)
    assert multicut_value(MULTICUT(c, scores), scores) == pytest.approx(best_value(c, scores), abs=1e-5)


# ---- against the greedy ones ---------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), n=st.integers(8, 15), types=st.sampled_from([4, 17]))
def test_nobody_else_is_better(seed, n, types):
    c = random_candidates([n, n], seed)
    c = c.replace(type=c.type % types)
    scores = random_scores(c, seed)
    best = multicut_value(MULTICUT(c, scores), scores)
    for other in (Contraction(), Contraction(linkage="mean"), GreedyBones(COCO.tree), Spectral()):
        assert multicut_value(other(c, scores), scores) <= best + 1e-4


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_unit_of_the_scores_does_not_matter(scale):
    c = random_candidates([14], 1)
    scores = random_scores(c, 1)
    assert same_partition(MULTICUT(c, scores), MULTICUT(c, scores.replace(logit=scores.logit * scale)))


# ---- its limits ----------------------------------------------------------------------------------------------------


def test_too_many_connected_candidates():
    chain = {(i, i + 1): 1.0 for i in range(4)} | {(0, 2): -0.5, (5, 6): 1.0}
    assert grouped(range(7), chain, limit=5) == [0, 0, 0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"at most limit=4 candidates .* got 5; raise the limit, .* Contraction"):
        grouped(range(7), chain, limit=4)


def test_too_little_time():
    frustrated = {(0, 1): 3.0, (1, 2): 2.0, (0, 2): -4.0}
    with pytest.raises(ValueError, match=r"no optimal grouping of 3 .* within seconds=0; allow more .* Contraction"):
        grouped((0, 1, 2), frustrated, seconds=0.0)


def test_time_that_ends_within_the_solver():
    """A hundred candidates of a hundred types with scores at random need far longer than half a second."""
    n = 100
    c = of_types(*range(n))
    with pytest.raises(ValueError, match=r"no optimal grouping of 100 connected candidates found within seconds=0\.5"):
        Multicut(seconds=0.5)(c, random_scores(c))
