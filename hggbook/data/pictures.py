"""Own photographs and videos: what a user names, found and read, with a clear word on whatever cannot be.

Choice: a photograph is turned as its orientation tag says, and its transparency is laid on white: it then looks as in
any viewer, and coordinates are those of what one sees. Annotated data is read otherwise (`hggbook.data.coco`): COCO's
coordinates are in the stored pixels, so there a tag must not be looked at.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from hggbook.data.annotations import bytes_of, decode_bytes, image_of

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".jp2", ".heic", ".heif")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
_MISSING = 0.05  # share of a video's frames that its own count, an estimate in some formats, may be off


@dataclass(frozen=True)
class Picture:
    """One photograph, or one frame of a video.

    Attributes:
        image: (h, w, 3) RGB.
        file: where it came from, as it was named.
        frame: number of the frame, from 0; None for a photograph.
        second: when it is shown; None for a photograph, or where the video does not say.

    Not in the paper: input reading.
    """

    image: UInt8[np.ndarray, "h w 3"]
    file: str
    frame: int | None = None
    second: float | None = None

    @property
    def name(self) -> str:
        """Short name, without folder and ending, a frame's with its number."""
        stem = Path(self.file).stem
        return stem if self.frame is None else f"{stem}_frame{self.frame:06d}"


@dataclass(frozen=True)
class Remark:
    """What there is to say of a file or a name.

    Attributes:
        file: which.
        text: one line that names it.
        refused: something that was asked for is missing from the results.

    Not in the paper: input reading.
    """

    file: str
    text: str
    refused: bool = True


def find_pictures(names: Iterable[str | os.PathLike]) -> tuple[list[Path], list[Remark]]:
    """The files that names stand for, each once, in the order named; and what there is to say of the others.

    A name is a file, whatever its ending; a folder, of which every file with a picture's or video's ending is taken in
    alphabetical order, without its subfolders; or a pattern such as ``holiday/**/*.jpg``. In folders and patterns,
    hidden files are passed over. So are files with another ending and a folder's subfolders; these are named. A name
    that leads to nothing is refused.

    Not in the paper: input reading.
    """
    found: dict[Path, Path] = {}
    remarks = []
    for name in map(str, names):
        path = Path(name).expanduser()
        if path.is_dir():
            chosen, remark = _of_several(name, "folder", path)
        elif path.exists():
            chosen, remark = ([path], None) if path.is_file() else ([], Remark(name, f"{name}: expected a file"))
        elif glob.has_magic(name):
            chosen, remark = _of_several(name, "pattern", path)
        else:
            chosen, remark = [], Remark(name, f"{name}: expected a picture, a video or a folder, found nothing there")
        remarks += [remark] if remark else []
        for file in chosen:
            found.setdefault(file.resolve(), file)
    return list(found.values()), remarks


def read_pictures(
    files: Iterable[Path], *, every: int = 1, frames: int = 200, as_stored: bool = False
) -> Iterator[Picture | Remark]:
    """Photographs and frames of videos one after another, and a `Remark` on each file that could not be read.

    A file is a video if its ending is one of `VIDEOS`; of an animated picture the first is taken.

    Args:
        files: see `find_pictures`.
        every: of a video, every so many-th frame, from the first on.
        frames: most frames taken of one video; 0 for no limit.
        as_stored: do not look at orientation tags.

    Raises:
        ValueError: ``every`` below 1 or ``frames`` below 0.

    Not in the paper: input reading.
    """
    if every < 1 or frames < 0:
        raise ValueError(f"frames: expected every >= 1 and a limit >= 0, got {every} and {frames}")
    for file in files:
        if file.suffix.lower() in VIDEOS:
            yield from _read_video(file, every, frames, as_stored)
            continue
        try:
            yield Picture(read_photograph(file, as_stored=as_stored), str(file))
        except ValueError as error:
            yield Remark(str(file), str(error))


def read_photograph(path: str | os.PathLike, *, as_stored: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """A photograph as (h, w, 3) uint8 RGB, as a viewer shows it: turned as its tag says, transparency on white.

    Args:
        as_stored: do not look at the orientation tag. It is not looked at either where a picture has transparency: no
            camera writes such a file.

    Raises:
        ValueError: file missing, cut short, or not an image.

    Not in the paper: input reading.
    """
    return photograph_of(bytes_of(path), str(path), as_stored=as_stored)


def photograph_of(data: bytes, name: str, *, as_stored: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """`read_photograph` of a file that is in memory already.

    Raises:
        ValueError: cut short, or not an image; ``name`` is named.

    Not in the paper: input reading.
    """
    opacity = _opacity(data)
    image = image_of(data, name, upright=not as_stored and opacity is None)
    if opacity is None:
        return image
    return np.rint(image * opacity + 255.0 * (1.0 - opacity)).astype(np.uint8)


def _opacity(data):
    """(h, w, 1) in [0, 1], None for an opaque picture; what is none is for `image_of` to say."""
    if data.startswith(b"\xff\xd8"):  # JPEG has none, and is what most photographs are
        return None
    image = decode_bytes(data, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4 or not np.issubdtype(image.dtype, np.integer):
        return None
    alpha = image[:, :, 3:].astype(np.float32) / np.iinfo(image.dtype).max
    return alpha if alpha.min() < 1 else None


def _of_several(name, kind, path):
    """The pictures and videos of a folder or a pattern, and the remark on what else is there."""
    try:
        inside = path.iterdir() if kind == "folder" else map(Path, glob.iglob(str(path), recursive=True))
        there = sorted(file for file in inside if not file.name.startswith("."))
        # A link that leads nowhere is no folder: it is taken, cannot be read, and so is named.
        files = [file for file in there if not file.is_dir()]
        folders = [file.name for file in there if file.is_dir()] if kind == "folder" else []
    except OSError as error:
        return [], Remark(name, f"{kind} {name}: cannot be read: {error.strerror}")
    chosen = [file for file in files if file.suffix.lower() in IMAGES + VIDEOS]
    others = [file.name for file in files if file not in chosen]
    if not chosen:
        return [], Remark(name, f"{kind} {name}: expected pictures or videos, found {len(others) or 'no'} other files")
    passed = [(others, "without a picture's ending"), (folders, "folders in it")]
    said = [f"{len(names)} {what} ({_some(names)})" for names, what in passed if names]
    if said:
        return chosen, Remark(name, f"{kind} {name}: passed over: {'; '.join(said)}", refused=False)
    return chosen, None


def _some(names):
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _read_video(file, every, frames, as_stored):
    """Every so many-th frame, then what there is to say: not readable, cut short, or more than asked for."""
    name = str(file)
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        yield Remark(name, f"video {name}: cannot be read: {error.strerror}")
        return
    video = cv2.VideoCapture(name)
    try:
        if as_stored:
            video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        announced, rate = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS)
        number = taken = 0
        while video.isOpened() and video.grab():
            if number % every == 0:
                if frames and taken == frames:
                    of = f" of about {announced}" if announced > 0 else ""
                    yield Remark(name, f"video {name}: stopped after {taken} frames, at frame {number}{of}", False)
                    return
                whole, image = video.retrieve()
                if not whole:
                    break
                taken += 1
                second = number / rate if rate > 0 else None
                yield Picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), name, number, second)
            number += 1
        if not number:
            yield Remark(name, f"video {name}: expected a video, got a file without a frame that decodes (corrupt?)")
        elif announced - number > max(1, _MISSING * announced):
            yield Remark(name, f"video {name}: ends after {number} of {announced} frames (cut short?)")
    finally:
        video.release()
