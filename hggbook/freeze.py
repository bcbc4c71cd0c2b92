"""A detector's candidates on a data set, computed once: grouping on top of a frozen detector then needs no images."""

import torch
from tqdm import tqdm

from hggbook.config import Config
from hggbook.data.coco import CocoPeople, PoseSet
from hggbook.data.labelled import LabelledCandidates, join, overlap
from hggbook.data.loading import loader
from hggbook.data.transforms import Fit
from hggbook.labels import match_candidates
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS


@torch.no_grad()
def freeze(
    model: HGG,
    dataset: CocoPeople,
    config: Config,
    *,
    batch_size: int = 16,
    device: str = "cpu",
    progress: bool = False,
) -> LabelledCandidates:
    """Proposes the candidates of every image of a data set and matches them with its annotations.

    Args:
        model: with a detector; its grouping stage is not run.
        dataset: images with annotations; images without people are kept.
        config: of the model (input size, skeleton).
        batch_size: images at a time.
        device: where the model runs.
        progress: show a progress bar on stderr.

    Not in the paper: it trains everything together; freezing the detector tells grouping from detection.
    """
    skeleton = SKELETONS[config.skeleton]
    sigmas = torch.tensor(skeleton.sigmas, device=device)
    model = model.to(device).eval()
    parts = []
    batches = loader(dataset, Fit(config.detector.input_size), batch_size)
    for batch in tqdm(batches, desc="proposing", unit="batch", disable=not progress, leave=False):
        batch = batch.to(device)
        candidates = model.propose(model.detect(batch.images)).detach()
        targets = match_candidates(candidates, batch, sigmas)
        people = PoseSet(batch.keypoints, batch.area, batch.batch, batch.image_id, candidates.size)
        number = torch.bincount(batch.batch, minlength=batch.num_images)
        part = LabelledCandidates(candidates, targets, batch.image_id, batch.to_image, number, overlap(people))
        parts.append(part.to("cpu"))
    return join(parts)
