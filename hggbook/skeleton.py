"""Skeletons: which keypoint types there are, and which pairs of them a graph configuration links.

A skeleton is data. Nothing else in the library assumes 17 keypoints, or that the first one is a nose.
"""

from dataclasses import dataclass

import numpy as np

GRAPH_CONFIGURATIONS = ("tree", "bypass", "extended", "full")

Pair = tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """Keypoint types of a data set and what is known of them.

    Attributes:
        name: short name, stored in checkpoints and configs.
        keypoints: names, in the order of the data set's annotations. ``K = len(keypoints)``.
        tree: ``K - 1`` pairs that span the body: the "standard tree-structured model".
        extra: pairs that only the *extended* configuration adds (symmetric limbs, torso diagonals, long links).
        drawn: pairs drawn as bones in pictures.
        flip_pairs: left/right types that trade places when an image is mirrored.
        sigmas: OKS falloff per type (COCO's ``k_i = 2 sigma_i``).
        greedy_order: order in which associative embedding visits the types.

    Paper: sec. 3.1 (graph construction), sec. 4.2 (graph configurations, after JointFlow [10]).
    """

    name: str
    keypoints: tuple[str, ...]
    tree: tuple[Pair, ...]
    extra: tuple[Pair, ...]
    drawn: tuple[Pair, ...]
    flip_pairs: tuple[Pair, ...]
    sigmas: tuple[float, ...]
    greedy_order: tuple[int, ...]

    @property
    def num_types(self) -> int:
        """K, the number of keypoint types."""
        return len(self.keypoints)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """For each type the type it becomes in a mirrored image, ``(K,)``."""
        order = list(range(self.num_types))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)

    @property
    def bones(self) -> tuple[Pair, ...]:
        """The tree's links, then the drawn bones that it lacks: the order of greedy parsing, bone by bone."""
        known = {frozenset(pair) for pair in self.tree}
        return (*self.tree, *(pair for pair in self.drawn if frozenset(pair) not in known))

    def linked(self, configuration: str) -> np.ndarray:
        """Which ordered pairs of keypoint types a graph configuration connects.

        ``tree``: the spanning tree. ``bypass``: also types two tree steps apart (skip one keypoint). ``extended``: also
        symmetric limbs, torso diagonals and a few long links. ``full``: every pair of different types.

        Choice: the paper names the four (after JointFlow) but lists no links for the sparse ones; these are ours.

        Returns:
            (K, K) bool, symmetric, False on the diagonal.

        Raises:
            ValueError: unknown configuration.
        """
        k = self.num_types
        if configuration == "full":
            return ~np.eye(k, dtype=bool)
        if configuration not in GRAPH_CONFIGURATIONS:
            raise ValueError(f"graph configuration: expected one of {GRAPH_CONFIGURATIONS}, got {configuration!r}")
        linked = np.zeros((k, k), dtype=bool)
        for a, b in self.tree:
            linked[a, b] = linked[b, a] = True
        if configuration in ("bypass", "extended"):
            linked |= linked.astype(int) @ linked.astype(int) > 0
        if configuration == "extended":
            for a, b in self.extra + self.flip_pairs:
                linked[a, b] = linked[b, a] = True
        np.fill_diagonal(linked, False)
        return linked


COCO = Skeleton(
    name="coco",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    tree=(
        (0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 13),
        (13, 15), (12, 14), (14, 16),
    ),
    extra=((5, 12), (6, 11), (0, 11), (0, 12), (5, 15), (6, 16), (9, 11), (10, 12)),
    drawn=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
        0.089, 0.089,
    ),
    greedy_order=(0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16),
)
"""The 17 keypoints of COCO (and of OCHuman)."""

CROWDPOSE = Skeleton(
    name="crowdpose",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
    ),
    tree=((12, 13), (13, 0), (13, 1), (0, 2), (2, 4), (1, 3), (3, 5), (0, 6), (1, 7), (6, 8), (8, 10), (7, 9), (9, 11)),
    extra=((0, 7), (1, 6), (12, 6), (12, 7), (0, 10), (1, 11), (4, 6), (5, 7)),
    drawn=(
        (12, 13), (13, 0), (13, 1), (0, 1), (0, 2), (2, 4), (1, 3), (3, 5), (0, 6), (1, 7), (6, 7), (6, 8), (8, 10),
        (7, 9), (9, 11),
    ),
    flip_pairs=((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    sigmas=(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
    greedy_order=(12, 13, 0, 1, 6, 7, 2, 3, 4, 5, 8, 9, 10, 11),
)
"""The 14 keypoints of CrowdPose."""

SKELETONS = {s.name: s for s in (COCO, CROWDPOSE)}
