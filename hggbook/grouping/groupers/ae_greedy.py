"""The baseline: greedy grouping by embedding distance, one keypoint type after another, as the AE code does it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hggbook.types import Candidates, PairScores

_NEVER = 1e10  # cost of leaving a candidate without a person


@dataclass(frozen=True)
class AEGreedy:
    """Associative embedding's grouping, rule for rule.

    In each image, types are visited in ``order``, the candidates of a type by falling score (equal scores: as given).

    1. While there is nobody yet, every candidate of the type starts a person.
    2. Later, a person's embedding is the mean of its members' (float32), a candidate's distance to it is the root mean
       square over the d channels, and the cost of a pair is ``100 * round(distance) - score``, halves rounded to even.
       If candidates outnumber people, dummy people of cost 1e10 are added. `munkres` gives the cheapest assignment.
    3. A pair is accepted if its distance, not rounded, is below ``threshold``; otherwise the candidate starts a person.
    4. A type is left out altogether once there are ``max_people`` or more; one type may still overshoot.
    5. People are looked up by the first channel of the embedding that started them. So if a candidate is to start a
       person and one was started by exactly that number before, it joins that person instead: it takes the place of the
       member of its type, if any (that one is then in no person), and the person's embedding becomes the candidate's
       alone. (A side effect of the code that also merges people; kept because this is the published baseline.)

    Attributes:
        order: the types in the order of visiting, e.g. ``Skeleton.greedy_order``; types not named stay ungrouped.
        threshold: largest distance, exclusive.
        detection_threshold: candidates at or below this score stay ungrouped; None takes them all, for candidates
            that come out of `propose`, which applies the AE code's 0.1 itself.
        max_people: 30 in the AE code (``ignore_too_much``); None for no limit.

    Choice: ties. Rounding makes them common: costs differ by the score alone, which adds up to the same total however
    near people are shared out. The result is then decided by the order in which the solver looks for zeros, so the
    solver is the AE code's, Munkres' algorithm, and not a faster one with another habit.

    Paper: sec. 4 (the AE baseline, [29]).
    """

    order: tuple[int, ...]
    threshold: float = 1.0
    detection_threshold: float | None = None
    max_people: int | None = 30

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]:
        """Person of each candidate, -1 for those left out; ``scores`` is not looked at: the embeddings decide.

        People are numbered image by image, within an image in the order in which they were started.

        Raises:
            ValueError: a score or an embedding is not a finite number.
        """
        embedding = candidates.embedding.detach().float().cpu().numpy()
        score = candidates.score.detach().float().cpu().numpy().astype(np.float64)
        kind = candidates.type.cpu().numpy()
        if not (np.isfinite(embedding).all() and np.isfinite(score).all()):
            raise ValueError("candidates: expected finite scores and embeddings, got NaN or infinity")
        ends = torch.bincount(candidates.batch, minlength=candidates.num_images).cumsum(0).tolist()
        person = np.full(len(candidates), -1, dtype=np.int64)
        people = 0
        for start, end in zip([0, *ends], ends):
            members = self._group(kind[start:end], score[start:end], embedding[start:end])
            for rows in members:
                person[start + np.asarray(rows)] = people
                people += 1
        return torch.from_numpy(person).to(candidates.batch.device)

    def _group(self, kind, score, embedding):
        """Groups one image: for each person the rows of its members."""
        limit = np.inf if self.max_people is None else self.max_people
        members: dict[float, dict[int, int]] = {}  # person's key -> type -> row
        seen: dict[float, list[np.ndarray]] = {}  # person's key -> embeddings that its mean is taken over
        floor = -np.inf if self.detection_threshold is None else self.detection_threshold
        for this in self.order:
            rows = np.flatnonzero((kind == this) & (score > floor))
            rows = rows[np.argsort(-score[rows], kind="stable")]
            if len(members) >= limit or not len(rows):
                continue
            accepted = {}
            keys = list(members)
            if keys:
                mean = np.stack([np.mean(seen[key], axis=0) for key in keys])
                distance = ((embedding[rows].astype(np.float64)[:, None] - mean) ** 2).mean(2) ** 0.5
                cost = np.round(distance) * 100 - score[rows, None]
                missing = max(0, len(rows) - len(keys))
                assigned = munkres(np.pad(cost, ((0, 0), (0, missing)), constant_values=_NEVER))
                accepted = {
                    i: keys[j] for i, j in enumerate(assigned) if j < len(keys) and distance[i, j] < self.threshold
                }
            for i, row in enumerate(rows):
                if i in accepted:
                    members[accepted[i]][this] = row
                    seen[accepted[i]].append(embedding[row])
                else:
                    key = float(embedding[row, 0])
                    members.setdefault(key, {})[this] = row
                    seen[key] = [embedding[row]]
        return [list(row_of.values()) for row_of in members.values()]


def munkres(cost: Float64[np.ndarray, "n m"]) -> Int64[np.ndarray, "n"]:
    """Cheapest assignment of every row to a column of its own, by Munkres' algorithm with its own habits on ties.

    Equally cheap assignments are told apart by the order of the search, which is that of the ``munkres`` package up to
    version 1.1.4, the one the AE code runs: the matrix is made square with rows of zeros; first each row, from the top,
    stars its leftmost zero in a free column; an uncovered zero is then looked for row by row from the row found last,
    around the end, and in that row the last one of the columns counted around from the column left last.

    Args:
        cost: (n, m) finite, n <= m.

    Returns:
        (n,) column of each row.

    Raises:
        ValueError: more rows than columns, or a cost that is not finite.

    Paper: sec. 4 (the AE baseline, [29]).
    """
    n, m = cost.shape
    if n > m or not np.isfinite(cost).all():
        raise ValueError(f"munkres: expected finite costs, no more rows than columns, got shape {cost.shape}")
    c = np.zeros((m, m))
    c[:n] = cost - cost.min(1, keepdims=True)
    star = [-1] * m  # column of the starred zero of each row
    free = np.ones(m, dtype=bool)
    for i, zero in enumerate(c == 0):
        j = int((zero & free).argmax())
        if zero[j] and free[j]:
            star[i], free[j] = j, False
    while -1 in star:
        _augment(c, star)
    return np.array(star[:n], dtype=np.int64)


def _augment(c, star):
    """One more starred zero: primes zeros until an alternating path opens; changes ``c`` and ``star``."""
    m = len(c)
    prime = [-1] * m  # column of the primed zero of each row
    open_row = np.ones(m, dtype=bool)
    open_column = np.ones(m, dtype=bool)
    open_column[[j for j in star if j >= 0]] = False
    zero = c == 0
    row = column = 0
    while True:
        rows = np.flatnonzero((zero & open_column).any(1) & open_row)
        if not len(rows):
            smallest = c[open_row][:, open_column].min()
            c[~open_row] += smallest
            c[:, open_column] -= smallest
            zero = c == 0
            row = column = 0
            continue
        row = int(rows[rows >= row][0] if rows[-1] >= row else rows[0])
        columns = np.flatnonzero(zero[row] & open_column)
        column = int(columns[columns < column][-1] if columns[0] < column else columns[-1])
        prime[row] = column
        if star[row] < 0:
            break
        open_row[row] = False
        column = star[row]
        open_column[column] = True
    while row >= 0:  # along the path: the primed zero takes the place of the starred one
        column = prime[row]
        above = star.index(column) if column in star else -1
        star[row] = column
        row = above
