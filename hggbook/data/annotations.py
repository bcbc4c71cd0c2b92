"""Reading COCO-format files with care: annotation files and images, each either whole and sound or a clear error."""

import contextlib
import gzip
import io
import itertools
import json
import math
import os
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from pycocotools.coco import COCO as CocoIndex

from hggbook.skeleton import COCO, Skeleton

AREA_OF_BOX = 0.53
"""Area of a person per area of the box, where an annotation gives no area (CrowdPose's own evaluation uses it too)."""


def read_annotations(path: str | os.PathLike, skeleton: Skeleton = COCO) -> CocoIndex:
    """A checked COCO keypoint file as a pycocotools object that holds only the person category.

    What a file may lack is filled in: ``iscrowd`` 0, no keypoints, ``num_keypoints``, box around the keypoints, area
    0.53 of the box. Annotation ids are renumbered from 1 where they are missing, repeated or 0 (COCOeval takes a match
    with annotation 0 for no match).

    Raises:
        ValueError: file missing, empty, not JSON or not COCO; no person category; other keypoints than the skeleton's;
            an annotation of an unknown image, or with broken keypoints. The file is named.

    Not in the paper: input checking.
    """
    index = CocoIndex()
    index.dataset = read_checked(path, skeleton)
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    return index


def read_image(path: str | os.PathLike, *, upright: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """An image file as (h, w, 3) uint8 RGB: 16 bits are cut to 8, grey is spread, transparency is not looked at.

    Args:
        path: of the file.
        upright: turn the image as its orientation tag says, as every viewer does. The default gives it as it is stored,
            which is what COCO annotates.

    Raises:
        ValueError: file missing, cut short, or not an image.

    Not in the paper: input reading.
    """
    return image_of(bytes_of(path), str(path), upright=upright)


def bytes_of(path: str | os.PathLike) -> bytes:
    """What an image file holds.

    Raises:
        ValueError: it cannot be read.

    Not in the paper: input reading.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"image {path}: cannot be read: {error.strerror}") from None


def image_of(data: bytes, name: str, *, upright: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """`read_image` of a file that is in memory already.

    Raises:
        ValueError: cut short, or not an image; ``name`` is named.

    Not in the paper: input reading.
    """
    image = decode_bytes(data, cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION))
    if image is None:
        if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheim"):
            raise ValueError(f"image {name}: expected an image file, got HEIC, which is not read here: save it as JPEG")
        raise ValueError(f"image {name}: expected an image file, got {len(data)} bytes that do not decode (corrupt?)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_bytes(data: bytes, flags: int) -> np.ndarray | None:
    """The image in the bytes of a file as OpenCV gives it for ``flags``; None if it is cut short or no image.

    Not in the paper: input reading.
    """
    if not _is_whole(data):
        return None
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the caller says what is wrong, once
    try:
        return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)


def read_checked(path: str | os.PathLike, skeleton: Skeleton) -> dict[str, Any]:
    """The content of a COCO keypoint file after the checks and completions that `read_annotations` names.

    Raises:
        ValueError: see `read_annotations`.

    Not in the paper: input checking.
    """
    data = _read_json(path)
    where = f"annotation file {path}"
    for key in ("images", "annotations", "categories"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            got = f"keys {sorted(data)}" if isinstance(data, dict) else f"a {type(data).__name__}"
            raise ValueError(f"{where}: expected an object with lists 'images', 'annotations', 'categories', got {got}")
        if not all(isinstance(row, dict) for row in data[key]):
            raise ValueError(f"{where}: expected a list of objects under {key!r}")
    person = next((c for c in data["categories"] if c.get("name") == "person"), None)
    if person is None:
        raise ValueError(f"{where}: expected a category 'person', got {[c.get('name') for c in data['categories']]}")
    names = tuple(person.get("keypoints", ()))
    if names != skeleton.keypoints:
        raise ValueError(
            f"{where}: expected the {skeleton.num_types} keypoints of skeleton {skeleton.name!r} {skeleton.keypoints}, "
            f"got {len(names)}: {names}"
        )
    for image in data["images"]:
        if not all(isinstance(image.get(key), int) for key in ("id", "width", "height")):
            raise ValueError(f"{where}: expected whole numbers id, width, height for every image, got {image}")
    known = {image["id"] for image in data["images"]}
    if len(known) < len(data["images"]):
        raise ValueError(f"{where}: {len(data['images']) - len(known)} images share another one's id")
    categories = {category.get("id") for category in data["categories"]}
    for annotation in data["annotations"]:
        if annotation.get("category_id") not in categories:
            raise ValueError(
                f"{where}: annotation {annotation.get('id')} is of category {annotation.get('category_id')!r}, and the "
                f"file lists {sorted(categories, key=str)}"
            )
    data["categories"] = [person]
    data["annotations"] = [a for a in data["annotations"] if a.get("category_id") == person["id"]]
    for annotation in data["annotations"]:
        if annotation.get("image_id") not in known:
            raise ValueError(
                f"{where}: annotation {annotation.get('id')} belongs to image {annotation.get('image_id')}, which the "
                f"file does not list"
            )
    _complete(data["annotations"], skeleton.num_types, where)
    return data


def keypoint_rows(annotations: list[dict[str, Any]], k: int) -> Float32[np.ndarray, "n k 3"]:
    """The keypoints of checked annotations, (n, K, 3) x, y, visibility.

    Not in the paper: COCO's annotation format.
    """
    flat = itertools.chain.from_iterable(a["keypoints"] for a in annotations)
    return np.fromiter(flat, dtype=np.float32, count=3 * k * len(annotations)).reshape(-1, k, 3)


def _complete(annotations, k, where):
    """Check keypoints and fill in, in place, what `read_annotations` promises."""
    for annotation in annotations:
        keypoints = annotation.setdefault("keypoints", [0] * (3 * k))
        if not isinstance(keypoints, list) or len(keypoints) != 3 * k:
            length = len(keypoints) if isinstance(keypoints, list) else type(keypoints).__name__
            raise ValueError(
                f"{where}: annotation {annotation.get('id')}: expected {3 * k} keypoint numbers (x, y, visibility for "
                f"{k} types), got {length}"
            )
    try:
        keypoints = keypoint_rows(annotations, k)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: keypoints must be numbers: {error}") from None
    good = np.isfinite(keypoints).all(axis=(1, 2)) & np.isin(keypoints[..., 2], (0, 1, 2)).all(axis=1)
    if not good.all():
        bad = annotations[int(np.argmin(good))]
        raise ValueError(
            f"{where}: annotation {bad.get('id')}: expected finite keypoints of visibility 0, 1 or 2, got "
            f"{bad['keypoints']}"
        )
    labelled = (keypoints[..., 2] > 0).sum(axis=1)
    for annotation, points, count in zip(annotations, keypoints, labelled, strict=True):
        annotation["iscrowd"] = int(annotation.get("iscrowd") or 0)
        annotation["num_keypoints"] = int(count)
        if not annotation.get("bbox"):
            xy = points[points[:, 2] > 0, :2] if count else np.zeros((1, 2))
            annotation["bbox"] = [*xy.min(axis=0).tolist(), *np.ptp(xy, axis=0).tolist()]
        box = annotation["bbox"]
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
            raise ValueError(f"{where}: annotation {annotation.get('id')}: expected bbox [x, y, w, h], got {box}")
        if not annotation.get("area"):
            annotation["area"] = AREA_OF_BOX * box[2] * box[3]
        if not _is_number(annotation["area"]):
            raise ValueError(f"{where}: annotation {annotation.get('id')}: expected area, got {annotation['area']!r}")
    ids = {a.get("id") for a in annotations}
    if len(ids) < len(annotations) or ids & {0, None}:
        for number, annotation in enumerate(annotations, start=1):
            annotation["id"] = number


def _read_json(path):
    try:
        data = Path(path).read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"annotation file {path}: broken gzip file: {error}") from None
    except OSError as error:
        raise ValueError(f"annotation file {path}: cannot be read: {error.strerror}") from None
    if not data.strip():
        raise ValueError(f"annotation file {path}: expected COCO keypoint annotations, the file is empty")
    try:
        return json.loads(data)
    except ValueError as error:
        raise ValueError(f"annotation file {path}: not valid JSON: {error}") from None


def _is_whole(data):
    """Decoders fill the rest of a file that was cut short with grey; a loader must not."""
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")  # JPEG: the end marker follows the last scan
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data
    return len(data) > 0


def _is_number(value):
    return isinstance(value, (int, float)) and math.isfinite(value)
