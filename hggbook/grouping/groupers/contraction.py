"""Greedy additive edge contraction: merge the pair with the heaviest edge, add up parallel edges, repeat."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from hggbook.grouping.groupers.scores import ImagePairs, group_images
from hggbook.types import Candidates, PairScores

LINKAGES = ("sum", "mean")


@dataclass(frozen=True)
class Contraction:
    """Greedy additive edge contraction (GAEC, Keuper et al., ICCV 2015), on scores that are never computed anew.

    In each image, the two clusters with the heaviest edge between them are merged, and the edges that each had to a
    third cluster become one; until no edge reaches ``cut``. Two clusters that hold a candidate of one keypoint type
    are never merged. An edge is as heavy as the sum of the scores of the candidate pairs that it stands for; or, with
    ``linkage="mean"``, as their mean (average linkage), taken over the pairs that were scored.

    This is what is left of HGG if the edge discriminator looks only once: `OHGC` scores macro-edges anew in every
    round. Use it with HGG's scores (`round_scores`) to see what that is worth, or with the embeddings'
    (`embedding_scores`).

    Attributes:
        cut: smallest weight of an edge that is contracted, 0 included, as in HGG.
        linkage: ``sum`` or ``mean``.

    Choice: of equally heavy edges the one with the lowest candidates goes first.

    Raises:
        ValueError: unknown linkage.

    Not in the paper: a baseline on its scores.
    """

    cut: float = 0.0
    linkage: str = "sum"

    def __post_init__(self):
        if self.linkage not in LINKAGES:
            raise ValueError(f"linkage: expected one of {LINKAGES}, got {self.linkage!r}")

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]:
        """Person of each candidate, none left out.

        Raises:
            ValueError: no scores, or not of these candidates (see `group_images`).
        """
        return group_images(candidates, scores, self._group)

    def _group(self, pairs: ImagePairs) -> np.ndarray:
        total, count = pairs.dense(pairs.logit), pairs.dense(np.ones_like(pairs.logit))
        return contract(total, count, pairs.same_type(), cut=self.cut, linkage=self.linkage)


def contract(
    total: Float64[np.ndarray, "n n"],
    count: Float64[np.ndarray, "n n"],
    apart: Bool[np.ndarray, "n n"],
    *,
    cut: float = 0.0,
    linkage: str = "sum",
) -> Int64[np.ndarray, "n"]:
    """Greedy additive edge contraction of one graph, given as symmetric matrices.

    Args:
        total: sum of the scores that an edge stands for.
        count: number of them; 0 where there is no edge.
        apart: nodes that may not be in one cluster, True on the diagonal.
        cut, linkage: as in `Contraction`.

    Returns:
        (n,) cluster of each node: the lowest of its nodes.

    Not in the paper: a baseline on its scores.
    """

    def weigh(total, count, apart):
        value = total if linkage == "sum" else total / np.maximum(count, 1)
        return np.where((count > 0) & ~apart, value, -np.inf)

    # Row and column of a cluster's lowest node hold the cluster's edges.
    total, count, apart = total.copy(), count.copy(), apart.copy()
    cluster = np.arange(len(total))
    weight = weigh(total, count, apart)
    while weight.size:
        a, b = np.unravel_index(weight.argmax(), weight.shape)  # of the heaviest edges the first, a < b
        if weight[a, b] < cut or weight[a, b] == -np.inf:
            break
        cluster[cluster == b] = a
        for matrix in (total, count):
            matrix[a] += matrix[b]
            matrix[:, a] = matrix[a]
            matrix[b] = matrix[:, b] = 0
        apart[a] |= apart[b]
        apart[:, a] = apart[a]
        weight[b] = weight[:, b] = -np.inf
        weight[a] = weight[:, a] = weigh(total[a], count[a], apart[a])
    return cluster
