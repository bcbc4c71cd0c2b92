"""All groupers as contenders: which scores each decides from, and what it may tune. Paper: sec. 4."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from hggbook.compare.candidates import CUTS, Contender, Group, hgg_contender
from hggbook.config import Config
from hggbook.grouping.groupers import (
    AEGreedy,
    Contraction,
    GreedyBones,
    Multicut,
    Oracle,
    Spectral,
    embedding_scores,
    number_groups,
)
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS
from hggbook.types import Candidates, PairScores

SECONDS = 3.0  # for one image's exact multicut in a comparison
THRESHOLDS = (0.25, 0.375, 0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0)
FEW_CUTS, FEW_THRESHOLDS = (-1.0, 0.0, 1.0), (0.75, 1.0)


def contenders_of(model: HGG, config: Config, *, exact: bool = True) -> dict[str, Contender]:
    """All groupers, on the same candidates: those of embedding distances, those of HGG's round-0 logits, HGG, oracle.

    Args:
        model: gives the edge logits; its own grouping is ``hgg``.
        config: of the model: its cut, the baseline's threshold, the skeleton.
        exact: include the exact multicut, which takes the longest.
    """
    skeleton = SKELETONS[config.skeleton]
    linked = torch.from_numpy(skeleton.linked("full"))

    def by_distance(grouper) -> Callable[[float], Group]:
        def make(threshold: float) -> Group:
            return lambda candidates, targets: grouper(candidates, embedding_scores(candidates, linked, threshold))

        return make

    def by_logits(grouper) -> Callable[[float], Group]:
        def make(cut: float) -> Group:
            return lambda candidates, targets: grouper(candidates, model.score_pairs(candidates, cut))

        return make

    distance, logits = "embedding distance", "HGG's edge logits of round 0"
    threshold, cut = config.baseline.threshold, config.grouping.cut
    def ae(threshold: float) -> Group:
        greedy = AEGreedy(skeleton.greedy_order, threshold=threshold)
        return lambda candidates, targets: greedy(candidates)

    groupers = {"bones": GreedyBones(skeleton.bones), "spectral": Spectral(), "contraction": Contraction()}
    known = {
        "hgg": hgg_contender(model, cut),
        "ae": Contender(distance, ae, THRESHOLDS, threshold),
    }
    for name, grouper in groupers.items():
        known[f"{name}/distance"] = Contender(distance, by_distance(grouper), THRESHOLDS, threshold)
        known[f"{name}/hgg"] = Contender(logits, by_logits(grouper), CUTS, cut)
    if exact:  # takes its time, so fewer values are tried
        far, near = PatientMulticut(), PatientMulticut()
        known["multicut/distance"] = Contender(distance, by_distance(far), FEW_THRESHOLDS, threshold, far.notes)
        known["multicut/hgg"] = Contender(logits, by_logits(near), FEW_CUTS, cut, near.notes)
    known["oracle"] = Contender("the annotations", lambda _: lambda c, targets: Oracle(targets)(c))
    return known


@dataclass
class PatientMulticut:
    """The exact multicut image by image; where the solver is not done in time, greedy contraction of the same scores.

    Attributes:
        seconds: for one image.
        images, given_up: how many were grouped, and how many of them not exactly.

    Not in the paper: keeps one hard image from ending a comparison.
    """

    seconds: float = SECONDS
    images: int = 0
    given_up: int = 0

    def __call__(self, candidates: Candidates, scores: PairScores) -> Int64[Tensor, "N"]:
        person = torch.arange(len(candidates))
        for image in range(candidates.num_images):
            rows = (candidates.batch == image).nonzero()[:, 0]
            if not len(rows):
                continue
            alone = Candidates(
                candidates.xy[rows], candidates.type[rows], candidates.score[rows], candidates.embedding[rows],
                torch.zeros_like(rows), candidates.size[image : image + 1],
            )  # fmt: skip
            first = int(rows[0])
            here = (scores.edge_index[0] >= first) & (scores.edge_index[0] <= int(rows[-1]))
            pairs = PairScores(scores.edge_index[:, here] - first, scores.logit[here])
            self.images += 1
            try:
                found = Multicut(seconds=self.seconds)(alone, pairs)
            except ValueError:
                self.given_up += 1
                found = Contraction()(alone, pairs)
            person[rows] = rows[0] + found
        return number_groups(person)

    def notes(self) -> dict[str, int]:
        """How often it was called for an image, and how often it gave up."""
        return {"images": self.images, "given_up": self.given_up}
