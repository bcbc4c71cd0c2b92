"""Losses of the grouping stage: binary cross-entropy on edges and on macro-nodes. Paper: sec. 3.2, Table 2."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hggbook.labels import LevelLabels
from hggbook.types import Grouping


def grouping_losses(
    grouping: Grouping, labels: tuple[LevelLabels, ...], num_images: int | None = None
) -> dict[str, Float[Tensor, ""]]:
    """BCE of the edge discriminator in all rounds and of the macro-node discriminator on the clusters it was shown.

    Each loss is averaged per image over the labelled terms of all rounds, then over the images. An image without a
    labelled term adds nothing to the sum but counts in the mean, so that one process and several agree.

    Args:
        grouping: with its levels.
        labels: of those levels (`hggbook.labels.level_labels`).
        num_images: the number of images that the sums are divided by; default: those of the grouping.

    Returns:
        ``edge``; ``macro_final``: the clusters that the images end with ("FinalM"); ``macro_intermediate``: all earlier
        ones ("IntermM"). Scalars, zero if nothing is labelled.

    Paper: sec. 3.2 (BCE), Table 2 (the three terms).
    """
    images = len(grouping.rounds)
    dtype = grouping.levels[0].edge_logit.dtype if grouping.levels else None  # gradients are checked in float64
    total = {name: torch.zeros(images, dtype=dtype, device=grouping.person.device) for name in _TERMS}
    number = {name: torch.zeros_like(value) for name, value in total.items()}
    for level, label in zip(grouping.levels, labels):
        image = level.graph.batch
        of_node = torch.zeros_like(level.made_of).scatter_(0, level.cluster, image)
        terms = {
            "edge": (level.edge_logit, label.edge, image[level.graph.edge_index[0]]),
            "macro_final": (level.node_logit, label.node.masked_fill(~label.final, torch.nan), of_node),
            "macro_intermediate": (level.node_logit, label.node.masked_fill(label.final, torch.nan), of_node),
        }
        for name, (logit, target, where) in terms.items():
            value, has = _cross_entropy(logit, target)
            total[name] = total[name].index_add(0, where, value)
            number[name] = number[name].index_add(0, where, has)
    return {name: (total[name] / number[name].clamp_min(1)).sum() / (num_images or max(images, 1)) for name in _TERMS}


_TERMS = ("edge", "macro_final", "macro_intermediate")


def _cross_entropy(
    logit: Float[Tensor, "T"], target: Float[Tensor, "T"]
) -> tuple[Float[Tensor, "T"], Float[Tensor, "T"]]:
    has = ~torch.isnan(target)
    target = target.nan_to_num(0.0).to(logit.dtype)
    value = binary_cross_entropy_with_logits(logit, target, reduction="none")
    return value * has, has.to(logit.dtype)


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


def scale_gradient(x: Float[Tensor, "*any"], factor: float) -> Float[Tensor, "*any"]:
    """Passes ``x`` on unchanged and multiplies the gradient that comes back by ``factor``.

    The paper weighs the grouping losses by 1e-5. Weighing the losses themselves would leave the GNN and the
    discriminators with gradients under Adam's epsilon; weighing the gradient where it enters the detector gives the
    detector the same direction and lets the rest train at weight 1 (Choice).

    Paper: sec. 3.3 (loss weights).
    """
    return _ScaleGradient.apply(x, factor)
