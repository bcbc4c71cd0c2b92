"""Spectral clustering: the number of people, weak links, one candidate per type."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hggbook.grouping.groupers import Spectral
from hggbook.grouping.groupers.spectral import one_of_each_type
from tests.grouping.builders import random_candidates
from tests.grouping.pairs import of_types, pair_scores, random_scores

AFAR = float("-inf")  # a cut that links everything


def blocks(*sizes, inside=3.0, outside=-3.0):
    """People of the first ``size`` types each, one after another, and scores of all pairs of different type."""
    types = [kind for size in sizes for kind in range(size)]
    owner = [person for person, size in enumerate(sizes) for _ in range(size)]
    listed = {
        (i, j): inside if owner[i] == owner[j] else outside
        for j in range(len(types))
        for i in range(j)
        if types[i] != types[j]
    }
    return types, listed, owner


def grouped(types, listed, people="both", **options):
    return Spectral(people, **options)(of_types(*types), pair_scores(listed)).tolist()


@pytest.mark.parametrize("people", ["both", "eigengap", "types"])
@pytest.mark.parametrize("cut", [0.0, AFAR])
def test_strong_blocks_with_weak_links_are_people(people, cut):
    types, listed, owner = blocks(6, 6, 6)
    assert grouped(types, listed, people, cut=cut) == owner


def test_people_of_different_sizes_are_counted_by_the_gap():
    # 3 of types 0 to 2, 2 of 3 and 4, 1 of 5 and 6: by the median two people
    types, listed, owner = blocks(7, 5, 3, inside=4.0, outside=-4.0)
    assert grouped(types, listed, "eigengap", cut=AFAR) == owner
    assert grouped(types, listed, "both", cut=AFAR) == owner
    assert len(set(grouped(types, listed, "types", cut=AFAR))) > 2  # two clusters; who is there twice has to leave


def test_the_gap_alone_sees_one_person_where_links_hardly_differ():
    types, listed, owner = blocks(6, 6, 6, inside=0.7, outside=0.1)
    assert grouped(types, listed, "both") == owner
    assert grouped(types, listed, "types") == owner
    assert grouped(types, listed, "eigengap") != owner


def test_pairs_under_the_cut_are_not_linked():
    # all different types; one weak link between two pairs
    listed = {(0, 1): 3.0, (2, 3): 3.0, (1, 2): -0.5}
    assert grouped((0, 1, 2, 3), listed) == [0, 0, 1, 1]
    assert grouped((0, 1, 2, 3), listed, "types", cut=-0.5) == [0, 0, 0, 0]
    assert grouped((0, 1, 2, 3), {**listed, (1, 2): 0.0}, "types") == [0, 0, 0, 0]


def test_a_link_too_weak_to_tell_is_none():
    assert grouped((0, 1), {(0, 1): -10.0}, cut=AFAR) == [0, 0]  # the only link there is
    assert grouped((0, 1), {(0, 1): -20.0}, cut=AFAR) == [0, 1]
    assert grouped((0, 1), {(0, 1): -1e30}, cut=AFAR) == [0, 1]


@pytest.mark.parametrize("people", ["both", "eigengap", "types"])
def test_tiny_graphs(people):
    assert grouped((0,), {}, people) == [0]
    assert grouped((0, 1), {(0, 1): 1.0}, people) == [0, 0]
    assert grouped((0, 1, 2), {(0, 1): 1.0, (1, 2): 1.0, (0, 2): 1.0}, people) == [0, 0, 0]
    # one type three times and one other: more people than clusters could be told apart
    assert len(set(grouped((0, 0, 0, 1), {(0, 3): 1.0, (1, 3): 2.0, (2, 3): 1.5}, people))) == 3


def test_the_better_linked_of_two_of_a_type_stays():
    # 2 and 3 are of one type; 3 fits in better
    listed = {(0, 1): 3.0, (0, 2): 1.0, (1, 2): 1.0, (0, 3): 2.0, (1, 3): 2.0}
    assert grouped((0, 1, 2, 2), listed, "eigengap") == [0, 0, 1, 0]


def test_an_unknown_estimate():
    with pytest.raises(ValueError, match=r"people: expected one of \('both', 'eigengap', 'types'\), got 'all'"):
        Spectral("all")


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 40), types=st.integers(1, 17), cut=st.sampled_from([0.0, -1.0]))
def test_the_same_twice_and_no_warning(seed, n, types, cut):
    c = random_candidates([n], seed)
    c = c.replace(type=c.type % types)
    scores = random_scores(c, seed, spread=3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for people in ("both", "eigengap", "types"):
            grouper = Spectral(people, cut)
            assert torch.equal(grouper(c, scores), grouper(c, scores))


def test_a_large_graph_of_equal_people():
    """Eigenvalues as often as there are people: the solver must find every eigenvector."""
    types, listed, owner = blocks(*[17] * 9, inside=1.0, outside=-1.0)
    assert grouped(types, listed, "types", cut=AFAR) == owner


# ---- one of each type ----------------------------------------------------------------------------------------------


def affinity_of(n, links):
    a = np.zeros((n, n))
    for (i, j), value in links.items():
        a[i, j] = a[j, i] = value
    return a


def mended(label, kind, links):
    return one_of_each_type(np.array(label), affinity_of(len(label), links), np.array(kind)).tolist()


def test_clusters_without_conflict_stay_as_they_are():
    assert mended([1, 0, 1, 0], [0, 0, 1, 1], {(0, 2): 0.9, (1, 3): 0.9}) == [0, 1, 0, 1]


def test_who_leaves_joins_the_person_of_highest_mean_affinity():
    # 0, 1 (one type) with 2; 1 has less to do with 2. Elsewhere 3-4 (mean 0.7) and 5-6 (mean 0.6), without its type.
    links = {(0, 2): 0.9, (1, 2): 0.8, (1, 3): 0.6, (1, 4): 0.8, (1, 5): 0.6, (1, 6): 0.6}
    label, kind = [0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 1, 2]
    assert mended(label, kind, links) == [0, 1, 0, 1, 1, 5, 5]
    # ... if that is at least a half
    assert mended(label, kind, {**links, (1, 3): 0.1, (1, 5): 0.1}) == [0, 1, 0, 3, 3, 5, 5]
    # ... and if the type is still free there
    assert mended(label, [0, 0, 1, 0, 2, 1, 2], links) == [0, 1, 0, 3, 3, 1, 1]


def test_of_two_who_leave_the_strongest_link_joins_first_and_takes_the_place():
    # 1 and 2 (type 0) must leave; cluster {4} has room for one of them
    links = {(0, 3): 0.9, (1, 3): 0.5, (2, 3): 0.5, (1, 4): 0.6, (2, 4): 0.7}
    assert mended([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], links) == [0, 1, 2, 0, 2]


def test_who_joins_counts_for_the_next():
    # 1 (type 0) and 4 (type 1) must leave. 4 is too far from 5 (0.4), but with 1, that joins 5 first, it is 0.6.
    label, kind = [0, 0, 0, 0, 0, 1], [0, 0, 2, 1, 1, 3]
    links = {(0, 3): 0.9, (0, 4): 0.05, (1, 5): 0.9, (1, 4): 0.8, (4, 5): 0.4}
    assert mended(label, kind, links) == [0, 1, 0, 0, 1, 1]
    assert mended(label, kind, {**links, (1, 5): 0.3}) == [0, 1, 0, 0, 4, 5]
