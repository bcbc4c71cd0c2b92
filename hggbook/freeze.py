"""A detector's candidates on a data set, computed once: grouping on top of a frozen detector then needs no images."""

from itertools import chain

import torch
from tqdm import tqdm

from hggbook.config import Config
from hggbook.data.coco import CocoPeople, PoseSet
from hggbook.data.labelled import LabelledCandidates, join, overlap
from hggbook.data.loading import loader
from hggbook.data.transforms import Fit, Transform
from hggbook.labels import match_candidates
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS


@torch.no_grad()
def freeze(
    model: HGG,
    dataset: CocoPeople,
    config: Config,
    *,
    transform: Transform | None = None,
    views: int = 1,
    batch_size: int = 16,
    device: str = "cpu",
    progress: bool = False,
) -> LabelledCandidates:
    """Proposes the candidates of every image of a data set and matches them with its annotations.

    Args:
        model: with a detector; its grouping stage is not run.
        dataset: images with annotations; images without people are kept.
        config: of the model (input size, skeleton).
        transform: what images go through; default: `Fit`, as in inference.
        views: how often each image is looked at. Of use where the transform draws: every view has an image's place of
            its own in the result, all images once before any comes again.
        batch_size: images at a time.
        device: where the model runs.
        progress: show a progress bar on stderr.

    Not in the paper: it trains everything together; freezing the detector tells grouping from detection.
    """
    skeleton = SKELETONS[config.skeleton]
    sigmas = torch.tensor(skeleton.sigmas, device=device)
    model = model.to(device).eval()
    transform, parts = transform or Fit(config.detector.input_size), []
    epochs = [loader(dataset, transform, batch_size, seed=config.seed, epoch=epoch) for epoch in range(views)]
    total = sum(map(len, epochs))
    for batch in tqdm(
        chain(*epochs), total=total, desc="proposing", unit="batch", disable=not progress, leave=False
    ):
        batch = batch.to(device)
        candidates = model.propose(model.detect(batch.images)).detach()
        targets = match_candidates(candidates, batch, sigmas)
        people = PoseSet(batch.keypoints, batch.area, batch.batch, batch.image_id, candidates.size)
        number = torch.bincount(batch.batch, minlength=batch.num_images)
        part = LabelledCandidates(candidates, targets, batch.image_id, batch.to_image, number, overlap(people))
        parts.append(part.to("cpu"))
    return join(parts)
