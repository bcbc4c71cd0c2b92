"""Solutions of notebook 05, graclus. Written for reading: plain loops, one step a line."""

import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution


def match(edge_index: Tensor, weight: Tensor, order: list[int]) -> Tensor:
    """Graclus by its sequential definition. Paper: sec. 3.1.

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


def heaviest(edge_index: Tensor, weight: Tensor, num_nodes: int) -> Tensor:
    """A matching from the heaviest edge down. Not in the paper: what its word "maximizing" would ask for.

    Returns:
        (N,) int64, for each node the smaller index of its pair, its own where it stays alone.
    """
    cluster = torch.arange(num_nodes)
    free = [True] * num_nodes
    for row in weight.argsort(descending=True).tolist():
        a, b = edge_index[:, row].tolist()
        if weight[row] >= 0 and free[a] and free[b]:
            cluster[a] = cluster[b] = min(a, b)
            free[a] = free[b] = False
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


def _heaviest_with(edge_index, weight, num_nodes, *, negative=False, lightest=False, label=min, rematch=False):
    """`heaviest` with one mistake in it."""
    cluster = torch.arange(num_nodes)
    free = [True] * num_nodes
    for row in weight.argsort(descending=not lightest).tolist():
        a, b = edge_index[:, row].tolist()
        if (weight[row] >= 0 or negative) and ((free[a] and free[b]) or rematch):
            cluster[a] = cluster[b] = label(a, b)
            free[a] = free[b] = False
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


SOLUTIONS = {
    "05.e1": Solution(
        heaviest,
        {
            "matches negative weights": lambda e, w, n: _heaviest_with(e, w, n, negative=True),
            "starts with the lightest edge": lambda e, w, n: _heaviest_with(e, w, n, lightest=True),
            "labels a pair by its larger index": lambda e, w, n: _heaviest_with(e, w, n, label=max),
            "matches a node twice": lambda e, w, n: _heaviest_with(e, w, n, rematch=True),
            "visits the nodes in order instead of the edges": lambda e, w, n: match(e, w, list(range(n))),
            "stops after the mutual favourites": mutual,
            "changes its input": lambda e, w, n: heaviest(e, w.clamp_(max=0.99), n),
        },
    ),
    "05.e2": Solution(
        mutual,
        {
            "merges with the favourite even if it prefers another": _one_sided,
            "matches negative weights": _mutual_with_negative,
            "goes on until nothing can merge": heaviest,
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
    "05.e4": Solution(
        [1.0, 1.01, 1.0],
        {
            "the middle edge is far too heavy": [1.0, 2.0, 1.0],
            "the example of the notebook": [3.0, 4.0, 3.0],
            "the middle edge is not the heaviest": [1.0, 0.99, 1.0],
            "a tie, which goes to the lower pair": [1.0, 1.0, 1.0],
        },
    ),
}
