"""Solutions of notebook 09, inference and evaluation. Written for reading: plain loops."""

from hggbook.workbook.solutions import Solution


def hits(oks: list[list[float]], scores: list[float], threshold: float) -> list[bool]:
    """Which poses of an image are hits at one OKS threshold. Paper: sec. 4.1 (AP).

    Args:
        oks: a row for each pose, its OKS with each person.
        scores: of the poses, all different.
        threshold: least OKS of a hit.

    Returns:
        For each pose, in the order given, whether it is a hit.
    """
    taken, found = set(), [False] * len(scores)
    for pose in sorted(range(len(scores)), key=lambda pose: -scores[pose]):
        free = [p for p, value in enumerate(oks[pose]) if p not in taken and value >= threshold]
        if free:
            found[pose] = True
            taken.add(max(free, key=lambda p: oks[pose][p]))
    return found


def average_precision(hits: list[bool], people: int) -> float:
    """Average precision, interpolated at the recalls 0.00, 0.01, ..., 1.00. Paper: sec. 4.1 (AP).

    Args:
        hits: the surest pose first.
        people: how many there are to be found.
    """
    points, right = [], 0
    for n, hit in enumerate(hits, 1):
        right += hit
        points.append((right, right / n))
    total = 0.0
    for level in range(101):
        # recall >= level / 100, in whole numbers
        total += max((precision for right, precision in points if 100 * right >= level * people), default=0.0)
    return total / 101


def verdicts(clusters: list[int], truth: list[int]) -> dict[int, str]:
    """What became of each person. Not in the paper: it reports AP only.

    Args:
        clusters: of each candidate.
        truth: the person of each candidate.

    Returns:
        Person -> "whole", "split" (in several clusters), "merged" (with somebody else in a cluster) or "both".
    """
    found = {}
    for person in set(truth):
        mine = {cluster for cluster, owner in zip(clusters, truth) if owner == person}
        others = {cluster for cluster, owner in zip(clusters, truth) if owner != person}
        split, merged = len(mine) > 1, bool(mine & others)
        found[person] = "both" if split and merged else "split" if split else "merged" if merged else "whole"
    return found


def _hits_with(oks, scores, threshold, *, order=lambda s: -s, reuse=False, strict=False, first_choice=False):
    """`hits` with one mistake in it."""
    taken, found = set(), [False] * len(scores)
    for pose in sorted(range(len(scores)), key=lambda pose: order(scores[pose])):
        row = oks[pose]
        free = [
            p for p, value in enumerate(row) if p not in taken and (value > threshold if strict else value >= threshold)
        ]
        if first_choice:
            best = max(range(len(row)), key=lambda p: row[p], default=None)
            free = [p for p in free if p == best]
        if free:
            found[pose] = True
            if not reuse:
                taken.add(max(free, key=lambda p: row[p]))
    return found


def _first_free(oks, scores, threshold):
    """Takes any free person above the threshold instead of the nearest one."""
    taken, found = set(), [False] * len(scores)
    for pose in sorted(range(len(scores)), key=lambda pose: -scores[pose]):
        free = [p for p, value in enumerate(oks[pose]) if p not in taken and value >= threshold]
        if free:
            found[pose] = True
            taken.add(free[0])
    return found


def _points(hits, people):
    right, points = 0, []
    for n, hit in enumerate(hits, 1):
        right += hit
        points.append((right / people, right / n))
    return points


def _at_hits(hits, people):
    """The mean of the precisions at the hits, without interpolation."""
    return sum(precision for hit, (_, precision) in zip(hits, _points(hits, people)) if hit) / people


def _not_interpolated(hits, people):
    """The precision at the first place that reaches each recall, not the best from there on."""
    points = _points(hits, people)
    found = [next((p for recall, p in points if recall >= level / 100), 0.0) for level in range(101)]
    return sum(found) / 101


def _of_reached(hits, people):
    """Averages over the recalls that are reached only."""
    points = _points(hits, people)
    found = [max((p for recall, p in points if recall >= level / 100), default=None) for level in range(101)]
    found = [value for value in found if value is not None]
    return sum(found) / len(found) if found else 0.0


def _verdicts_with(clusters, truth, *, merged=True, both=True):
    found = {}
    for person, verdict in verdicts(clusters, truth).items():
        verdict = "split" if verdict == "both" and not both else verdict
        found[person] = "whole" if verdict == "merged" and not merged else verdict
    return found


def _of_the_largest(clusters, truth):
    """Looks at the cluster with most of the person's candidates only, when it asks for others."""
    found = {}
    for person in set(truth):
        mine = [cluster for cluster, owner in zip(clusters, truth) if owner == person]
        home = max(sorted(set(mine)), key=mine.count)
        merged = any(cluster == home and owner != person for cluster, owner in zip(clusters, truth))
        split = len(set(mine)) > 1
        found[person] = "both" if split and merged else "split" if split else "merged" if merged else "whole"
    return found


SOLUTIONS = {
    "09.e1": Solution(
        hits,
        {
            "in the order given": lambda *given: _hits_with(*given, order=lambda s: 0),
            "the least sure first": lambda *given: _hits_with(*given, order=lambda s: s),
            "a person may be taken twice": lambda *given: _hits_with(*given, reuse=True),
            "must pass the threshold": lambda *given: _hits_with(*given, strict=True),
            "no second choice": lambda *given: _hits_with(*given, first_choice=True),
            "takes the first free person": _first_free,
        },
    ),
    "09.e2": Solution(
        average_precision,
        {
            "mean precision at the hits": _at_hits,
            "without interpolation": _not_interpolated,
            "only the recalls that are reached": _of_reached,
            "precision of the whole list": lambda hits, people: sum(hits) / max(len(hits), 1),
            "recall of the whole list": lambda hits, people: sum(hits) / people,
            "divides by the hits instead of the people": lambda hits, people: average_precision(
                hits, max(sum(hits), 1)
            ),
        },
    ),
    "09.e3": Solution(
        verdicts,
        {
            "never merged": lambda *given: _verdicts_with(*given, merged=False),
            "never both": lambda *given: _verdicts_with(*given, both=False),
            "looks for others in the largest part only": _of_the_largest,
            "clusters and people exchanged": lambda clusters, truth: verdicts(truth, clusters),
        },
    ),
    "09.e4": Solution(
        ({0, 1, 2}, {11, 12, 13}),
        {
            "the same grouping twice": ({0, 1, 2}, {0, 1, 2}),
            "other numbers of types, another F1": ({0, 1}, {11, 12, 13}),
            "all below the waist, so that only names are exchanged": ({0, 1, 2, 3, 4, 5}, {11, 12, 13, 14, 15, 16}),
            "too small a difference": ({0}, {11}),
            "both above the waist": ({0, 1, 2, 3, 4, 5}, {5, 6, 7, 8, 9, 10}),
            "no such type": ({0, 1, 2, 3, 4, 5}, {12, 13, 14, 15, 16, 17}),
        },
    ),
}
