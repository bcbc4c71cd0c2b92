"""Meshes: four-cornered faces with a colour, what they belong to, and how tubes are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int32

# what a face shows; left before right
TORSO, NECK_SKIN, HEAD, HAIR, SKIRT = 1, 2, 3, 4, 5
UPPER_ARMS, FOREARMS, HANDS, THIGHS, SHINS, FEET = (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17)
THING = 18


@dataclass(frozen=True)
class Quads:
    """n four-cornered faces in space.

    Attributes:
        corners: (n, 4, 3) metres; anticlockwise seen from outside.
        colour: (n, 3) albedo, RGB in [0, 1].
        owner: (n,) 0 scenery, 1..M person, above that an object.
        part: (n,) what of its owner the face shows.
        both_sides: (n,) True for thin things seen from inside as well (hair, cloth, leaves).
        nearer: (n,) metres by which the face counts as nearer when faces are sorted (eyes lie on the head).

    Not in the paper: scenes are our data.
    """

    corners: Float[np.ndarray, "n 4 3"]
    colour: Float[np.ndarray, "n 3"]
    owner: Int32[np.ndarray, "n"]
    part: Int32[np.ndarray, "n"]
    both_sides: Bool[np.ndarray, "n"]
    nearer: Float[np.ndarray, "n"]

    def take(self, rows) -> "Quads":
        """Some of the faces."""
        return Quads(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def make_quads(corners, colour, owner, part, both_sides: bool = False, nearer=0.0) -> Quads:
    """Faces from arrays of any leading shape; everything but ``corners`` (..., 4, 3) is broadcast to it.

    Not in the paper: scenes are our data.
    """
    lead = corners.shape[:-2]
    n = int(np.prod(lead))
    return Quads(
        np.ascontiguousarray(corners, np.float32).reshape(n, 4, 3),
        np.broadcast_to(np.asarray(colour, np.float32), (*lead, 3)).reshape(n, 3),
        np.broadcast_to(np.asarray(owner, np.int32), lead).reshape(n),
        np.broadcast_to(np.asarray(part, np.int32), lead).reshape(n),
        np.full(n, both_sides),
        np.broadcast_to(np.asarray(nearer, np.float32), lead).reshape(n),
    )


def join(meshes: Sequence[Quads]) -> Quads:
    """All faces of several meshes (at least one).

    Not in the paper: scenes are our data.
    """
    return Quads(**{f.name: np.concatenate([getattr(m, f.name) for m in meshes]) for f in fields(Quads)})


def ring_faces(rings: Float[np.ndarray, "*lead R S 3"], closed: bool = True) -> Float[np.ndarray, "*lead R1 S1 4 3"]:
    """Faces between neighbouring rings of points: R - 1 bands of S faces (S - 1 if the rings are open arcs).

    Rings follow each other along an axis and their points run anticlockwise seen against it, so that faces look
    outwards.

    Not in the paper: scenes are our data.
    """
    following = np.roll(rings, -1, axis=-2)
    if not closed:
        rings, following = rings[..., :-1, :], following[..., :-1, :]
    return np.stack(
        [rings[..., :-1, :, :], following[..., :-1, :, :], following[..., 1:, :, :], rings[..., 1:, :, :]], axis=-2
    )


def circle(sides: int) -> tuple[Float[np.ndarray, "S"], Float[np.ndarray, "S"], Float[np.ndarray, "S"]]:
    """Angles of the corners of a ring, their cosine and sine.

    Not in the paper: scenes are our data.
    """
    angle = (np.arange(sides, dtype=np.float32) + 0.5) * np.float32(2 * np.pi / sides)
    return angle, np.cos(angle), np.sin(angle)


def box(centre, size, turn: float, colour, owner: int, part: int = THING, cuts: int = 3) -> Quads:
    """A cuboid turned about the vertical, each side cut into ``cuts`` x ``cuts`` faces.

    Args:
        centre, size: (3,) metres.
        turn: radians.
        colour: (3,) albedo.

    Not in the paper: scenes are our data.
    """
    u, v = np.meshgrid(*[np.linspace(-0.5, 0.5, cuts + 1, dtype=np.float32)] * 2, indexing="ij")
    one = np.full_like(u, 0.5)
    sides = [np.stack(s, -1) for s in (
        (u, v, one), (v, u, -one), (one, u, v), (-one, v, u), (v, one, u), (u, -one, v),
    )]
    points = np.stack(sides) * np.asarray(size, np.float32)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    x, z = points[..., 0] * c + points[..., 2] * s, points[..., 2] * c - points[..., 0] * s
    points = np.stack([x, points[..., 1], z], -1) + np.asarray(centre, np.float32)
    corners = np.stack(
        [points[:, :-1, :-1], points[:, 1:, :-1], points[:, 1:, 1:], points[:, :-1, 1:]], axis=-2
    )
    return make_quads(corners, colour, owner, part)


def rod(start, end, radius_start: float, radius_end: float, colour, owner: int, part: int = THING, sides: int = 8,
        bands: int = 6) -> Quads:
    """A tapered round rod with closed ends.

    Args:
        start, end: (3,) metres.
        colour: (3,), or (bands, 3) albedo of each band along the rod.

    Not in the paper: scenes are our data.
    """
    start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
    along = end - start
    length = max(float(np.linalg.norm(along)), 1e-6)
    along = along / length
    across = np.cross(along, np.float32([0.31, 0.17, 0.93]))
    across /= np.linalg.norm(across)
    other = np.cross(along, across)
    _, c, s = circle(sides)
    t = np.concatenate([[0], np.linspace(0, 1, bands + 1), [1]]).astype(np.float32)
    radius = np.float32(radius_start) + t * np.float32(radius_end - radius_start)
    radius[[0, -1]] = 0
    rings = start + t[:, None, None] * length * along + radius[:, None, None] * (
        c[None, :, None] * across + s[None, :, None] * other)
    colour = np.broadcast_to(np.asarray(colour, np.float32), (bands, 3))
    colour = np.concatenate([colour[:1], colour, colour[-1:]])[:, None]
    return make_quads(ring_faces(rings), colour, owner, part)
