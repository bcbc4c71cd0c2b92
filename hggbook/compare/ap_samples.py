"""How sure an AP is: what it would have been, had other images of the same kind been drawn. Not in the paper."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO as CocoIndex

from hggbook.evaluate import coco_evaluation
from hggbook.skeleton import COCO, Skeleton

_TINY = np.spacing(1)


def ap_samples(
    results: Sequence[dict[str, Any]], truth: CocoIndex, image_ids: Iterable[int] | None = None,
    skeleton: Skeleton = COCO, *, repeats: int = 400, seed: int = 0,
) -> tuple[float, np.ndarray]:
    """AP over all images, and over bootstrap samples of them.

    The same seed draws the same samples of the same images, so the difference of two groupers' samples is a paired one.

    Args:
        results: as `hggbook.evaluate.to_coco_results` gives them.
        truth: annotations (`hggbook.data.coco.read_annotations`).
        image_ids: only these images; default all.
        skeleton: its OKS sigmas are used.
        repeats: bootstrap samples.
        seed: of the resampling.

    Returns:
        AP, as `hggbook.evaluate.coco_ap` has it, and (repeats,) values of AP.

    Raises:
        ValueError: see `hggbook.evaluate.coco_ap`; or nothing is annotated, so that there is no AP.

    Not in the paper: it gives no intervals.
    """  # fmt: skip
    evaluation = coco_evaluation(results, truth, image_ids, skeleton)
    images = len(evaluation.params.imgIds)
    found = evaluation.evalImgs[:images]  # one category; the first area range is all areas
    annotated = np.array([0 if one is None else (np.asarray(one["gtIgnore"]) == 0).sum() for one in found])
    if not annotated.sum():
        raise ValueError("AP: no image has an annotated person, so there is none")
    most = evaluation.params.maxDets[-1]
    kept = [(i, one) for i, one in enumerate(found) if one is not None]
    score = np.concatenate([[], *(one["dtScores"][:most] for _, one in kept)])
    order = np.argsort(-score, kind="mergesort")
    image = np.concatenate([np.zeros(0, int), *(np.full(len(one["dtScores"][:most]), i) for i, one in kept)])[order]
    none = np.zeros((len(evaluation.params.iouThrs), 0))
    right = np.concatenate([none, *(one["dtMatches"][:, :most] for _, one in kept)], axis=1)[:, order] != 0
    counts = np.concatenate([none, *(one["dtIgnore"][:, :most] for _, one in kept)], axis=1)[:, order] == 0
    right, wrong = right & counts, ~right & counts

    def ap(weight: np.ndarray) -> float:
        people = (weight * annotated).sum()
        if not people:
            return 0.0
        each = weight[image]
        hits, misses = (right * each).cumsum(axis=1), (wrong * each).cumsum(axis=1)
        precision = np.maximum.accumulate((hits / (hits + misses + _TINY))[:, ::-1], axis=1)[:, ::-1]
        at = [np.searchsorted(line, evaluation.params.recThrs, side="left") for line in hits / people]
        padded = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)
        return float(np.mean([line[where] for line, where in zip(padded, at)]))

    drawn = np.random.default_rng(seed).integers(images, size=(repeats, images))
    return ap(np.ones(images)), np.array([ap(np.bincount(row, minlength=images)) for row in drawn])
