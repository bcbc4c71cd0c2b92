"""What training minimises: one batch in, named losses out. Paper: sec. 3.3."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hggbook.config import LossConfig
from hggbook.detector import render, shrink_mask
from hggbook.grouping.losses import grouping_losses
from hggbook.labels import level_labels, match_candidates
from hggbook.losses import detection_loss, pull_push
from hggbook.model import HGG
from hggbook.types import Batch, Candidates, Targets


class Objective(nn.Module):
    """The losses of a batch: detection, pull and push; from the joint phase on also those of the grouping stage.

    A module of its own, so that several processes can wrap model and losses together.

    Args:
        model: its parts are run, in the same order as `HGG.forward` runs them.
        weights: loss weights and kinds.
        sigmas: (K,) OKS falloff of the keypoint types, to tell which annotated keypoint a candidate is.

    Paper: sec. 3.2, 3.3.
    """

    def __init__(self, model: HGG, weights: LossConfig, sigmas: tuple[float, ...]):
        super().__init__()
        self.model = model
        self.weights = weights
        self.register_buffer("sigmas", torch.tensor(sigmas), persistent=False)

    def forward(
        self, batch: Batch | tuple[Candidates, Targets], joint: bool, num_images: int
    ) -> dict[str, Float[Tensor, ""]]:
        """Unweighted losses of a batch of images, or of candidates with their targets (pose track).

        Args:
            batch: this process's part of the batch.
            joint: compute the grouping losses too.
            num_images: images of the whole batch over all processes: what every sum is divided by.
        """
        if isinstance(batch, tuple):
            return self._grouping(*batch, num_images)
        w = self.weights
        maps = self.model.detect(batch.images)
        map_size = (maps.heatmaps.shape[-2], maps.heatmaps.shape[-1])
        target = render(
            batch.keypoints, batch.batch, batch.num_images, map_size, maps.stride, sigma=w.sigma,
            truncate=w.truncate_targets,
        )  # fmt: skip
        pull, push = pull_push(
            maps.embeddings, batch.keypoints, batch.batch, maps.stride, kind=w.push_kind, margin=w.push_margin,
            truncate=w.truncate_targets, num_images=num_images,
        )  # fmt: skip
        detection = detection_loss(
            maps.heatmaps, target, shrink_mask(batch.mask, maps.stride), num_images, foreground=w.foreground
        )
        losses = {"detection": detection, "pull": pull, "push": push}
        if joint:
            candidates = self.model.propose(maps)
            losses |= self._grouping(candidates, match_candidates(candidates, batch, self.sigmas), num_images)
        return losses

    def _grouping(self, candidates: Candidates, targets: Targets, num_images: int):
        grouping = self.model.group(candidates)
        labels = level_labels(grouping, candidates, targets, self.weights.background, mixed=self.weights.mixed)
        losses = grouping_losses(grouping, labels, num_images)
        # Without a single edge no loss has seen a parameter. They must still be reached, by a gradient of zero: a loss
        # that cannot be differentiated ends a run, and one process without edges would end all.
        nothing = sum(parameter.sum() for parameter in self.model.grouping_parameters()) * 0.0
        return {name: value + nothing for name, value in losses.items()}

    def total(self, losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The weighted sum. Paper: sec. 3.3."""
        return sum(value * getattr(self.weights, name) for name, value in losses.items())


def gradients(
    losses: Mapping[str, Float[Tensor, ""]], parts: Mapping[str, Sequence[Tensor]]
) -> dict[str, dict[str, Float[Tensor, "P"]]]:
    """The gradient of every loss in every part of a network: which loss reaches what, and in which direction.

    Args:
        losses: by name, e.g. of `Objective`; their graph is kept.
        parts: by name, one or more tensors that require a gradient: parameters, or what flows between the modules.

    Returns:
        By loss, then by part: one flat vector over the part's tensors, zero where no path leads.

    Paper: sec. 3.3 (losses), "end-to-end trainable".
    """
    tensors = [tensor for part in parts.values() for tensor in part]
    found = {}
    for name, loss in losses.items():
        every = iter(torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True, materialize_grads=True))
        found[name] = {part: torch.cat([next(every).flatten() for _ in own]) for part, own in parts.items()}
    return found
