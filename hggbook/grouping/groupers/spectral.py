"""Spectral clustering: people as weakly linked parts of the graph of candidates."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from torch import Tensor

from hggbook.grouping.groupers.scores import ImagePairs, group_images
from hggbook.types import Candidates, PairScores

ESTIMATES = ("both", "eigengap", "types")

_NEGLIGIBLE = 1e-6  # affinity that counts as none: the eigenvectors of such a link are noise


@dataclass(frozen=True)
class Spectral:
    """Normalised spectral clustering (Shi and Malik; scikit-learn's) on the affinities sigmoid(score).

    In each image:

    1. A pair is linked by the sigmoid of its score if the score reaches ``cut``, otherwise not at all. Each connected
       component is clustered by itself.
    2. The number of people of a component is estimated. ``types``: the median, rounded up, over the keypoint types that
       it has, of the number of candidates. ``eigengap``: the k for which the gap after the k-th smallest eigenvalue of
       the normalised Laplacian is largest; eigenvalues above 1 count as 1, for they tell who is *not* linked (such as
       candidates of one type). ``both``: the same, but k no smaller than ``types`` says.
    3. scikit-learn clusters the component into so many people.
    4. Clustering knows nothing of keypoint types. Of several candidates of one type in a person, the one with the
       highest sum of affinities to that person stays. Those that must leave join, the strongest link first, the person
       without their type to which their mean affinity is highest, if that is at least a half; else they are people of
       their own.

    Use it with HGG's scores (`round_scores`) or the embeddings' (`embedding_scores`).

    Attributes:
        people: how their number is estimated: ``both``, ``eigengap`` or ``types``.
        cut: lowest score that links a pair.
        seed: of the eigenvalue solver's start vector.

    Choice: ``both``. The gap alone sees one person wherever the links between people are not much weaker than those
    within; the types alone overlook people who lack keypoints. Of the numbers of candidates the median, because
    duplicates and background make the largest too large. ``cut`` 0, because among the many weak links of all pairs the
    gaps close; and because the Laplacian is normalised, so that two candidates count as close however weak their only
    link. Step 4 by affinity, not by the candidates' confidence. On simulated poses (tuning split) each was better than
    the other with scores that tell people apart well, and at most a few hundredths of pairwise F1 worse with poor ones.
    Clusters are read off the eigenvectors by pivoted QR (``assign_labels="cluster_qr"``): as good as k-means there,
    without its random starts.

    Raises:
        ValueError: unknown estimate.

    Not in the paper: a baseline on its scores.
    """

    people: str = "both"
    cut: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if self.people not in ESTIMATES:
            raise ValueError(f"people: expected one of {ESTIMATES}, got {self.people!r}")

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]:
        """Person of each candidate, none left out.

        Raises:
            ValueError: no scores, or not of these candidates (see `group_images`).
        """
        return group_images(candidates, scores, self._group)

    def _group(self, pairs: ImagePairs) -> np.ndarray:
        link = expit(pairs.logit)
        affinity = pairs.dense(np.where((pairs.logit >= self.cut) & (link > _NEGLIGIBLE), link, 0))
        number, component = connected_components(affinity > 0, directed=False)
        person = np.empty(len(pairs), dtype=np.int64)
        for part in range(number):
            rows = np.flatnonzero(component == part)
            inner, kind = affinity[np.ix_(rows, rows)], pairs.type[rows]
            label = one_of_each_type(self._cluster(inner, self._number(inner, kind)), inner, kind)
            person[rows] = rows[label]
        return person

    def _number(self, affinity, kind):
        present = np.bincount(kind)
        typical = int(np.ceil(np.median(present[present > 0])))
        if self.people == "types" or len(kind) == 1:
            return typical
        least = typical if self.people == "both" else 1
        root = np.sqrt(affinity.sum(axis=1))
        values = np.linalg.eigvalsh(np.eye(len(kind)) - affinity / np.outer(root, root))
        return least + int(np.diff(np.minimum(values, 1))[least - 1 :].argmax())

    def _cluster(self, affinity, number):
        if number == 1:
            return np.zeros(len(affinity), dtype=np.int64)
        from sklearn.cluster import spectral_clustering  # here: it takes a second to load, and few runs need it

        # Linked candidates are of two types at least, so that there are always fewer people than candidates.
        label = spectral_clustering(affinity, n_clusters=number, assign_labels="cluster_qr", random_state=self.seed)
        return label.astype(np.int64)


def one_of_each_type(
    label: Int64[np.ndarray, "n"], affinity: Float64[np.ndarray, "n n"], kind: Int64[np.ndarray, "n"]
) -> Int64[np.ndarray, "n"]:
    """Mends clusters that hold several candidates of one keypoint type, as step 4 of `Spectral` says.

    Args:
        label: (n,) cluster of each candidate.
        affinity: (n, n) float64, symmetric, 0 on the diagonal.
        kind: (n,) keypoint type.

    Returns:
        (n,) clusters, no type twice in any, each called by its lowest row; equal sums and means: the lower row stays,
        and joins first, the cluster with the lower label.

    Not in the paper: there, edges between nodes that share a type are pruned.
    """
    n = len(label)
    same = label[:, None] == label[None]
    inner = np.where(same, affinity, 0).sum(axis=1)
    rival = same & (kind[:, None] == kind[None])
    row = np.arange(n)
    stronger = (inner[None] > inner[:, None]) | ((inner[None] == inner[:, None]) & (row[None] < row[:, None]))
    out = (rival & stronger).any(axis=1)
    # Columns are clusters: those that are left, one for every candidate that may stay alone.
    member = np.zeros((n, label.max() + 1), dtype=bool)
    member[row[~out], label[~out]] = True
    has = np.stack([member[kind == k].any(axis=0) for k in kind])
    mean = affinity @ member / np.maximum(member.sum(axis=0), 1)
    mean[~out] = -1
    mean[has] = -1
    while (best := mean.max(initial=-1)) >= 0.5:
        joining, cluster = np.argwhere(mean == best)[0]
        member[joining, cluster] = True
        mean[:, cluster] = affinity @ member[:, cluster] / member[:, cluster].sum()
        has[kind == kind[joining], cluster] = True
        out[joining] = False
        mean[~out] = -1
        mean[has] = -1
    lowest = member.argmax(axis=0)
    return np.where(out, row, lowest[member.argmax(axis=1)])
