"""From grouped candidates to poses in original image pixels."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.detector.heatmaps import locate
from hggbook.detector.proposals import rank_in_group
from hggbook.types import Candidates, Maps, Poses

_CHUNK = 64  # missing keypoints searched at once by `fill_missing`; bounds its memory to so many maps


def decode(
    candidates: Candidates, person: Int64[Tensor, "N"], to_image: Float[Tensor, "B 2 3"], num_types: int
) -> Poses:
    """Poses: one per person, at most one candidate of each keypoint type.

    Of several candidates of one type in a person the one with the highest score is kept (equal scores: the first).

    Args:
        candidates: with scores above 0; a score of 0 reads as absent.
        person: (N,) person of each candidate, any integers >= 0, -1 for left out; a person lies in one image.
        to_image: (B, 2, 3) affine map from network-input pixels to original image pixels.
        num_types: K.

    Returns:
        `Poses` ordered by image, then by person number; without gradient. A pose's score is the mean over all K
        keypoint scores, a missing one counting 0, as in the AE code.

    Raises:
        ValueError: a person with candidates of two images.

    Paper: sec. 3.3 (inference).
    """
    candidates = candidates.detach()
    row, chosen, image = _members(candidates, person, num_types)
    matrix = to_image.to(candidates.xy.dtype)
    keypoints = candidates.xy.new_zeros(len(image), num_types, 3)
    keypoints[row, candidates.type[chosen], :2] = _transform(candidates.xy[chosen], matrix[candidates.batch[chosen]])
    keypoints[row, candidates.type[chosen], 2] = candidates.score[chosen].to(keypoints.dtype)
    return Poses(keypoints, keypoints[..., 2].mean(1), image, candidates.num_images)


@torch.no_grad()
def fill_missing(
    poses: Poses,
    candidates: Candidates,
    person: Int64[Tensor, "N"],
    maps: Maps,
    to_image: Float[Tensor, "B 2 3"],
    *,
    subpixel: str = "quarter",
    stack: int = -1,
) -> Poses:
    """Fill each pose's missing keypoints from the maps, as the AE code does before it computes AP ("refine").

    For a missing type: the cell with the largest ``heatmap - round(|embedding - mean|)``, where mean is the mean of the
    embeddings of the pose's found keypoints, the norm is Euclidean and halves round to even. The keypoint gets score 1;
    the pose's score stays. Where the heatmap is not above 0 at that cell the type stays missing.

    Args:
        poses: ``decode(candidates, person, to_image, K)``.
        candidates, person, to_image: the same as there.
        maps: what the candidates were proposed from.
        subpixel: how the filled keypoint is placed in its cell; "ae" for the AE code's own rule.
        stack: which stack's maps are read.

    Returns:
        The poses, in the same order.

    Not in the paper: it is silent, but its baseline's code does this and COCO scores every labelled keypoint. For AP
    only, never for pictures: a filled keypoint may lie on anybody.
    """
    row, chosen, image = _members(candidates, person, poses.keypoints.shape[1])
    heatmaps, embeddings = maps.heatmaps[:, stack], maps.embeddings[:, stack]
    found = candidates.embedding[chosen]
    mean = found.new_zeros(len(poses.score), found.shape[1]).index_add(0, row, found)
    mean = mean / torch.bincount(row, minlength=len(mean)).clamp(min=1)[:, None]

    keypoints = poses.keypoints.clone()
    for slots in (keypoints[..., 2] == 0).nonzero().split(_CHUNK):
        pose, kpt = slots.unbind(1)
        heat = heatmaps[image[pose], kpt]  # (R, h, w)
        away = (embeddings[image[pose], kpt] - mean[pose, :, None, None]).norm(dim=1)
        cell = (heat - torch.round(away)).flatten(1).argmax(1)
        line, column = cell // heat.shape[-1], cell % heat.shape[-1]
        xy = locate(heatmaps, image[pose], kpt, line, column, maps.stride, subpixel)
        keep = heat.flatten(1).gather(1, cell[:, None])[:, 0] > 0
        filled = torch.cat([_transform(xy, to_image[image[pose]].to(xy.dtype)), torch.ones_like(xy[:, :1])], dim=1)
        keypoints[pose[keep], kpt[keep]] = filled[keep].to(keypoints.dtype)
    return poses.replace(keypoints=keypoints)


def _members(candidates, person, num_types):
    """Which candidate fills which pose: pose row and candidate of each found keypoint, and each pose's image."""
    grouped = (person >= 0).nonzero()[:, 0]
    ids, row = torch.unique(person[grouped], return_inverse=True)
    image = candidates.batch.new_zeros(len(ids)).index_put((row,), candidates.batch[grouped])
    if (image[row] != candidates.batch[grouped]).any():
        raise ValueError("person: expected every person's candidates to lie in one image")
    by_image = torch.sort(image, stable=True).indices
    row = torch.argsort(by_image)[row]
    order, rank = rank_in_group(row * num_types + candidates.type[grouped], candidates.score[grouped])
    order = order[rank == 0]
    return row[order], grouped[order], image[by_image]


def _transform(xy, matrix):
    """(R, 2) points through (R, 2, 3) affine maps."""
    return (matrix[:, :, :2] @ xy[:, :, None])[:, :, 0] + matrix[:, :, 2]
