"""Greedy bone-by-bone parsing: match candidates along each bone, then put the bones together. After OpenPose."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from hggbook.grouping.groupers.scores import ImagePairs, group_images
from hggbook.types import Candidates, PairScores


@dataclass(frozen=True)
class GreedyBones:
    """Greedy parsing bone by bone, as part affinity fields are parsed (Cao et al., OpenPose), on any pairwise scores.

    In each image:

    1. Matching. For each bone, the pairs of candidates of its two types that score at least ``cut`` are gone through
       from the highest down; a pair is accepted if neither of its candidates is in an accepted pair of this bone yet.
    2. Assembly. Bones are gone through in their order, the accepted pairs of each from the highest down. The two people
       whom the ends of the pair are in (a candidate in no pair so far is a person of its own) become one if no keypoint
       type is in both; else the pair is dropped.

    Scores of pairs that no bone links are not looked at: this parser sees a tree, or little more, where the others see
    the full graph. Use it with HGG's scores (`round_scores`) or the embeddings' (`embedding_scores`).

    Attributes:
        bones: pairs of keypoint types, in order: ``Skeleton.tree``, in which one missed keypoint tears a person apart,
            or with redundant bones, e.g. ``Skeleton.drawn``.
        cut: lowest score of a pair that may be accepted.

    What the OpenPose code does, and where this differs:

    - The paper, the first release and its Python and Matlab ports match bone by bone as in 1 (also among pairs whose
      affinity is positive over most of the line). In their assembly the first end of a pair looks for the person that
      holds it, and the second end is written into that person, over another candidate of its type if there is one;
      if nobody holds the first end, a new person is started, even if somebody holds the second (so a candidate may be
      in two people); the two redundant bones (ear to shoulder) only fill empty places. Later releases have no step 1:
      all pairs of all bones go through step 2 in one list, falling by score plus a tenth of both confidences, an end
      that is in nobody yet joins if its type is free, and two people are joined if they share no type. Here: step 1
      of the former, step 2 of the latter, so that redundant bones serve as any other and nobody is in two people.
    - OpenPose drops candidates in no accepted pair, and people of few keypoints or a low mean score. Here nobody is
      dropped: such a candidate is a person of its own, as with the other groupers, and weak people are for `decode`.
    - Its scores are integrals of a predicted field; here they are whatever is passed.

    Choice: of equal scores, the pair of the lower rows goes first (OpenPose: the higher).

    Raises:
        ValueError: a bone that does not link two different types, or one that is named twice.

    Not in the paper: a baseline of its related work.
    """

    bones: tuple[tuple[int, int], ...]
    cut: float = 0.0

    def __post_init__(self):
        for bone in self.bones:
            if len(bone) != 2 or bone[0] == bone[1]:
                raise ValueError(f"bones: expected pairs of different keypoint types, got {bone}")
        if len({frozenset(bone) for bone in self.bones}) < len(self.bones):
            raise ValueError(f"bones: expected each bone once, got {self.bones}")

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]:
        """Person of each candidate, none left out.

        Raises:
            ValueError: no scores, or not of these candidates (see `group_images`).
        """
        return group_images(candidates, scores, self._group)

    def _group(self, pairs: ImagePairs) -> np.ndarray:
        person = np.arange(len(pairs))
        types = [{kind} for kind in pairs.type.tolist()]  # of each person
        for first, second in self._matched(pairs):
            a, b = sorted((person[first], person[second]))
            if types[a].isdisjoint(types[b]):
                person[person == b] = a
                types[a] |= types[b]
        return person

    def _matched(self, pairs: ImagePairs) -> list[tuple[int, int]]:
        """Accepted pairs of every bone, bones in order, the pairs of each by falling score."""
        bone_of = {frozenset(bone): number for number, bone in enumerate(self.bones)}
        kinds = pairs.type[pairs.pair].T.tolist()
        bone = np.array([bone_of.get(frozenset(ends), -1) for ends in kinds])
        usable = np.flatnonzero((bone >= 0) & (pairs.logit >= self.cut))
        usable = usable[np.lexsort((-pairs.logit[usable], bone[usable]))]
        taken: set[tuple[int, int]] = set()  # (bone, candidate)
        accepted = []
        for number, first, second in zip(bone[usable].tolist(), *pairs.pair[:, usable].tolist()):
            if taken.isdisjoint(((number, first), (number, second))):
                taken |= {(number, first), (number, second)}
                accepted.append((first, second))
        return accepted
