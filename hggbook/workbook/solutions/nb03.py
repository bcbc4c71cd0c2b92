"""Solutions of notebook 03, graph construction. Written for reading: plain loops, one step a line."""

from collections.abc import Sequence

from hggbook.workbook.solutions import Solution


def edge_pairs(types: Sequence[int], batch: Sequence[int]) -> list[tuple[int, int]]:
    """Edges of a disjoint batch: pairs of different keypoint type in one image, the smaller node first.

    Args:
        types: keypoint type of each candidate.
        batch: image of each candidate, non-decreasing.

    Paper: sec. 3.1.
    """
    pairs = []
    for i in range(len(types)):
        for j in range(i + 1, len(types)):
            if types[i] != types[j] and batch[i] == batch[j]:
                pairs.append((i, j))
    return pairs


def balance(people: Sequence[set[int]]) -> tuple[int, int]:
    """Edges of the full graph of one image, and how many of them lie within one person.

    Args:
        people: for each person the keypoint types that were found, once each.

    Paper: sec. 3.1, sec. 3.2.
    """
    candidates = sum(len(found) for found in people)
    edges = candidates * (candidates - 1) // 2
    for kind in set().union(*people):
        same_type = sum(kind in found for found in people)
        edges -= same_type * (same_type - 1) // 2
    return edges, sum(len(found) * (len(found) - 1) // 2 for found in people)


def _ordered_pairs(types, batch):
    pairs = edge_pairs(types, batch)
    return sorted(pairs + [(j, i) for i, j in pairs])


def _all_pairs(types, batch):
    return [(i, j) for i in range(len(types)) for j in range(i + 1, len(types)) if batch[i] == batch[j]]


def _first_image_only(types, batch):
    return edge_pairs(types, [0] * len(types))


def _all_complete(people):
    m, k = len(people), max(map(len, people), default=0)
    return m * m * k * (k - 1) // 2, m * k * (k - 1) // 2


def _with_same_type(people):
    n = sum(len(found) for found in people)
    return n * (n - 1) // 2, balance(people)[1]


def _twice(people):
    edges, same = balance(people)
    return 2 * edges, 2 * same


SOLUTIONS = {
    "03.e1": Solution(
        edge_pairs,
        {
            "joins candidates of one type": _all_pairs,
            "joins candidates of different images": _first_image_only,
            "lists every edge twice": _ordered_pairs,
            "starts at the second candidate": lambda types, batch: [(i, j) for i, j in edge_pairs(types, batch) if i],
        },
    ),
    "03.e2": Solution(
        balance,
        {
            "takes every person for complete": _all_complete,
            "counts pairs of one type too": _with_same_type,
            "counts both directions": _twice,
            "gives the share and not the counts": lambda people: balance(people)[1] / max(balance(people)[0], 1),
        },
    ),
    "03.e3": Solution(
        {"nose", "left_shoulder", "right_shoulder"},
        {
            "the torso, which is not the smallest": {"left_shoulder", "right_shoulder", "left_hip", "right_hip"},
            "enough for the tree only": {"nose"},
            "enough for the bypass only": {"nose", "left_shoulder"},
            "a name that COCO does not have": {"neck", "left_shoulder", "right_shoulder"},
        },
    ),
}
