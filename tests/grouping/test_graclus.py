"""graclus: invariants on any graph, the sequential definition as oracle, exact matching as yardstick."""

from collections import Counter

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hggbook.grouping.graclus import ORDERS, GraclusSelect, graclus


def sequential(edges, weights, num_nodes, visiting):
    """The definition, word by word: visit nodes in order; an unmatched one takes its heaviest unmatched neighbour."""
    partner = list(range(num_nodes))
    for node in visiting:
        if partner[node] != node:
            continue
        best = None
        for (a, b), w in zip(edges, weights):
            if node in (a, b) and w >= 0:
                other = a + b - node
                if partner[other] == other and (best is None or (-w, min(a, b), max(a, b)) < best[0]):
                    best = ((-w, min(a, b), max(a, b)), other)
        if best:
            partner[node], partner[best[1]] = best[1], node
    return [min(i, p) for i, p in enumerate(partner)]


MIXED_SIGNS = st.floats(-1, 2, width=32)


@st.composite
def graphs(draw, weights=MIXED_SIGNS):
    n = draw(st.integers(1, 9))
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    values = draw(st.lists(weights, min_size=len(edges), max_size=len(edges)))
    return n, edges, values


def tensors(edges, weights):
    return torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T.contiguous(), torch.tensor(weights)


@given(graphs(), st.sampled_from(ORDERS), st.integers(0, 5), st.booleans())
def test_pairs_only_partners_adjacent_label_is_the_smaller_index(graph, order, seed, doubled):
    n, edges, weights = graph
    edge_index, weight = tensors(edges, weights)
    if doubled:  # PyG graphs hold both directions of an edge
        edge_index, weight = torch.cat([edge_index, edge_index.flip(0)], 1), torch.cat([weight, weight])
    cluster = graclus(edge_index, weight, n, order=order, generator=torch.Generator().manual_seed(seed))
    usable = {e for e, w in zip(edges, weights) if w >= 0}
    members = {}
    for node, label in enumerate(cluster.tolist()):
        members.setdefault(label, []).append(node)
    for label, nodes in members.items():
        assert len(nodes) <= 2
        assert label == min(nodes)
        assert len(nodes) == 1 or tuple(nodes) in usable
    single = {nodes[0] for nodes in members.values() if len(nodes) == 1}
    if order == "mutual":
        assert not usable or len(members) < n  # the heaviest edge of all is always mutual
    else:
        assert not any(a in single and b in single for a, b in usable)  # maximal


@given(graphs(st.integers(-1, 3).map(float)), st.randoms())
def test_random_order_equals_the_sequential_definition_ties_included(graph, random):
    n, edges, weights = graph
    visiting = random.sample(range(n), n)
    rank = torch.empty(n, dtype=torch.int64)
    rank[torch.tensor(visiting)] = torch.arange(n)
    edge_index, weight = tensors(edges, weights)
    assert graclus(edge_index, weight, n, order="random", rank=rank).tolist() == sequential(
        edges, weights, n, visiting
    )


@given(graphs(st.floats(0, 1, width=32)))
def test_heaviest_has_at_least_half_the_weight_of_the_exact_maximum(graph):
    n, edges, weights = graph
    edge_index, weight = tensors(edges, weights)
    cluster = graclus(edge_index, weight, n, order="heaviest").tolist()
    ours = sum(w for (a, b), w in zip(edges, weights) if cluster[a] == cluster[b])
    reference = nx.Graph()
    reference.add_weighted_edges_from((a, b, w) for (a, b), w in zip(edges, weights))
    best = sum(reference.edges[e]["weight"] for e in nx.max_weight_matching(reference))
    assert ours >= best / 2 - 1e-5
    assert ours <= best + 1e-5


@given(graphs(), st.sampled_from(["heaviest", "mutual"]), st.randoms())
def test_renaming_the_nodes_renames_the_clusters(graph, order, random):
    n, edges, weights = graph
    if len(set(weights)) < len(weights):
        return  # ties are broken by index, which renaming changes
    new = random.sample(range(n), n)
    a = graclus(*tensors(edges, weights), n, order=order)
    b = graclus(*tensors([(new[i], new[j]) for i, j in edges], weights), n, order=order)
    for i in range(n):
        for j in range(n):
            assert (a[i] == a[j]) == (b[new[i]] == b[new[j]])


def test_random_order_has_the_distribution_of_the_sequential_definition_on_a_star():
    # Centre 0 with leaves 1, 2, 3 of weights 3, 2, 1. Whoever is visited first decides: the centre (1/4) takes leaf 1,
    # a leaf takes the centre. So leaf 1 is matched in 1/2 of the runs, the others in 1/4 each.
    edge_index = torch.tensor([[0, 0, 0], [1, 2, 3]])
    weight = torch.tensor([3.0, 2.0, 1.0])
    generator = torch.Generator().manual_seed(0)
    runs = 4000
    seen = Counter(
        graclus(edge_index, weight, 4, order="random", generator=generator).tolist().index(0, 1) for _ in range(runs)
    )
    for leaf, share in ((1, 0.5), (2, 0.25), (3, 0.25)):
        assert abs(seen[leaf] / runs - share) < 0.035  # 4 standard deviations


def test_random_order_has_the_distribution_of_the_sequential_definition_on_a_path():
    # Path 0-1-2-3, the middle edge heaviest: it is taken if 1 or 2 is visited first (1/2), else the two outer ones are.
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    weight = torch.tensor([1.0, 5.0, 1.0])
    generator = torch.Generator().manual_seed(0)
    runs = 4000
    middle = sum(
        graclus(edge_index, weight, 4, order="random", generator=generator).tolist() == [0, 1, 1, 3]
        for _ in range(runs)
    )
    assert abs(middle / runs - 0.5) < 0.035


def test_the_three_orders_differ_where_they_should():
    # Path 0-1-2-3 with weights 1, 5, 4: mutual takes only the middle pair, so does heaviest (0 and 3 have nobody left).
    edge_index, weight = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]), torch.tensor([1.0, 5.0, 4.0, 3.0])
    assert graclus(edge_index, weight, order="mutual").tolist() == [0, 1, 1, 3, 4]
    assert graclus(edge_index, weight, order="heaviest").tolist() == [0, 1, 1, 3, 3]
    first_zero = torch.tensor([0, 1, 2, 3, 4])
    assert graclus(edge_index, weight, order="random", rank=first_zero).tolist() == [0, 0, 2, 2, 4]


def test_negative_and_nan_weights_are_never_matched_zero_is():
    edge_index = torch.tensor([[0, 2, 4, 6], [1, 3, 5, 6]])
    weight = torch.tensor([-1e-6, float("nan"), 0.0, 9.0])  # the last edge is a self-loop
    for order in ORDERS:
        assert graclus(edge_index, weight, 8, order=order).tolist() == [0, 1, 2, 3, 4, 4, 6, 7]


def test_equal_weights_go_to_the_lower_pair_of_indices():
    edge_index = torch.tensor([[2, 0, 1, 0], [3, 1, 2, 3]])
    assert graclus(edge_index, torch.ones(4), order="heaviest").tolist() == [0, 0, 2, 2]
    assert graclus(edge_index, None, order="heaviest").tolist() == [0, 0, 2, 2]


def test_a_seed_repeats_the_result_and_without_weights_neighbours_are_random():
    edge_index = torch.tensor([[0] * 5, [1, 2, 3, 4, 5]])
    runs = [
        tuple(graclus(edge_index, generator=torch.Generator().manual_seed(seed)).tolist()) for seed in range(40)
    ]
    again = [
        tuple(graclus(edge_index, generator=torch.Generator().manual_seed(seed)).tolist()) for seed in range(40)
    ]
    assert runs == again
    assert len(set(runs)) == 5


def test_empty_graph_and_isolated_nodes():
    none = torch.zeros(2, 0, dtype=torch.int64)
    for order in ORDERS:
        assert graclus(none, order=order).shape == (0,)
        assert graclus(none, torch.zeros(0), 3, order=order).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": "greedy"}, "order: expected one of .* got 'greedy'"),
        ({"weight": torch.ones(3)}, r"weight: expected shape \(1,\)"),
        ({"rank": torch.zeros(5, dtype=torch.int64)}, r"rank: expected shape \(2,\)"),
    ],
)
def test_bad_arguments_name_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        graclus(torch.tensor([[0], [1]]), **arguments)


def test_as_a_selection_of_pygs_pooling():
    select = GraclusSelect(order="heaviest")
    output = select(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]), torch.tensor([1.0, 5.0, 4.0, 3.0]), 5)
    assert output.cluster_index.tolist() == [0, 1, 1, 2, 2]
    assert (output.num_nodes, output.num_clusters) == (5, 3)
