"""Solutions of notebook 11, crowds and runtime. Written for reading: plain loops, one step a line."""

import itertools

from hggbook.workbook.solutions import Solution


def shift(one: tuple[float, float], other: tuple[float, float], wanted: float) -> float:
    """How far to the right another box must begin for an IoU, both centred in height. Paper: sec. 4.1 (OCHuman's IoU).

    Args:
        one, other: (width, height).
        wanted: IoU.
    """
    whole = one[0] * one[1] + other[0] * other[1]
    shared = wanted * whole / (1 + wanted)  # IoU = shared / (whole - shared)
    columns = shared / min(one[1], other[1])
    return max(one[0] - columns, 0.0)


def pieces(seen: set[int], links: list[tuple[int, int]]) -> int:
    """In how many connected pieces the seen keypoints fall. Paper: sec. 3.1 ("over-segment of a person").

    Args:
        seen: keypoint types.
        links: pairs of types that the graph links.
    """
    left, number = set(seen), 0
    while left:
        number += 1
        edge = [left.pop()]
        while edge:
            here = edge.pop()
            for a, b in links:
                for one, other in ((a, b), (b, a)):
                    if one == here and other in left:
                        left.remove(other)
                        edge.append(other)
    return number


def full_edges(counts: list[int]) -> int:
    """Edges of the full graph: pairs of candidates of different types. Paper: sec. 3.1.

    Args:
        counts: candidates of each type.
    """
    total = sum(counts)
    pairs = total * (total - 1) // 2
    return pairs - sum(count * (count - 1) // 2 for count in counts)


def _share_of_the_first(one, other, wanted):
    return max(one[0] * (1 - wanted), 0.0)


def _equal_boxes(one, other, wanted):
    return one[0] * (1 - wanted) / (1 + wanted)


def _may_be_negative(one, other, wanted):
    whole = one[0] * one[1] + other[0] * other[1]
    return one[0] - wanted * whole / (1 + wanted) / min(one[1], other[1])


def _shared_over_sum(one, other, wanted):
    whole = one[0] * one[1] + other[0] * other[1]
    return max(one[0] - wanted * whole / min(one[1], other[1]), 0.0)


def _through_hidden(seen, links):
    everybody = set(seen) | {k for pair in links for k in pair}
    return pieces(everybody, links)


def _nodes_less_edges(seen, links):
    return len(seen) - sum(a in seen and b in seen for a, b in links)


def _only_linked(seen, links):
    linked = {k for a, b in links if a in seen and b in seen for k in (a, b)}
    return pieces(linked, links)


def _all_pairs(counts):
    total = sum(counts)
    return total * (total - 1) // 2


def _both_directions(counts):
    return 2 * full_edges(counts)


def _neighbouring_types(counts):
    return sum(a * b for a, b in itertools.pairwise(counts))


SOLUTIONS = {
    "11.e1": Solution(
        shift,
        {
            "the share of the first box": _share_of_the_first,
            "as if the boxes were equal": _equal_boxes,
            "may be negative": _may_be_negative,
            "IoU taken over the sum of areas": _shared_over_sum,
        },
    ),
    "11.e2": Solution(
        pieces,
        {
            "paths through hidden keypoints": _through_hidden,
            "nodes less edges": _nodes_less_edges,
            "lone keypoints are forgotten": _only_linked,
        },
    ),
    "11.e3": Solution(
        full_edges,
        {
            "pairs of one type too": _all_pairs,
            "each edge twice": _both_directions,
            "neighbouring types only": _neighbouring_types,
        },
    ),
}
