"""Bringing the real data sets: COCO from its official addresses, OCHuman and CrowdPose from where a user has put them.

Everything goes below one folder, ``coco/``, ``ochuman/`` or ``crowdpose/``, in the layout that the rest of the library
looks for. Nothing of it ever belongs into git.
"""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hggbook.data.annotations import read_annotations, read_image
from hggbook.data.fetch import Progress, fetch, need_room
from hggbook.data.unpack import unpack
from hggbook.paths import whole_file, whole_folder
from hggbook.skeleton import COCO, CROWDPOSE

COCO_ADDRESS = "http://images.cocodataset.org"


@dataclass(frozen=True)
class Archive:
    """One official archive.

    Attributes:
        path: below the address of the data set.
        size: bytes, None if not known.
        md5: as published.
        gives: what is taken out of it.
    """

    path: str
    size: int | None
    md5: str | None
    gives: tuple[str, ...]


COCO_PARTS = {
    "annotations": Archive(
        "annotations/annotations_trainval2017.zip", 252_907_541, "f4bbac642086de4f52a3fdda2de5fa2c",
        ("annotations/person_keypoints_val2017.json", "annotations/person_keypoints_train2017.json"),
    ),
    "val": Archive("zips/val2017.zip", 815_585_330, "442b8da7639aecaf257c1dceb8ba8c80", ("val2017",)),
    "train": Archive("zips/train2017.zip", 19_336_861_798, "cced6f7f71b7629ddf16f17bbcfab6b2", ("train2017",)),
    "test": Archive("zips/test2017.zip", None, "77ad2c53ac5d0aea611d422c0938fb35", ("test2017",)),
    "test-info": Archive(
        "annotations/image_info_test2017.zip", None, None, ("annotations/image_info_test-dev2017.json",)
    ),
}  # fmt: skip
"""COCO 2017 by parts."""

SKELETONS_OF = {"ochuman": COCO, "crowdpose": CROWDPOSE}
WHERE_TO_ASK = {
    "ochuman": "OCHuman is given out on request: github.com/liruilong940607/OCHumanApi",
    "crowdpose": "CrowdPose is given out by its authors: github.com/Jeff-sjtu/CrowdPose",
}

Told = Callable[[str], Progress | None]  # name of what is fetched -> what to call while it arrives


def download_coco(
    root: Path, parts: Sequence[str], *, address: str = COCO_ADDRESS, keep_archives: bool = False,
    told: Told | None = None,
) -> list[Path]:  # fmt: skip
    """Fetches and unpacks parts of COCO 2017 into ``root/coco``; what is there already is left alone.

    Args:
        root: folder of the data sets.
        parts: of `COCO_PARTS`.
        address: of a mirror with the same paths.
        keep_archives: do not remove the zip files.
        told: gives, for the name of a file, what to report its progress to.

    Returns:
        What the parts consist of.

    Raises:
        ValueError: unknown part; a wrong checksum, a broken archive, an address that does not exist.
        ConnectionError, OSError: see `hggbook.data.fetch.fetch`.

    Not in the paper: its data set (sec. 4.1).
    """
    if unknown := [part for part in parts if part not in COCO_PARTS]:
        raise ValueError(f"parts of COCO: expected some of {tuple(COCO_PARTS)}, got {unknown}")
    folder, there = root / "coco", []
    for part in parts:
        archive = COCO_PARTS[part]
        missing = [name for name in archive.gives if not (folder / name).exists()]
        if missing:
            zip_file = folder / Path(archive.path).name
            progress = told(zip_file.name) if told else None
            fetch(f"{address}/{archive.path}", zip_file, md5=archive.md5, size=archive.size, progress=progress)
            unpack(zip_file, folder, missing)
            if not keep_archives:
                zip_file.unlink()
        there += [folder / name for name in archive.gives]
    return there


def download_subset(
    root: Path, count: int, part: str = "val", *, address: str = COCO_ADDRESS, told: Told | None = None
) -> tuple[Path, Path, list[str]]:
    """Fetches ``count`` photographs of COCO 2017 with annotated people, one by one, and their annotations.

    They are always the same ones, and a larger subset holds every smaller one: images are ordered by a hash of their
    id. The annotations of the whole part are fetched first (240 MB).

    Args:
        root: folder of the data sets.
        count: how many images.
        part: ``val`` or ``train``.
        address: of a mirror with the same paths.
        told: see `download_coco`; called with ``photographs`` too, and then counted in files.

    Returns:
        The annotation file with these images alone, their folder, and the addresses that could not be fetched: images
        that fail are left out of the file, the rest is done.

    Raises:
        ValueError: another part, a count below 1, or more than there are; see also `download_coco`.

    Not in the paper: a way to see real images without 20 GB.
    """
    if part not in ("train", "val"):
        raise ValueError(f"subset: expected a part 'train' or 'val', got {part!r}")
    if count < 1:  # before anything is fetched
        raise ValueError(f"subset: expected a count of at least 1, got {count}")
    download_coco(root, ["annotations"], address=address, told=told)
    name = f"{part}2017"
    source = root / "coco" / "annotations" / f"person_keypoints_{name}.json"
    everything = json.loads(source.read_text(encoding="utf-8"))
    people = {a["image_id"] for a in everything["annotations"] if a["num_keypoints"] and not a["iscrowd"]}
    images = sorted((image for image in everything["images"] if image["id"] in people), key=_drawn)
    if count > len(images):
        raise ValueError(f"subset: expected a count from 1 to {len(images)} (images with people), got {count}")
    folder = root / "coco" / f"subset_{name}"
    progress = told("photographs") if told else None

    def get(image: dict[str, Any]) -> str | None:
        url, place = f"{address}/{name}/{image['file_name']}", folder / "images" / image["file_name"]
        try:
            fetch(url, place)
            if read_image(place).shape[:2] != (image["height"], image["width"]):
                raise ValueError("an image of another size than the annotations say")
        except (ValueError, ConnectionError) as error:
            place.unlink(missing_ok=True)
            return str(error)
        return None

    failed, problems = set(), []
    with ThreadPoolExecutor(8) as pool:
        for done, (image, problem) in enumerate(zip(images[:count], pool.map(get, images[:count])), 1):
            if problem:
                failed.add(image["id"])
                problems.append(problem)
            if progress:
                progress(done, count)
    kept = {image["id"] for image in images[:count]} - failed
    if not kept:
        raise ConnectionError(f"none of {count} photographs could be fetched; the first: {problems[0]}")
    part_of = copy.copy(everything)
    part_of["images"] = [image for image in everything["images"] if image["id"] in kept]
    part_of["annotations"] = [a for a in everything["annotations"] if a["image_id"] in kept]
    annotations = folder / "person_keypoints.json"
    with whole_file(annotations) as place:
        place.write_text(json.dumps(part_of), encoding="utf-8")
    return annotations, folder / "images", problems


def _drawn(image):
    return hashlib.sha256(str(image["id"]).encode()).digest()


def adopt(root: Path, name: str, source: Path) -> list[tuple[Path, Path, int, int]]:
    """Puts a copy of OCHuman or CrowdPose that a user has into ``root/<name>``, checked.

    Args:
        root: folder of the data sets.
        name: ``ochuman`` or ``crowdpose``.
        source: a folder or a zip file with the photographs and the annotation files in COCO's format, in any folders.

    Returns:
        For every annotation file: the file, the folder of its images, how many images it lists, and how many people.

    Raises:
        ValueError: no such source; no annotation file with this skeleton in it; photographs that are missing.
        OSError: not enough room on the disk.

    Paper: sec. 4.1 (OCHuman).
    """
    skeleton, target = SKELETONS_OF[name], root / name
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder")
    with _as_folder(source, root) as folder:
        found = _annotation_files(folder, skeleton)
        if not found:
            raise ValueError(
                f"{source}: expected annotation files in COCO's format with the {skeleton.num_types} keypoints of "
                f"{skeleton.name!r}, found none. {WHERE_TO_ASK[name]}"
            )
        wanted = {Path(image["file_name"]).name for file in found.values() for image in file["images"]}
        pictures: dict[str, Path] = {}
        for path in folder.rglob("*"):
            if path.name in wanted and path.is_file():
                if path.name in pictures:
                    raise ValueError(f"{source}: two photographs are called {path.name}: {path}, {pictures[path.name]}")
                pictures[path.name] = path
        if missing := sorted(wanted - set(pictures)):
            raise ValueError(f"{source}: {len(missing)} of {len(wanted)} photographs are missing, e.g. {missing[0]}")
        need_room(root, sum(pictures[picture].stat().st_size for picture in wanted))
        with whole_folder(target) as place:
            (place / "images").mkdir()
            (place / "annotations").mkdir()
            for picture in wanted:
                shutil.copyfile(pictures[picture], place / "images" / picture)
            for path, file in found.items():
                for image in file["images"]:
                    image["file_name"] = Path(image["file_name"]).name
                (place / "annotations" / path.name).write_text(json.dumps(file), encoding="utf-8")
    told = []
    for path in sorted((target / "annotations").glob("*.json")):
        index = read_annotations(path, skeleton)
        told.append((path, target / "images", len(index.imgs), len(index.anns)))
    return told


@contextmanager
def _as_folder(source, root):
    if source.is_dir():
        yield source
        return
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".unpacking-", dir=root) as folder:
        unpack(source, Path(folder))
        yield Path(folder)


def _annotation_files(folder, skeleton):
    """Every COCO file of this skeleton below a folder, as it is, by its path."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            read_annotations(path, skeleton)
        except ValueError:  # another kind of file: OCHuman comes with annotations of its own format too
            continue
        if path.name in {other.name for other in found}:
            raise ValueError(f"{folder}: two annotation files are called {path.name}")
        found[path] = json.loads(path.read_text(encoding="utf-8"))
    return found
