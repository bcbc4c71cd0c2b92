"""How grouping fares as people overlap, and as their torso is hidden. Paper: Table 1b, sec. 3.1, 4.4."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.compare.candidates import Group, measure
from hggbook.compare.intervals import f1_of, share_interval, share_samples
from hggbook.data.coco import PoseSet
from hggbook.data.labelled import LabelledCandidates, keypoint_boxes
from hggbook.data.simulate import simulate
from hggbook.data.simulation import SIMULATIONS
from hggbook.grouping.graph import build_graph
from hggbook.oracle import perfect_clustering
from hggbook.skeleton import GRAPH_CONFIGURATIONS, Skeleton

OVERLAPS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.67)
"""Box IoU of neighbours; the last is OCHuman's mean."""

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_SIDE = 512.0  # of the square image that a crowd is put into
_HEIGHT = 220.0  # of a person's box in it, before the width is made up for
_FEWEST = 10  # labelled keypoints of a person that is taken


def crowds(found: PoseSet, overlap: float, *, people: int = 3, number: int = 0) -> PoseSet:
    """Images of annotated people put side by side so that each one's box and the next one's have a given IoU.

    The same people stand in the same image at every overlap, so results can be paired. They are scaled to boxes of
    equal area, those of like shape next to each other, and shifted sideways only.

    Args:
        found: people to take; those with ten labelled keypoints or more are used, each once.
        overlap: wanted IoU, from 0 (the boxes touch) to 1.
        people: in an image.
        number: images; 0: as many as there are people for.

    Returns:
        `PoseSet` of square images of 512 pixels. Image ids count from 1.

    Raises:
        ValueError: an overlap outside of [0, 1), too few people.

    Paper: sec. 4.1 ("the average IoU of the bounding boxes is 67%"). Choice: annotated people, moved; who is hidden in
    the original stays hidden, and nobody is hidden by the neighbour that was put there.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap: expected an IoU in [0, 1), got {overlap}")
    labelled = found.keypoints[:, :, 2] > 0
    chosen = found.keypoints[labelled.sum(1) >= _FEWEST]
    if len(chosen) < people:
        wanted = f"{people} people with {_FEWEST} labelled keypoints or more"
        raise ValueError(f"crowds: expected {wanted}, got {len(chosen)}")
    low, high = keypoint_boxes(chosen)
    side = (high - low).clamp_min(1.0)
    # Of like shape beside each other, and yet no order of shapes along the images: groups are made, then shuffled.
    order = torch.argsort(side[:, 0] / side[:, 1])
    groups = order[: len(order) // people * people].view(-1, people)
    groups = groups[torch.randperm(len(groups), generator=torch.Generator().manual_seed(0))]
    groups = groups[: number or len(groups)]
    scale = _HEIGHT / side.prod(dim=1).sqrt()
    keypoints = chosen.clone()
    keypoints[:, :, :2] = (chosen[:, :, :2] - low[:, None]) * scale[:, None, None]
    size = side * scale[:, None]
    placed, at = [], torch.zeros(len(groups))
    for column, rows in enumerate(groups.T):
        if column:
            at = at + _shift(size[groups[:, column - 1]], size[rows], overlap)
        moved = keypoints[rows].clone()
        moved[:, :, 0] += at[:, None]
        moved[:, :, 1] += (_SIDE - size[rows, 1:]) / 2
        placed.append(moved)
    together = torch.stack(placed, dim=1)  # (images, people, K, 3)
    low, high = keypoint_boxes(together.flatten(1, 2))  # around everybody of an image
    fit = (0.95 * _SIDE / (high - low).amax(dim=1)).clamp_max(1.0)
    xy = (together[..., :2] - ((low + high) / 2)[:, None, None]) * fit[:, None, None, None] + _SIDE / 2
    seen = together[..., 2:] > 0
    keypoints = torch.cat([torch.where(seen, xy, torch.zeros(())), together[..., 2:]], dim=-1).flatten(0, 1)
    area = (size[groups].prod(dim=2) * fit[:, None].square()).flatten() * 0.5  # a body covers about half of its box
    batch = torch.repeat_interleave(torch.arange(len(groups)), people)
    return PoseSet(keypoints, area, batch, 1 + torch.arange(len(groups)), torch.full((len(groups), 2), _SIDE))


def sweep(groupers: Mapping[str, Group], sets: Sequence[LabelledCandidates]) -> dict[str, Any]:
    """Every grouper on the same crowds at each overlap.

    Args:
        groupers: by name; ``ae`` and ``hgg`` among them.
        sets: candidates of as many images at each overlap; best, image by image, of the same people.

    Returns:
        ``overlap``: measured mean by set; ``groupers``: by name and set F1 with its 95 % interval over images, and the
        share of people grouped perfectly; ``lead_samples`` (sets, repeats): bootstrap samples of HGG's lead over AE in
        F1, the same images drawn in every set.

    Raises:
        ValueError: sets of different numbers of images.

    Paper: Table 1b, sec. 4.4.
    """
    if len({labelled.num_images for labelled in sets}) != 1:
        raise ValueError(f"sweep: expected as many images in every set, got {[one.num_images for one in sets]}")
    told: dict[str, Any] = {"overlap": [], "groupers": {name: [] for name in groupers}, "images": sets[0].num_images}
    leads = []
    for labelled in sets:
        told["overlap"].append(round(float(labelled.overlap.mean()), 3))
        measured = measure(groupers, labelled.batches(64))
        for name, one in measured.items():
            found = share_interval(one.counts, f1_of)
            shares = {"f1": found.value, "low": found.low, "high": found.high, "perfect": one.total.perfect_share}
            told["groupers"][name].append({key: round(value, 4) for key, value in shares.items()})
        leads.append((share_samples(measured["hgg"].counts) - share_samples(measured["ae"].counts)).numpy())
    return told | {"lead_samples": np.stack(leads)}


def lead(sweeps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """HGG's lead over AE at each overlap, and how much it grows from the first to the last, over several trainings.

    Args:
        sweeps: of each training, on the same images.

    Returns:
        Means over the trainings, with 95 % intervals over images and trainings.

    Paper: sec. 4.4 ("robust on more challenging scenarios").
    """
    samples = np.stack([one["lead_samples"] for one in sweeps])  # (trainings, sets, repeats)
    drawn = np.random.default_rng(0).integers(len(samples), size=(len(samples), 1, samples.shape[2]))
    mean = np.take_along_axis(samples, drawn, axis=0).mean(axis=0)
    f1 = [[np.mean([one["groupers"][name][k]["f1"] for one in sweeps]) for k in range(samples.shape[1])]
          for name in ("hgg", "ae")]  # fmt: skip
    ahead = np.subtract(*f1)
    low, high = np.quantile(mean, [0.025, 0.975], axis=1)
    growth = np.quantile(mean[-1] - mean[0], [0.025, 0.975])
    told = {"lead": ahead, "low": low, "high": high}
    told = {name: [round(float(x), 4) for x in values] for name, values in told.items()}
    told |= {"low_at_most_overlap": round(float(low[-1]), 4), "growth": round(float(ahead[-1] - ahead[0]), 4)}
    return told | {"growth_low": round(float(growth[0]), 4), "growth_high": round(float(growth[1]), 4)}


@torch.no_grad()
def kept_whole(found: PoseSet, skeleton: Skeleton, hidden: Sequence[str] = TORSO) -> dict[str, float]:
    """People that a perfect scorer keeps whole in each graph configuration, when some of their keypoints are hidden.

    Only the connections differ: whom an edge joins is read from the annotations, so what is split was not connected.

    Args:
        found: people; who keeps fewer than two keypoints is not counted.
        skeleton: its configurations are compared.
        hidden: keypoints that are taken away.

    Returns:
        Share of the people whose candidates end as one cluster, by configuration.

    Paper: sec. 3.1 ("to avoid over-segment of a person during occlusion").
    """
    keypoints = found.keypoints.clone()
    keypoints[:, [skeleton.keypoints.index(name) for name in hidden], 2] = 0
    seen = (keypoints[:, :, 2] > 0).sum(1)
    rows = seen >= 2
    people = PoseSet(keypoints[rows], found.area[rows], found.batch[rows], found.image_id, found.size)
    candidates, targets, _ = simulate(people, SIMULATIONS["perfect"], skeleton)
    told = {}
    for name in GRAPH_CONFIGURATIONS:
        linked = torch.from_numpy(skeleton.linked(name))
        graph = build_graph(candidates, targets.person.float()[:, None], linked)
        person = perfect_clustering()(graph).person
        told[name] = round(_whole(person, targets.person, len(people.area)), 4)
    return told


def _whole(person: Int64[Tensor, "N"], true: Int64[Tensor, "N"], people: int) -> float:
    pairs = torch.unique(torch.stack([person, true]), dim=1)
    return float((torch.bincount(pairs[1], minlength=people) == 1).float().mean())


def _shift(one: Float[Tensor, "M 2"], other: Float[Tensor, "M 2"], overlap: float) -> Float[Tensor, "M"]:
    """How far to the right of a box's left edge another must begin for their IoU, both centred in height.

    Where even the same left edge gives less, they share it.
    """
    height = torch.minimum(one[:, 1], other[:, 1])
    whole = one.prod(dim=1) + other.prod(dim=1)
    shared = overlap * whole / (1 + overlap)  # IoU = shared / (whole - shared)
    return (one[:, 0] - shared / height).clamp_min(0)
