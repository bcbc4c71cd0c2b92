"""Candidates from elsewhere: a JSON file of keypoint candidates that any detector can write, to be grouped here.

::

    {
      "version": 1,
      "skeleton": "coco",
      "images": [
        {"image_id": 139, "width": 640, "height": 426, "candidates": [
          {"x": 412.5, "y": 157.0, "type": "nose", "score": 0.93, "embedding": [1.27]},
          {"x": 418.0, "y": 153.2, "type": 1, "score": 0.88, "embedding": [1.31]}
        ]}
      ]
    }

- ``version``: 1.
- ``skeleton``: ``coco`` (17 keypoint types), ``crowdpose`` (14), or a list of the names of exactly such a skeleton's
  types in the order of one's own, which then is what numbers under ``type`` count in.
- ``image_id``: whole number, each once. ``width``, ``height``: of the original image, in pixels.
- ``x``, ``y``: **original image pixels, an integer being a pixel's centre**: the first pixel's centre is (0, 0), the
  image ends at -0.5 and width - 0.5. A candidate may lie beside the image as far as the square that has the image in
  its middle and the long side for its side: a network that sees the image padded to a square finds candidates there.
  Farther out is an error, for then the numbers are most likely in another frame.
- ``type``: name of a keypoint type, or its number from 0.
- ``score``: confidence above 0, about 1 for a sure candidate (a value of a heatmap). 0 would say that there is none.
- ``embedding``: d numbers that are alike within a person, the same d in the whole file; may be left out, everywhere or
  nowhere, where the grouping needs none. Choice: then d = 0, as it is in a file without any candidate, and what does
  need embeddings refuses the file. People about 1 apart are what a grouper trained here has seen.

Other keys are not looked at. An image may have no candidate, and a file no image.

Not in the paper: it calls HGG "easily embedded into main-stream bottom-up methods"; this is the door for those.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.data.transforms import fit_affine
from hggbook.paths import whole_file
from hggbook.skeleton import SKELETONS, Skeleton
from hggbook.types import Candidates, Record

VERSION = 1
_KNOWN = tuple(SKELETONS.values())
_LEAST = 1e-37  # smallest score: what is below is 0 in float32, and a keypoint of score 0 reads as absent
_MOST = 3e38  # of a number in float32
_SLACK = 1.0  # pixels that rounding may put a candidate outside


@dataclass(frozen=True)
class CandidateFile(Record):
    """What a candidate file holds, in the frame and order that the rest of the library works in.

    Attributes:
        candidates: N candidates in network-input pixels, ordered by image (as in the file) and type, those of one type
            as in the file.
        image_id: (B,) ids of the images.
        image_size: (B, 2) width, height of the original images in pixels.
        to_image: (B, 2, 3) affine map from network-input pixels to original image pixels.
        place: (N,) place of each candidate in its image's list in the file, from 0.
        skeleton: its keypoint types are those of ``candidates.type``.

    Not in the paper: see the module.
    """

    candidates: Candidates
    image_id: Int64[Tensor, "B"]
    image_size: Float[Tensor, "B 2"]
    to_image: Float[Tensor, "B 2 3"]
    place: Int64[Tensor, "N"]
    skeleton: Skeleton


def read_candidates(path: str | os.PathLike, size: int = 512, skeletons: Sequence[Skeleton] = _KNOWN) -> CandidateFile:
    """Keypoint candidates of a file, put into the square of a network input: long side fitted, image centred.

    That is the frame in which detection and simulation put them, so that a trained grouper sees familiar numbers.

    Args:
        path: of the format that the module describes.
        size: side of the square in pixels, as the grouper was trained with.
        skeletons: that a file may name.

    Raises:
        ValueError: file missing, not JSON, or not of that format. The file, the image and the candidate (its place in
            the image's list, from 0) are named.

    Not in the paper: see the module.
    """
    where = f"candidate file {path}"
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{where}: cannot be read: {error.strerror}") from None
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where}: not valid JSON: {error}") from None
    return _checked(document, where, size, skeletons)


def write_candidates(path: str | os.PathLike, found: CandidateFile) -> None:
    """Writes candidates as a file that `read_candidates` reads back, whole or not at all; folders are made.

    Types are written by name; scores and embeddings come back exactly, places to float32 precision.

    Args:
        path: of the file.
        found: ``place`` says in which order an image's candidates are listed; ``torch.arange(N)`` keeps theirs.

    Raises:
        ValueError: something that `read_candidates` would refuse (no score above 0, say), or the file cannot be
            written; the file is named.

    Not in the paper: see the module.
    """
    where = f"candidate file {path}"
    document = _document(found)
    _checked(document, where, 512, (found.skeleton,))
    try:
        with whole_file(Path(path)) as temporary:
            temporary.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{where}: cannot be written: {error.strerror}") from error


def _document(found):
    """The file's content; numbers in as few digits as bring back the same float32."""
    found = found.detach().to("cpu")
    candidates = found.candidates
    matrix = found.to_image.double()[candidates.batch]
    xy = (matrix[:, :, :2] @ candidates.xy.double()[:, :, None])[:, :, 0] + matrix[:, :, 2]
    order = torch.argsort(found.place, stable=True)
    order = order[torch.argsort(candidates.batch[order], stable=True)]
    numbers = (part[order].float().numpy().astype(str).astype(float) for part in (xy, candidates.score[:, None]))
    places, scores = (column.tolist() for column in numbers)
    embeddings = candidates.embedding[order].float().numpy().astype(str).astype(float).tolist()
    listed: list[list[dict[str, Any]]] = [[] for _ in range(candidates.num_images)]
    images = zip(found.image_id.tolist(), found.image_size.round().long().tolist(), listed)
    for image, kind, (x, y), (score,), embedding in zip(
        candidates.batch[order].tolist(), candidates.type[order].tolist(), places, scores, embeddings
    ):
        entry = {"x": x, "y": y, "type": found.skeleton.keypoints[kind], "score": score}
        listed[image].append(entry | ({"embedding": embedding} if embedding else {}))
    return {
        "version": VERSION,
        "skeleton": found.skeleton.name,
        "images": [
            {"image_id": image_id, "width": width, "height": height, "candidates": entries}
            for image_id, (width, height), entries in images
        ],
    }


def _checked(document, where, size, skeletons):
    """The content of a file as `CandidateFile`, or the error that says what is wrong and where."""
    if not isinstance(document, dict):
        raise ValueError(f"{where}: expected an object with 'version', 'skeleton', 'images', got {_short(document)}")
    if type(document.get("version")) is not int or document["version"] != VERSION:
        raise ValueError(f"{where}: expected 'version' {VERSION}, got {_short(document.get('version'))}")
    try:
        skeleton, types = _types(document.get("skeleton"), skeletons)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    images = document.get("images")
    if not isinstance(images, list):
        raise ValueError(f"{where}: expected a list under 'images', got {_short(images)}")
    read, seen, d = [], set(), None
    for number, image in enumerate(images):
        try:
            image_id, width, height = _image(image)
        except ValueError as error:
            raise ValueError(f"{where}: images[{number}]: {error}") from None
        if image_id in seen:
            raise ValueError(f"{where}: images[{number}]: image_id {image_id} was there before")
        seen.add(image_id)
        rows = []
        for place, entry in enumerate(image["candidates"]):
            try:
                rows.append(_candidate(entry, types, width, height, d))
            except ValueError as error:
                raise ValueError(f"{where}: image {image_id}: candidates[{place}]: {error}") from None
            d = len(rows[-1][4])
        read.append((image_id, width, height, rows))
    return _assembled(read, d or 0, size, skeleton)


def _assembled(read, d, size, skeleton):
    """Checked rows as flat tensors, moved into the frame of the network input and ordered by image and type."""
    counts = [len(rows) for *_, rows in read]
    batch = torch.repeat_interleave(torch.arange(len(read)), torch.tensor(counts, dtype=torch.int64))
    place = torch.cat([torch.arange(count) for count in counts]) if counts else batch
    flat = [row for *_, rows in read for row in rows]
    kind = torch.tensor([row[2] for row in flat], dtype=torch.int64)
    into = np.array([fit_affine(width, height, size) for _, width, height, _ in read]).reshape(-1, 3, 3)
    xy = np.array([row[:2] for row in flat], dtype=np.float64).reshape(-1, 2, 1)
    xy = (into[batch.numpy(), :2, :2] @ xy)[:, :, 0] + into[batch.numpy(), :2, 2]
    order = torch.argsort(batch * skeleton.num_types + kind, stable=True)
    candidates = Candidates(
        xy=torch.from_numpy(xy).float()[order],
        type=kind[order],
        score=torch.tensor([row[3] for row in flat], dtype=torch.float32)[order],
        embedding=torch.tensor([row[4] for row in flat], dtype=torch.float32).reshape(len(flat), d)[order],
        batch=batch,
        size=torch.full((len(read), 2), float(size)),
    )
    return CandidateFile(
        candidates=candidates,
        image_id=torch.tensor([image_id for image_id, *_ in read], dtype=torch.int64),
        image_size=torch.tensor([image[1:3] for image in read], dtype=torch.float32).reshape(-1, 2),
        to_image=torch.from_numpy(np.linalg.inv(into)[:, :2]).float(),
        place=place[order],
        skeleton=skeleton,
    )


def _types(named, skeletons):
    """The skeleton that a file names, and its type numbers by what the file may write under ``type``."""
    of_name = {skeleton.name: skeleton for skeleton in skeletons}
    if isinstance(named, str) and named in of_name:
        names, skeleton = of_name[named].keypoints, of_name[named]
    elif isinstance(named, list) and all(isinstance(name, str) for name in named):
        names = named
        skeleton = next((s for s in skeletons if sorted(s.keypoints) == sorted(names)), None)
        if skeleton is None:
            raise ValueError(f"expected exactly the keypoint types of one of {tuple(of_name)}, got {_short(names)}")
    else:
        raise ValueError(f"expected 'skeleton' to be one of {tuple(of_name)} or a list of names, got {_short(named)}")
    by_name = {name: skeleton.keypoints.index(name) for name in names}
    return skeleton, by_name | dict(enumerate(by_name.values()))


def _image(image):
    if not isinstance(image, dict):
        raise ValueError(f"expected an object with image_id, width, height, candidates, got {_short(image)}")
    for key, least in (("image_id", -(2**63)), ("width", 1), ("height", 1)):
        value = image.get(key)
        if type(value) is not int or not least <= value < (2**63 if key == "image_id" else 2**24):
            raise ValueError(f"expected a whole number{'' if key == 'image_id' else ' above 0'} {key!r}, got {value!r}")
    if not isinstance(image.get("candidates"), list):
        raise ValueError(f"expected a list under 'candidates', got {_short(image.get('candidates'))}")
    return image["image_id"], image["width"], image["height"]


def _candidate(entry, types, width, height, d):
    """x, y, type, score, embedding of one candidate; ``d`` is the embedding's length in the candidates before."""
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object with x, y, type, score, embedding, got {_short(entry)}")
    x, y, score = (_number(entry.get(key), key) for key in ("x", "y", "score"))
    reach = max(width, height) / 2 + _SLACK
    if abs(x - (width - 1) / 2) > reach or abs(y - (height - 1) / 2) > reach:
        raise ValueError(
            f"expected a place in the image of {width} x {height} pixels, or in the square around it, got ({x}, {y})"
        )
    if score < _LEAST:
        raise ValueError(f"expected a score above 0, got {score}")
    kind = entry.get("type")
    if type(kind) not in (int, str) or kind not in types:
        names = ", ".join(name for name in types if isinstance(name, str))
        raise ValueError(f"expected a keypoint type, 0 to {len(types) // 2 - 1} or one of {names}, got {_short(kind)}")
    embedding = entry.get("embedding", [])
    if not isinstance(embedding, list) or ("embedding" in entry and not embedding):
        raise ValueError(f"expected a list of numbers under 'embedding', got {_short(embedding)}")
    if d is not None and len(embedding) != d:
        raise ValueError(f"expected an embedding of {d} numbers, as before, got {len(embedding)}")
    return x, y, types[kind], score, [_number(value, "embedding") for value in embedding]


def _number(value, key):
    if type(value) not in (int, float) or not abs(value) <= _MOST:  # NaN compares with nothing
        raise ValueError(f"expected a finite number {key!r}, got {_short(value)}")
    return float(value)


def _short(value):
    """A value as it is quoted in an error, cut."""
    text = repr(value) if value is not None else "nothing"
    return text if len(text) <= 60 else f"{text[:57]}..."
