"""Interaction GNN: EdgeConv by hand and against PyG, permutation, isolated candidates, parameter counts."""

import pytest
import torch
import torch_geometric
from torch import nn

from hggbook.grouping.graph import build_graph, node_features
from hggbook.grouping.message_passing import EdgeConv, InteractionGNN, InteractionLayer

from .builders import FULL, K, image_of, random_candidates


def edge_conv(weight, bias, f, d=0, **options):
    layer = EdgeConv(f, len(bias), d, **options)
    with torch.no_grad():
        layer.first.weight.copy_(torch.tensor(weight))
        layer.first.bias.copy_(torch.tensor(bias))
    return layer


def test_edgeconv_by_hand_on_three_nodes():
    # One channel, W = [1, 1 | 1]: m_ij = relu(x_i + (x_j - x_i) + e_ij) = relu(x_j + e_ij).
    layer = edge_conv([[1.0, 1.0, 1.0]], [0.0], 1, 1)
    x = torch.tensor([[1.0], [2.0], [-5.0]])
    edge_index = torch.tensor([[1, 2, 0], [0, 0, 1]])  # 1 -> 0, 2 -> 0, 0 -> 1
    received, messages = layer(x, edge_index, torch.tensor([[0.5], [1.0], [2.0]]))
    assert messages.flatten().tolist() == [2.5, 0.0, 3.0]
    assert received.flatten().tolist() == [2.5, 3.0, 0.0]  # node 2 hears nothing


@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize("depth", [1, 2])
def test_equals_pygs_edgeconv_given_the_same_weights(aggregation, depth):
    torch.manual_seed(0)
    ours = EdgeConv(5, 8, aggregation=aggregation, edge_mlp=depth)
    mlp = nn.Sequential(ours.first, nn.ReLU(), *ours.rest)
    reference = torch_geometric.nn.EdgeConv(mlp, aggr=aggregation)
    x, edge_index = torch.randn(9, 5), torch.randint(9, (2, 30))
    received, messages = ours(x, edge_index)
    torch.testing.assert_close(received, reference(x, edge_index), atol=1e-5, rtol=1e-5)
    assert messages.shape == (30, 8)


def test_one_fc_layer_and_max_factorise_so_the_winning_neighbour_does_not_depend_on_the_receiver():
    torch.manual_seed(0)
    layer = EdgeConv(4, 6)
    x = torch.randn(8, 4)
    own, difference = layer.first.weight.split([4, 4], dim=1)
    u, v = x @ (own - difference).T + layer.first.bias, x @ difference.T
    everybody = torch.cartesian_prod(torch.arange(8), torch.arange(8)).T  # self-loops included
    expected = torch.relu(u + v.max(dim=0).values)
    torch.testing.assert_close(layer(x, everybody)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("interaction", ["edgeconv", "gat", "fc"])
@pytest.mark.parametrize("reading", ["literal", "pairwise"])
class TestInteractionGNN:
    def build(self, reading, interaction):
        torch.manual_seed(0)
        return InteractionGNN(K + 3, K, reading=reading, interaction=interaction).eval()

    def run(self, gnn, candidates):
        return gnn(build_graph(candidates, node_features(candidates, K), FULL), candidates)

    def test_batch_equals_one_by_one(self, reading, interaction):
        gnn, c = self.build(reading, interaction), random_candidates([9, 0, 1, 12, 0])
        whole = self.run(gnn, c)
        for image in range(5):
            alone = self.run(gnn, image_of(c, image))
            torch.testing.assert_close(whole.x[c.batch == image], alone.x, atol=1e-5, rtol=1e-5)
            if reading == "pairwise":
                rows = c.batch[whole.edge_index[0]] == image
                torch.testing.assert_close(whole.edge_attr[rows], alone.edge_attr, atol=1e-5, rtol=1e-5)
        assert (whole.edge_attr is None) == (reading == "literal")

    def test_permuting_candidates_permutes_the_features(self, reading, interaction):
        gnn, c = self.build(reading, interaction), random_candidates([10])
        order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
        moved = c.replace(
            xy=c.xy[order], type=c.type[order], score=c.score[order], embedding=c.embedding[order]
        )
        torch.testing.assert_close(self.run(gnn, moved).x, self.run(gnn, c).x[order], atol=1e-5, rtol=1e-5)

    def test_gradient_reaches_the_embedding(self, reading, interaction):
        gnn, c = self.build(reading, interaction), random_candidates([10])
        embedding = c.embedding.clone().requires_grad_()
        self.run(gnn, c.replace(embedding=embedding)).x.square().sum().backward()
        assert (embedding.grad.abs() > 0).all()


def test_an_isolated_candidate_keeps_its_features():
    gnn = InteractionGNN(K + 3, K, reading="literal").eval()
    one, other = random_candidates([1], seed=1), random_candidates([1], seed=2)
    x = [gnn(build_graph(c, node_features(c, K), FULL), c).x for c in (one, other)]
    assert not torch.allclose(x[0], x[1])


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("channels", [K + 3, 64])
def test_gat_and_fc_have_about_as_many_parameters_as_edgeconv(edges, channels):
    count = {
        kind: sum(p.numel() for p in InteractionLayer(kind, channels, 64, edges, "max", 1).parameters())
        for kind in ("edgeconv", "gat", "fc")
    }
    for kind in ("gat", "fc"):
        assert abs(count[kind] / count["edgeconv"] - 1) < 0.06, count


@pytest.mark.parametrize("bad", [{"reading": "free"}, {"interaction": "gcn"}, {"aggregation": "sum"}])
def test_unknown_variants_are_named(bad):
    with pytest.raises(ValueError, match=f"expected .* got {next(iter(bad.values()))!r}"):
        InteractionGNN(20, 17, **bad)
