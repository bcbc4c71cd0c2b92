"""AP of a grouping stage on a frozen detector's candidates, with the cut chosen by AP on the tune part."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hggbook.compare.candidates import Group, with_cut
from hggbook.config import Config
from hggbook.data.annotations import CocoIndex, read_annotations
from hggbook.data.labelled import LabelledCandidates, load_labelled
from hggbook.decode import decode
from hggbook.evaluate import coco_ap, to_coco_results
from hggbook.grouping.ohgc import final_logit
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS

# Gives the person of every candidate (N,), or that and a factor of every pose's score (P,).
FrozenGroup = Callable[[LabelledCandidates], Tensor | tuple[Tensor, Tensor]]

_INDISTINCT = 0.002


class FrozenAP:
    """AP on the images of one frozen part; reads its annotations once.

    Args:
        path: file of labelled candidates that `hggbook freeze` wrote; its facts name the annotation file.
    """

    def __init__(self, path: Path):
        self.labelled, facts = load_labelled(path)
        self.skeleton = SKELETONS[facts["skeleton"]]
        self.index: CocoIndex = read_annotations(path.parent / facts["annotations"], self.skeleton)
        (self.category,) = self.index.cats

    def of(self, group: FrozenGroup, batch_size: int = 64) -> float:
        """AP of a grouper."""
        results = []
        for batch in self.labelled.batches(batch_size):
            found = group(batch)
            person, factor = found if isinstance(found, tuple) else (found, None)
            results += self._results(batch, person, factor)
        return coco_ap(results, self.index, self.labelled.image_id.tolist(), self.skeleton)["AP"]

    def _results(self, batch: LabelledCandidates, person: Tensor, factor: Tensor | None) -> list[dict[str, Any]]:
        found = decode(batch.candidates, person, batch.to_image, self.skeleton.num_types)
        if factor is not None:
            found = found.replace(score=found.score * factor)
        return to_coco_results(found, batch.image_id, category=self.category)


@cache
def frozen_ap(path: Path) -> FrozenAP:
    """A frozen part, read once in a process."""
    return FrozenAP(path)


@torch.no_grad()
def tuned_ap(
    make: Callable[[float], FrozenGroup], values: Sequence[float], default: float, frozen: Path
) -> dict[str, Any]:
    """AP on the tune part for every value of a grouper's number, and on the test part with the one that tune chose.

    Of the values within 0.002 AP of the best the one nearest to the default wins.

    Args:
        make: the grouper for a value.
        values: tried; none: there is nothing to tune.
        default: without tuning.
        frozen: folder with ``tune.safetensors`` and ``test.safetensors``.

    Not in the paper: it tells no thresholds.
    """
    tune, test = frozen_ap(frozen / "tune.safetensors"), frozen_ap(frozen / "test.safetensors")
    tried = {value: round(tune.of(make(value)), 5) for value in values or (default,)}
    near = [value for value in tried if tried[value] >= max(tried.values()) - _INDISTINCT]
    chosen = min(near, key=lambda value: abs(value - default))
    return {
        "ap_tune": {str(value): ap for value, ap in tried.items()},
        "ap_cut": chosen,
        "ap_test": round(test.of(make(chosen)), 5),
    }


def on_frozen(make: Callable[[float], Group]) -> Callable[[float], FrozenGroup]:
    """A contender's grouper for each value of its number, in the form that is scored on frozen candidates."""

    def made(value: float) -> FrozenGroup:
        group = make(value)
        return lambda batch: group(batch.candidates, batch.targets)

    return made


def hgg_by_cut(model: HGG, config: Config) -> Callable[[float], FrozenGroup]:
    """HGG's grouping for a cut, with the macro-node discriminator in the poses' scores if the config says so."""

    def make(cut: float) -> FrozenGroup:
        def group(batch: LabelledCandidates):
            with with_cut(model, cut):
                grouping = model.group(batch.candidates)
            if config.grouping.macro != "factor":
                return grouping.person
            return grouping.person, torch.sigmoid(final_logit(grouping))

        return group

    return make
