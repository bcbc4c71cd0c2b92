"""Contact sheets: many scenes side by side, with and without their keypoints."""

import colorsys
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from hggbook.data.scenes.compose import render_scene
from hggbook.data.scenes.config import PRESETS, Scene
from hggbook.skeleton import COCO


def draw_people(scene: Scene) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with every person's bones in one colour: a dot for a keypoint that is seen, a ring for a covered one.

    Not in the paper: scenes are our data.
    """
    image = scene.image.copy()
    size = max(1, round(min(image.shape[:2]) / 200))
    for row, person in enumerate(scene.keypoints):
        colour = tuple(255 * value for value in colorsys.hsv_to_rgb((row * 0.381966) % 1, 0.85, 1))
        points = [(round(float(x) * 8), round(float(y) * 8)) for x, y, _ in person]
        for a, b in COCO.drawn:
            if person[a, 2] and person[b, 2]:
                cv2.line(image, points[a], points[b], colour, size, cv2.LINE_AA, 3)
        for point, visible in zip(points, person[:, 2]):
            if visible == 2:
                cv2.circle(image, point, 8 * (size + 1), colour, -1, cv2.LINE_AA, 3)
            elif visible == 1:
                cv2.circle(image, point, 8 * (size + 1), (255, 255, 255), 1, cv2.LINE_AA, 3)
    return image


def contact_sheet(scenes: Sequence[Scene], columns: int = 6) -> UInt8[np.ndarray, "H W 3"]:
    """Scenes in rows of ``columns``, each row followed by the same scenes with their keypoints.

    Args:
        scenes: of one size, at least one; the last row is filled up with grey.

    Raises:
        ValueError: no scene, or scenes of different sizes.

    Not in the paper: scenes are our data.
    """
    if not scenes or len({scene.image.shape for scene in scenes}) > 1:
        raise ValueError(f"scenes: expected at least one, all of one size, got {[s.image.shape for s in scenes]}")
    blank = np.full_like(scenes[0].image, 128)
    rows = []
    for first in range(0, len(scenes), columns):
        row = list(scenes[first : first + columns])
        fill = [blank] * (columns - len(row))
        rows.append(np.hstack([scene.image for scene in row] + fill))
        rows.append(np.hstack([draw_people(scene) for scene in row] + fill))
    return np.vstack(rows)


def write_contact_sheet(path: str | Path, seed: int = 0) -> Path:
    """A contact sheet of the presets as PNG, under a megabyte: four scenes each, of seeds from ``seed`` on.

    Choice: no sensor noise and five bits a colour, because noise does not compress.

    Raises:
        ValueError: the file's ending is not .png.

    Not in the paper: scenes are our data.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"{path}: expected a name that ends in .png")
    scenes = [
        render_scene(replace(PRESETS[name], noise=0), seed + 10 * row + 2 * column + twice)
        for row in range(2) for column, name in enumerate(PRESETS) for twice in range(2)
    ]
    sheet = (contact_sheet(scenes) & 0xF8) | 4
    _, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data.tobytes())
    os.replace(partial, path)
    return path
