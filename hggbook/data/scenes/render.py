"""Rendering: faces in space to a picture, and to buffers that say what every pixel shows.

Faces are drawn from far to near into a buffer of face numbers at twice the resolution; colours, owners, body parts and
depths are then looked up, so all buffers agree exactly on what is visible.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from hggbook.data.scenes.mesh import Quads

_NEAR = 0.25  # metres; what is closer to the camera is not drawn


@dataclass(frozen=True)
class Camera:
    """A level camera over the ground y = 0 that looks along -z.

    Attributes:
        width, height: picture size in pixels.
        focal: focal length in pixels.
        eye: height of the camera in metres.
        horizon: row of the horizon in pixels (the lens may be shifted, so any row).

    Not in the paper: scenes are our data.
    """

    width: int
    height: int
    focal: float
    eye: float
    horizon: float

    def project(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Pixel x, y (an integer is a pixel's centre) and depth in metres of points in space."""
        depth = -points[..., 2]
        scale = np.float32(self.focal) / np.maximum(depth, np.float32(1e-3))
        x = np.float32(0.5 * (self.width - 1)) + points[..., 0] * scale
        y = np.float32(self.horizon) - (points[..., 1] - np.float32(self.eye)) * scale
        return np.stack([x, y, depth], -1)


@dataclass(frozen=True)
class Light:
    """Light of a scene: one lamp or sun and the sky.

    Attributes:
        direction: (3,) unit vector towards the lamp.
        lamp, sky, ground: (3,) RGB strength of the lamp, of the light from above and from below.

    Not in the paper: scenes are our data.
    """

    direction: Float[np.ndarray, "3"]
    lamp: Float[np.ndarray, "3"]
    sky: Float[np.ndarray, "3"]
    ground: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Buffers:
    """What every pixel shows.

    Attributes:
        colour: (H, W, 4) RGB premultiplied with coverage, and coverage, 0..255.
        owner: (H, W) 0 scenery, 1..M person, above that an object.
        part: (H, W) body part; 0 where nothing is drawn.
        depth: (H, W) metres; infinite where nothing is drawn.

    Not in the paper: scenes are our data.
    """

    colour: UInt8[np.ndarray, "H W 4"]
    owner: Int32[np.ndarray, "H W"]
    part: Int32[np.ndarray, "H W"]
    depth: Float32[np.ndarray, "H W"]


def render(quads: Quads, camera: Camera, light: Light) -> Buffers:
    """Draw all faces, nearer ones over farther ones.

    Not in the paper: scenes are our data.
    """
    x, y, depth = _columns(camera.project(quads.corners))  # (4, n) each: whole columns are fast to compute with
    facing = (x[2] - x[0]) * (y[3] - y[1]) - (y[2] - y[0]) * (x[3] - x[1]) < 0  # rows grow downwards
    inside = (x.max(0) > -1) & (y.max(0) > -1) & (x.min(0) < camera.width) & (y.min(0) < camera.height)
    rows = np.flatnonzero((facing | quads.both_sides) & inside & (depth.min(0) > _NEAR))
    middle = depth[:, rows].sum(0) * np.float32(0.25)
    order = np.argsort(quads.nearer[rows] - middle, kind="stable")
    rows, middle = rows[order], middle[order]

    buffer = _fill(np.stack([x[:, rows].T, y[:, rows].T], -1), camera)
    packed = np.zeros((len(rows) + 1, 4), np.uint8)
    packed[1:, :3] = _shade(quads, rows, camera, light)
    packed[1:, 3] = 255
    fine = packed.view(np.uint32)[:, 0][buffer].view(np.uint8).reshape(*buffer.shape, 4)
    colour = cv2.resize(fine, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    shown = np.ascontiguousarray(buffer[1::2, 1::2])

    def look_up(values, nothing):
        return np.concatenate([np.array([nothing], values.dtype), values])[shown]

    return Buffers(
        colour, look_up(quads.owner[rows], 0), look_up(quads.part[rows], 0), look_up(middle, np.inf)
    )


def extents(quads: Quads, camera: Camera, count: int) -> Float32[np.ndarray, "M 4"]:
    """Left, top, right, bottom in pixels of all that belongs to persons 1..M, hidden or outside of the frame or not.

    Not in the paper: scenes are our data.
    """
    x, y, _ = _columns(camera.project(quads.corners))
    edges = (x.min(0), y.min(0), x.max(0), y.max(0))
    result = np.zeros((count, 4), np.float32)
    for row in range(count):
        mine = np.flatnonzero(quads.owner == row + 1)
        result[row] = [pick(edge[mine]) for pick, edge in zip((np.min, np.min, np.max, np.max), edges)]
    return result


def _columns(corners):
    """x, y, z as (4, n) arrays of (n, 4, 3) points."""
    return np.ascontiguousarray(np.transpose(corners, (2, 1, 0)))


def _fill(xy, camera):
    """(2H, 2W) number of the last face drawn over each sample, counting from 1; 0 where there is none."""
    buffer = np.zeros((2 * camera.height, 2 * camera.width), np.int32)
    corners = np.clip((xy * 2 + 0.5) * 16, -1e6, 1e6).astype(np.int32)  # 4 bits after the point
    fill = cv2.fillConvexPoly
    for number, corner in enumerate(list(corners), 1):
        fill(buffer, corner, number, 8, 4)
    return buffer


def _shade(quads, rows, camera, light):
    """(n, 3) colour, 0..255, of faces under the light: diffuse lamp, sky above, ground below, dimmer at outlines."""
    x, y, z = _columns(quads.corners[rows])
    ax, ay, az = x[2] - x[0], y[2] - y[0], z[2] - z[0]
    bx, by, bz = x[3] - x[1], y[3] - y[1], z[3] - z[1]
    normal = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    normal /= np.maximum(np.sqrt((normal * normal).sum(0)), 1e-12)
    view = np.stack([x[0], y[0] - np.float32(camera.eye), z[0]])
    view /= np.sqrt((view * view).sum(0))
    towards = (normal * view).sum(0)
    normal = np.where(towards > 0, -normal, normal)  # thin things seen from inside
    lit = np.maximum((light.direction @ normal + np.float32(0.25)) * np.float32(0.8), 0)
    up = 0.5 + 0.5 * normal[1]
    strength = lit[:, None] * light.lamp + up[:, None] * light.sky + (1 - up)[:, None] * light.ground
    strength *= (np.float32(0.80) + np.float32(0.20) * np.abs(towards))[:, None]
    return np.clip(quads.colour[rows] * strength * 255, 0, 255)


def blend(buffers: Buffers, background: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture: people and objects over the background, darker where something near hides the light.

    Not in the paper: scenes are our data.
    """
    near = np.minimum(buffers.depth, np.float32(1e3))
    drawn = buffers.owner + buffers.part > 0
    far = float(near[drawn].max()) + 0.5 if drawn.any() else 1.0
    near = np.minimum(near, np.float32(far))
    size = max(3, int(buffers.depth.shape[0] / 40) | 1)
    hidden = np.clip((near - cv2.blur(near, (size, size))) * np.float32(1.2), 0, np.float32(0.38))
    hidden[~drawn] = 0
    alpha = buffers.colour[..., 3:].astype(np.float32) * np.float32(1 / 255)
    front = buffers.colour[..., :3] * (1 - hidden)[..., None]
    return np.clip(front + background * (1 - alpha), 0, 255).astype(np.uint8)
