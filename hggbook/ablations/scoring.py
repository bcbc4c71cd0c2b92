"""AP of a grouping stage on a frozen detector's candidates, with the cut chosen by AP on the tune part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hggbook.compare.candidates import with_cut
from hggbook.config import Config
from hggbook.data.annotations import CocoIndex, read_annotations
from hggbook.data.labelled import LabelledCandidates, load_labelled
from hggbook.decode import decode
from hggbook.evaluate import coco_ap, to_coco_results
from hggbook.grouping.ohgc import final_logit
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS
from hggbook.types import Candidates

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

    def of(self, group, batch_size: int = 64) -> float:
        """AP of a grouper.

        Args:
            group: batch of `LabelledCandidates` -> person (N,), or that and a factor of each pose's score (P,).
        """
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


@torch.no_grad()
def image_scores(model: HGG, config: Config, frozen: Path, cuts: Sequence[float]) -> dict[str, Any]:
    """AP of HGG on the tune part for every cut, and on the test part with the cut that tune chose.

    Of the cuts within 0.002 AP of the best the one nearest to 0 wins.

    Not in the paper: it tells no cut.
    """
    factor = config.grouping.macro == "factor"

    def group(candidates: Candidates):
        grouping = model.group(candidates)
        return (grouping.person, torch.sigmoid(final_logit(grouping))) if factor else grouping.person

    def ap(part: FrozenAP, cut: float) -> float:
        with with_cut(model, cut):
            return round(part.of(lambda batch: group(batch.candidates)), 5)

    tune = FrozenAP(frozen / "tune.safetensors")
    tried = {cut: ap(tune, cut) for cut in cuts}
    chosen = min((c for c in cuts if tried[c] >= max(tried.values()) - _INDISTINCT), key=abs)
    return {
        "ap_tune": {str(cut): value for cut, value in tried.items()},
        "ap_cut": chosen,
        "ap_test": ap(FrozenAP(frozen / "test.safetensors"), chosen),
    }
