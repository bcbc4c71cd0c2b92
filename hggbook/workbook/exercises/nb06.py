"""Exercises and questions of notebook 06, hierarchical grouping."""

from typing import Any

import torch
from torch import Tensor

from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb06 as solutions

TRIALS = 60
LIMIT = 20.0


def _nodes(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random nodes in random clusters of one to three: features (N, 2), counts (N,), cluster (N,)."""
    generator = torch.Generator().manual_seed(seed)
    clusters = 1 + seed // 12
    size = torch.randint(1, 4, (clusters,), generator=generator)
    cluster = torch.repeat_interleave(torch.arange(clusters), size)
    cluster = cluster[torch.randperm(len(cluster), generator=generator)]
    count = torch.randint(1, 6, (len(cluster),), generator=generator)
    x = torch.randint(-9, 10, (len(cluster), 2), generator=generator).float()
    return x, count, cluster


def check_aggregate(answer: Any) -> str | None:
    """Exercise 06.e1: the mean over all member candidates."""
    for seed in range(TRIALS):
        x, count, cluster = _nodes(seed)
        expected = solutions.aggregate(x, count, cluster)
        result = call(answer, x.clone(), count.clone(), cluster.clone())
        result = torch.as_tensor(result)
        situation = f"x = {x.tolist()}, count = {count.tolist()}, cluster = {cluster.tolist()}"
        if result.shape != expected.shape:
            return f"expected shape {tuple(expected.shape)}, one row a cluster, got {tuple(result.shape)}; {situation}"
        if not torch.allclose(result.float(), expected, atol=1e-4):
            return f"{situation}: expected {_rounded(expected)}, got {_rounded(result)}"
    return None


def check_prune(answer: Any) -> str | None:
    """Exercise 06.e2: edges between nodes that share no keypoint type."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        n = 2 + seed // 8
        bits = torch.rand(n, 5, generator=generator) < 0.4
        bits[torch.arange(n), torch.randint(0, 5, (n,), generator=generator)] = True  # no node is without a type
        types = (bits.long() << torch.tensor([0, 1, 5, 11, 40])).sum(dim=1)
        edge_index = torch.triu_indices(n, n, 1)
        expected = solutions.prune(edge_index, types)
        result = torch.as_tensor(call(answer, edge_index.clone(), types.clone()))
        if result.shape != expected.shape or result.dtype != torch.bool:
            return f"expected {len(expected)} bools, got shape {tuple(result.shape)} of {result.dtype}"
        if wrong := (result != expected).nonzero()[:, 0].tolist():
            i, j = edge_index[:, wrong[0]].tolist()
            held = " and ".join(f"{[b for b in range(41) if int(types[k]) >> b & 1]}" for k in (i, j))
            verb = "stay" if expected[wrong[0]] else "go"
            return f"the edge between nodes with the types {held} must {verb}"
    return None


def check_group(answer: Any) -> str | None:
    """Exercise 06.e3: the whole loop on small random images, and on the six candidates of the notebook."""
    images = [([0.0, 4.0, -10.0, 17.0, 31.0, 37.0], [0, 1, 2, 3, 0, 3])]
    images += [_image(seed) for seed in range(TRIALS)]
    for x, types in images:
        expected = solutions.group(x, types, LIMIT)
        result = [int(label) for label in call(answer, list(x), list(types), LIMIT)]
        if result != expected:
            return f"x = {x}, types = {types}, limit = {LIMIT}: expected {expected}, got {result}"
    return None


def _image(seed: int) -> tuple[list[float], list[int]]:
    """One to eight candidates of up to three people. No two scores of a round are equal, but for rare accidents."""
    generator = torch.Generator().manual_seed(seed)
    n = 1 + seed // 8
    person = torch.randint(0, 3, (n,), generator=generator)
    x = 30 * person + 14 * torch.randn(n, generator=generator, dtype=torch.float64)
    return [round(value, 3) for value in x.tolist()], torch.randint(0, 6, (n,), generator=generator).tolist()


def check_four(answer: Any) -> str | None:
    """Exercise 06.e4: features for which the two means give different people."""
    features = [float(value) for value in answer]
    if len(features) != 4:
        return f"expected four numbers, got {len(features)}"
    members = solutions.group(features, [0, 1, 2, 3], LIMIT)
    parts = solutions.group_by_parts(features, [0, 1, 2, 3], LIMIT)
    return f"both means give the clusters {members}" if members == parts else None


def _rounded(rows: Tensor) -> list:
    return [[round(value, 3) for value in row] for row in rows.tolist()]


EXERCISES = (
    Exercise(
        "06.e1",
        "Write aggregate(x, count, cluster): the features of the macro-nodes, averaged over all member candidates.",
        check_aggregate,
        (
            "A node of three candidates must weigh three times as much as a node of one.",
            "x * count[:, None] gives sums over candidates; add them up by cluster.",
            "torch.zeros(clusters, F).index_add(0, cluster, x * count[:, None]), divided by the counts added alike.",
        ),
    ),
    Exercise(
        "06.e2",
        "Write prune(edge_index, types): True for each edge whose two nodes share no keypoint type.",
        check_prune,
        (
            "Types are bits. Two nodes share a type if some bit is set in both.",
            "& between whole numbers keeps the bits that both have; what is it when there are none?",
            "(types[edge_index[0]] & types[edge_index[1]]) == 0",
        ),
    ),
    Exercise(
        "06.e3",
        "Write the whole loop: group(x, types, limit) returns for each candidate the smallest index in its cluster.",
        check_group,
        (
            "Keep a list of nodes, each a list of member indices; everything else follows from the members.",
            "In every round: score all pairs of nodes that share no type, find each node's best among scores >= 0, "
            "merge the pairs that chose each other. Stop when there is none.",
            "A node's value is the mean of x over its members, computed anew; edges below 0 are scored again.",
        ),
    ),
    Exercise(
        "06.e4",
        "Find four features for which the mean over members and the mean over parts give different people.",
        check_four,
        (
            "You need a node of three: a pair that merges first, then a third candidate.",
            "The fourth must be just near enough to the mean of three, and just too far from that of the two parts.",
            "Look at Anna's four candidates in the notebook.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "06.q1",
        "An edge scores below the cut in round 1. What becomes of it?",
        {
            "a": "It is deleted; its two nodes can never be in one person.",
            "b": "It sits out the round and is scored again in the next.",
            "c": "It is merged last.",
        },
        "b",
        {
            "a": "No: only a shared keypoint type deletes an edge. Anna's hip and ankle met in round 3.",
            "b": "Yes: as its nodes grow, their features change, and so does the score.",
            "c": "No: nothing that stays below the cut is ever merged.",
        },
    ),
    Question(
        "06.q2",
        "A macro-node of 5 candidates merges with one of 1. How is the new feature computed?",
        {
            "a": "5/6 of the first feature and 1/6 of the second.",
            "b": "Half of each.",
            "c": "The feature of the larger one.",
        },
        "a",
        {
            "a": "Yes: the mean over all six members weighs a node by the candidates it holds.",
            "b": "No: that is the mean over parts; the single candidate would weigh as much as five.",
            "c": "No: every member counts, also the sixth.",
        },
    ),
    Question(
        "06.q3",
        "Why can an early, easy merge save a later, hard one?",
        {
            "a": "It lowers the cut.",
            "b": "It makes the graph larger.",
            "c": "The macro-node holds more types, so wrong edges to nodes of these types are pruned.",
        },
        "c",
        {
            "a": "No: the cut stays the same in all rounds.",
            "b": "No: every merge makes the graph smaller.",
            "c": "Yes: once Ben's ankle was in Ben's node, Anna's ankle could not join it any more.",
        },
    ),
)
