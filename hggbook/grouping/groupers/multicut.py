"""Minimum-cost multicut: the best grouping by the sum of the scores, found exactly as an integer linear program."""

import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from hggbook.grouping.groupers.scores import ImagePairs, group_images
from hggbook.types import Candidates, PairScores

_ZERO = 1e-6  # HiGHS's own tolerance
_CLEAR = 0.05  # violation from which a fractional solution is cut off
_OPTIMAL, _LIMIT = 0, 1  # status of scipy.optimize.milp


def multicut_value(person: Int64[Tensor, "N"], scores: PairScores) -> float:
    """What a grouping is worth: the sum of the scores of the pairs that it puts into one person (person -1: none).

    Not in the paper: the objective of `Multicut`, to compare groupers by.
    """
    first, second = person[scores.edge_index]
    return float(scores.logit.detach().double()[(first == second) & (first >= 0)].sum())


@dataclass(frozen=True)
class Multicut:
    """Minimum-cost multicut: of all groupings of each image, one whose pairs' scores sum up highest.

    Groupings that put two candidates of one keypoint type into one person are ruled out; a pair that is not listed
    counts 0. Exact, and so the measure of every greedy grouper on the same scores (`multicut_value`): HGG's
    (`round_scores`) or the embeddings' (`embedding_scores`).

    How. For every pair of candidates of different type, x_ij is 1 if they are one person. That this is a grouping
    means: x_ij = x_ik = 1 makes x_jk = 1. It is enough, and much tighter while the x may be fractions, to demand for
    all candidates i, j and every set S of candidates of one type::

        x_ij + sum over k in S of (x_ik - x_jk) <= 1

    (If x_ij = 1, then x_ik = x_jk; if not, i has at most one partner in S. With S = {k} it is the condition above; in
    the language of Grötschel and Wakabayashi 1990, the 2-partition inequality of {i} and S + {j}.) Only "at most one
    partner of a type" is there from the start. Of the others, those that the solution violates are added, the most
    violated first, and the program is solved again: first as a linear program; then, if its solution satisfies all and
    is still a fraction somewhere, as an integer program. An integral solution that violates none is optimal, since
    every program on the way is a relaxation of the whole.

    Each image is first taken apart into the connected components of its pairs of positive score. This loses nothing:
    replace each person of an optimal grouping by the connected components of its own positive pairs. Subsets of a
    person have no type twice, and what is no longer joined scored 0 or less; so the result is as good, and each of its
    people lies in one component. (So people are never joined for a gain of 0 alone; `Contraction` and HGG do.)

    Attributes:
        limit: most candidates of a component; beyond it a ValueError.
        seconds: most time for an image; beyond it a ValueError.

    Choice: of several optimal groupings, whichever the solver finds. Optimal means to a millionth of the highest score.

    Not in the paper: an upper bound for clusterings of fixed scores, of which its own re-scoring clustering is not one.
    """

    limit: int = 200
    seconds: float = 60.0

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]:
        """Person of each candidate, none left out.

        Raises:
            ValueError: no scores, or not of these candidates (see `group_images`); a component too large; or no time
                left.
        """
        return group_images(candidates, scores, self._group)

    def _group(self, pairs: ImagePairs) -> np.ndarray:
        deadline = time.monotonic() + self.seconds
        weight = pairs.dense(pairs.logit)
        number, component = connected_components(weight > 0, directed=False)
        largest = np.bincount(component).max()
        if largest > self.limit:
            raise ValueError(
                f"Multicut: expected at most limit={self.limit} candidates connected by positive scores, got {largest};"
                " raise the limit, lower the scores (a stricter threshold or cut), or use Contraction, which is greedy"
            )
        person = np.empty(len(pairs), dtype=np.int64)
        for part in range(number):
            rows = np.flatnonzero(component == part)
            rows = rows[np.argsort(pairs.type[rows], kind="stable")]
            best = _best_people(weight[np.ix_(rows, rows)], pairs.type[rows], deadline)
            if best is None:
                raise ValueError(
                    f"Multicut: no optimal grouping of {len(rows)} connected candidates found within "
                    f"seconds={self.seconds:g}; allow more seconds, or use Contraction, which is greedy"
                )
            person[rows] = rows[best]
        return person


def _best_people(weight, kind, deadline):
    """Optimal labels of n candidates that are ordered by type, each person called by its lowest row; None: too late."""
    n = len(kind)
    apart = kind[:, None] == kind[None]
    if apart.sum() == n and (weight >= 0).all():
        return np.zeros(n, dtype=np.int64)  # nothing speaks against one person
    i, j = np.nonzero(np.triu(~apart))
    variable = np.full((n, n), -1)
    variable[i, j] = variable[j, i] = np.arange(len(i))
    rows = _one_of_a_type(variable, kind)
    whole = False  # must the solution be integral?
    while (left := deadline - time.monotonic()) > 0:
        result = milp(
            -weight[i, j] / np.abs(weight).max(),
            integrality=np.full(len(i), int(whole)),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(rows, -np.inf, 1),
            options={"mip_rel_gap": 0, "time_limit": left},
        )
        if result.status == _LIMIT:
            break
        if result.status != _OPTIMAL:
            raise RuntimeError(f"Multicut: the solver failed: {result.message}")
        joined = np.eye(n)
        joined[i, j] = joined[j, i] = result.x
        integral = bool((np.abs(joined - np.round(joined)) < _ZERO).all())
        joined = np.round(joined) if integral else joined
        more = _violated(joined, variable, kind, 0.5 if integral else _CLEAR)
        if more.shape[0]:
            rows = vstack([rows, more], format="csr")
        elif integral:
            return joined.argmax(axis=1)
        else:
            whole = True
    return None


def _one_of_a_type(variable, kind):
    """Left sides of: every candidate has at most one partner of each type."""
    n, types = len(kind), np.unique(kind)
    candidate, partner = np.nonzero(variable >= 0)
    row = candidate * len(types) + np.searchsorted(types, kind[partner])
    shape = n * len(types), variable.max() + 1
    rows = csr_array((np.ones(len(row)), (row, variable[candidate, partner])), shape=shape)
    return rows[np.diff(rows.indptr) > 1]


def _violated(joined, variable, kind, clear):
    """Left sides of the inequalities that a solution violates by more than ``clear``; at most one per variable."""
    starts = np.flatnonzero(np.diff(kind, prepend=kind[0] - 1))  # of each type: candidates are ordered by it
    found = []
    for i in range(len(kind)):
        j = np.flatnonzero(joined[i] > clear)
        j = j[j != i]
        more = np.maximum(joined[i] - joined[j], 0)  # (j, k): k belongs in S where positive (k = i adds up to 0)
        excess = joined[i, j][:, None] + np.add.reduceat(more, starts, axis=1) - 1
        at, of_type = np.nonzero(excess > clear)
        members = (more[at] > _ZERO) & (kind == kind[starts[of_type], None])
        # With a single k, i with (j, k) is the same as i with (k, j): stated once.
        once = (members.sum(axis=1) > 1) | (members.argmax(axis=1) > j[at])
        found.append((np.full(once.sum(), i), j[at[once]], excess[at, of_type][once], members[once]))
    i, j, excess, members = (np.concatenate(column) for column in zip(*found))
    worst = np.argsort(-excess, kind="stable")[: variable.max() + 1]
    i, j = i[worst], j[worst]
    row, k = np.nonzero(members[worst])
    column = np.concatenate([variable[i, j], variable[i[row], k], variable[j[row], k]])
    sign = np.repeat([1.0, 1.0, -1.0], [len(i), len(k), len(k)])
    row = np.concatenate([np.arange(len(i)), row, row])
    known = column < 0  # pairs of one type: 0
    return csr_array((sign[~known], (row[~known], column[~known])), shape=(len(i), variable.max() + 1))
