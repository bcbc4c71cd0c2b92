"""The interaction GNN: a stack of EdgeConv layers (or GAT, or plain FC layers) and a three-layer MLP.

Paper: sec. 3.1, Fig. 3. The *literal* reading passes messages between node features only; in the *pairwise* reading
every edge also carries its own feature through the layers ("updates the pairwise relation features").
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch_geometric.nn import GATConv, MessagePassing
from torch_geometric.typing import OptTensor  # PyG's inspector cannot read `Tensor | None`

from hggbook.types import Candidates, Graph

INTERACTIONS = ("edgeconv", "gat", "fc")
READINGS = ("literal", "pairwise")
# Which of the six measurements of a pair start its feature: offset (2), distance, embedding gap, its Gaussian, score.
STARTS = {
    "full": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    "geometry": (1.0, 1.0, 1.0, 0.0, 0.0, 0.0),
    "embedding": (0.0, 0.0, 0.0, 1.0, 1.0, 0.0),
    "types": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}


class EdgeConv(MessagePassing):
    """One EdgeConv layer: messages from pairs of linked nodes, aggregated at each node.

    ``m_ij = relu(W [x_i ; x_j - x_i ; e_ij] + b)``, ``x'_i = max_j m_ij`` over the neighbours j of node i.

    The product is computed as ``(W1 - W2) x_i + W2 x_j + W3 e_ij``: one product per node and a gather, instead of one
    per edge. With a single FC layer and no ``e_ij`` this also shows a limit of the literal reading:
    ``max_j relu(u_i + v_j) = relu(u_i + max_j v_j)``, so which neighbour wins does not depend on i.

    Args:
        in_channels: F, size of the node features.
        out_channels: size of the messages.
        edge_channels: size of ``e_ij``; 0 for the literal layer (equal to ``torch_geometric.nn.EdgeConv``).
        aggregation: ``max`` (the paper's [45]) or ``mean``.
        edge_mlp: number of FC + ReLU layers that make the message (the paper: one).

    Shapes:
        x (N, F), edge_index (2, E) source and target rows, edge_attr (E, edge_channels) or None
        -> aggregated (N, out_channels), messages (E, out_channels). A node without neighbours gets zeros.
        edge_attr may also be (E / 2, edge_channels): the second half of the edges, which are those of the first half
        reversed, then share its rows (`Graph.both_directions`), at half the cost.

    Paper: sec. 3.1 ("in each EdgeConv layer, ...").
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        edge_channels: int = 0,
        *,
        aggregation: str = "max",
        edge_mlp: int = 1,
    ):
        super().__init__(aggr=aggregation)
        self.in_channels = in_channels
        self.first = nn.Linear(2 * in_channels + edge_channels, out_channels)
        rest = [layer for _ in range(edge_mlp - 1) for layer in (nn.Linear(out_channels, out_channels), nn.ReLU())]
        self.rest = nn.Sequential(*rest)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None = None) -> tuple[Tensor, Tensor]:
        f = self.in_channels
        own, difference, pair = self.first.weight.split([f, f, self.first.in_features - 2 * f], dim=1)
        at_target = nn.functional.linear(x, own - difference, self.first.bias)
        at_source = nn.functional.linear(x, difference)
        on_edge = None if edge_attr is None else nn.functional.linear(edge_attr, pair)
        messages = self.edge_updater(edge_index, at_target=at_target, at_source=at_source, on_edge=on_edge)
        return self.propagate(edge_index, messages=messages, size=(len(x), len(x))), messages

    def edge_update(self, at_target_i: Tensor, at_source_j: Tensor, on_edge: OptTensor) -> Tensor:
        total = at_target_i + at_source_j
        if on_edge is not None:  # its rows are those of all edges, or of the first half of them
            halves = len(total) // max(len(on_edge), 1)
            total = (total.view(halves, *on_edge.shape) + on_edge).flatten(0, 1)
        return self.rest(total.relu_())

    def message(self, messages: Tensor) -> Tensor:
        return messages

    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: int) -> Tensor:
        if self.aggr != "max":
            return super().aggregate(inputs, index, dim_size=dim_size)
        # PyG's maximum, over sorted rows: half the time on a CPU. Messages end in a ReLU, so none is below 0.
        rows = inputs.index_select(0, torch.argsort(index, stable=True))
        lengths = torch.bincount(index, minlength=dim_size)
        return torch.segment_reduce(rows, "max", lengths=lengths, axis=0, unsafe=True, initial=0.0)


class PairFeatures(nn.Module):
    """Starts an edge's own feature from what can be said of the pair of candidates alone.

    A two-layer MLP of (offset, distance, embedding difference, its Gaussian, the smaller score), plus a learned vector
    for every pair of keypoint types. Lengths are fractions of the long side of the network input, times 5. The offset
    points from the candidate of the lower type to the other: the feature is one of the pair, not of a direction.

    Args:
        num_types: K.
        channels: D.
        start: ``full``, or what alone is measured beside the types: ``geometry`` (offset, distance), ``embedding``
            (difference, Gaussian), ``types`` (nothing).

    Shapes:
        candidates (N rows), edge_index (2, E) pairs of candidates of different type -> (E, D).

    Not in the paper: Choice: the paper lists no pair features; these use the stated node features and the score.
    """

    def __init__(self, num_types: int, channels: int, start: str = "full"):
        super().__init__()
        if start not in STARTS:
            raise ValueError(f"edge_start: expected one of {tuple(STARTS)}, got {start!r}")
        self.num_types = num_types
        self.register_buffer("used", torch.tensor(STARTS[start]), persistent=False)
        self.measure = nn.Sequential(nn.Linear(6, channels), nn.ReLU(), nn.Linear(channels, channels))
        self.types = nn.Embedding(num_types * num_types, channels)

    def forward(self, candidates: Candidates, edge_index: Int64[Tensor, "2 E"]) -> Float[Tensor, "E D"]:
        i, j = edge_index
        ordered = candidates.type[i] < candidates.type[j]
        source, target = torch.where(ordered, i, j), torch.where(ordered, j, i)
        side = candidates.size.amax(dim=1)[candidates.batch[source]]
        offset = 5 * (candidates.xy[source] - candidates.xy[target]) / side[:, None]
        gap = (candidates.embedding[source] - candidates.embedding[target]).square().mean(dim=1)
        measured = torch.stack(
            [
                offset[:, 0],
                offset[:, 1],
                offset.norm(dim=1),
                (gap + 1e-12).sqrt(),
                torch.exp(-gap),
                torch.minimum(candidates.score[source], candidates.score[target]).detach(),
            ],
            dim=1,
        )
        kinds = candidates.type[source] * self.num_types + candidates.type[target]
        return torch.relu(self.measure(measured * self.used) + self.types(kinds))


class InteractionLayer(nn.Module):
    """One layer of the interaction GNN: message passing with a linear residual path, and the edges' own update.

    ``x_i <- R x_i + aggregate_j m_ij``; in the pairwise reading also ``e_ij <- e_ij + (m_ij + m_ji) / 2``: an edge has
    one feature, whichever way it is looked at (Choice; a feature per direction costs twice as much). The residual path
    lets a candidate without neighbours keep its features. GAT and FC have no message per edge; their edge features pass
    through an FC layer of their own. Widths are set so that all three have about the same number of parameters.

    Paper: sec. 3.1; GAT and FC: sec. 4.2 ("effectiveness of GNN").
    """

    def __init__(self, kind: str, in_channels: int, hidden: int, edges: bool, aggregation: str, edge_mlp: int):
        super().__init__()
        self.kind, self.edges = kind, edges
        self.residual = nn.Linear(in_channels, hidden, bias=False)
        if kind == "edgeconv":
            edge_channels = hidden if edges else 0
            self.conv = EdgeConv(in_channels, hidden, edge_channels, aggregation=aggregation, edge_mlp=edge_mlp)
            return
        # Parameters that EdgeConv spends on messages, shared out among the matrices of the other two.
        budget = (2 * in_channels + hidden * edges + hidden * (edge_mlp - 1)) * hidden
        if kind == "gat":
            per_unit = in_channels + hidden + hidden * edges
            heads = 4
            width = max(1, round((budget - hidden * hidden * edges) / per_unit / heads))
            self.conv = GATConv(
                in_channels, width, heads=heads, edge_dim=hidden if edges else None, add_self_loops=False
            )
            self.out = nn.Linear(width * heads, hidden)
            self.edge = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU()) if edges else None
        else:
            width = max(1, round(budget / (in_channels + hidden + 2 * hidden * edges)))
            self.conv = nn.Sequential(nn.Linear(in_channels, width), nn.ReLU(), nn.Linear(width, hidden), nn.ReLU())
            self.edge = None
            if edges:
                self.edge = nn.Sequential(nn.Linear(hidden, width), nn.ReLU(), nn.Linear(width, hidden), nn.ReLU())

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if self.kind == "edgeconv":
            received, messages = self.conv(x, edge_index, edge_attr)
            if edge_attr is not None:
                there, back = messages.chunk(2)
                edge_attr = edge_attr + (there + back) / 2
            return self.residual(x) + received, edge_attr
        if self.kind == "gat":
            double = None if edge_attr is None else torch.cat([edge_attr, edge_attr])
            received = torch.relu(self.out(self.conv(x, edge_index, double)))
        else:
            received = self.conv(x)
        return self.residual(x) + received, None if edge_attr is None else edge_attr + self.edge(edge_attr)


class InteractionGNN(nn.Module):
    """Extracts relational features via message passing between vertices; run once, before the grouping loop.

    A stack of layers (EdgeConv, GAT or FC), then a three-layer MLP with dropout on the nodes.

    Args:
        in_channels: size of `node_features`.
        num_types: K.
        reading: ``literal`` or ``pairwise``.
        interaction: ``edgeconv``, ``gat`` or ``fc`` (no message passing at all).
        layers, hidden: depth and width. Choice: 3 x 64; the paper's text gives only the 64-D result.
        aggregation, edge_mlp: of EdgeConv.
        edge_start: of `PairFeatures`.
        dropout: of the MLP.

    Shapes:
        Graph (x (N, in_channels)), Candidates (N) -> Graph (x (N, hidden), edge_attr (E, hidden) or None).

    Raises:
        ValueError: unknown reading or interaction.

    Paper: sec. 3.1, Fig. 3.
    """

    def __init__(
        self,
        in_channels: int,
        num_types: int,
        *,
        reading: str = "pairwise",
        interaction: str = "edgeconv",
        layers: int = 3,
        hidden: int = 64,
        aggregation: str = "max",
        edge_mlp: int = 1,
        edge_start: str = "full",
        dropout: float = 0.1,
    ):
        super().__init__()
        if reading not in READINGS:
            raise ValueError(f"reading: expected one of {READINGS}, got {reading!r}")
        if interaction not in INTERACTIONS:
            raise ValueError(f"interaction: expected one of {INTERACTIONS}, got {interaction!r}")
        if aggregation not in ("max", "mean"):
            raise ValueError(f"aggregation: expected max or mean, got {aggregation!r}")
        pairwise = reading == "pairwise"
        self.start = PairFeatures(num_types, hidden, edge_start) if pairwise else None
        widths = [in_channels] + [hidden] * layers
        self.layers = nn.ModuleList(
            InteractionLayer(interaction, width, hidden, pairwise, aggregation, edge_mlp) for width in widths[:-1]
        )
        self.mlp = three_layer_mlp(widths[-1], hidden, hidden, hidden, dropout)

    def forward(self, graph: Graph, candidates: Candidates) -> Graph:
        edge_index = graph.both_directions()
        x, edge_attr = graph.x, None
        if self.start is not None:
            edge_attr = self.start(candidates, graph.edge_index)
        for layer in self.layers:
            x, edge_attr = layer(x, edge_index, edge_attr)
        return graph.replace(x=self.mlp(x), edge_attr=edge_attr)


def three_layer_mlp(inputs: int, first: int, second: int, outputs: int, dropout: float) -> nn.Sequential:
    """The paper's "three-layer MLP with Dropout". Paper: sec. 3.1, 3.2."""
    return nn.Sequential(
        nn.Linear(inputs, first), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(first, second), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(second, outputs),
    )  # fmt: skip
