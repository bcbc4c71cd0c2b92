"""Who stands where: distances of places in an image to the people in it. What simulation and measurement share.

Not in the paper: see `hggbook.data.simulation`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.types import Record

CROWDING_REACH = 0.3


@dataclass(frozen=True)
class Surroundings(Record):
    """Distances of N places to people, in units of each person's size (square root of its area).

    Attributes:
        own: (N,) to the nearest labelled keypoint of the place's own person; infinite without one.
        other: (N,) the other person of the image that is nearest by that measure; -1 if there is none.
        distance: (N,) to that person; infinite if there is none.
    """

    own: Float[Tensor, "N"]
    other: Int64[Tensor, "N"]
    distance: Float[Tensor, "N"]


def look_around(
    xy: Float[Tensor, "N 2"],
    image: Int64[Tensor, "N"],
    owner: Int64[Tensor, "N"],
    keypoints: Float[Tensor, "M K 3"],
    area: Float[Tensor, "M"],
    batch: Int64[Tensor, "M"],
) -> Surroundings:
    """Finds how near each place is to its own person and to the nearest other person of its image.

    Args:
        xy: (N, 2) places, pixels in the frame of ``keypoints``.
        image: (N,) image of each.
        owner: (N,) the person it belongs to, -1 for nobody.
        keypoints, area, batch: M people; ``batch`` non-decreasing.

    Not in the paper: see `hggbook.data.simulation`.
    """
    n, m = len(xy), len(area)
    row, person = pairs_of(image, batch)
    gap = (keypoints[person, :, :2] - xy[row, None]).norm(dim=2)
    gap = gap.masked_fill(keypoints[person, :, 2] <= 0, torch.inf).amin(dim=1) / area[person].clamp_min(1.0).sqrt()
    mine = owner[row] == person
    nearest = xy.new_full((n,), torch.inf)
    own = nearest.scatter_reduce(0, row[mine], gap[mine], "amin")
    row, person, gap = row[~mine], person[~mine], gap[~mine]
    distance = nearest.scatter_reduce(0, row, gap, "amin")
    hit = (gap == distance[row]) & torch.isfinite(gap)
    other = torch.full_like(owner, m).scatter_reduce(0, row[hit], person[hit], "amin")
    return Surroundings(own, torch.where(other == m, -1, other), distance)


def crowding_at(
    keypoints: Float[Tensor, "M K 3"], area: Float[Tensor, "M"], batch: Int64[Tensor, "M"]
) -> Float[Tensor, "M K"]:
    """How much another person is at a keypoint: exp(-distance / 0.3), the distance in sizes of that person; 0 if alone.

    Choice: of what was tried to predict which keypoints a detector misses (largest box IoU, share of the person's box
    that others cover, number of others' boxes around the keypoint, nearness of the same or of any keypoint of another
    person, at several reaches) this has the largest likelihood, beside the person's size.

    Not in the paper: see `hggbook.data.simulation`.
    """
    m, k = keypoints.shape[:2]
    person = torch.arange(m, device=area.device).repeat_interleave(k)
    around = look_around(keypoints[:, :, :2].reshape(-1, 2), batch[person], person, keypoints, area, batch)
    return torch.exp(-around.distance / CROWDING_REACH).view(m, k)


def within_person(keypoints: Float[Tensor, "M K 3"], area: Float[Tensor, "M"]) -> Float[Tensor, "M K K"]:
    """Distances between the keypoints of a person, in sizes of that person; infinite where one is not labelled.

    Not in the paper: see `hggbook.data.simulation`.
    """
    gap = (keypoints[:, :, None, :2] - keypoints[:, None, :, :2]).norm(dim=3)
    hidden = keypoints[:, :, 2] <= 0
    gap = gap / area.clamp_min(1.0).sqrt()[:, None, None]
    return gap.masked_fill(hidden[:, :, None] | hidden[:, None], torch.inf)


def pairs_of(
    image: Int64[Tensor, "N"], batch: Int64[Tensor, "M"]
) -> tuple[Int64[Tensor, "P"], Int64[Tensor, "P"]]:
    """Every pair of a row of an image and a person of the same image: row numbers, person numbers, ordered by row.

    Args:
        image: (N,) image of each row, any order.
        batch: (M,) image of each person, non-decreasing.

    Not in the paper: bookkeeping.
    """
    first = torch.searchsorted(batch, image)
    times = torch.searchsorted(batch, image, right=True) - first
    row = torch.repeat_interleave(torch.arange(len(image), device=image.device), times)
    step = torch.arange(len(row), device=image.device) - (times.cumsum(0) - times)[row]
    return row, first[row] + step


def centres(keypoints: Float[Tensor, "M K 3"]) -> Float[Tensor, "M 2"]:
    """Mean place of each person's labelled keypoints; (0, 0) without any."""
    labelled = (keypoints[:, :, 2] > 0).to(keypoints.dtype)
    return (keypoints[:, :, :2] * labelled[..., None]).sum(dim=1) / labelled.sum(dim=1).clamp_min(1)[:, None]
