"""What a detector did with annotated people: every annotated keypoint and every candidate as rows to measure.

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.simulation import MATCH_RADIUS
from hggbook.data.surroundings import centres, crowding_at, look_around, pairs_of
from hggbook.skeleton import Skeleton
from hggbook.types import Batch, Candidates, Record, Targets

FOUND, STRAY, BACKGROUND, CLUTTER, DUPLICATE = range(5)
"""What a candidate is: matched to an annotated keypoint; at a wrong place for one of its type (the nearest, or the one
whose mirrored keypoint it lies on); near a person, but not to be told what of; anywhere else; on a matched keypoint."""

STRAY_REACH = 1.2  # person sizes: farther from every keypoint of its type, a candidate is no stray
NEAR = 0.6  # person sizes: farther from every keypoint of any type, it is clutter


@dataclass(frozen=True)
class SeenKeypoints(Record):
    """Annotated keypoints.

    Attributes:
        person, type: whose, of which type.
        seen: seen, not occluded. hidden: share of its person's annotated keypoints that are occluded.
        crowding: how much another person is there (`crowding_at`).
        found: a candidate was matched. strays: how many it has.
        rival: pixels to the nearest annotated keypoint of that type of another person, infinite if there is none.
        rival_found: a candidate was matched to that one.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """

    person: Int64[Tensor, "Q"]
    type: Int64[Tensor, "Q"]
    seen: Bool[Tensor, "Q"]
    hidden: Float[Tensor, "Q"]
    crowding: Float[Tensor, "Q"]
    found: Bool[Tensor, "Q"]
    strays: Int64[Tensor, "Q"]
    rival: Float[Tensor, "Q"]
    rival_found: Bool[Tensor, "Q"]


@dataclass(frozen=True)
class SeenCandidates(Record):
    """Candidates that count.

    Attributes:
        what: FOUND, STRAY, BACKGROUND, CLUTTER or DUPLICATE.
        person: whose; -1 for clutter.
        type, score, embedding: as in `Candidates`; image: its ``batch``.
        visible, matched: its person's keypoint of its type is seen; is found.
        swapped: a stray on the mirrored keypoint.
        error: distance to that keypoint in units of (sigma x person's size); infinite for background and clutter.
        offset: from the centre of its person, pixels; zeros for clutter.
        position: pixels.
        own, other, distance: distances to the own and the nearest other person, and who that is (`look_around`).

    Not in the paper: see `hggbook.data.fit_simulation`.
    """

    what: Int64[Tensor, "N"]
    person: Int64[Tensor, "N"]
    type: Int64[Tensor, "N"]
    score: Float[Tensor, "N"]
    embedding: Float[Tensor, "N d"]
    image: Int64[Tensor, "N"]
    visible: Bool[Tensor, "N"]
    matched: Bool[Tensor, "N"]
    swapped: Bool[Tensor, "N"]
    error: Float[Tensor, "N"]
    offset: Float[Tensor, "N 2"]
    position: Float[Tensor, "N 2"]
    own: Float[Tensor, "N"]
    other: Int64[Tensor, "N"]
    distance: Float[Tensor, "N"]


@dataclass(frozen=True)
class Observed(Record):
    """Rows to measure, of any number of batches; images and people are numbered over all of them.

    Attributes:
        people: annotated people in the frame of the network input; ``size`` is that input's, ``image_id`` a number.
        keypoints, candidates: rows.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """

    people: PoseSet
    keypoints: SeenKeypoints
    candidates: SeenCandidates

    @property
    def num_images(self) -> int:
        return self.people.num_images


def observe(candidates: Candidates, targets: Targets, batch: Batch, skeleton: Skeleton) -> Observed:
    """Tells what every candidate of a batch is, and what became of every annotated keypoint.

    Args:
        candidates: of a detector.
        targets: of them, by `hggbook.labels.match_candidates`.
        batch: the annotations, in the candidates' frame; its images are not looked at.
        skeleton: keypoint types and their OKS sigmas.

    Choice: a candidate that was not matched is a stray of the person on whose mirrored keypoint it lies (OKS 0.5), else
    of the one whose keypoint of its type is nearest (by person sizes), because it then competes with, or stands in for,
    that keypoint. Where the nearest person of all has no such keypoint annotated, it may well be that one: background.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """
    people, sigmas = batch.keypoints, torch.tensor(skeleton.sigmas, device=batch.area.device)
    labelled, size = people[:, :, 2] > 0, batch.area.clamp_min(1.0).sqrt()
    kept = targets.counts.nonzero().squeeze(1)
    xy, kind, image = candidates.xy.detach()[kept], candidates.type[kept], candidates.batch[kept]
    person, duplicate = targets.person[kept], targets.duplicate[kept]

    what = torch.full_like(person, FOUND)
    what[(person < 0) & (duplicate >= 0)] = DUPLICATE
    owner = torch.maximum(person, duplicate)
    free = (owner < 0).nonzero().squeeze(1)
    swap, stray, near = _claims(xy[free], kind[free], image[free], batch, labelled, size, sigmas, skeleton)
    rest = torch.where(near >= 0, BACKGROUND, CLUTTER)
    lacks = near >= 0
    if len(people):
        lacks = lacks & ~labelled[near, kind[free]]
    is_stray = (swap >= 0) | ((stray >= 0) & ~lacks)
    what[free] = torch.where(is_stray, STRAY, rest)
    owner[free] = torch.where(swap >= 0, swap, torch.where(is_stray, stray, near))
    swapped = torch.zeros_like(what, dtype=torch.bool)
    swapped[free] = swap >= 0

    owned, whose = owner >= 0, owner.clamp_min(0)
    around = look_around(xy, image, owner, people, batch.area, batch.batch)
    found = torch.zeros_like(labelled)
    found[person[person >= 0], kind[person >= 0]] = True
    strays = torch.zeros_like(labelled, dtype=torch.int64)
    one = what == STRAY
    strays.index_put_((owner[one], kind[one]), torch.ones_like(owner[one]), accumulate=True)
    row, type_of = labelled.nonzero(as_tuple=True)
    seen = people[:, :, 2] > 1
    hidden = (labelled & ~seen).sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
    rival, rival_found = _rivals(batch, labelled, found)
    if len(people):
        told = owned & (what != BACKGROUND)
        error = (xy - people[whose, kind, :2]).norm(dim=1) / (sigmas[kind] * size[whose])
        error = error.masked_fill(~told, torch.inf)
        offset = (xy - centres(people)[whose]).masked_fill(~owned[:, None], 0.0)
        visible, matched = told & seen[whose, kind], told & found[whose, kind]
    else:
        error, offset = torch.full_like(xy[:, 0], torch.inf), torch.zeros_like(xy)
        visible = matched = torch.zeros_like(owned)
    return Observed(
        people=PoseSet(
            people, batch.area, batch.batch, torch.arange(batch.num_images, device=xy.device), candidates.size
        ),
        keypoints=SeenKeypoints(
            row, type_of, seen[row, type_of], hidden[row], crowding_at(people, batch.area, batch.batch)[row, type_of],
            found[row, type_of], strays[row, type_of], rival[row, type_of], rival_found[row, type_of],
        ),
        candidates=SeenCandidates(
            what, owner, kind, candidates.score.detach()[kept], candidates.embedding.detach()[kept], image, visible,
            matched, swapped, error, offset, xy, around.own, around.other, around.distance,
        ),
    )  # fmt: skip


def join(parts: Sequence[Observed]) -> Observed:
    """The rows of several batches as one.

    Raises:
        ValueError: no part.

    Not in the paper: bookkeeping.
    """
    if not parts:
        raise ValueError("observations: expected those of at least one batch, got none")
    images = people = 0
    joined: dict[str, list] = {"people": [], "keypoints": [], "candidates": []}
    for part in parts:
        poses, candidates = part.people, part.candidates
        number = torch.arange(images, images + part.num_images)
        joined["people"].append(poses.replace(batch=poses.batch + images, image_id=number))
        joined["keypoints"].append(part.keypoints.replace(person=part.keypoints.person + people))
        joined["candidates"].append(
            candidates.replace(
                image=candidates.image + images,
                person=torch.where(candidates.person < 0, -1, candidates.person + people),
                other=torch.where(candidates.other < 0, -1, candidates.other + people),
            )
        )
        images, people = images + part.num_images, people + len(poses.area)
    return Observed(**{name: _cat(rows) for name, rows in joined.items()})


def _cat(rows):
    names = [field.name for field in dataclasses.fields(rows[0])]
    return type(rows[0])(*(torch.cat([getattr(row, name) for row in rows]) for name in names))


def _rivals(batch, labelled, found):
    """(M, K) distance to the nearest labelled keypoint of that type of another person, and whether that is found."""
    m, k = labelled.shape
    row, person = pairs_of(batch.batch, batch.batch)
    row, person = row[row != person], person[row != person]
    gap = (batch.keypoints[row, :, :2] - batch.keypoints[person, :, :2]).norm(dim=2)
    gap = gap.masked_fill(~labelled[person], torch.inf)
    least = gap.new_full((m, k), torch.inf).scatter_reduce(0, row[:, None].expand(-1, k), gap, "amin")
    hit = (gap == least[row]) & torch.isfinite(gap) & found[person]
    other = torch.zeros_like(labelled)
    at, kind = hit.nonzero(as_tuple=True)
    other[row[at], kind] = True
    return least, other


def _claims(xy, kind, image, batch, labelled, size, sigmas, skeleton):
    """For each place: the person whose mirrored keypoint it lies on, the one whose keypoint of the type is nearest, the
    one that is nearest at all; -1 where there is none near enough."""
    row, person = pairs_of(image, batch.batch)
    flip = torch.tensor(skeleton.flip_order, device=xy.device)
    gap = (batch.keypoints[person, :, :2] - xy[row, None]).norm(dim=2).masked_fill(~labelled[person], torch.inf)
    gap = gap / size[person, None]
    pick = torch.arange(len(row), device=xy.device)
    same = gap[pick, kind[row]]
    mirrored = flip[kind[row]]
    across = gap[pick, mirrored].masked_fill((mirrored == kind[row]) | ~labelled[person, kind[row]], torch.inf)
    across = across / sigmas[mirrored]
    return tuple(
        _smallest(value, row, person, len(xy), limit)
        for value, limit in ((across, MATCH_RADIUS), (same, STRAY_REACH), (gap.amin(dim=1), NEAR))
    )


def _smallest(value, row, person, rows, limit):
    """The person of the smallest value of each row, the first of equal ones; -1 where it is not below the limit."""
    least = value.new_full((rows,), torch.inf).scatter_reduce(0, row, value, "amin")
    hit = (value == least[row]) & (value < limit)
    first = torch.full((rows,), torch.iinfo(torch.int64).max, device=row.device)
    first = first.scatter_reduce(0, row[hit], person[hit], "amin")
    return torch.where(first == torch.iinfo(torch.int64).max, -1, first)
