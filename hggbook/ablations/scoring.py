"""Scores of a grouping stage: AP on a frozen detector's candidates, its number chosen on tune; bootstrap samples."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hggbook.compare.ap_samples import ap_samples
from hggbook.compare.candidates import Group, with_cut
from hggbook.compare.images import nearest_best
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
        return self.measures(self.results(group, batch_size))["AP"]

    def results(self, group: FrozenGroup, batch_size: int = 64) -> list[dict[str, Any]]:
        """What a grouper finds, as COCO results."""
        results = []
        for batch in self.labelled.batches(batch_size):
            found = group(batch)
            person, factor = found if isinstance(found, tuple) else (found, None)
            results += self._results(batch, person, factor)
        return results

    def measures(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """COCO's measures of such results."""
        return coco_ap(results, self.index, self.labelled.image_id.tolist(), self.skeleton)

    def samples(self, results: list[dict[str, Any]]) -> np.ndarray:
        """AP over bootstrap samples of the images (`hggbook.compare.ap_samples`)."""
        return ap_samples(results, self.index, self.labelled.image_id.tolist(), self.skeleton)[1]

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
    chosen = nearest_best(tried, default)
    results = test.results(make(chosen))
    measures = {name: round(value, 5) for name, value in test.measures(results).items()}
    return {
        "ap_tune": {str(value): ap for value, ap in tried.items()},
        "ap_cut": chosen,
        "ap_test": measures["AP"],
        "measures_test": measures,
        "ap_samples": packed(test.samples(results)),
    }


def packed(samples: np.ndarray) -> str:
    """Bootstrap samples of a share as whole ten-thousandths in one string, which keeps a result file readable."""
    return " ".join(str(round(1e4 * float(sample))) for sample in samples)


def unpacked(samples: str) -> np.ndarray:
    """Inverse of `packed`."""
    return np.array(samples.split(), dtype=float) / 1e4


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
