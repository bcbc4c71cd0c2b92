"""From an image with annotations to a network input: augmentation, test-time fitting, batching.

Both transforms are one affine map. Coordinates are (x, y) in pixels and an **integer is a pixel's centre** on either
side of it, so the centre of an image of width w lies at (w - 1) / 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8

from hggbook.types import Batch


@dataclass(frozen=True)
class Sample:
    """One image as it is stored, with its annotated people: what a data set gives.

    Attributes:
        image: (h, w, 3) RGB.
        keypoints: (m, K, 3) x, y in pixels of this image and COCO visibility 0, 1, 2.
        area: (m,) square pixels, for OKS.
        ignore: (h, w) True on regions whose people are not annotated one by one (crowds): no loss there.
        image_id: COCO image id.

    Not in the paper: COCO's annotation format.
    """

    image: UInt8[np.ndarray, "h w 3"]
    keypoints: Float32[np.ndarray, "m K 3"]
    area: Float32[np.ndarray, "m"]
    ignore: Bool[np.ndarray, "h w"]
    image_id: int

    @property
    def width(self) -> int:
        return self.image.shape[1]

    @property
    def height(self) -> int:
        return self.image.shape[0]


@dataclass(frozen=True)
class Prepared:
    """One network input: a row of a `Batch`, still in numpy.

    Attributes:
        image: (3, size, size) RGB in [0, 1].
        keypoints: (m, K, 3) network-input pixels; people without a labelled keypoint in the frame are left out.
        area: (m,) square pixels of the network input.
        mask: (size, size) False on ignored regions and on padding.
        image_id: COCO image id.
        to_image: (2, 3) network-input pixel -> pixel of the stored image.

    Not in the paper: input handling of the AE code base that the paper builds on.
    """

    image: Float32[np.ndarray, "3 size size"]
    keypoints: Float32[np.ndarray, "m K 3"]
    area: Float32[np.ndarray, "m"]
    mask: Bool[np.ndarray, "size size"]
    image_id: int
    to_image: Float32[np.ndarray, "2 3"]


Transform = Callable[[Sample, np.random.Generator], Prepared]


def fit_affine(
    width: int, height: int, size: int, *, zoom: float = 1.0, angle: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0), mirror: bool = False,
) -> Float[np.ndarray, "3 3"]:
    """The map image pixel -> network-input pixel that fits an image into a square, float64, homogeneous.

    With the defaults the long side fits ``size`` and the image is centred. ``zoom`` is the AE code's scale factor:
    above 1 the image gets *smaller*. ``shift`` (image pixels) moves the point of the image that is shown at the centre,
    ``angle`` (degrees) turns about that point, ``mirror`` then maps x to size - 1 - x.

    Choice: the AE code maps w / 2 to size / 2 and hands that matrix to a warp which takes integers for pixel centres,
    half a pixel of the scaled image beside the annotations. Here centre goes to centre in one frame for both.

    Not in the paper: geometry of the AE code base.
    """
    scale = size / (zoom * max(width, height))
    centre = np.array([(width - 1) / 2 + shift[0], (height - 1) / 2 + shift[1]])
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array([[cos, -sin], [sin, cos]])
    matrix[:2, 2] = (size - 1) / 2 - matrix[:2, :2] @ centre
    if mirror:
        matrix = np.array([[-1.0, 0.0, size - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
    return matrix


def apply_affine(matrix: Float[np.ndarray, "rows 3"], xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """Points (..., 2) moved by a (2, 3) or (3, 3) affine map.

    Not in the paper: coordinate bookkeeping.
    """
    return xy @ matrix[:2, :2].T + matrix[:2, 2]


@dataclass(frozen=True)
class Fit:
    """Test-time input: the long side fits ``size``, centred, zero padding. Nothing is random.

    Not in the paper: input handling of the AE code base.
    """

    size: int

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Prepared:
        return _prepare(sample, fit_affine(sample.width, sample.height, self.size), self.size, None)


@dataclass(frozen=True)
class Augment:
    """Training augmentation of the AE code: rotation, scale, shift, mirror, colour.

    Attributes:
        size: side of the square network input.
        flip_order: for each keypoint type the type it becomes in a mirrored image (`Skeleton.flip_order`).
        rotation: largest angle in degrees, either way, uniform.
        scale_low, scale_high: range of the scale factor (see `fit_affine`), uniform.
        shift: largest shift per axis as a fraction of the *scaled* long side, uniform over whole pixels.
        flip: probability of mirroring.
        colour: change hue, saturation, brightness and contrast.

    A mirrored sample has its keypoint types swapped, so ``to_image`` takes a left wrist to where the stored image has
    a right one.

    Not in the paper: it trains as the AE code base does, whose values are the defaults.
    """

    size: int
    flip_order: tuple[int, ...]
    rotation: float = 30.0
    scale_low: float = 0.75
    scale_high: float = 1.25
    shift: float = 0.2
    flip: float = 0.5
    colour: bool = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Prepared:
        angle = rng.uniform(-1.0, 1.0) * self.rotation
        zoom = rng.uniform(self.scale_low, self.scale_high)
        reach = int(self.shift * zoom * max(sample.width, sample.height))
        dx, dy = rng.integers(-reach, max(reach, 1), size=2)  # upper end excluded, as in the AE code
        mirror = bool(rng.random() < self.flip)
        matrix = fit_affine(
            sample.width, sample.height, self.size, zoom=zoom, angle=angle, shift=(float(dx), float(dy)), mirror=mirror
        )
        prepared = _prepare(sample, matrix, self.size, self.flip_order if mirror else None)
        if not self.colour:
            return prepared
        image = jitter_colour(np.ascontiguousarray(prepared.image.transpose(1, 2, 0)), rng)
        return replace(prepared, image=np.ascontiguousarray(image.transpose(2, 0, 1)))


def jitter_colour(
    image: Float32[np.ndarray, "h w 3"], rng: np.random.Generator
) -> Float32[np.ndarray, "h w 3"]:
    """Random hue, saturation, brightness and contrast.

    Hue turns by up to 72 degrees either way and saturation is scaled by 0.5 to 1.5, both in HSV; then up to 0.3 is
    added or taken, and contrast scaled by 0.5 to 1.5. "Contrast" is the AE code's: the distance of every channel from
    the *pixel's own* mean over the channels. RGB in [0, 1], clipped to it.

    Not in the paper: colour augmentation of the AE code base.
    """
    hue, brightness = rng.uniform(-72.0, 72.0), rng.uniform(-0.3, 0.3)
    saturation, contrast = rng.uniform(0.5, 1.5, size=2)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = np.mod(hsv[..., 0] + (hue + 360.0), 360.0)
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0.0, 1.0)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) + np.float32(brightness)
    mean = image.mean(axis=2, keepdims=True)
    return np.clip((image - mean) * np.float32(contrast) + mean, 0.0, 1.0)


def collate(samples: Sequence[Prepared]) -> Batch:
    """Network inputs side by side as one `Batch`; people of all images in one flat list.

    Raises:
        ValueError: no sample.

    Not in the paper: batching.
    """
    if not samples:
        raise ValueError("collate: expected at least one sample, got none")
    counts = torch.tensor([len(sample.area) for sample in samples])
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])),
        keypoints=torch.from_numpy(np.concatenate([sample.keypoints for sample in samples])),
        area=torch.from_numpy(np.concatenate([sample.area for sample in samples])),
        batch=torch.repeat_interleave(torch.arange(len(samples)), counts),
        mask=torch.from_numpy(np.stack([sample.mask for sample in samples])),
        image_id=torch.tensor([sample.image_id for sample in samples]),
        to_image=torch.from_numpy(np.stack([sample.to_image for sample in samples])),
    )


def _prepare(sample, matrix, size, flip_order):
    """One warp of the image, one of the mask, keypoints and area along."""
    xy = apply_affine(matrix, sample.keypoints[..., :2].astype(np.float64))
    inside = ((xy >= -0.5) & (xy < size - 0.5)).all(axis=-1) & (sample.keypoints[..., 2] > 0)
    keypoints = np.where(inside[..., None], np.concatenate([xy, sample.keypoints[..., 2:]], axis=-1), 0.0)
    if flip_order is not None:
        keypoints = keypoints[:, list(flip_order)]
    people = inside.any(axis=1)
    keep = np.where(sample.ignore, np.uint8(0), np.uint8(255))
    return Prepared(
        image=np.ascontiguousarray(_warp(sample.image, matrix, size).transpose(2, 0, 1)).astype(np.float32) / 255,
        keypoints=keypoints[people].astype(np.float32),
        area=(sample.area[people] * abs(np.linalg.det(matrix))).astype(np.float32),
        mask=_warp(keep, matrix, size) > 127,  # padding was warped in as 0
        image_id=sample.image_id,
        to_image=np.linalg.inv(matrix)[:2].astype(np.float32),
    )


def _warp(image, matrix, size):
    """Bilinear warp with zero border.

    Choice: an image to be shrunk by 2 or more is first averaged down by the whole factor, where the AE code (whose 512
    pixels never shrink COCO by 2) would skip pixels.
    """
    height, width = image.shape[:2]
    factor = int(1 / np.sqrt(abs(np.linalg.det(matrix))) + 1e-6)
    if factor > 1:
        small = (max(round(width / factor), 1), max(round(height / factor), 1))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        ratio = np.array([width, height]) / small
        grow = np.diag([ratio[0], ratio[1], 1.0])  # pixel of the small image -> pixel of the large one
        grow[:2, 2] = (ratio - 1) / 2
        matrix = matrix @ grow
    return cv2.warpAffine(image, matrix[:2], (size, size), flags=cv2.INTER_LINEAR, borderValue=0)
