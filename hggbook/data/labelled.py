"""Candidates of many images with the truth about each: what grouping is studied, trained and compared on.

They are simulated from annotated people (pose track), or a detector's, computed once and kept in a file (image track
with a frozen detector). Everything after this record is the same for both.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.simulate import simulate
from hggbook.data.simulation import Simulation
from hggbook.grouping.graph import pairs_within_images
from hggbook.paths import whole_file
from hggbook.skeleton import Skeleton
from hggbook.types import Candidates, Record, Targets

_KIND = "hggbook labelled candidates"


@dataclass(frozen=True)
class LabelledCandidates(Record):
    """Candidates of B images, what each really is, and how crowded each image is.

    Attributes:
        candidates: N candidates.
        targets: of those candidates, with the M annotated people.
        image_id: (B,) COCO image ids.
        to_image: (B, 2, 3) affine map from network-input pixels to original image pixels.
        people: (B,) annotated people.
        overlap: (B,) see `overlap`.

    Not in the paper: a way to study grouping apart from detection.
    """

    candidates: Candidates
    targets: Targets
    image_id: Int64[Tensor, "B"]
    to_image: Float[Tensor, "B 2 3"]
    people: Int64[Tensor, "B"]
    overlap: Float[Tensor, "B"]

    @property
    def num_images(self) -> int:
        return self.image_id.shape[0]

    def select(self, images: Bool[Tensor, "B"] | Int64[Tensor, "b"]) -> "LabelledCandidates":
        """The images of a mask, or of a list of rows in the order given."""
        rows = images.nonzero().squeeze(1) if images.dtype == torch.bool else images
        c, t = self.candidates, self.targets
        of, batch = _rows_of(c.batch, self.num_images, rows)
        person_rows, person_batch = _rows_of(t.batch, self.num_images, rows)
        number = torch.full((len(t.batch) + 1,), -1, device=of.device)  # the last one stands for -1: nobody
        number[person_rows] = torch.arange(len(person_rows), device=of.device)
        return LabelledCandidates(
            candidates=Candidates(c.xy[of], c.type[of], c.score[of], c.embedding[of], batch, c.size[rows]),
            targets=Targets(
                number[t.person[of]], number[t.duplicate[of]], t.counts[of], t.annotated[person_rows], person_batch
            ),
            image_id=self.image_id[rows],
            to_image=self.to_image[rows],
            people=self.people[rows],
            overlap=self.overlap[rows],
        )

    def batches(self, size: int) -> Iterator["LabelledCandidates"]:
        """All images in order, ``size`` at a time."""
        for rows in torch.arange(self.num_images, device=self.image_id.device).split(size):
            yield self.select(rows)


def simulated(
    poses: PoseSet, simulation: Simulation, skeleton: Skeleton, seed: int = 0, chunk: int = 512
) -> LabelledCandidates:
    """Candidates simulated from annotated people; see `simulate`.

    Raises:
        ValueError: see `simulate`.

    Not in the paper: the pose track.
    """
    parts = []
    for rows in torch.arange(poses.num_images).split(chunk):
        chosen = poses.select(rows)
        candidates, targets, people = simulate(chosen, simulation, skeleton, seed)
        identity = torch.eye(2, 3).expand(len(rows), 2, 3)
        number = torch.bincount(chosen.batch, minlength=len(rows))
        parts.append(LabelledCandidates(candidates, targets, chosen.image_id, identity, number, overlap(people)))
    return join(parts)


def join(parts: list[LabelledCandidates]) -> LabelledCandidates:
    """Several sets as one, images in order.

    Raises:
        ValueError: none to join.

    Not in the paper: bookkeeping.
    """
    if not parts:
        raise ValueError("labelled candidates: expected at least one set of images, got none")
    images, people, batches, owners = 0, 0, [], []
    for part in parts:
        t = part.targets
        batches.append((part.candidates.batch + images, t.batch + images))
        owners.append([torch.where(value >= 0, value + people, value) for value in (t.person, t.duplicate)])
        images, people = images + part.num_images, people + len(t.batch)

    def stack(read) -> Tensor:
        return torch.cat([read(part) for part in parts])

    return LabelledCandidates(
        candidates=Candidates(
            xy=stack(lambda p: p.candidates.xy), type=stack(lambda p: p.candidates.type),
            score=stack(lambda p: p.candidates.score), embedding=stack(lambda p: p.candidates.embedding),
            batch=torch.cat([of for of, _ in batches]), size=stack(lambda p: p.candidates.size),
        ),
        targets=Targets(
            person=torch.cat([person for person, _ in owners]), duplicate=torch.cat([twin for _, twin in owners]),
            counts=stack(lambda p: p.targets.counts), annotated=stack(lambda p: p.targets.annotated),
            batch=torch.cat([of for _, of in batches]),
        ),
        image_id=stack(lambda p: p.image_id), to_image=stack(lambda p: p.to_image), people=stack(lambda p: p.people),
        overlap=stack(lambda p: p.overlap),
    )  # fmt: skip


def keypoint_boxes(keypoints: Float[Tensor, "M K 3"]) -> tuple[Float[Tensor, "M 2"], Float[Tensor, "M 2"]]:
    """Corners of the boxes around the labelled keypoints: the smaller and the greater. Not in the paper: geometry."""
    xy, hidden = keypoints[:, :, :2], (keypoints[:, :, 2] <= 0)[..., None]
    return xy.masked_fill(hidden, torch.inf).amin(dim=1), xy.masked_fill(hidden, -torch.inf).amax(dim=1)


def overlap(people: PoseSet) -> Float[Tensor, "B"]:
    """How crowded each image is: mean over its people of the largest box IoU with another person (OCHuman's "MaxIoU").

    Boxes are those of the labelled keypoints. 0 for images with nobody or one person.

    Not in the paper: its sec. 4.1 quotes OCHuman's.
    """
    low, high = keypoint_boxes(people.keypoints)
    area = (high - low).clamp_min(0).prod(dim=1)
    i, j = pairs_within_images(people.batch, people.num_images)
    shared = (torch.minimum(high[i], high[j]) - torch.maximum(low[i], low[j])).clamp_min(0).nan_to_num(0).prod(dim=1)
    iou = shared / (area[i] + area[j] - shared).clamp_min(1e-6)
    largest = torch.zeros_like(area).scatter_reduce(0, torch.cat([i, j]), torch.cat([iou, iou]), "amax")
    number = torch.bincount(people.batch, minlength=people.num_images)
    total = torch.zeros(people.num_images, device=area.device).index_add(0, people.batch, largest)
    return total / number.clamp_min(1)


def save_labelled(path: str | Path, labelled: LabelledCandidates, **facts: Any) -> None:
    """Writes a set as safetensors with facts about its origin: whole, or not at all. Not in the paper: bookkeeping."""
    values = {f"candidates.{name}": getattr(labelled.candidates, name) for name in _CANDIDATES}
    values |= {f"targets.{name}": getattr(labelled.targets, name) for name in _TARGETS}
    values |= {name: getattr(labelled, name) for name in _IMAGES}
    with whole_file(Path(path)) as temporary:
        tensors = {name: value.detach().cpu().contiguous() for name, value in values.items()}
        save_file(tensors, temporary, {"kind": _KIND, "facts": json.dumps(facts)})


def load_labelled(path: str | Path) -> tuple[LabelledCandidates, dict[str, Any]]:
    """Reads what `save_labelled` wrote: the set, and the facts about it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file.

    Not in the paper: bookkeeping.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file of labelled candidates")
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file, got something else ({error})") from None
    if facts.get("kind") != _KIND:
        raise ValueError(f"{path}: expected {_KIND}, got a file of {facts.get('kind', 'something else')!r}")
    labelled = LabelledCandidates(
        Candidates(**{name: values[f"candidates.{name}"] for name in _CANDIDATES}),
        Targets(**{name: values[f"targets.{name}"] for name in _TARGETS}),
        **{name: values[name] for name in _IMAGES},
    )
    return labelled, json.loads(facts["facts"])


_CANDIDATES = ("xy", "type", "score", "embedding", "batch", "size")
_TARGETS = ("person", "duplicate", "counts", "annotated", "batch")
_IMAGES = ("image_id", "to_image", "people", "overlap")


def _rows_of(
    batch: Int64[Tensor, "T"], num_images: int, images: Int64[Tensor, "b"]
) -> tuple[Int64[Tensor, "t"], Int64[Tensor, "t"]]:
    """Rows that belong to the chosen images, in the order of these, and which of them each belongs to."""
    count = torch.bincount(batch, minlength=num_images)
    first, count = (count.cumsum(0) - count)[images], count[images]
    image = torch.repeat_interleave(torch.arange(len(images), device=batch.device), count)
    return torch.arange(len(image), device=batch.device) + (first - (count.cumsum(0) - count))[image], image
