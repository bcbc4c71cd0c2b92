"""COCO-format data on pycocotools: photographs with keypoints (`CocoPeople`), and keypoints alone (`poses`).

COCO, OCHuman, CrowdPose, what ``hggbook scenes`` writes and own data in that format are all read here.

Choice: annotated coordinates are taken as they are, an integer being a pixel's centre. COCO's keypoints were clicked as
whole pixels in 0 .. width - 1, so that is the reading without a bias of half a pixel.
"""

import copy
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.utils.data import Dataset

from hggbook.data.annotations import keypoint_rows, read_annotations, read_checked, read_image
from hggbook.data.transforms import Sample
from hggbook.skeleton import COCO, Skeleton
from hggbook.types import Record


class CocoPeople(Dataset[Sample]):
    """Photographs with annotated people, in the order of the image ids; an item is a `Sample`.

    Args:
        annotations: COCO keypoint file, json or gzipped json.
        images: folder of the photographs; None if only annotations are wanted.
        skeleton: keypoint types the file must have.
        keep: ``all`` images, or only those with ``people`` (one labelled keypoint suffices).
        ids: only these image ids.
        mask_unlabelled: also ignore the regions of people without any labelled keypoint, as HigherHRNet does. The
            default leaves them in the loss, as the AE code does.

    A person is an annotation with a labelled keypoint that is no crowd region. Crowd regions make up ``Sample.ignore``:
    RLE or polygons, or the whole box where a region has no outline. Images are RGB whatever the file holds; an
    orientation tag is not applied, because COCO annotates the stored pixels.

    Attributes:
        image_ids: (len,) int64, ascending; `select` takes a part of them.
        coco: the checked annotations as a pycocotools object, ready for `hggbook.evaluate`.

    Raises:
        ValueError: see `read_annotations`; no such folder; ids that the file does not have. On reading an item: image
            without a file name, missing, unreadable, or of another size than the annotation file says.

    Not in the paper: its data set's format.
    """

    def __init__(
        self, annotations: str | os.PathLike, images: str | os.PathLike | None = None, skeleton: Skeleton = COCO, *,
        keep: str = "all", ids: Iterable[int] | None = None, mask_unlabelled: bool = False,
    ):
        if keep not in ("all", "people"):
            raise ValueError(f"keep: expected 'all' or 'people', got {keep!r}")
        if images is not None and not Path(images).is_dir():
            raise ValueError(f"image folder {images}: no such folder")
        self.annotations, self.images, self.skeleton = annotations, images, skeleton
        self.mask_unlabelled = mask_unlabelled
        self.coco = read_annotations(annotations, skeleton)
        self.image_ids = np.array(sorted(self.coco.imgs), dtype=np.int64)
        if ids is not None:
            self.image_ids = self._known(ids)
        if keep == "people":
            self.image_ids = np.array([i for i in self.image_ids if self._people(i)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.image_ids)

    def select(self, ids: Iterable[int]) -> "CocoPeople":
        """The same data with only these images, annotations shared.

        Raises:
            ValueError: ids that the annotation file does not have.
        """
        part = copy.copy(self)
        part.image_ids = self._known(ids)
        return part

    def people(self, index: int | np.integer) -> tuple[Float32[np.ndarray, "m K 3"], Float32[np.ndarray, "m"]]:
        """Keypoints and areas of the people of an image, without reading the image."""
        people = self._people(self.image_ids[index])
        return keypoint_rows(people, self.skeleton.num_types), np.array([a["area"] for a in people], dtype=np.float32)

    def files(self) -> dict[str, int]:
        """Id of every image by its file name. An image without a name has that of its id."""
        return {str(self.coco.imgs[int(i)].get("file_name", i)): int(i) for i in self.image_ids}

    def __getitem__(self, index: int | np.integer) -> Sample:
        if self.images is None:
            raise ValueError(f"{self.annotations}: no image folder was given, only `people` can be read")
        info = self.coco.imgs[int(self.image_ids[index])]
        if not isinstance(info.get("file_name"), str):
            raise ValueError(f"{self.annotations}: image {info['id']} has no 'file_name'")
        keypoints, area = self.people(index)
        image = read_image(Path(self.images) / info["file_name"])
        if image.shape[:2] != (info["height"], info["width"]):
            raise ValueError(
                f"image {info['file_name']}: {self.annotations} says {info['width']} x {info['height']} pixels, the "
                f"file has {image.shape[1]} x {image.shape[0]}"
            )
        return Sample(image=image, keypoints=keypoints, area=area, ignore=self._ignore(info), image_id=info["id"])

    def _people(self, image_id):
        return [a for a in self.coco.imgToAnns.get(int(image_id), ()) if not a["iscrowd"] and a["num_keypoints"]]

    def _ignore(self, info):
        ignore = np.zeros((info["height"], info["width"]), dtype=bool)
        for annotation in self.coco.imgToAnns.get(info["id"], ()):
            if annotation["iscrowd"] or (self.mask_unlabelled and not annotation["num_keypoints"]):
                ignore |= _region(self.coco, annotation, ignore.shape)
        return ignore

    def _known(self, ids):
        ids = np.unique(np.asarray(list(ids), dtype=np.int64))
        if unknown := [int(i) for i in ids if int(i) not in self.coco.imgs]:
            raise ValueError(f"{self.annotations}: has no image with id {unknown[:5]} ({len(unknown)} unknown in all)")
        return ids


@dataclass(frozen=True)
class PoseSet(Record):
    """Annotated keypoints of many images, without the images: where the pose track starts.

    Attributes:
        keypoints: (M, K, 3) x, y in original image pixels and COCO visibility; every person has a labelled keypoint.
        area: (M,) square pixels.
        batch: (M,) image row of each person, non-decreasing.
        image_id: (B,) COCO image ids.
        size: (B, 2) width, height in pixels.

    Not in the paper: a way to study grouping apart from detection.
    """

    keypoints: Float[Tensor, "M K 3"]
    area: Float[Tensor, "M"]
    batch: Int64[Tensor, "M"]
    image_id: Int64[Tensor, "B"]
    size: Float[Tensor, "B 2"]

    @property
    def num_images(self) -> int:
        return self.image_id.shape[0]

    def select(self, images: Bool[Tensor, "B"] | Int64[Tensor, "b"]) -> "PoseSet":
        """The images of a mask, or of a list of rows in the order given, with their people."""
        rows = images.nonzero().squeeze(1) if images.dtype == torch.bool else images
        count = torch.bincount(self.batch, minlength=self.num_images)
        first, count = (count.cumsum(0) - count)[rows], count[rows]
        batch = torch.repeat_interleave(torch.arange(len(rows)), count)
        people = torch.arange(len(batch)) + (first - (count.cumsum(0) - count))[batch]
        return PoseSet(
            keypoints=self.keypoints[people], area=self.area[people], batch=batch, image_id=self.image_id[rows],
            size=self.size[rows],
        )


def poses(path: str | os.PathLike, skeleton: Skeleton = COCO) -> PoseSet:
    """All annotated poses of a COCO keypoint file as flat tensors, images by ascending id. Crowd regions are left out.

    Raises:
        ValueError: see `read_annotations`.

    Not in the paper: see `PoseSet`.
    """
    data = read_checked(path, skeleton)
    images = sorted(data["images"], key=lambda image: image["id"])
    row = {image["id"]: i for i, image in enumerate(images)}
    people = [a for a in data["annotations"] if not a["iscrowd"] and a["num_keypoints"]]
    people.sort(key=lambda annotation: row[annotation["image_id"]])
    return PoseSet(
        keypoints=torch.from_numpy(keypoint_rows(people, skeleton.num_types)),
        area=torch.tensor([a["area"] for a in people], dtype=torch.float32),
        batch=torch.tensor([row[a["image_id"]] for a in people], dtype=torch.int64),
        image_id=torch.tensor([image["id"] for image in images], dtype=torch.int64),
        size=torch.tensor([[image["width"], image["height"]] for image in images], dtype=torch.float32).view(-1, 2),
    )


def in_split(image_id: np.ndarray | Tensor, part: str, track: str) -> np.ndarray | Tensor:
    """Which images belong to a part of the data, by a rule on the id that every run shares.

    ``photographs``: ``tune`` where id % 10 = 0, else ``train`` (reporting uses other files). ``poses``: ``test`` where
    id % 20 = 0, ``tune`` where id % 20 = 1, else ``train``. Thresholds and model choice are settled on ``tune`` only.

    Returns:
        Bool mask of the ids' shape and kind.

    Raises:
        ValueError: unknown part or track.

    Not in the paper: it names no tuning data.
    """
    parts = {
        "photographs": {"tune": image_id % 10 == 0, "train": image_id % 10 != 0},
        "poses": {"test": image_id % 20 == 0, "tune": image_id % 20 == 1, "train": image_id % 20 > 1},
    }
    if track not in parts or part not in parts[track]:
        raise ValueError(f"split: expected one of { {t: list(p) for t, p in parts.items()} }, got {track!r}, {part!r}")
    return parts[track][part]


def _region(index, annotation, shape):
    """(h, w) bool: the outline of an annotation, or its box if it has none."""
    if annotation.get("segmentation"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' own, on every mask with NumPy 2
                return index.annToMask(annotation).astype(bool)
        except Exception as error:  # pycocotools raises a bare Exception on what it cannot read
            raise ValueError(f"annotation {annotation['id']}: broken segmentation: {error}") from None
    x, y, width, height = annotation["bbox"]
    region = np.zeros(shape, dtype=bool)
    region[max(int(y), 0) : int(np.ceil(y + height)), max(int(x), 0) : int(np.ceil(x + width))] = True
    return region
