"""Scenes on disk: a COCO-format data set that pycocotools loads, and a cache of such sets for training."""

import dataclasses
import difflib
import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from hggbook.data.scenes.compose import render_scene
from hggbook.data.scenes.config import PRESETS, Scene, SceneConfig
from hggbook.skeleton import COCO

ANNOTATIONS = "annotations.json"
IMAGES = "images"
_QUALITY = 95


def scene_config(preset: str, **knobs: Any) -> SceneConfig:
    """The knobs of a preset with some of them changed, e.g. ``scene_config("crowd", overlap=0.5)``.

    Raises:
        ValueError: unknown preset or knob, or a value out of range; named.

    Not in the paper: scenes are our data.
    """
    if preset not in PRESETS:
        raise ValueError(f"scene preset: expected one of {tuple(PRESETS)}, got {preset!r}")
    known = [field.name for field in dataclasses.fields(SceneConfig)]
    for name in knobs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or known
            raise ValueError(f"unknown scene knob {name!r}; did you mean {', '.join(near)}?")
    return dataclasses.replace(PRESETS[preset], **knobs)


def scene_seed(seed: int, index: int) -> int:
    """Seed of the scene number ``index`` of a data set, so that scenes do not depend on who renders them.

    Not in the paper: scenes are our data.
    """
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0])


def write_dataset(folder: str | Path, config: SceneConfig, count: int, seed: int, workers: int = 1,
                  progress: Callable[[int], Any] | None = None) -> Path:
    """Render ``count`` scenes into ``folder`` as a COCO-format data set.

    ``folder/images/000000000001.jpg`` ..., ``folder/annotations.json``; image ids count from 1. The bytes do not depend
    on ``workers``. Everything is written beside ``folder`` first and renamed at the end, so ``folder`` is whole or
    absent.

    Args:
        folder: must not exist, or be empty.
        config: knobs of the scenes.
        count: number of scenes, at least 0.
        seed: at least 0.
        workers: processes that render. In a script, more than one needs the usual ``if __name__ == "__main__"``.
        progress: called after each scene with the number of scenes done so far.

    Returns:
        path of the annotation file.

    Raises:
        ValueError: the folder holds something, or a number is out of range.

    Not in the paper: scenes are our data.
    """
    folder = Path(folder)
    for name, value, low in (("count", count, 0), ("seed", seed, 0), ("workers", workers, 1)):
        if value < low:
            raise ValueError(f"{name}: expected at least {low}, got {value}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: expected a folder that is empty or does not exist yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial_folder = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".partial", dir=folder.parent))
    try:
        os.chmod(partial_folder, 0o755)
        (partial_folder / IMAGES).mkdir()
        entries = _render_all(partial(_write_scene, partial_folder / IMAGES, config, seed), count, workers, progress)
        text = json.dumps(_document(config, seed, entries), separators=(",", ":"))
        (partial_folder / ANNOTATIONS).write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        os.replace(partial_folder, folder)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return folder / ANNOTATIONS


def cached_dataset(root: str | Path, config: SceneConfig, count: int, seed: int, workers: int = 1,
                   progress: Callable[[int], Any] | None = None) -> Path:
    """The annotation file of a data set under ``root``, rendered only if it is not there yet.

    Sets are told apart by config, count, seed and the source of the generator itself, so that a change of the generator
    never meets old pictures. Several processes may ask at once; one set remains.

    Raises:
        ValueError: as `write_dataset`.

    Not in the paper: scenes are our data.
    """
    text = json.dumps([dataclasses.asdict(config), count, seed], sort_keys=True).encode()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        text += source.read_bytes()
    folder = Path(root) / f"scenes-{hashlib.sha256(text).hexdigest()[:16]}"
    if not (folder / ANNOTATIONS).is_file():
        try:
            write_dataset(folder, config, count, seed, workers, progress)
        except (OSError, ValueError):
            if not (folder / ANNOTATIONS).is_file():  # another process may have been faster
                raise
    return folder / ANNOTATIONS


def annotate_scene(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """COCO annotations of a scene's people, without their ids. The segmentation is the visible region, run-length
    encoded; the box is that of the whole body within the frame.

    Not in the paper: scenes are our data.
    """
    annotations = []
    for keypoints, box, area, mask in zip(scene.keypoints, scene.boxes, scene.areas, scene.masks):
        code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        annotations.append({
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "keypoints": [
                int(value) if column == 2 else round(float(value), 2)
                for point in keypoints for column, value in enumerate(point)
            ],
            "num_keypoints": int((keypoints[:, 2] > 0).sum()),
            "bbox": [float(value) for value in box],
            "area": float(area),
            "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode("ascii")},
        })
    return annotations


def _render_all(job, count, workers, progress):
    """``job(0) .. job(count - 1)``, in order, whoever does them."""
    if workers == 1 or count < 2:
        return _collect(map(job, range(count)), progress)
    # fresh processes: forking one that runs threads (torch, OpenCV) can hang
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, count), mp_context=spawn, initializer=_one_thread)
    try:
        return _collect(pool.map(job, range(count), chunksize=max(1, min(32, count // (4 * workers)))), progress)
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C, do not render the rest first


def _collect(results, progress):
    collected = []
    for result in results:
        collected.append(result)
        if progress is not None:
            progress(len(collected))
    return collected


def _one_thread():
    cv2.setNumThreads(1)


def _write_scene(images, config, seed, index):
    """Render one scene and write its picture; returns its image entry and annotations."""
    scene = render_scene(config, scene_seed(seed, index))
    name = f"{index + 1:012d}.jpg"
    written, data = cv2.imencode(".jpg", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR),
                                 [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not written:
        raise OSError(f"{images / name}: could not be encoded as JPEG")
    (images / name).write_bytes(data.tobytes())
    entry = {"id": index + 1, "file_name": name, "width": config.width, "height": config.height}
    return entry, annotate_scene(scene, index + 1)


def _document(config, seed, entries):
    annotations = [annotation for _, annotated in entries for annotation in annotated]
    return {
        "info": {
            "description": "hggbook synthetic crowd scenes",
            "config": dataclasses.asdict(config),
            "seed": seed,
            "count": len(entries),
        },
        "licenses": [],
        "images": [entry for entry, _ in entries],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations, 1)],
        "categories": [{
            "id": 1, "name": "person", "supercategory": "person", "keypoints": list(COCO.keypoints),
            "skeleton": [[a + 1, b + 1] for a, b in COCO.drawn],
        }],
    }
