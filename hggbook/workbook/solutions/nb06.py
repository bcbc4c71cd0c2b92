"""Solutions of notebook 06, hierarchical grouping. Written for reading: plain loops, one step a line."""

import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution


def aggregate(x: Tensor, count: Tensor, cluster: Tensor) -> Tensor:
    """Features of the macro-nodes: the mean over all member candidates. Paper: sec. 3.1 (feature aggregation).

    Args:
        x: (N, F) features of the nodes.
        count: (N,) candidates that each node holds.
        cluster: (N,) macro-node of each node, from 0.

    Returns:
        (number of clusters, F).
    """
    macro = []
    for c in range(int(cluster.max()) + 1):
        members = cluster == c
        share = count[members] / count[members].sum()
        macro.append((share[:, None] * x[members]).sum(dim=0))
    return torch.stack(macro)


def prune(edge_index: Tensor, types: Tensor) -> Tensor:
    """Which edges stay: those between nodes that share no keypoint type. Paper: sec. 3.1 (graph pruning).

    Args:
        edge_index: (2, E).
        types: (N,) bit ``k`` is set if the node holds a candidate of type ``k``.

    Returns:
        (E,) bool.
    """
    i, j = edge_index
    return (types[i] & types[j]) == 0


def group(x: list[float], types: list[int], limit: float) -> list[int]:
    """OHGC with mutual-best merging on one image, one feature a candidate. Paper: algorithm 1.

    Args:
        x: a feature for each candidate.
        types: keypoint type of each.
        limit: two nodes score ``limit - |difference of their means|``; the cut is at 0.

    Returns:
        For each candidate the smallest index in its cluster.
    """
    nodes = [[i] for i in range(len(x))]
    while True:
        scores = {}
        for i, a in enumerate(nodes):
            for j, b in enumerate(nodes[:i]):
                if not {types[m] for m in a} & {types[m] for m in b}:
                    scores[j, i] = limit - abs(_mean(a, x) - _mean(b, x))
        pairs = _mutual(scores, nodes)
        if not pairs:
            break
        merged = {i for pair in pairs for i in pair}
        alone = [node for i, node in enumerate(nodes) if i not in merged]
        nodes = sorted(alone + [sorted(nodes[i] + nodes[j]) for i, j in pairs])
    label = {m: node[0] for node in nodes for m in node}
    return [label[i] for i in range(len(x))]


def _mean(members, x):
    return sum(x[m] for m in members) / len(members)


def _mutual(scores, nodes):
    """The pairs that are each other's best, of those that score 0 or more."""
    best = {}
    for (i, j), score in scores.items():
        for node, other in ((i, j), (j, i)):
            if score >= 0 and (node not in best or score > best[node][0]):
                best[node] = (score, other)
    return [(i, j) for i, j in scores if i in best and j in best and best[i][1] == j and best[j][1] == i]


def _heaviest(scores, nodes):
    pairs, taken = [], set()
    for i, j in sorted(scores, key=scores.get, reverse=True):
        if scores[i, j] >= 0 and not {i, j} & taken:
            pairs.append((i, j))
            taken |= {i, j}
    return pairs


def _loop(x, types, limit, *, by_parts=False, pruning=True, once=False, delete=False, match=_mutual):
    """`group`, with room for one mistake."""
    nodes = [[i] for i in range(len(x))]
    value = dict(zip(map(tuple, nodes), x))
    gone = set()
    while True:
        scores = {}
        for i, a in enumerate(nodes):
            for j, b in enumerate(nodes[:i]):
                share = {types[m] for m in a} & {types[m] for m in b}
                cut_off = any((p, q) in gone for p in a for q in b)
                if not (share and pruning) and not cut_off:
                    scores[j, i] = limit - abs(value[tuple(a)] - value[tuple(b)])
        if delete:
            gone |= {(p, q) for (i, j), s in scores.items() if s < 0 for p in nodes[i] for q in nodes[j]}
            gone |= {(q, p) for p, q in gone}
        pairs = match(scores, nodes)
        merged = {i for pair in pairs for i in pair}
        made = [nodes[i] for i in range(len(nodes)) if i not in merged]
        for i, j in pairs:
            joined = sorted(nodes[i] + nodes[j])
            parts = (value[tuple(nodes[i])] + value[tuple(nodes[j])]) / 2
            value[tuple(joined)] = parts if by_parts else _mean(joined, x)
            made.append(joined)
        nodes = sorted(made)
        if not pairs or once:
            break
    label = {m: node[0] for node in nodes for m in node}
    return [label[i] for i in range(len(x))]


def group_by_parts(x: list[float], types: list[int], limit: float) -> list[int]:
    """`group` with the mean over the two parts instead of all members: the mistake that 06.e4 looks for."""
    return _loop(x, types, limit, by_parts=True)


def _aggregate_parts(x, count, cluster):
    return aggregate(x, torch.ones_like(count), cluster)


def _aggregate_sum(x, count, cluster):
    out = torch.zeros(int(cluster.max()) + 1, x.shape[1])
    return out.index_add(0, cluster, x * count[:, None])


def _aggregate_nodes(x, count, cluster):
    total = _aggregate_sum(x, count, cluster)
    return total / torch.bincount(cluster)[:, None]


SOLUTIONS = {
    "06.e1": Solution(
        aggregate,
        {
            "the mean over the parts": _aggregate_parts,
            "the sum over the members": _aggregate_sum,
            "divides by the number of parts": _aggregate_nodes,
            "one row a node": lambda x, count, cluster: aggregate(x, count, cluster)[cluster],
        },
    ),
    "06.e2": Solution(
        prune,
        {
            "only equal sets of types": lambda edge_index, types: types[edge_index[0]] != types[edge_index[1]],
            "the edges that go": lambda edge_index, types: ~prune(edge_index, types),
            "logical and": lambda edge_index, types: ~(types[edge_index[0]].bool() & types[edge_index[1]].bool()),
        },
    ),
    "06.e3": Solution(
        group,
        {
            "the mean over the parts": group_by_parts,
            "no pruning": lambda x, types, limit: _loop(x, types, limit, pruning=False),
            "one round": lambda x, types, limit: _loop(x, types, limit, once=True),
            "an edge below the cut is deleted": lambda x, types, limit: _loop(x, types, limit, delete=True),
            "a maximal matching": lambda x, types, limit: _loop(x, types, limit, match=_heaviest),
        },
    ),
    "06.e4": Solution(
        [0.0, 4.0, -10.0, 17.0],
        {
            "four equal numbers": [1.0, 1.0, 1.0, 1.0],
            "two pairs": [0.0, 1.0, 30.0, 31.0],
            "five numbers": [0.0, 4.0, -10.0, 17.0, 31.0],
        },
    ),
}
