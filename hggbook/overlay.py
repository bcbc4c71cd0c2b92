"""People drawn into their picture, in its own pixels: what `hggbook predict` writes for looking at.

`hggbook.viz` draws for pages, in points; here lines grow with the people, so that they can be seen in a photograph of
20 megapixels and do not bury a person of 40 pixels.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

from hggbook.skeleton import Skeleton
from hggbook.types import Poses
from hggbook.viz import palette

SMALLEST = 480  # long side of an overlay in pixels: smaller pictures are enlarged
MOST_ENLARGED = 8
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # OpenCV takes places in 1/16 pixel


def draw_overlay(image: UInt8[np.ndarray, "h w 3"], poses: Poses, skeleton: Skeleton) -> UInt8[np.ndarray, "H W 3"]:
    """A copy of a picture with its people: bones and keypoints, a colour and a number for each person.

    Numbers count from 1 in the order of ``poses``, as in the tables. A keypoint of score 0 is absent and is not drawn.
    A small picture is enlarged by a whole factor, up to 8, towards a long side of 480 pixels.

    Args:
        poses: of this one image, in its pixels.

    Raises:
        ValueError: poses of several images, or of another skeleton.

    Paper: fig. 5.
    """
    if poses.num_images != 1 or poses.keypoints.shape[1] != skeleton.num_types:
        raise ValueError(
            f"poses: expected one image and {skeleton.num_types} keypoint types, got {poses.num_images} and "
            f"{poses.keypoints.shape[1]}"
        )
    factor = int(np.clip(-(-SMALLEST // max(image.shape[:2])), 1, MOST_ENLARGED))
    drawn = np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1))
    long_side = max(drawn.shape[:2])
    people = poses.keypoints.detach().cpu().numpy().astype(np.float64)
    # the surest last, on top of the others
    for number, (keypoints, colour) in reversed(list(enumerate(zip(people, palette(len(people))), start=1))):
        present = keypoints[:, 2] > 0
        if not present.any():
            continue
        xy = (keypoints[:, :2] + 0.5) * factor - 0.5
        extent = np.ptp(xy[present], axis=0).max()
        width = float(np.clip(extent / 45, long_side / 500, long_side / 130))
        _draw_person(drawn, xy, present, skeleton, width, [round(255 * channel) for channel in colour])
        _draw_number(drawn, xy[present], str(number), width, [round(255 * channel) for channel in colour])
    return drawn


def _draw_person(drawn, xy, present, skeleton, width, colour):
    bones = [(a, b) for a, b in skeleton.drawn if present[a] and present[b]]
    for thickness, shade in ((1.9 * width, [255, 255, 255]), (width, colour)):
        for a, b in bones:
            cv2.line(drawn, _place(xy[a]), _place(xy[b]), shade, max(round(thickness), 1), cv2.LINE_AA, _SHIFT)
        radius = (0.9 * width + 0.5 * thickness) * 2**_SHIFT
        for point in xy[present]:
            cv2.circle(drawn, _place(point), max(round(radius), 1), shade, -1, cv2.LINE_AA, _SHIFT)


def _draw_number(drawn, xy, text, width, colour):
    """The number on a plate of the person's colour, above the highest keypoint, inside the picture."""
    (_, high), _ = cv2.getTextSize(text, _FONT, 1.0, 1)
    scale, thickness = max(4.0 * width, 11.0) / high, max(round(0.6 * width), 1)
    (wide, high), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(round(0.3 * high), 2)
    top = xy[xy[:, 1].argmin()]
    left = int(np.clip(top[0] - wide / 2 - pad, 0, max(drawn.shape[1] - wide - 2 * pad, 0)))
    bottom = int(np.clip(top[1] - 3 * width, high + 2 * pad, max(drawn.shape[0] - 1, high + 2 * pad)))
    corner = (left + wide + 2 * pad, bottom - high - 2 * pad)
    cv2.rectangle(drawn, (left, bottom), corner, colour, -1)
    cv2.rectangle(drawn, (left, bottom), corner, [255, 255, 255], max(round(0.4 * width), 1))
    # black or white, whichever stands out: relative luminance as WCAG has it
    linear = (np.array(colour) / 255.0) ** 2.2
    ink = [0, 0, 0] if linear @ [0.2126, 0.7152, 0.0722] > 0.18 else [255, 255, 255]
    cv2.putText(drawn, text, (left + pad, bottom - pad), _FONT, scale, ink, thickness, cv2.LINE_AA)


def _place(point):
    return tuple(int(value) for value in np.rint(np.clip(point, -1e6, 1e6) * 2**_SHIFT))
