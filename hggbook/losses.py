"""The losses. Detection part: heatmaps, pull and push, as in associative embedding (AE)."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.detector.heatmaps import in_map, keypoint_cell
from hggbook.grouping.graph import pairs_within_images

PUSH_KINDS = ("exp", "hinge")


def detection_loss(
    heatmaps: Float[Tensor, "B S K h w"],
    target: Float[Tensor, "B K h w"],
    mask: Bool[Tensor, "B h w"],
    num_images: int | None = None,
    *,
    foreground: float = 0.0,
) -> Float[Tensor, ""]:
    """Keypoint detection loss: squared error of every stack's heatmaps, zero where the mask is False.

    Args:
        heatmaps: (B, S, K, h, w) outputs.
        target: (B, K, h, w) from `heatmaps.render`.
        mask: (B, h, w) False on crowds and padding. As in the AE code, masked cells count in the mean (with error 0).
        num_images: what the sum over images is divided by, if not B: the images of the global batch, so that the sum
            over processes is the loss of that batch.
        foreground: a cell counts ``1 + foreground * target`` times.

    Returns:
        Scalar: mean over stacks, types and cells, then over images.

    Choice: ``foreground`` is 0 in the paper's training. A short one needs more: one cell in several hundred belongs to
    a keypoint, so an empty map is a good answer for thousands of steps, and the little that it is sure of stays low.

    Paper: sec. 3.3 (detection loss, as in [29]); the weight is not in it.
    """
    counts = mask[:, None] * (1 + foreground * target)
    per_image = ((heatmaps - target[:, None]) ** 2 * counts[:, None]).flatten(1).mean(1)
    return per_image.sum() / (num_images or len(heatmaps))


def pull_push(
    embeddings: Float[Tensor, "B S K d h w"],
    keypoints: Float[Tensor, "M K 3"],
    batch: Int64[Tensor, "M"],
    stride: int,
    *,
    kind: str = "exp",
    margin: float = 1.0,
    truncate: bool = False,
    num_images: int | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Pull a person's embeddings together, push the means of different people apart.

    The embedding is read at each labelled keypoint, in its own type's map. With n people in an image, each of whom has
    at least one labelled keypoint on the map::

        pull = 1/n   sum over people     of  mean over keypoints of |h - mean|^2 / d
        push = 1/2   mean over pairs     of  exp(-|mean - mean'|^2 / d)              kind "exp"
                                         of  max(0, margin - |mean - mean'| / sqrt(d))   kind "hinge"

    An image with no such person contributes 0 to both, one with a single person 0 to push, each with zero gradient.

    Args:
        embeddings: (B, S, K, d, h, w).
        keypoints: (M, K, 3) x, y in input pixels and visibility; used where visibility > 0.
        batch: (M,) image of each person, non-decreasing.
        stride: input pixels per cell.
        kind: "exp" as in the paper, or "hinge".
        margin: of the hinge.
        truncate: read at the AE code's truncated cell instead of the cell that contains the keypoint; goes with the
            same switch of `heatmaps.render`.
        num_images: as in `detection_loss`.

    Returns:
        pull, push: scalars, mean over stacks and images.

    Raises:
        ValueError: unknown kind.

    Choice: the hinge, because the gradient of the exponential vanishes when all embeddings are equal, which is where
    small, fast runs start. It reads the distance, not its square, so that its gradient stays of size 1 down to (but not
    at) distance 0.
    Choice: both squared distances are divided by d, so that the size of the embedding does not change the balance; the
    AE code divides in pull only. At the paper's d = 1 there is no difference.

    Paper: sec. 3.3 (push and pull losses, as in [29]).
    """
    if kind not in PUSH_KINDS:
        raise ValueError(f"push kind: expected one of {PUSH_KINDS}, got {kind!r}")
    images, stacks, _, _, height, width = embeddings.shape
    people = len(keypoints)
    cell = keypoint_cell(keypoints[..., :2], stride, truncate)
    person, kpt = ((keypoints[..., 2] > 0) & in_map(cell, (height, width))).nonzero(as_tuple=True)
    column, row = cell[person, kpt].unbind(1)
    value = embeddings[batch[person], :, kpt, :, row, column]  # (R, S, d)

    count = _sum(torch.ones_like(person), person, people)  # keypoints of each person
    mean = _sum(value, person, people) / count.clamp(min=1)[:, None, None]  # (M, S, d)
    spread = ((value - mean[person]) ** 2).mean(2)  # (R, S)
    spread = _sum(spread, person, people) / count.clamp(min=1)[:, None]  # (M, S)
    present = count > 0
    people_of = _sum(present.long(), batch, images)  # people of each image
    pull = _sum(spread, batch, images) / people_of.clamp(min=1)[:, None]  # (B, S)

    mean, owner = mean[present], batch[present]
    first, second = pairs_within_images(owner, images)
    square = ((mean[first] - mean[second]) ** 2).mean(2)  # (pairs, S)
    near = torch.exp(-square) if kind == "exp" else (margin - _root(square)).clamp(min=0)
    pairs_of = people_of * (people_of - 1) // 2
    push = 0.5 * _sum(near, owner[first], images) / pairs_of.clamp(min=1)[:, None]  # (B, S)
    scale = stacks * (num_images or images)
    return pull.sum() / scale, push.sum() / scale


def _sum(values, group, groups):
    """Sum of rows by group, (rows, ...) to (groups, ...)."""
    return values.new_zeros(groups, *values.shape[1:]).index_add(0, group, values)


def _root(square):
    """Square root with gradient 0, not infinity, at 0."""
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1).sqrt(), 0)
