"""Solutions of notebook 02, keypoint candidates and associative embedding. Written for reading: plain loops."""

from itertools import permutations

import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution

NOBODY = 1e10  # cost of leaving a candidate without a person, as in the AE code


def peaks(heatmap: Tensor, threshold: float) -> list[tuple[int, int]]:
    """Peaks of one heatmap. Paper: sec. 3.3 ("keypoint NMS").

    Args:
        heatmap: (h, w).
        threshold: a peak is above it.

    Returns:
        Row and column of each peak, row by row. A cell is a peak if nothing in the 3 x 3 window around it is higher and
        nothing before it there, row by row, is as high.
    """
    height, width = heatmap.shape
    found = []
    for row in range(height):
        for column in range(width):
            value = heatmap[row, column]
            window = [
                (r, c)
                for r in range(max(row - 1, 0), min(row + 2, height))
                for c in range(max(column - 1, 0), min(column + 2, width))
            ]
            higher = any(heatmap[cell] > value for cell in window)
            before = any(heatmap[cell] == value for cell in window if cell < (row, column))
            if value > threshold and not higher and not before:
                found.append((row, column))
    return found


def gradient(embedding: Tensor, person: Tensor) -> Tensor:
    """Gradient of pull + push (the exponential one) with regard to every embedding of one image. Paper: sec. 3.3.

    Args:
        embedding: (N,).
        person: (N,) whose keypoint each one was read at; any integers.

    Returns:
        (N,).
    """
    ids = person.unique().tolist()
    mean = {p: embedding[person == p].mean() for p in ids}
    size = {p: int((person == p).sum()) for p in ids}
    pairs = len(ids) * (len(ids) - 1) / 2
    found = torch.zeros_like(embedding)
    for i, p in enumerate(person.tolist()):
        # through the mean as well, but these parts cancel: deviations from a mean add up to zero
        found[i] = 2 * (embedding[i] - mean[p]) / size[p] / len(ids)
        for q in ids:
            if q != p:
                gap = mean[p] - mean[q]
                found[i] -= gap * torch.exp(-(gap**2)) / pairs / size[p]
    return found


def one_type(
    embeddings: list[float], scores: list[float], means: list[float], threshold: float = 1.0
) -> list[int | None]:
    """One step of AE's greedy grouping: the candidates of one keypoint type meet the people so far.

    Args:
        embeddings: of the candidates.
        scores: of the candidates.
        means: of the people, one or more.
        threshold: distances from it on are refused.

    Returns:
        For each candidate the person that it joins, None if it starts one.

    Paper: sec. 4 (the AE baseline, [29]).
    """
    cost = costs(embeddings, scores, means)
    chosen = min(permutations(range(len(cost[0])), len(cost)), key=lambda columns: total(cost, columns))
    return [
        person if person < len(means) and abs(embedding - means[person]) < threshold else None
        for embedding, person in zip(embeddings, chosen)
    ]


def costs(embeddings: list[float], scores: list[float], means: list[float]) -> list[list[float]]:
    """The matrix of costs, a row for each candidate; with columns for nobody if there are more candidates than people.

    Paper: sec. 4 (the AE baseline, [29]).
    """
    nobody = [NOBODY] * (len(embeddings) - len(means))
    return [[100 * round(abs(e - mean)) - s for mean in means] + nobody for e, s in zip(embeddings, scores)]


def total(cost: list[list[float]], columns: tuple[int, ...]) -> float:
    """What an assignment costs. Not in the paper: bookkeeping."""
    return sum(row[column] for row, column in zip(cost, columns))


def _peaks_with(heatmap, threshold, *, keep=lambda value, others: value >= max(others), diagonal=True):
    """`peaks` with another rule for ties, or fewer neighbours."""
    height, width = heatmap.shape
    found = []
    for row in range(height):
        for column in range(width):
            window = [
                (r, c)
                for r in range(max(row - 1, 0), min(row + 2, height))
                for c in range(max(column - 1, 0), min(column + 2, width))
                if (r, c) != (row, column) and (diagonal or r == row or c == column)
            ]
            value, others = float(heatmap[row, column]), [float(heatmap[cell]) for cell in window]
            if value > threshold and keep(value, others):
                found.append((row, column))
    return found


def _gradient_with(embedding, person, *, pull=1.0, push=1.0, per_person=True, pairs=True, size=True):
    """`gradient` with one mistake in it."""
    ids = person.unique().tolist()
    mean = {p: embedding[person == p].mean() for p in ids}
    found = torch.zeros_like(embedding)
    for i, p in enumerate(person.tolist()):
        count = int((person == p).sum()) if size else 1
        number = len(ids) if per_person else 1
        found[i] = pull * 2 * (embedding[i] - mean[p]) / number / int((person == p).sum())
        for q in ids:
            if q != p:
                gap = mean[p] - mean[q]
                number = len(ids) * (len(ids) - 1) / 2 if pairs else 1
                found[i] -= push * gap * torch.exp(-(gap**2)) / number / count
    return found


def _one_type_with(embeddings, scores, means, threshold=1.0, *, rounded=round, score=True, refuse=abs, free=False):
    """`one_type` with one mistake in it."""
    nobody = [NOBODY] * (len(embeddings) - len(means))
    cost = [
        [100 * rounded(abs(e - mean)) - (s if score else 0) for mean in means] + nobody
        for e, s in zip(embeddings, scores)
    ]
    if free:
        chosen = [min(range(len(means)), key=lambda person: row[person]) for row in cost]
    else:
        chosen = min(permutations(range(len(cost[0])), len(cost)), key=lambda columns: total(cost, columns))
    return [
        person if person < len(means) and refuse(embedding - means[person]) < threshold else None
        for embedding, person in zip(embeddings, chosen)
    ]


def _by_score(embeddings, scores, means, threshold=1.0):
    """Candidates choose one after another, the surest first: greedy, where an assignment is asked for."""
    cost, taken = costs(embeddings, scores, means), set()
    found = [None] * len(embeddings)
    for i in sorted(range(len(embeddings)), key=lambda i: -scores[i]):
        left = [person for person in range(len(means)) if person not in taken]
        if left:
            person = min(left, key=lambda person: cost[i][person])
            taken.add(person)
            found[i] = person if abs(embeddings[i] - means[person]) < threshold else None
    return found


SOLUTIONS = {
    "02.e1": Solution(
        peaks,
        {
            "keeps every cell of a plateau": _peaks_with,
            "loses plateaus altogether": lambda h, t: _peaks_with(h, t, keep=lambda v, others: v > max(others)),
            "looks at four neighbours": lambda h, t: _peaks_with(
                h, t, diagonal=False, keep=lambda v, others: v > max(others)
            ),
            "forgets the rim": lambda h, t: [
                (r, c) for r, c in peaks(h, t) if 0 < r < h.shape[0] - 1 and 0 < c < h.shape[1] - 1
            ],
            "forgets the threshold": lambda h, t: peaks(h, -1.0),
            "keeps a peak at the threshold": lambda h, t: peaks(h, t - 1e-3),
            "column first": lambda h, t: [(c, r) for r, c in peaks(h, t)],
        },
    ),
    "02.e2": Solution(
        gradient,
        {
            "pull only": lambda e, p: _gradient_with(e, p, push=0.0),
            "push only": lambda e, p: _gradient_with(e, p, pull=0.0),
            "push attracts": lambda e, p: _gradient_with(e, p, push=-1.0),
            "forgets the factor 1/2 of push": lambda e, p: _gradient_with(e, p, push=2.0),
            "does not divide pull by the people": lambda e, p: _gradient_with(e, p, per_person=False),
            "does not divide push by the pairs": lambda e, p: _gradient_with(e, p, pairs=False),
            "moves one embedding as if it were the mean": lambda e, p: _gradient_with(e, p, size=False),
            "the way downhill": lambda e, p: -gradient(e, p),
        },
    ),
    "02.e3": Solution(
        one_type,
        {
            "several candidates join one person": lambda *given: _one_type_with(*given, free=True),
            "does not round": lambda *given: _one_type_with(*given, rounded=float),
            "cuts instead of rounding": lambda *given: _one_type_with(*given, rounded=int),
            "leaves the scores out": lambda *given: _one_type_with(*given, score=False),
            "refuses by the rounded distance": lambda *given: _one_type_with(*given, refuse=lambda d: round(abs(d))),
            "refuses by the signed distance": lambda *given: _one_type_with(*given, refuse=lambda d: d),
            "the surest candidate chooses first": _by_score,
        },
    ),
    "02.e4": Solution(
        ([0.7, -0.7, 0.0], [5.0, 5.0, 5.0]),
        {
            "grouped rightly": ([0.0, 0.1, 0.2], [5.0, 5.0, 5.0]),
            "an embedding too far from its mean": ([0.0, 1.5, 0.0], [5.0, 5.0, 5.0]),
            "means too near to each other": ([0.7, -0.7, 0.0], [1.5, 1.5, 1.5]),
            "two embeddings for three types": ([0.7, -0.7], [5.0, 5.0]),
            "not a number": ([float("nan"), -0.7, 0.0], [5.0, 5.0, 5.0]),
        },
    ),
}
