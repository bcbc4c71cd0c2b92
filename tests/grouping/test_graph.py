"""Graph construction and coarsening, on graphs small enough to check by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hggbook.grouping.graph import build_graph, coarsen, node_features, pairs_within_images
from hggbook.skeleton import COCO, CROWDPOSE, GRAPH_CONFIGURATIONS
from hggbook.types import Candidates

from .builders import FULL, K, image_of, random_candidates


def candidates(types, batch, num_images=1):
    n = len(types)
    return Candidates(
        torch.arange(2.0 * n).reshape(n, 2), torch.tensor(types, dtype=torch.int64), torch.ones(n), torch.zeros(n, 1),
        torch.tensor(batch, dtype=torch.int64), torch.full((num_images, 2), 100.0),
    )  # fmt: skip


def graph_of(types, batch, num_images=1, linked=FULL):
    c = candidates(types, batch, num_images)
    return build_graph(c, torch.arange(float(len(types)))[:, None], linked)


def test_node_features_are_embedding_one_hot_type_and_position_in_0_1():
    c = candidates([2, 0], [0, 0]).replace(
        embedding=torch.tensor([[0.5], [-1.0]]), xy=torch.tensor([[0.0, 49.5], [99.0, 0.0]])
    )
    x = node_features(c, 3)
    assert x.tolist() == [
        pytest.approx([0.5, 0, 0, 1, 0.005, 0.5]),
        pytest.approx([-1.0, 1, 0, 0, 0.995, 0.005]),
    ]


def test_every_pair_of_different_types_of_one_image_is_an_edge_once():
    # Image 0: nose, nose, eye; image 1: none; image 2: eye, ear.
    graph = graph_of([0, 0, 1, 1, 3], [0, 0, 0, 2, 2], num_images=3)
    assert graph.edge_index.T.tolist() == [[0, 2], [1, 2], [3, 4]]
    assert graph.types.tolist() == [1, 1, 2, 2, 8]
    assert graph.num_images == 3
    assert graph.both_directions().T.tolist() == [[0, 2], [1, 2], [3, 4], [2, 0], [2, 1], [4, 3]]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_pairs_within_images_equal_the_double_loop(counts):
    batch = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    loop = [[i, j] for i in range(len(batch)) for j in range(i + 1, len(batch)) if batch[i] == batch[j]]
    assert pairs_within_images(batch, len(counts)).T.tolist() == loop


@pytest.mark.parametrize("skeleton", [COCO, CROWDPOSE])
def test_configurations_grow_from_a_spanning_tree_to_the_full_graph(skeleton):
    sizes, previous = [], None
    for name in GRAPH_CONFIGURATIONS:
        linked = skeleton.linked(name)
        assert (linked == linked.T).all()
        assert not linked.diagonal().any()
        assert previous is None or (linked >= previous).all()
        previous = linked
        sizes.append(int(linked.sum()) // 2)
    k = skeleton.num_types
    assert sizes[0] == k - 1
    assert sizes[-1] == k * (k - 1) // 2
    assert sizes == sorted(set(sizes))
    assert (sum(torch.matrix_power(torch.from_numpy(skeleton.linked("tree")).float(), n) for n in range(k)) > 0).all()
    with pytest.raises(ValueError, match="expected one of .* got 'ring'"):
        skeleton.linked("ring")


def test_a_tree_links_only_its_bones():
    tree = torch.from_numpy(COCO.linked("tree"))
    # nose, left ear, left eye: the tree goes nose - eye - ear.
    assert graph_of([0, 3, 1], [0, 0, 0], linked=tree).edge_index.T.tolist() == [[0, 2], [1, 2]]


def test_coarsening_by_hand():
    # Nodes a..d of types 0, 1, 2, 0; merge a with b. c was linked to all three others, d to b and c.
    graph = graph_of([0, 1, 2, 0], [0, 0, 0, 0])
    assert graph.edge_index.T.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    graph = graph.replace(
        x=torch.tensor([[1.0], [3.0], [10.0], [20.0]]),
        edge_attr=torch.tensor([[1.0], [2.0], [4.0], [8.0], [16.0]]),
        edge_evidence=torch.tensor([0.1, 0.2, 0.4, 0.8, 1.6]),
    )
    macro = coarsen(graph, torch.tensor([0, 0, 1, 2]))
    assert macro.x.flatten().tolist() == [2.0, 10.0, 20.0]
    assert macro.types.tolist() == [0b011, 0b100, 0b001]
    assert macro.count.tolist() == [2, 1, 1]
    # {a,b}-d is pruned: both hold type 0. {a,b}-c stands for two pairs.
    assert macro.edge_index.T.tolist() == [[0, 1], [1, 2]]
    assert macro.edge_count.tolist() == [2.0, 1.0]
    assert macro.edge_attr.flatten().tolist() == [3.0, 16.0]
    assert macro.edge_evidence.tolist() == pytest.approx([0.6, 1.6])
    # Merge {a,b} with c: the mean is over the three members, not over the two parts.
    whole = coarsen(macro, torch.tensor([0, 0, 1]))
    assert whole.x.flatten().tolist() == pytest.approx([14 / 3, 20.0])
    assert whole.num_edges == 0


def test_averaging_in_two_steps_weighs_pairs_not_macro_edges():
    # a, b, c merge to one side (a-d, b-d, c-d carry 0, 0, 3); pairwise merging must still give the mean 1.
    graph = graph_of([0, 1, 2, 3], [0] * 4)
    value = torch.tensor([[0.0]] * 6)
    value[graph.edge_index.T.tolist().index([2, 3])] = 3.0
    graph = graph.replace(edge_attr=value)
    once = coarsen(graph, torch.tensor([0, 0, 0, 1]))
    twice = coarsen(coarsen(graph, torch.tensor([0, 0, 1, 2])), torch.tensor([0, 0, 1]))
    assert once.edge_attr.flatten().tolist() == pytest.approx([1.0])
    assert twice.edge_attr.flatten().tolist() == pytest.approx([1.0])


def test_coarsening_by_the_identity_changes_nothing():
    c = random_candidates([7, 0, 5])
    graph = build_graph(c, node_features(c, K), FULL)
    same = coarsen(graph, torch.arange(12))
    assert torch.equal(same.edge_index, graph.edge_index)
    assert torch.allclose(same.x, graph.x)


def test_empty_batches_and_single_candidates():
    for counts in ([0], [1], [0, 0], [0, 3, 0, 1, 0]):
        c = random_candidates(counts)
        graph = build_graph(c, node_features(c, K), FULL)
        assert graph.num_nodes == sum(counts)
        assert graph.num_images == len(counts)
        assert coarsen(graph, torch.arange(sum(counts))).num_nodes == sum(counts)


def test_visiting_keys_do_not_depend_on_the_batch():
    c = random_candidates([6, 4])
    whole = build_graph(c, node_features(c, K), FULL)
    alone = build_graph(image_of(c, 1), node_features(image_of(c, 1), K), FULL)
    assert torch.equal(whole.rank[6:], alone.rank)
    assert len(set(whole.rank.tolist())) == 10


def test_unsorted_candidates_are_refused():
    with pytest.raises(ValueError, match="expected non-decreasing image indices"):
        graph_of([0, 1], [1, 0], num_images=2)


def test_pyg_data_has_both_directions():
    data = graph_of([0, 1, 2], [0, 0, 0]).to_data()
    assert data.is_undirected()
    assert data.num_nodes == 3
    assert data.num_edges == 6
