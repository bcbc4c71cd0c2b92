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


def paired_differences(
    ours: list[tuple[int, int, int]], theirs: list[tuple[int, int, int]], draws: list[list[int]]
) -> list[float]:
    """How much further ahead one grouper is in each bootstrap draw. Not in the paper: it gives no interval.

    Args:
        ours, theirs: for each image the true positive, false positive and false negative pairs.
        draws: for each draw the images drawn, one more than once perhaps.

    Returns:
        For each draw F1 of ours minus F1 of theirs.
    """
    found = []
    for draw in draws:
        f1 = []
        for counts in (ours, theirs):
            true_positive, false_positive, false_negative = (sum(counts[image][n] for image in draw) for n in range(3))
            f1.append(2 * true_positive / (2 * true_positive + false_positive + false_negative))
        found.append(f1[0] - f1[1])
    return found


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


def _f1(counts, draw):
    right, false, missed = (sum(counts[image][n] for image in draw) for n in range(3))
    return 2 * right / (2 * right + false + missed)


def _mean_of_images(ours, theirs, draws):
    """The mean of the images' F1 instead of F1 of their sums."""
    return [sum(_f1(ours, [i]) - _f1(theirs, [i]) for i in draw) / len(draw) for draw in draws]


def _share_of_all(ours, theirs, draws):
    """True positives among all pairs of either kind, which is not F1."""

    def share(counts, draw):
        sums = [sum(counts[image][n] for image in draw) for n in range(3)]
        return sums[0] / sum(sums)

    return [share(ours, draw) - share(theirs, draw) for draw in draws]


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
        paired_differences,
        {
            "mean of the images' F1": _mean_of_images,
            "true positives among all": _share_of_all,
            "each image once": lambda ours, theirs, draws: paired_differences(
                ours, theirs, [[*{*draw}] for draw in draws]
            ),
            "not paired": lambda ours, theirs, draws: [
                _f1(ours, draw) - _f1(theirs, other) for draw, other in zip(draws, draws[::-1])
            ],
            "theirs minus ours": lambda ours, theirs, draws: paired_differences(theirs, ours, draws),
            "one number over all draws": lambda ours, theirs, draws: paired_differences(
                ours, theirs, [[image for draw in draws for image in draw]]
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
