"""Groupers side by side: one detector pass, the same candidates, every grouper scored. Paper: sec. 4."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from tqdm import tqdm

from hggbook.config import Config
from hggbook.data.coco import CocoPeople
from hggbook.data.loading import loader
from hggbook.data.transforms import Fit
from hggbook.decode import decode, fill_missing
from hggbook.evaluate import coco_report, to_coco_results
from hggbook.grouping.groupers import AEGreedy, Oracle
from hggbook.labels import match_candidates
from hggbook.metrics import GroupingCounts, grouping_counts
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS
from hggbook.types import Batch, Output, Targets

GroupFrom = Callable[[Output, Targets], Int64[Tensor, "N"]]

CUTS = (-6.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
_INDISTINCT = 0.002
THRESHOLDS = (0.25, 0.375, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class Score:
    """What one grouper reached on one data set.

    Attributes:
        ap: COCO measures over all images.
        ap_person_images: the same over the images that show annotated people.
        counts: grouping errors on the candidates that were matched to annotated keypoints.
        results: COCO results of every image, ready to be written.
    """

    ap: dict[str, float]
    ap_person_images: dict[str, float]
    counts: GroupingCounts
    results: list[dict[str, Any]]


def groupers_of(model: HGG, config: Config) -> dict[str, GroupFrom]:
    """The standard three: ``hgg``, ``ae`` (greedy, by embedding distance) and ``oracle`` (the annotations decide)."""
    greedy = AEGreedy(SKELETONS[config.skeleton].greedy_order, threshold=config.baseline.threshold)
    return {
        "hgg": lambda output, targets: output.grouping.person,
        "ae": lambda output, targets: greedy(output.candidates),
        "oracle": lambda output, targets: Oracle(targets)(output.candidates),
    }


@torch.no_grad()
def compare(
    model: HGG,
    dataset: CocoPeople,
    config: Config,
    groupers: Mapping[str, GroupFrom] | None = None,
    *,
    batch_size: int = 16,
    device: str = "cpu",
    fill: bool = False,
    on_batch: Callable[[Batch, Output], None] | None = None,
    progress: bool = False,
) -> dict[str, Score]:
    """Runs the model over a data set once and lets every grouper group the same candidates.

    Args:
        model: with a detector; its own grouping is ``output.grouping``.
        dataset: images with annotations; every image is scored, also those without people.
        config: of the model (input size, skeleton, baseline threshold).
        groupers: by name; default `groupers_of`.
        batch_size: images at a time.
        device: where the model runs.
        fill: fill missing keypoints from the embeddings before scoring, as the AE code does for COCO AP.
        on_batch: called with each batch and the model's output, e.g. to draw.
        progress: show a progress bar on stderr.

    Returns:
        `Score` by grouper.

    Paper: sec. 4 (the same detections, grouped by AE and by HGG).
    """
    skeleton = SKELETONS[config.skeleton]
    groupers = groupers_of(model, config) if groupers is None else groupers
    sigmas = torch.tensor(skeleton.sigmas, device=device)
    model = model.to(device).eval()
    (category,) = dataset.coco.cats
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in groupers}
    counts = dict.fromkeys(groupers, GroupingCounts())
    batches = loader(dataset, Fit(config.detector.input_size), batch_size)
    for batch in tqdm(batches, desc="evaluating", unit="batch", disable=not progress, leave=False):
        batch = batch.to(device)
        output = model(batch.images)
        targets = match_candidates(output.candidates, batch, sigmas)
        for name, grouper in groupers.items():
            person = grouper(output, targets)
            poses = decode(output.candidates, person, batch.to_image, skeleton.num_types)
            if fill:
                poses = fill_missing(
                    poses, output.candidates, person, output.maps, batch.to_image, subpixel=config.proposal.subpixel
                )
            results[name] += to_coco_results(poses.to("cpu"), batch.image_id.cpu(), category=category)
            counts[name] = counts[name] + grouping_counts(person.cpu(), targets.to("cpu"))
        if on_batch is not None:
            on_batch(batch, output)
    scores = {}
    for name in groupers:
        report = coco_report(results[name], dataset.coco, dataset.image_ids.tolist(), skeleton)
        scores[name] = Score(report["all_images"], report["person_images"], counts[name], results[name])
    return scores


def calibrate(
    model: HGG,
    dataset: CocoPeople,
    config: Config,
    *,
    cuts: Sequence[float] = CUTS,
    thresholds: Sequence[float] = THRESHOLDS,
    batch_size: int = 16,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[Config, dict[str, float]]:
    """Chooses HGG's cut and the baseline's threshold by AP on a tuning split: both sides get the same care.

    Args:
        dataset: the tuning split; never the one that is reported.
        cuts, thresholds: values tried. Of those whose AP is within 0.002 of the best, which is less than a few hundred
            images can tell apart, the one nearest to the config's own wins.

    Returns:
        The config with the two chosen values, and the AP of every value tried, ``cut=...`` and ``threshold=...``.

    Not in the paper: it tells no thresholds.
    """
    order = SKELETONS[config.skeleton].greedy_order

    def with_cut(cut: float) -> GroupFrom:
        def group(output: Output, targets: Targets) -> Int64[Tensor, "N"]:
            before, model.ohgc.cut = model.ohgc.cut, cut
            try:
                return model.group(output.candidates).person
            finally:
                model.ohgc.cut = before

        return group

    def with_threshold(threshold: float) -> GroupFrom:
        greedy = AEGreedy(order, threshold=threshold)
        return lambda output, targets: greedy(output.candidates)

    tried = {f"cut={cut}": with_cut(cut) for cut in cuts} | {f"threshold={t}": with_threshold(t) for t in thresholds}
    scores = compare(model, dataset, config, tried, batch_size=batch_size, device=device, progress=progress)
    ap = {name: score.ap["AP"] for name, score in scores.items()}

    cut = nearest_best({value: ap[f"cut={value}"] for value in cuts}, config.grouping.cut)
    threshold = nearest_best({value: ap[f"threshold={value}"] for value in thresholds}, config.baseline.threshold)
    chosen = dataclasses.replace(
        config,
        grouping=dataclasses.replace(config.grouping, cut=cut),
        baseline=dataclasses.replace(config.baseline, threshold=threshold),
    )
    model.ohgc.cut = cut
    return chosen, ap


def nearest_best(ap: Mapping[Any, float], default: float | tuple[float, ...]) -> Any:
    """Of the values whose AP is within 0.002 of the best, which a few hundred images cannot tell apart, the one nearest
    to the default. A value is one number, or several in a tuple.

    Not in the paper: it tells no thresholds.
    """
    top = max(ap.values())
    good = [value for value in ap if ap[value] >= top - _INDISTINCT]
    return min(good, key=lambda value: np.abs(np.subtract(value, default)).sum())
