"""People in pictures: network inputs from pictures of any size, the model on several at a time, poses as records."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from hggbook.config import Config
from hggbook.data.pictures import Picture
from hggbook.data.transforms import Fit, Sample, collate
from hggbook.decode import decode, fill_missing
from hggbook.evaluate import to_coco_results
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS, Skeleton
from hggbook.types import Batch, Candidates, Output, Poses

Group = Callable[[Candidates], Int64[Tensor, "N"]]

_PIXELS_AT_ONCE = 64_000_000  # of pictures waiting for their batch: 200 MB, whatever cameras come to


@dataclass(frozen=True)
class Found:
    """The people in one picture.

    Attributes:
        picture: the picture itself.
        image_id: its number, from 1.
        poses: of one image, in pixels of the picture; the highest score first.

    Not in the paper: output.
    """

    picture: Picture
    image_id: int
    poses: Poses


@dataclass(frozen=True)
class Seen:
    """Everything that a model made of one picture, for looking at.

    Attributes:
        image: (h, w, 3) the picture.
        batch: its network input.
        output: maps, candidates and grouping, in pixels of the network input.
        poses: the people, in pixels of the picture; the highest score first.

    Not in the paper: output.
    """

    image: UInt8[np.ndarray, "h w 3"]
    batch: Batch
    output: Output
    poses: Poses


def only_scenes(config: Config) -> bool:
    """Whether a model was trained on synthetic scenes and has never seen a photograph. Not in the paper: a warning."""
    return config.data.kind == "scenes"


def prepare(images: Sequence[UInt8[np.ndarray, "_ _ 3"]], size: int) -> Batch:
    """Network inputs of pictures of any size: the long side fits ``size``, centred, padded with black.

    ``to_image`` of the batch leads back to the pixels of each picture; ids count from 1. Nobody is annotated.

    Raises:
        ValueError: no picture.

    Not in the paper: input handling.
    """
    fit, nobody = Fit(size), np.zeros((0, 1, 3), np.float32)
    return collate(
        [
            fit(Sample(image, nobody, np.zeros(0, np.float32), np.zeros(image.shape[:2], bool), number))
            for number, image in enumerate(images, start=1)
        ]
    )


def predict(
    model: HGG,
    config: Config,
    pictures: Iterable[Picture],
    *,
    group: Group | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    min_score: float = 0.0,
    most: int = 0,
    fill: bool = False,
) -> Iterator[Found]:
    """The people in pictures, one picture after another, in their order. Pictures may differ in size.

    What is found on the padding beside a picture is left out (`inside`).

    Args:
        model: with a detector; `hggbook.tta.with_views` gives one that looks several times.
        config: of the model (input size, skeleton).
        pictures: any number, also without end; a batch of them is held at a time.
        group: candidates -> person of each; by default the model's own grouping.
        batch_size: pictures at a time, fewer if they are large.
        device: where the model runs.
        min_score: people whose score is lower are left out.
        most: most people of one picture, best scores first; 0 for all.
        fill: fill missing keypoints from the maps, as the AE code does for COCO AP (`fill_missing`); scores stay.

    Raises:
        ValueError: a model without a detector, or a batch size below 1.

    Paper: sec. 3 (inference).
    """
    if model.detector is None:
        raise ValueError("model: it has a grouping stage only (pose track) and cannot look at pictures")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    model = model.to(device).eval()
    group = group or (lambda candidates: model.group(candidates).person)
    return _predict(model, config, pictures, group, batch_size, device, min_score, most, fill)


@torch.no_grad()
def look(model: HGG, config: Config, image: UInt8[np.ndarray, "h w 3"], *, min_score: float = 0.0) -> Seen:
    """One picture through the model, with every intermediate result kept; the people are those of `predict`.

    Paper: sec. 3 (inference).
    """
    batch = prepare([image], config.detector.input_size)
    output = model(batch.images)
    num_types = SKELETONS[config.skeleton].num_types
    poses = decode(output.candidates, output.grouping.person, batch.to_image, num_types)
    return Seen(image, batch, output, best_people(inside(poses, image.shape[1], image.shape[0]), min_score))


def best_people(poses: Poses, min_score: float = 0.0, most: int = 0) -> Poses:
    """The poses of one image by falling score, without those below ``min_score``, at most so many (0: all).

    Raises:
        ValueError: poses of several images.

    Not in the paper: output.
    """
    if poses.num_images != 1:
        raise ValueError(f"poses: expected those of one image, got {poses.num_images} images")
    order = torch.sort(poses.score, descending=True, stable=True).indices
    order = order[poses.score[order] >= min_score][: most or None]
    return poses.replace(keypoints=poses.keypoints[order], score=poses.score[order], batch=poses.batch[order])


def inside(poses: Poses, width: int, height: int, filled: Poses | None = None) -> Poses:
    """The poses of one image without what lies beside it.

    A keypoint there is absent, a person of which nothing is left is left out, and the scores are the mean over all
    types again.

    Args:
        poses: as found.
        width, height: of the image.
        filled: the same with missing keypoints filled (`fill_missing`). These are given, but they make no score.

    Choice: for output only. The network finds candidates on the padding too, and they take part in the grouping as they
    do in evaluation.

    Not in the paper: output.
    """
    found = _within(poses.keypoints, width, height)
    kept = (found[..., 2] > 0).any(dim=1)
    keypoints = found if filled is None else _within(filled.keypoints, width, height)
    return poses.replace(keypoints=keypoints[kept], score=found[kept, :, 2].mean(dim=1), batch=poses.batch[kept])


def _within(keypoints, width, height):
    x, y, score = keypoints.unbind(2)
    there = (score > 0) & (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return torch.where(there[..., None], keypoints, 0.0)


def coco_results(found: Found) -> list[dict[str, Any]]:
    """The people as COCO results in the order of ``found.poses``: x, y and the keypoint's score, 0 for an absent one.

    COCO's evaluation reads x and y of every keypoint, found or not, and nothing else; see `to_coco_results` for where
    an absent one lies. Who draws must leave out those of score 0.

    Not in the paper: COCO's result format.
    """
    results = to_coco_results(found.poses, torch.tensor([found.image_id]))
    for result, score in zip(results, found.poses.keypoints[..., 2].tolist(), strict=True):
        result["keypoints"][2::3] = score
    return results


def coco_image(found: Found) -> dict[str, Any]:
    """The picture's entry in COCO's list of images, a frame's with its number and second.

    Not in the paper: COCO's format.
    """
    height, width = found.picture.image.shape[:2]
    entry = {"id": found.image_id, "file_name": found.picture.file, "width": width, "height": height}
    if found.picture.frame is not None:
        entry |= {"frame": found.picture.frame, "second": found.picture.second}
    return entry


ROW = ("image_id", "file", "frame", "person", "person_score", "keypoint", "x", "y", "score")
"""What a row of `rows` holds, in its order."""


def rows(found: Found, skeleton: Skeleton) -> list[tuple[Any, ...]]:
    """One row for every keypoint found, as `ROW` says; people count from 1, ``frame`` is "" for a photograph.

    Not in the paper: output.
    """
    frame = "" if found.picture.frame is None else found.picture.frame
    listed = []
    for person, (keypoints, score) in enumerate(zip(found.poses.keypoints.tolist(), found.poses.score.tolist()), 1):
        head = (found.image_id, found.picture.file, frame, person, round(score, 4))
        listed += [
            (*head, name, round(x, 2), round(y, 2), round(confidence, 4))
            for name, (x, y, confidence) in zip(skeleton.keypoints, keypoints, strict=True)
            if confidence > 0
        ]
    return listed


def _predict(model, config, pictures, group, batch_size, device, min_score, most, fill):
    image_id = 0
    for several in _batches(pictures, batch_size):
        poses, filled = _people(model, config, [picture.image for picture in several], group, device, fill)
        for number, picture in enumerate(several):
            image_id += 1
            height, width = picture.image.shape[:2]
            mine = inside(_alone(poses, number), width, height, _alone(filled, number))
            yield Found(picture, image_id, best_people(mine, min_score, most))


def _alone(poses, number):
    """The poses of one image."""
    mine = poses.batch == number
    return Poses(poses.keypoints[mine], poses.score[mine], poses.batch[mine] * 0, 1)


@torch.no_grad()
def _people(model, config, images, group, device, fill):
    """Poses as found, and with missing keypoints filled, if wanted."""
    batch = prepare(images, config.detector.input_size).to(device)
    maps = model.detect(batch.images)
    candidates = model.propose(maps)
    person = group(candidates)
    found = filled = decode(candidates, person, batch.to_image, SKELETONS[config.skeleton].num_types)
    if fill:
        subpixel = config.proposal.subpixel
        filled = fill_missing(found, candidates, person, maps, batch.to_image, subpixel=subpixel)
    return found.to("cpu"), filled.to("cpu")


def _batches(pictures, batch_size):
    """Lists of pictures; a list is closed early where its pictures are large."""
    several, pixels = [], 0
    for picture in pictures:
        several.append(picture)
        pixels += picture.image.shape[0] * picture.image.shape[1]
        if len(several) == batch_size or pixels >= _PIXELS_AT_ONCE:
            yield several
            several, pixels = [], 0
    if several:
        yield several
