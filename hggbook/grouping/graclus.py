"""Graclus matching: pairs every node with one neighbour, by (approximately) maximising the edge weights.

Written here because PyG's `graclus` needs `pyg-lib`, which PyPI does not carry, and because the one in common use draws
its own random order, is not reproducible, and can hang on a GPU when weights are negative.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch_geometric.nn.pool.select import Select, SelectOutput

ORDERS = ("random", "heaviest", "mutual")


def graclus(
    edge_index: Int64[Tensor, "2 E"],
    weight: Float[Tensor, "_"] | None = None,
    num_nodes: int | None = None,
    *,
    order: str = "random",
    generator: torch.Generator | None = None,
    rank: Int64[Tensor, "_"] | None = None,
) -> Int64[Tensor, "N"]:
    """Matches each vertex with at most one neighbour by (approximately) maximising the edge weights.

    ``random`` (Dhillon et al. 2007, and the paper): visit the nodes in random order; an unmatched node takes its
    heaviest unmatched neighbour. ``heaviest``: go through the edges from the heaviest down, take an edge if both its
    nodes are free. ``mutual``: match only pairs that are each other's heaviest neighbour ("the most confident pairs").
    The first two give a maximal matching (no usable edge is left between two unmatched nodes), ``mutual`` does not.

    An edge of negative (or NaN) weight is never matched, one of weight 0 can be: what the implementation in common use
    does, and why logits as weights cut every edge of probability under one half. Ties are broken by the lower pair of
    node indices.

    How: each order is a *total order of the edges*. For ``random`` it is (visiting rank of the earlier end, weight),
    for the others the weight. An edge that comes first among all edges at both of its ends must be taken by the
    sequential definition; so all such edges are matched at once, their nodes removed, and so on until no edge is left
    (``mutual`` stops after the first sweep). The result equals the sequential one, without a loop over nodes.

    Args:
        edge_index: (2, E) node pairs, one or both directions of each edge; self-loops are ignored.
        weight: (E,) edge weights; both directions of an edge must agree. Default: all equal, and under ``random`` a
            random neighbour is taken.
        num_nodes: N; default: the largest index + 1.
        order: ``random``, ``heaviest`` or ``mutual``.
        generator: source of randomness of ``random``, on the CPU (so that all devices agree); default: torch's own.
        rank: (N,) visiting rank of each node for ``random``, lowest first; replaces the generator. Equal ranks: the
            lower index first.

    Returns:
        (N,) int64 cluster of each node: the smaller index of its pair, or its own if unmatched (PyG's convention).

    Raises:
        ValueError: unknown order, or shapes that do not fit.

    Paper: sec. 3.1 ("we use graclus clustering [9] to match each vertex with its neighbors").
    """
    if order not in ORDERS:
        raise ValueError(f"order: expected one of {ORDERS}, got {order!r}")
    if edge_index.dim() != 2 or edge_index.shape[0] != 2:
        raise ValueError(f"edge_index: expected shape (2, E), got {tuple(edge_index.shape)}")
    device = edge_index.device
    num_edges = edge_index.shape[1]
    if num_nodes is None:
        num_nodes = int(edge_index.max()) + 1 if num_edges else 0
    if weight is not None and weight.shape != (num_edges,):
        raise ValueError(f"weight: expected shape ({num_edges},), one per edge, got {tuple(weight.shape)}")
    if rank is not None and rank.shape != (num_nodes,):
        raise ValueError(f"rank: expected shape ({num_nodes},), one per node, got {tuple(rank.shape)}")

    low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
    usable = low != high
    if weight is None:
        weight = torch.zeros(num_edges, device=device)
        if order == "random":  # one draw per undirected edge, so that both directions agree
            pair, inverse = torch.unique(low * num_nodes + high, return_inverse=True)
            weight = torch.rand(len(pair), generator=generator).to(device)[inverse]
    usable = usable & (weight >= 0)
    low, high, weight = low[usable], high[usable], weight[usable].detach()

    # Total order of the edges, the last sort being the first criterion: (visiting rank,) weight, pair of indices.
    by = torch.argsort(low * num_nodes + high)
    by = by[torch.argsort(weight[by], descending=True, stable=True)]
    if order == "random":
        if rank is None:
            visit = torch.randperm(num_nodes, generator=generator).to(device)
        else:
            visit = torch.empty(num_nodes, dtype=torch.int64, device=device)
            visit[torch.argsort(rank, stable=True)] = torch.arange(num_nodes, device=device)
        by = by[torch.argsort(torch.minimum(visit[low], visit[high])[by], stable=True)]
    low, high = low[by], high[by]

    cluster = torch.arange(num_nodes, device=device)
    free = torch.ones(num_nodes, dtype=torch.bool, device=device)
    while low.numel():
        turn = torch.arange(low.numel(), device=device)
        first = torch.full((num_nodes,), low.numel(), dtype=torch.int64, device=device)
        first.scatter_reduce_(0, low, turn, "amin").scatter_reduce_(0, high, turn, "amin")
        # A repeated edge (its other direction) has a later turn than its twin and is dropped with it.
        taken = (first[low] == turn) & (first[high] == turn)
        cluster[high[taken]] = low[taken]
        if order == "mutual":
            break
        free[low[taken]] = False
        free[high[taken]] = False
        left = free[low] & free[high]
        low, high = low[left], high[left]
    return cluster


class GraclusSelect(Select):
    """`graclus` as a selection operator of PyG's select-reduce-connect pooling, for use where `pyg-lib` is missing.

    Args:
        order: as in `graclus`.
        generator: as in `graclus`.

    Paper: sec. 3.1.
    """

    def __init__(self, order: str = "random", generator: torch.Generator | None = None):
        super().__init__()
        self.order = order
        self.generator = generator

    def forward(
        self,
        edge_index: Int64[Tensor, "2 E"],
        weight: Float[Tensor, "E"] | None = None,
        num_nodes: int | None = None,
    ) -> SelectOutput:
        """Assigns each node to a cluster; clusters are consecutive from 0, in order of their smallest node."""
        cluster = graclus(edge_index, weight, num_nodes, order=self.order, generator=self.generator)
        number, cluster_index = torch.unique(cluster, return_inverse=True)
        node_index = torch.arange(len(cluster), device=cluster.device)
        return SelectOutput(node_index, num_nodes=len(cluster), cluster_index=cluster_index, num_clusters=len(number))
