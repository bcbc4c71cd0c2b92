"""Solutions of notebook 05, graclus. Written for reading: plain loops, one step a line."""

import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution


def match(edge_index: Tensor, weight: Tensor, order: list[int]) -> Tensor:
    """Graclus by its sequential definition. Paper: sec. 3.2.

    Args:
        edge_index: (2, E) int64, both directions of every edge.
        weight: (E,) float, the same for both directions.
        order: the nodes in the order in which they are visited.

    Returns:
        (N,) int64, for each node the smaller index of its pair, its own where it stays alone.
    """
    cluster = torch.full((len(order),), -1)
    for node in order:
        if cluster[node] >= 0:
            continue
        cluster[node] = node
        best, best_weight = None, None
        for neighbour, value in _neighbours(edge_index, weight, node):
            free = cluster[neighbour] < 0
            if free and value >= 0 and (best is None or value > best_weight):
                best, best_weight = neighbour, value
        if best is not None:
            cluster[node] = cluster[best] = min(node, best)
    return cluster


def mutual(edge_index: Tensor, weight: Tensor, num_nodes: int) -> Tensor:
    """One round that merges only pairs that are each other's heaviest neighbour. Not in the paper: our default.

    Returns:
        (N,) int64, for each node the smaller index of its pair, its own where it stays alone.
    """
    favourite = [_heaviest(edge_index, weight, node) for node in range(num_nodes)]
    cluster = torch.arange(num_nodes)
    for node, other in enumerate(favourite):
        if other is not None and favourite[other] == node:
            cluster[node] = min(node, other)
    return cluster


def _neighbours(edge_index, weight, node):
    rows = (edge_index[0] == node).nonzero()[:, 0]
    return [(int(edge_index[1, row]), float(weight[row])) for row in rows]


def _heaviest(edge_index, weight, node):
    admissible = [(value, other) for other, value in _neighbours(edge_index, weight, node) if value >= 0]
    return max(admissible)[1] if admissible else None


def _match_with(edge_index, weight, order, *, negative=False, lightest=False, label=min, rematch=False):
    """`match` with one mistake in it."""
    cluster = torch.full((len(order),), -1)
    for node in order:
        if cluster[node] >= 0 and not rematch:
            continue
        options = [
            (-value if lightest else value, other)
            for other, value in _neighbours(edge_index, weight, node)
            if (cluster[other] < 0 or rematch) and (value >= 0 or negative)
        ]
        other = max(options)[1] if options else node
        cluster[node] = cluster[other] = label(node, other)
    return cluster


def _one_sided(edge_index, weight, num_nodes):
    cluster = torch.arange(num_nodes)
    for node in range(num_nodes):
        other = _heaviest(edge_index, weight, node)
        if other is not None:
            cluster[node] = min(node, other)
    return cluster


def _mutual_with_negative(edge_index, weight, num_nodes):
    return mutual(edge_index, weight + 10, num_nodes)


def _heaviest_first(edge_index, weight, num_nodes):
    cluster = torch.full((num_nodes,), -1)
    for row in weight.argsort(descending=True).tolist():
        a, b = edge_index[:, row].tolist()
        if weight[row] >= 0 and cluster[a] < 0 and cluster[b] < 0:
            cluster[a] = cluster[b] = min(a, b)
    return torch.where(cluster < 0, torch.arange(num_nodes), cluster)


SOLUTIONS = {
    "05.e1": Solution(
        match,
        {
            "matches negative weights": lambda e, w, order: _match_with(e, w, order, negative=True),
            "takes the lightest neighbour": lambda e, w, order: _match_with(e, w, order, lightest=True),
            "labels a pair by its larger index": lambda e, w, order: _match_with(e, w, order, label=max),
            "matches a node twice": lambda e, w, order: _match_with(e, w, order, rematch=True),
            "ignores the visiting order": lambda e, w, order: match(e, w, sorted(order)),
            "changes its input": lambda e, w, order: match(e, w.clamp_(max=0.5), order),
        },
    ),
    "05.e2": Solution(
        mutual,
        {
            "merges with the favourite even if it prefers another": _one_sided,
            "matches negative weights": _mutual_with_negative,
            "goes on until nothing can merge": _heaviest_first,
        },
    ),
    "05.e3": Solution(
        ([1.0, 2.0, 3.0], [0, 1, 2, 3], [1, 0, 2, 3]),
        {
            "orders that give the same pairs": ([1.0, 3.0, 2.0], [1, 0, 2, 3], [2, 1, 0, 3]),
            "an order that misses a node": ([1.0, 2.0, 3.0], [0, 1, 2], [1, 0, 2, 3]),
            "a negative weight": ([1.0, -2.0, 3.0], [0, 1, 2, 3], [1, 0, 2, 3]),
            "four weights for three edges": ([1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3], [1, 0, 2, 3]),
        },
    ),
}
