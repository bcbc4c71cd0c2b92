"""Solutions of notebook 00, start here. Written for reading: plain loops, one step a line."""

from itertools import combinations

from hggbook.workbook.solutions import Solution


def count_edges(types: list[int]) -> int:
    """Edges of one image's full graph: pairs of candidates of different type. Paper: sec. 3.1 (graph construction)."""
    return sum(a != b for a, b in combinations(types, 2))


def pair_f1(person: list[int], truth: list[int]) -> float:
    """F1 of the pairs of candidates put together. Not in the paper: it reports AP only.

    Args:
        person: the group that each candidate was put in.
        truth: the person it belongs to.

    Returns:
        2 TP / (2 TP + FP + FN); 1 if no pair is claimed and none is true.
    """
    tp = fp = fn = 0
    for i, j in combinations(range(len(person)), 2):
        claimed, true = person[i] == person[j], truth[i] == truth[j]
        tp += claimed and true
        fp += claimed and not true
        fn += true and not claimed
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0


def _precision(person, truth):
    claimed = [truth[i] == truth[j] for i, j in combinations(range(len(person)), 2) if person[i] == person[j]]
    return sum(claimed) / len(claimed) if claimed else 1.0


def _accuracy(person, truth):
    pairs = list(combinations(range(len(person)), 2))
    right = [(person[i] == person[j]) == (truth[i] == truth[j]) for i, j in pairs]
    return sum(right) / len(right) if right else 1.0


SOLUTIONS = {
    "00.e1": Solution(
        count_edges,
        {
            "every pair": lambda types: len(types) * (len(types) - 1) // 2,
            "pairs of types": lambda types: len(set(types)) * (len(set(types)) - 1) // 2,
            "every edge twice": lambda types: 2 * count_edges(types),
            "pairs of the same type": lambda types: sum(a == b for a, b in combinations(types, 2)),
        },
    ),
    "00.e2": Solution(
        pair_f1,
        {
            "precision": _precision,
            "recall": lambda person, truth: _precision(truth, person),
            "accuracy of the pairs": _accuracy,
            "candidates whose number is right": lambda person, truth: (
                sum(a == b for a, b in zip(person, truth)) / len(person) if person else 1.0
            ),
        },
    ),
    "00.e3": Solution(
        (2.8, 2.0),
        {
            "with multi-scale testing": (10.7, 2.0),
            "the gain of AR": (2.7, 2.1),
            "what the edge discriminator adds to #3": (2.8, 1.4),
            "the gain alone": (2.8,),
        },
    ),
}
