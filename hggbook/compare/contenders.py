"""All groupers as contenders: which scores each decides from, and what it may tune. Paper: sec. 4."""

from collections.abc import Callable

import torch

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
)
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS

THRESHOLDS = (0.25, 0.375, 0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0)


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
    groupers = {"bones": GreedyBones(skeleton.bones), "spectral": Spectral(), "contraction": Contraction()}
    groupers |= {"multicut": Multicut()} if exact else {}

    def ae(threshold: float) -> Group:
        greedy = AEGreedy(skeleton.greedy_order, threshold=threshold)
        return lambda candidates, targets: greedy(candidates)

    known = {
        "hgg": hgg_contender(model, cut),
        "ae": Contender(distance, ae, THRESHOLDS, threshold),
    }
    known |= {f"{n}/distance": Contender(distance, by_distance(g), THRESHOLDS, threshold) for n, g in groupers.items()}
    known |= {f"{n}/hgg": Contender(logits, by_logits(g), CUTS, cut) for n, g in groupers.items()}
    known["oracle"] = Contender("the annotations", lambda _: lambda c, targets: Oracle(targets)(c))
    return known
