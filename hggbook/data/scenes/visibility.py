"""Visibility: which keypoints are seen, which are covered, which lie outside of the frame."""

import numpy as np
from jaxtyping import Float32

from hggbook.data.scenes import mesh
from hggbook.data.scenes.body import Figure
from hggbook.data.scenes.render import Buffers, Camera

SHOWN_BY: tuple[tuple[int, ...], ...] = (
    (mesh.HEAD,), (mesh.HEAD,), (mesh.HEAD,), (mesh.HEAD,), (mesh.HEAD,),
    *[(mesh.UPPER_ARMS[i], mesh.TORSO) for i in (0, 1)],
    *[(mesh.UPPER_ARMS[i], mesh.FOREARMS[i]) for i in (0, 1)],
    *[(mesh.FOREARMS[i], mesh.HANDS[i]) for i in (0, 1)],
    *[(mesh.TORSO, mesh.THIGHS[i], mesh.SKIRT) for i in (0, 1)],
    *[(mesh.THIGHS[i], mesh.SHINS[i], mesh.SKIRT) for i in (0, 1)],
    *[(mesh.SHINS[i], mesh.FEET[i], mesh.SKIRT) for i in (0, 1)],
)
"""Body parts whose surface counts as showing each of COCO's keypoint types."""

DEEPEST = (
    0.022, 0.018, 0.018, 0.020, 0.020, 0.065, 0.065, 0.045, 0.045, 0.070, 0.070, 0.085, 0.085, 0.06, 0.06, 0.05, 0.05,
)
"""How far under the visible surface a seen keypoint may lie, as a fraction of stature: half a limb's thickness for
keypoints inside limbs, nearly nothing for those on the face."""


def judge_keypoints(figure: Figure, camera: Camera, buffers: Buffers) -> Float32[np.ndarray, "M 17 3"]:
    """Keypoints in pixels with COCO's visibility: 2 seen, 1 covered, 0 outside of the frame.

    A keypoint is seen if the pixel it falls on shows its own person, there a body part of `SHOWN_BY`, and the keypoint
    lies at most `DEEPEST` under that surface. A wrist behind the own trunk, the far hip of a body seen from the side,
    or the eyes of a head turned away are therefore covered.

    Choice: at an outline, rounding can put a keypoint on a pixel that shows something behind the person. Such a
    keypoint moves to the nearest pixel of its own body, at most two pixels away, as an annotator would click.

    Not in the paper: scenes are our data.
    """
    height, width = buffers.owner.shape
    seen = camera.project(figure.keypoints)
    result = np.zeros((figure.count, 17, 3), np.float32)
    column, row = np.rint(seen[..., 0]), np.rint(seen[..., 1])
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (seen[..., 2] > 0.3)
    person, kind = np.nonzero(inside)
    if not len(person):
        return result
    xy, depth = seen[person, kind, :2], seen[person, kind, 2]
    square = [(dx, dy) for dx in range(-2, 3) for dy in range(-2, 3)]
    around = np.array(sorted(square, key=lambda d: d[0] ** 2 + d[1] ** 2))
    x = np.clip(np.rint(xy[:, :1]).astype(int) + around[:, 0], 0, width - 1)  # (n, 25), the own pixel first
    y = np.clip(np.rint(xy[:, 1:]).astype(int) + around[:, 1], 0, height - 1)
    limit = np.array(DEEPEST)[kind] * figure.build.stature[person]
    under = depth[:, None] - buffers.depth[y, x]
    own = buffers.owner[y, x] == person[:, None] + 1
    fits = _allowed()[kind[:, None], buffers.part[y, x]]
    shown = own & fits & (under <= limit[:, None])
    behind = ~shown & (under < 0)  # what the pixel shows lies behind the keypoint
    # the keypoint's own pixel, unless it lies at an outline: then the nearest that shows, else covers, it
    rank = np.where(shown, 0, np.where(behind, 2, 1)) * len(around) + np.arange(len(around))
    pick = np.where(behind[:, 0], rank.argmin(1), 0)
    every = np.arange(len(pick))
    nowhere = behind[every, pick]  # its part of the body lies outside of the frame
    xy = np.where((pick > 0)[:, None], np.stack([x[every, pick], y[every, pick]], 1), xy)
    result[person, kind, :2] = np.where(nowhere[:, None], 0, xy)
    result[person, kind, 2] = np.where(nowhere, 0, np.where(shown[every, pick], 2, 1))
    return result


def _allowed():
    """(17, parts) bool of `SHOWN_BY`."""
    table = np.zeros((17, mesh.THING + 1), bool)
    for kind, parts in enumerate(SHOWN_BY):
        table[kind, list(parts)] = True
    return table
