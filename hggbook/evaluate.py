"""Scores of poses: COCO results files, and AP and AR as pycocotools computes them.

AP is over **all** images of a split unless image ids are given. The field mixes that with scoring only images that show
somebody, where a false positive can never happen on an empty image; `coco_report` gives both.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from pycocotools.coco import COCO as CocoIndex
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from hggbook.data.coco import read_annotations
from hggbook.paths import whole_file
from hggbook.skeleton import COCO, Skeleton
from hggbook.types import Poses

MEASURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
"""What COCOeval's summary of keypoints holds, in its order."""

OUTCOMES = ("right", "inexact", "mirrored", "another person's", "elsewhere", "missing", "no pose")
"""What can become of an annotated keypoint, for `keypoint_outcomes`."""
_MATCHED, _NEAR, _RIGHT = 0.1, 0.5, 0.85  # least OKS of a person's pose; least similarities of its keypoints


def to_coco_results(
    poses: Poses, image_id: Int64[Tensor, "B"], *, absent: str = "mean", category: int = 1
) -> list[dict[str, Any]]:
    """Poses as COCO results: per pose image id, category, score and K times x, y, 1.

    COCO compares every labelled keypoint with the pose's, found or not, so an absent one (score 0) must lie somewhere.
    ``mean``: at the mean of those found, as the AE code has it. ``zero``: at (0, 0). A pose without any keypoint is
    left out.

    Args:
        poses: in original image pixels.
        image_id: (B,) COCO id of each image of ``poses``.
        category: COCO category of the results.

    Raises:
        ValueError: number of images differs, unknown ``absent``, or a value that is not finite.

    Not in the paper: COCO's result format.
    """
    if absent not in ("mean", "zero"):
        raise ValueError(f"absent: expected 'mean' or 'zero', got {absent!r}")
    if len(image_id) != poses.num_images:
        raise ValueError(f"to_coco_results: poses of {poses.num_images} images, ids of {len(image_id)}")
    keypoints = poses.keypoints.detach().cpu().double().numpy()
    score = poses.score.detach().cpu().double().numpy()
    if not (np.isfinite(keypoints).all() and np.isfinite(score).all()):
        raise ValueError("to_coco_results: expected finite keypoints and scores, got NaN or infinity")
    found = keypoints[..., 2] != 0
    xy = np.where(found[..., None], keypoints[..., :2], 0.0)
    if absent == "mean":
        mean = xy.sum(axis=1, keepdims=True) / np.maximum(found.sum(axis=1), 1)[:, None, None]
        xy = np.where(found[..., None], xy, mean)
    flat = np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1).reshape(len(xy), 3 * xy.shape[1])
    ids = image_id.cpu()[poses.batch.cpu()].tolist()
    return [
        {"image_id": ids[i], "category_id": category, "keypoints": flat[i].tolist(), "score": float(score[i])}
        for i in np.flatnonzero(found.any(axis=1))
    ]


def coco_ap(
    results: Sequence[dict[str, Any]], annotations: str | os.PathLike | CocoIndex,
    image_ids: Iterable[int] | None = None, skeleton: Skeleton = COCO,
) -> dict[str, float]:
    """AP and AR of keypoints as pycocotools computes them: OKS thresholds 0.50 to 0.95, 20 best poses per image.

    Args:
        results: as `to_coco_results` gives them.
        annotations: annotation file, or the pycocotools object of one (`read_annotations`, `CocoPeople.coco`).
        image_ids: only these images; all of the annotations by default. Results on other images are not counted.
        skeleton: its OKS sigmas are used.

    Returns:
        Each of `MEASURES`. Without any result 0; -1, as pycocotools has it, where nothing was annotated.

    Raises:
        ValueError: an annotation file that cannot be used, image ids or a category that it does not have.

    Paper: sec. 4.1 (AP, AP50, AP75, APM, APL, AR).
    """
    truth = annotations if isinstance(annotations, CocoIndex) else read_annotations(annotations, skeleton)
    evaluation = coco_evaluation(results, truth, image_ids, skeleton)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(value) for name, value in zip(MEASURES, evaluation.stats, strict=True)}


def coco_evaluation(
    results: Sequence[dict[str, Any]], truth: CocoIndex, image_ids: Iterable[int] | None = None,
    skeleton: Skeleton = COCO,
) -> COCOeval:
    """pycocotools' evaluation after its matching of poses to people, before anything is averaged.

    Raises:
        ValueError: image ids or a category that the annotations do not have.

    Paper: sec. 4.1.
    """  # fmt: skip
    chosen = sorted(truth.imgs) if image_ids is None else sorted({int(i) for i in image_ids})
    if unknown := ({*chosen} | {r["image_id"] for r in results}) - truth.imgs.keys():
        raise ValueError(f"coco_ap: images {sorted(unknown)[:5]} are not in the annotations ({len(unknown)} in all)")
    if unknown := {r["category_id"] for r in results} - truth.cats.keys():
        raise ValueError(f"coco_ap: results have category {sorted(unknown)}, the annotations {sorted(truth.cats)}")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, _index(results, truth), iouType="keypoints")
        evaluation.params.imgIds = chosen
        if skeleton.name != COCO.name:  # pycocotools has COCO's own built in
            evaluation.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
        evaluation.evaluate()
    return evaluation


def coco_report(
    results: Sequence[dict[str, Any]], annotations: str | os.PathLike | CocoIndex,
    image_ids: Iterable[int] | None = None, skeleton: Skeleton = COCO,
) -> dict[str, dict[str, float]]:
    """`coco_ap` twice: over ``all_images`` (the number to quote) and over ``person_images`` only, with ``images`` each.

    Raises:
        ValueError: see `coco_ap`.

    Paper: sec. 4.1; the second number only because others quote it.
    """
    truth = annotations if isinstance(annotations, CocoIndex) else read_annotations(annotations, skeleton)
    chosen = sorted(truth.imgs) if image_ids is None else sorted({int(i) for i in image_ids})
    shown = {a["image_id"] for a in truth.anns.values() if a["num_keypoints"] and not a.get("iscrowd")}
    sets = {"all_images": chosen, "person_images": [i for i in chosen if i in shown]}
    return {
        name: coco_ap(results, truth, ids, skeleton) | {"images": float(len(ids))} for name, ids in sets.items()
    }


def crowd_report(
    results: Sequence[dict[str, Any]], annotations: CocoIndex, image_ids: Iterable[int] | None = None,
    skeleton: Skeleton = COCO,
) -> dict[str, float]:
    """CrowdPose's AP on images of low, middle and high crowd index; nothing for a file without crowd indices.

    Returns:
        AP by level (``easy``, ``medium``, ``hard``), levels without an image left out.

    Raises:
        ValueError: see `coco_ap`.

    Choice: the bounds of the evaluation code in use (xtcocotools), 0.01 and 0.85; CrowdPose's paper writes 0.1 and 0.8.

    Not in the paper, which does not use CrowdPose.
    """
    chosen = sorted(annotations.imgs) if image_ids is None else sorted({int(i) for i in image_ids})
    levels: dict[str, list[int]] = {}
    for image in chosen:
        crowding = annotations.imgs[image].get("crowdIndex")
        if crowding is not None:
            level = "easy" if crowding < 0.01 else "medium" if crowding < 0.85 else "hard"
            levels.setdefault(level, []).append(image)

    def part(images):
        kept = set(images)
        return [result for result in results if result["image_id"] in kept]

    order = [level for level in ("easy", "medium", "hard") if level in levels]
    return {
        level: coco_ap(part(levels[level]), annotations, levels[level], skeleton)["AP"] for level in order
    }


def keypoint_outcomes(
    poses: Poses, people: Float[Tensor, "M K 3"], area: Float[Tensor, "M"], image: Int64[Tensor, "M"],
    skeleton: Skeleton = COCO,
) -> Int64[Tensor, "M K"]:
    """What became of every annotated keypoint, to see what AP finds wanting in the poses.

    In each image the poses, the surest first, take the free person whose OKS is highest and at least 0.1. A keypoint of
    a person with a pose is *right* if its similarity (a term of OKS) is 0.85 or more, and *inexact* from 0.5 on. Below
    that it lies at the same keypoint of the person's other side (*mirrored*), at one of *another person's* (the same or
    its mirror; the nearest of all these counts, if it is at least 0.5 similar), or *elsewhere*. *Missing*: the pose
    lacks it. *No pose*: nobody took the person.

    Args:
        poses: in the frame of ``people``.
        people: annotated keypoints; the last column is COCO's visibility, 0 = not labelled.
        area: of each person, square pixels.
        image: of each person, as in ``poses.batch``.
        skeleton: its OKS sigmas and flip pairs are used.

    Returns:
        Places in `OUTCOMES`; -1 where nothing is labelled.

    Not in the paper: after M. R. Ronchi and P. Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose
    Estimation, ICCV 2017. Choice: a missing keypoint is told apart from a misplaced one, and adds nothing to OKS.
    """
    right, inexact, mirrored, other, elsewhere, missing, no_pose = range(len(OUTCOMES))
    labelled = people[..., 2] > 0
    told = torch.where(labelled, no_pose, -1)
    width = 2 * torch.tensor(skeleton.sigmas, dtype=people.dtype, device=people.device)
    flipped = list(skeleton.flip_order)

    def similar(xy, mirror):  # (P, M, K) of the poses' keypoints with the people's, or with those of the other side
        square = (xy[:, None] - there[None, :, mirror, :2]).square().sum(-1)
        value = torch.exp(-square / (2 * area[here][None, :, None] * width[mirror].square()))
        return value * labelled[here][None, :, mirror]

    for k in image.unique().tolist():
        here, mine = (image == k).nonzero()[:, 0], (poses.batch == k).nonzero()[:, 0]
        mine = mine[poses.score[mine].argsort(descending=True, stable=True)]
        there, found = people[here], poses.keypoints[mine, :, 2] != 0
        same, side = (similar(poses.keypoints[mine, :, :2], order) for order in (slice(None), flipped))
        oks = (same * found[:, None]).sum(-1) / labelled[here].sum(-1).clamp(min=1)
        for p in range(len(mine)):
            m = int(oks[p].argmax())
            if oks[p, m] < _MATCHED:
                continue
            oks[:, m] = -1  # taken
            strange = torch.maximum(same[p], side[p])
            strange[m] = 0
            strange, swapped, near = strange.amax(dim=0), side[p, m], same[p, m]
            state = torch.where(swapped >= strange, mirrored, other)
            state = torch.where(torch.maximum(swapped, strange) >= _NEAR, state, elsewhere)
            state = torch.where(near >= _NEAR, inexact, state)
            state = torch.where(near >= _RIGHT, right, state)
            state = torch.where(found[p], state, missing)
            told[here[m]] = torch.where(labelled[here[m]], state, -1)
    return told


def write_results(results: Sequence[dict[str, Any]], path: str | os.PathLike) -> None:
    """A COCO results file, written whole or not at all; folders are made.

    Raises:
        ValueError: the file cannot be written, or a value is not finite; the path and the reason are named.

    Not in the paper: COCO's result format.
    """
    try:
        with whole_file(Path(path)) as temporary:
            temporary.write_text(json.dumps(list(results), allow_nan=False), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"results file {path}: cannot be written: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"results file {path}: not COCO results: {error}") from None


def _index(results, truth):
    """Results as a pycocotools object; its own loadRes fails on an empty list and writes into the caller's dicts."""
    if results:
        return truth.loadRes([dict(result) for result in results])
    index = CocoIndex()
    index.dataset = {"images": list(truth.imgs.values()), "categories": list(truth.cats.values()), "annotations": []}
    index.createIndex()
    return index
