"""Pairwise scores: where they come from, and how the groupers that decide from pairs alone read them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from hggbook.grouping.graph import pairs_within_images
from hggbook.grouping.groupers.base import number_groups
from hggbook.types import Candidates, Grouping, PairScores


def embedding_scores(candidates: Candidates, linked: Bool[Tensor, "K K"], threshold: float) -> PairScores:
    """Scores of pairs by their relational embeddings alone: the threshold minus the distance.

    The distance is the root mean square over the d channels of the embedding, as `AEGreedy` measures it, so its
    threshold means the same here: a pair closer than it is rather one person, a pair further apart rather two.

    Args:
        candidates: N candidates.
        linked: (K, K) symmetric, which types may be compared (`Skeleton.linked`).
        threshold: distance of score 0.

    Returns:
        `PairScores` of every linked pair, without gradient.

    Not in the paper: what associative embedding knows, for groupers other than its own.
    """
    pairs = pairs_within_images(candidates.batch, candidates.num_images)
    first, second = pairs[:, linked[candidates.type[pairs[0]], candidates.type[pairs[1]]]]
    embedding = candidates.embedding.detach().float()
    distance = (embedding[first] - embedding[second]).square().mean(dim=1).sqrt()
    return PairScores(torch.stack([first, second]), threshold - distance)


def round_scores(grouping: Grouping, cut: float = 0.0) -> PairScores:
    """Scores of pairs by HGG: the edge discriminator's logits of the first round, before anything was merged.

    Args:
        grouping: what `OHGC` returned.
        cut: subtracted from every logit: the calibrated one, if "same person" is to mean another probability than a
            half.

    Returns:
        `PairScores` of every edge of the first level, without gradient; none if no graph had an edge.

    Not in the paper: tells what its scores are worth from what its clustering is worth.
    """
    if not grouping.levels:
        device = grouping.person.device
        return PairScores(torch.zeros(2, 0, dtype=torch.int64, device=device), torch.zeros(0, device=device))
    level = grouping.levels[0]
    return PairScores(level.graph.edge_index, level.edge_logit.detach() - cut)


@dataclass(frozen=True)
class ImagePairs:
    """The candidates of one image and the scores of their pairs, on the CPU. Pairs of one keypoint type are left out.

    Attributes:
        type: (n,) keypoint type of each candidate.
        score: (n,) its confidence.
        pair: (2, e) rows of the candidates of each pair, first < second, ordered by (first, second).
        logit: (e,) same person if positive.
    """

    type: Int64[np.ndarray, "n"]
    score: Float64[np.ndarray, "n"]
    pair: Int64[np.ndarray, "2 e"]
    logit: Float64[np.ndarray, "e"]

    def __len__(self) -> int:
        return len(self.type)

    def same_type(self) -> np.ndarray:
        """(n, n) bool: may never be one person. True on the diagonal."""
        return self.type[:, None] == self.type[None]

    def dense(self, value: Float64[np.ndarray, "e"]) -> Float64[np.ndarray, "n n"]:
        """A number per pair as a symmetric matrix, 0 for pairs that are not listed."""
        matrix = np.zeros((len(self), len(self)))
        first, second = self.pair
        matrix[first, second] = matrix[second, first] = value
        return matrix


def group_images(
    candidates: Candidates, scores: PairScores | None, group: Callable[[ImagePairs], Int64[np.ndarray, "n"]]
) -> Int64[Tensor, "N"]:
    """Groups image by image: what every grouper of pairwise scores shares.

    Args:
        candidates: N candidates.
        scores: of their pairs.
        group: gives for the candidates of one image a label in [0, n) each, equal labels meaning one person.

    Returns:
        (N,) person of each candidate, as a `Grouper` numbers them.

    Raises:
        ValueError: no scores, or such as are not of these candidates or not what `PairScores` promises.

    Not in the paper: bookkeeping.
    """
    if scores is None:
        raise ValueError(
            "scores: this grouper decides from pairs and needs PairScores, got None; pass "
            "embedding_scores(candidates, linked, threshold) or round_scores(grouping)"
        )
    n = len(candidates)
    batch = candidates.batch.cpu().numpy()
    pair = scores.edge_index.cpu().numpy()
    logit = scores.logit.detach().double().cpu().numpy()
    _check(batch, pair, logit)
    kind = candidates.type.cpu().numpy()
    score = candidates.score.detach().double().cpu().numpy()
    comparable = kind[pair[0]] != kind[pair[1]]
    pair, logit = pair[:, comparable], logit[comparable]
    start = np.searchsorted(batch, np.arange(candidates.num_images + 1))
    pair_start = np.searchsorted(pair[0], start)
    person = np.arange(n)
    for image in range(candidates.num_images):
        rows, edges = slice(*start[image : image + 2]), slice(*pair_start[image : image + 2])
        if edges.start < edges.stop:  # else everybody is alone
            one = ImagePairs(kind[rows], score[rows], pair[:, edges] - rows.start, logit[edges])
            person[rows] = rows.start + group(one)
    return number_groups(torch.from_numpy(person).to(candidates.batch.device))


def _check(batch, pair, logit):
    n = len(batch)
    if (batch[1:] < batch[:-1]).any():
        raise ValueError("candidates.batch: expected non-decreasing image indices, got unsorted ones")
    if pair.size and (pair.min() < 0 or pair.max() >= n):
        raise ValueError(f"scores.edge_index: expected rows of {n} candidates, got {pair.min()} to {pair.max()}")
    key = pair[0] * n + pair[1]
    if (pair[0] >= pair[1]).any() or (key[1:] <= key[:-1]).any():
        raise ValueError("scores.edge_index: expected each pair once, smaller row first, ordered by (first, second)")
    if (batch[pair[0]] != batch[pair[1]]).any():
        raise ValueError("scores.edge_index: expected pairs within an image, got one across two images")
    if not np.isfinite(logit).all():
        raise ValueError("scores.logit: expected finite numbers, got NaN or infinity")
