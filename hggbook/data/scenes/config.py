"""Scenes: the knobs that a scene is made with, and the record that comes out."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from hggbook.data.scenes.background import KINDS


@dataclass(frozen=True)
class SceneConfig:
    """Knobs of a synthetic crowd scene; a preset is a set of their values.

    Attributes:
        width, height: picture size in pixels, 32 to 2048.
        people_low, people_high: fewest and most people in a scene, 0 to 40. Where no room can be found in which
            everybody is seen, whoever is hidden is left out.
        overlap: target, in [0, 0.67], for the mean over people of the largest box IoU with another person (the
            "MaxIoU" by which OCHuman measures crowding; 0.67 is its mean).
        occluders: mean number of objects in front of people, 0 to 20. At 0 nobody carries a bag either.
        distractors: mean number of limb-like things behind people, 0 to 20.
        truncation: probability that a person is cut by the frame.
        scale_low, scale_high: smallest and largest stature of an adult standing in full view, as a share of ``height``.
        noise: strength of sensor noise in grey levels, 0 to 40.
        backgrounds: kinds of background to draw from, see `background.KINDS`.

    Raises:
        ValueError: a knob outside of its range, named.

    Not in the paper: scenes are our data.
    """

    width: int = 256
    height: int = 256
    people_low: int = 3
    people_high: int = 7
    overlap: float | int = 0.3
    occluders: float | int = 1.0
    distractors: float | int = 0.7
    truncation: float | int = 0.15
    scale_low: float | int = 0.35
    scale_high: float | int = 0.8
    noise: float | int = 5.0
    backgrounds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 32, 2048), ("height", 32, 2048), ("people_low", 0, 40), ("people_high", 0, 40),
            ("overlap", 0, 0.67), ("occluders", 0, 20), ("distractors", 0, 20), ("truncation", 0, 1),
            ("scale_low", 0.05, 1), ("scale_high", 0.05, 1), ("noise", 0, 40),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise ValueError(f"scene config {name}: expected a number from {low} to {high}, got {value!r}")
        for name in ("width", "height", "people_low", "people_high"):
            if not isinstance(getattr(self, name), int):
                raise ValueError(f"scene config {name}: expected a whole number, got {getattr(self, name)!r}")
        for low, high in (("people_low", "people_high"), ("scale_low", "scale_high")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"scene config {low}: expected at most {high} = {getattr(self, high)!r}, "
                                 f"got {getattr(self, low)!r}")
        unknown = [kind for kind in self.backgrounds if kind not in KINDS]
        if unknown or not self.backgrounds:
            raise ValueError(f"scene config backgrounds: expected some of {KINDS}, got {self.backgrounds!r}")


PRESETS = MappingProxyType({
    "easy": SceneConfig(people_low=1, people_high=3, overlap=0.0, occluders=0.0, distractors=0.2, truncation=0.0,
                        scale_low=0.5, scale_high=0.85),
    "crowd": SceneConfig(),
    "dense": SceneConfig(people_low=6, people_high=12, overlap=0.55, occluders=1.5, distractors=0.7, truncation=0.2,
                         scale_low=0.3, scale_high=0.7),
})
"""Named sets of knobs: few people apart, a crowd, a dense crowd as in OCHuman."""


@dataclass(frozen=True)
class Scene:
    """A rendered scene with its annotation. M people, nearest last.

    Coordinates are pixels, an integer being a pixel's centre.

    Attributes:
        image: (H, W, 3) RGB.
        keypoints: (M, 17, 3) x, y, visibility of COCO's keypoint types: 2 seen, 1 inside the frame but covered by
            another person, an object or the own body, 0 outside of the frame (then x = y = 0). Eyes, ears and nose of a
            head turned away are covered by the head. Everything inside the frame is labelled.
        boxes: (M, 4) x, y, width, height of the whole body within the frame, hidden parts included (as OCHuman's).
        areas: (M,) visible pixels.
        masks: (M, H, W) visible pixels of each person.
        owner: (H, W) what is seen: 0 background, 1..M person (row + 1), above that an object.
        part: (H, W) which body part is seen (numbers in `scenes.mesh`); 0 background.
        depth: (H, W) metres from the camera; infinite for the background.

    Not in the paper: scenes are our data.
    """

    image: UInt8[np.ndarray, "H W 3"]
    keypoints: Float32[np.ndarray, "M 17 3"]
    boxes: Float32[np.ndarray, "M 4"]
    areas: Float32[np.ndarray, "M"]
    masks: Bool[np.ndarray, "M H W"]
    owner: Int32[np.ndarray, "H W"]
    part: Int32[np.ndarray, "H W"]
    depth: Float32[np.ndarray, "H W"]

    @property
    def num_people(self) -> int:
        """M."""
        return len(self.keypoints)
