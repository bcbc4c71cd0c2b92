"""Exercises and questions of notebook 05, graclus."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb05 as solutions

TRIALS = 40


def _random_graph(seed: int) -> tuple[Tensor, Tensor, int]:
    """A random graph with half of its weights negative and no two equal: (2, 2E) edges, (2E,) weights, nodes.

    The number of nodes grows with the seed, so that the first counterexample found is a small one.
    """
    generator = torch.Generator().manual_seed(seed)
    num_nodes = 1 + seed // 6
    first, second = torch.triu_indices(num_nodes, num_nodes, 1)
    kept = torch.rand(len(first), generator=generator) < 0.6
    pair = torch.stack([first[kept], second[kept]])
    # different weights: with ties more than one answer would be right
    rank = torch.randperm(pair.shape[1], generator=generator) + torch.rand(pair.shape[1], generator=generator)
    weight = rank / max(pair.shape[1], 1) * 2 - 1
    return torch.cat([pair, pair.flip(0)], 1), torch.cat([weight, weight]), num_nodes


def _drawing(edge_index: Tensor, weight: Tensor) -> str:
    half = edge_index.shape[1] // 2
    edges = zip(edge_index[:, :half].T.tolist(), weight[:half].tolist())
    return ", ".join(f"{a}-{b}: {value:.2f}" for (a, b), value in edges) or "no edges"


def _compare(answer: Any, expected: Tensor, situation: str) -> str | None:
    if not isinstance(answer, Tensor):
        answer = torch.as_tensor(answer)
    if answer.shape != expected.shape:
        return f"expected one label a node, shape {tuple(expected.shape)}, got {tuple(answer.shape)}; {situation}"
    if answer.tolist() != expected.tolist():
        return f"{situation}: expected {expected.tolist()}, got {answer.tolist()}"
    return None


def check_heaviest(answer: Any) -> str | None:
    """Exercise 05.e1: a matching from the heaviest edge down, on random graphs."""
    return _check_labels(answer, solutions.heaviest)


def check_mutual(answer: Any) -> str | None:
    """Exercise 05.e2: one round of mutual-best merging on random graphs."""
    return _check_labels(answer, solutions.mutual)


def _check_labels(answer: Any, solution: Callable[[Tensor, Tensor, int], Tensor]) -> str | None:
    for seed in range(TRIALS):
        edge_index, weight, num_nodes = _random_graph(seed)
        given = (edge_index.clone(), weight.clone())
        result = call(answer, *given, num_nodes)
        situation = f"{num_nodes} nodes, edges {_drawing(edge_index, weight)}"
        if problem := _compare(result, solution(edge_index, weight, num_nodes), situation):
            return problem
        if not (torch.equal(given[0], edge_index) and torch.equal(given[1], weight)):
            return "your function changes its arguments; work on copies"
    return None


def check_order(answer: Any) -> str | None:
    """Exercise 05.e3: weights on the path 0-1-2-3 and two visiting orders that give different pairs."""
    weights, *orders = answer
    if len(weights) != 3 or len(orders) != 2:
        return f"expected three weights and two visiting orders, got {len(weights)} weights and {len(orders)} orders"
    for order in orders:
        if sorted(order) != [0, 1, 2, 3]:
            return f"expected every node once in a visiting order, got {list(order)}"
    if min(weights) < 0:
        return f"expected no negative weight (it would just cut the path), got {min(weights)}"
    edge_index = torch.tensor([[0, 1, 2, 1, 2, 3], [1, 2, 3, 0, 1, 2]])
    weight = torch.tensor([*weights, *weights], dtype=torch.float64)
    first, second = (solutions.match(edge_index, weight, list(order)).tolist() for order in orders)
    return f"both orders give {first}" if first == second else None


def check_half(answer: Any) -> str | None:
    """Exercise 05.e4: weights on the path 0-1-2-3 for which heaviest-first comes close to half of the best total."""
    outer, middle, other = (float(value) for value in answer)
    if min(outer, middle, other) < 0:
        return f"expected no negative weight, got {min(outer, middle, other):g}"
    best = max(outer + other, middle)
    if best == 0:
        return "with all weights zero there is nothing to lose"
    # the middle edge blocks both outer ones; ties go to the lower pair of nodes, here 0-1
    taken = middle if middle > max(outer, other) else outer + other
    if taken > 0.55 * best:
        return f"heaviest reaches {taken:g} of {best:g}, {taken / best:.0%}; expected at most 55 %"
    return None


EXERCISES = (
    Exercise(
        "05.e1",
        "Match from the heaviest edge down: heaviest(edge_index, weight, num_nodes) returns a label for each node.",
        check_heaviest,
        (
            "Sort the edges by weight, heaviest first, and keep a list of which nodes are still free.",
            "Take an edge only if both of its ends are free and its weight is not negative; then both are taken.",
            "Start with label i for node i; for every edge taken, both ends get the smaller of the two indices.",
        ),
    ),
    Exercise(
        "05.e2",
        "Write one round of mutual-best merging: mutual(edge_index, weight, num_nodes) returns a label for each node.",
        check_mutual,
        (
            "First find every node's heaviest neighbour, before anything merges.",
            "Two nodes merge only if each is the other's heaviest neighbour; all other nodes stay alone in this round.",
            "A negative weight never merges, even if it is the heaviest that a node has.",
        ),
    ),
    Exercise(
        "05.e3",
        "On the path 0-1-2-3 find three weights and two visiting orders so that graclus gives different pairs: "
        "(weights, order_a, order_b).",
        check_order,
        (
            "A node in the middle chooses between two neighbours; a node at the end has no choice.",
            "Let the order that starts at an end take edge 0-1, although 1-2 is heavier.",
            "With weights 1, 2, 3 begin once at node 0 and once at node 1.",
        ),
    ),
    Exercise(
        "05.e4",
        "On the path 0-1-2-3 find three weights for which heaviest reaches at most 55 % of the best total.",
        check_half,
        (
            "The loss is largest if one edge that is taken blocks two that are nearly as heavy.",
            "The middle edge must be the heaviest, but only just.",
            "With weights a, b, a and b a little above a the best is 2 a, and heaviest reaches b.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "05.q1",
        "A graph has 20 nodes. How many are left, at least, after one round of graclus?",
        {"a": "1", "b": "10", "c": "17"},
        "b",
        {
            "a": "No: a round makes pairs, so at best the number of nodes is halved.",
            "b": "Yes: every node merges with at most one other, so at least half of 20 are left.",
            "c": "No: 17 is the number of keypoint types of COCO and says nothing about one round.",
        },
    ),
    Question(
        "05.q2",
        "Every weight of a graph is negative. What does one round of graclus do?",
        {"a": "It pairs the least negative ones first.", "b": "It merges everything.", "c": "Nothing merges."},
        "c",
        {
            "a": "No: a negative weight never matches, however it compares with the others.",
            "b": "No: a round only makes pairs, and here not even these.",
            "c": "Yes: no edge is admissible, so every node stays alone.",
        },
    ),
    Question(
        "05.q3",
        "Why can mutual-best merging need more rounds than a maximal matching?",
        {
            "a": "It may merge a single pair in a round, so the number of nodes need not halve.",
            "b": "It visits the nodes in random order.",
            "c": "It merges more than two nodes at once.",
        },
        "a",
        {
            "a": "Yes: on a path with rising weights only the last two nodes are each other's heaviest neighbour.",
            "b": "No: mutual-best merging has no visiting order at all.",
            "c": "No: a node is the mutual best of at most one other.",
        },
    ),
)
