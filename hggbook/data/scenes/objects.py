"""Objects: what stands in front of people, what they sit on and carry, and limb-like things behind them."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from hggbook.data.scenes import body, mesh
from hggbook.data.scenes.body import Figure
from hggbook.data.scenes.mesh import Quads


def sample_occluder(rng: np.random.Generator, place: Float[np.ndarray, "3"], owner: int) -> Quads:
    """An object on the ground at ``place`` (metres): table, crate, pole, bush, fence, suitcase, plant, board, bin.

    Args:
        rng: source of chance.
        place: (3,) x, 0, z of its centre.
        owner: number of the object.

    Not in the paper: scenes are our data.
    """
    kinds = (_table, _crates, _pole, _bush, _fence, _suitcase, _plant, _board, _bin)
    return mesh.join(kinds[rng.integers(len(kinds))](rng, np.asarray(place, np.float32), owner))


def seat(rng: np.random.Generator, top: Float[np.ndarray, "3"], size: float, turn: float, owner: int) -> Quads:
    """A stool, block or chair under somebody who sits.

    Args:
        top: (3,) middle of the seat.
        size: stature of the sitter in metres.
        turn: radians, direction that the sitter faces.
        owner: number of the object.

    Not in the paper: scenes are our data.
    """
    colour = _colour(rng)
    broad, thick, height = 0.24 * size, 0.04, float(top[1])
    board = mesh.box(top - np.float32([0, thick / 2, 0]), (broad, thick, broad), turn, colour, owner)
    if height < 0.12 or rng.random() < 0.3:
        return mesh.box(top - np.float32([0, height / 2, 0]), (broad, max(height, 0.02), broad), turn, colour, owner)
    parts = [board]
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    for a in (-0.42, 0.42):
        for b in (-0.42, 0.42):
            foot = np.float32([a * c + b * s, 0, b * c - a * s]) * broad
            parts.append(mesh.rod(top + foot, top + foot * 1.1 - np.float32([0, height, 0]), 0.018, 0.015, colour * 0.7,
                                  owner, sides=5, bands=3))
    if rng.random() < 0.5:  # back rest
        back = top + np.float32([-s, 0, -c]) * broad * 0.5 + np.float32([0, 0.13 * size, 0])
        parts.append(mesh.box(back, (broad, 0.22 * size, 0.03), turn, colour, owner))
    return mesh.join(parts)


def sample_luggage(rng: np.random.Generator, figure: Figure, row: int, owner: int) -> Quads:
    """A backpack, a bag in the hand, or a ball held, by the person ``row``.

    Args:
        rng: source of chance.
        figure: people.
        row: who carries it.
        owner: number of the object.

    Not in the paper: scenes are our data.
    """
    size, colour = float(figure.build.stature[row]), _colour(rng)
    zero = np.zeros(3, np.float32)
    hand = body.HAND + int(rng.integers(2))
    palm = figure.start[row, hand] + figure.frame[row, hand, :, 2] * figure.length[row, hand] * 0.7
    kind = rng.integers(3)
    if kind == 0:
        chest = figure.chest[row]
        pack = mesh.box(zero, (0.17 * size, 0.25 * size, 0.085 * size), 0.0, colour, owner)
        pocket = mesh.box(np.float32([0, -0.05, -0.05]) * size, np.float32([0.12, 0.1, 0.04]) * size, 0.0, colour * 0.8,
                          owner)
        middle = figure.throat[row] - (chest[:, 1] * 0.125 + chest[:, 2] * 0.095) * size
        whole = mesh.join([pack, pocket])
        return replace(whole, corners=whole.corners @ chest.T + middle)
    if kind == 1:
        bag = np.float32([rng.uniform(0.14, 0.22), rng.uniform(0.13, 0.2), 0.06]) * size
        drop = np.float32([0, 0.07 * size + bag[1] / 2, 0])
        turn = float(np.arctan2(*figure.pelvis[row, (0, 2), 2])) + np.pi / 2
        handles = [mesh.rod(palm, palm - drop + np.float32([x, bag[1] / 2, 0]), 0.008, 0.008, colour * 0.6, owner,
                            sides=4, bands=2) for x in (-0.06, 0.06)]
        return mesh.join([mesh.box(palm - drop, bag, turn, colour, owner), *handles])
    radius = rng.uniform(0.06, 0.12)
    lower = palm + figure.frame[row, hand, :, 1] * np.float32(radius)
    angle = np.linspace(0, np.pi, 9)
    rings = np.stack([lower + np.stack([np.sin(a) * c, np.full_like(c, np.cos(a)), -np.sin(a) * s], -1) * radius
                      for a in angle for _, c, s in [mesh.circle(12)]]).astype(np.float32)
    panels = np.where(np.arange(12)[:, None] % 4 == 0, colour * 0.5, colour)[None]
    return mesh.make_quads(mesh.ring_faces(rings), panels, owner, mesh.THING)


def sample_distractor(rng: np.random.Generator, place: Float[np.ndarray, "3"]) -> Quads:
    """Scenery behind people (owner 0) that looks like limbs: bare trees, pipes, a coat stand.

    Args:
        place: (3,) x, 0, z in metres.

    Not in the paper: scenes are our data.
    """
    place = np.asarray(place, np.float32)
    skin_like = np.array([0.85, 0.64, 0.52]) * rng.uniform(0.3, 1.1)
    colour = skin_like if rng.random() < 0.6 else np.full(3, rng.uniform(0.15, 0.7))
    height = rng.uniform(1.0, 2.4)
    top = place + np.float32([rng.normal(0, 0.12), height, 0])
    parts = [mesh.rod(place, top, rng.uniform(0.03, 0.09), 0.03, colour, 0, bands=8)]
    for _ in range(rng.integers(1, 5)):
        start = place + (top - place) * np.float32(rng.uniform(0.35, 0.95))
        tip = start + np.float32([rng.normal(0, 0.4), rng.uniform(-0.2, 0.5), rng.normal(0, 0.15)])
        parts.append(mesh.rod(start, tip, 0.04, 0.022, colour * rng.uniform(0.85, 1.1), 0))
    return mesh.join(parts)


def _colour(rng):
    base = rng.uniform(0.15, 0.85)
    return np.clip(base + rng.uniform(-0.25, 0.25, 3), 0.04, 0.95)


def _wood(rng):
    return np.array([0.55, 0.38, 0.24]) * rng.uniform(0.5, 1.4)


def _table(rng, place, owner):
    colour, height = _wood(rng) if rng.random() < 0.6 else _colour(rng), rng.uniform(0.55, 0.95)
    broad, deep, turn = rng.uniform(0.8, 1.8), rng.uniform(0.45, 0.8), rng.normal(0, 0.3)
    parts = [mesh.box(place + np.float32([0, height, 0]), (broad, 0.05, deep), turn, colour, owner, cuts=5)]
    if rng.random() < 0.35:  # table cloth or counter
        parts.append(mesh.box(place + np.float32([0, height / 2, 0]), (broad * 0.98, height, deep * 0.95), turn,
                              _colour(rng), owner, cuts=5))
    else:
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        for a in (-0.46, 0.46):
            for b in (-0.42, 0.42):
                x, z = a * broad, b * deep
                leg = place + np.float32([x * c + z * s, 0, z * c - x * s])
                parts.append(mesh.rod(leg, leg + np.float32([0, height, 0]), 0.03, 0.03, colour * 0.8, owner, sides=5))
    for _ in range(rng.integers(0, 3)):
        spot = place + np.float32([rng.uniform(-0.35, 0.35) * broad, height + 0.09, rng.uniform(-0.15, 0.15)])
        parts.append(mesh.rod(spot - np.float32([0, 0.07, 0]), spot + np.float32([0, rng.uniform(0, 0.12), 0]), 0.04,
                              0.03, _colour(rng), owner))
    return parts


def _crates(rng, place, owner):
    parts, y = [], 0.0
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.3, 0.6, 3)
        centre = place + np.float32([rng.normal(0, 0.05), y + size[1] / 2, 0])
        colour = _wood(rng) if rng.random() < 0.5 else _colour(rng)
        parts.append(mesh.box(centre, size, rng.uniform(-0.6, 0.6), colour, owner))
        y += size[1]
    return parts


def _pole(rng, place, owner):
    radius, height = rng.uniform(0.03, 0.09), rng.uniform(1.8, 3.5)
    colour = np.broadcast_to(_colour(rng), (12, 3)).copy()
    if rng.random() < 0.4:
        colour[::2] = (0.9, 0.9, 0.9) if rng.random() < 0.5 else (0.8, 0.15, 0.15)
    top = place + np.float32([0, height, 0])
    return [mesh.rod(place, top, radius, radius * 0.9, colour, owner, sides=10, bands=12)]


def _leaves(rng, centre, spread, count, colour, owner, length):
    """Loose leaves: small quads at random places and slants."""
    middle = centre + np.clip(rng.normal(0, 1, (count, 3)), -1.7, 1.7) * spread
    middle[:, 1] = np.maximum(middle[:, 1], length)
    along = rng.normal(0, 1, (count, 3))
    along *= length / np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, rng.normal(0, 1, (count, 3)))
    across *= 0.3 * length / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    corners = np.stack([middle - along, middle + across, middle + along, middle - across], 1)
    shade = colour * rng.uniform(0.6, 1.25, (count, 1))
    return mesh.make_quads(corners, shade, owner, mesh.THING, both_sides=True)


def _bush(rng, place, owner):
    green = np.array([rng.uniform(0.15, 0.4), rng.uniform(0.35, 0.55), rng.uniform(0.1, 0.25)])
    size = rng.uniform(0.22, 0.42)
    spread = np.array([size, size * rng.uniform(0.6, 1.1), size * 0.4])
    centre = place + np.float32([0, size * 1.3, 0])
    top = place + np.float32([0, size * 1.7, 0])
    core = mesh.rod(place, top, size * 0.55, size * 0.35, green * 0.4, owner, sides=12)
    return [core, _leaves(rng, centre, spread, 480, green, owner, rng.uniform(0.05, 0.11))]


def _plant(rng, place, owner):
    green = np.array([0.2, rng.uniform(0.35, 0.5), 0.18])
    pot = mesh.rod(place, place + np.float32([0, 0.35, 0]), 0.14, 0.19, _colour(rng), owner, sides=12)
    stems = [mesh.rod(place, place + np.float32([rng.normal(0, 0.2), rng.uniform(0.7, 1.3), rng.normal(0, 0.1)]), 0.015,
                      0.008, green * 0.7, owner, sides=4) for _ in range(4)]
    crown = _leaves(rng, place + np.float32([0, 0.9, 0]), np.array([0.2, 0.25, 0.12]), 110, green, owner, 0.11)
    return [pot, *stems, crown]


def _fence(rng, place, owner):
    colour = _wood(rng) if rng.random() < 0.5 else _colour(rng)
    height, broad, gap = rng.uniform(0.6, 1.15), rng.uniform(1.0, 2.2), rng.uniform(0.12, 0.26)
    parts = [mesh.rod(place + np.float32([x, 0, 0]), place + np.float32([x, height, 0]), 0.022, 0.022, colour, owner,
                      sides=5, bands=4) for x in np.arange(-broad / 2, broad / 2, gap)]
    for y in (0.25 * height, 0.9 * height):
        start, end = np.float32([-broad / 2, y, 0.03]), np.float32([broad / 2, y, 0.03])
        parts.append(mesh.rod(place + start, place + end, 0.028, 0.028, colour * 0.9, owner, sides=5, bands=10))
    return parts


def _suitcase(rng, place, owner):
    size = (rng.uniform(0.35, 0.5), rng.uniform(0.5, 0.75), rng.uniform(0.2, 0.3))
    colour, turn = _colour(rng), rng.uniform(-0.7, 0.7)
    top = place + np.float32([0, size[1] + 0.05, 0])
    dark = np.full(3, 0.17)
    handles = [mesh.rod(top + np.float32([x, 0, 0]), top + np.float32([x, 0.35, 0]), 0.012, 0.012, dark, owner, sides=4)
               for x in (-0.1, 0.1)]
    ends = [top + np.float32([x, 0.35, 0]) for x in (-0.1, 0.1)]
    grip = mesh.rod(*ends, 0.018, 0.018, dark, owner, sides=5)
    return [mesh.box(place + np.float32([0, size[1] / 2 + 0.05, 0]), size, turn, colour, owner), *handles, grip]


def _board(rng, place, owner):
    size = (rng.uniform(0.5, 1.0), rng.uniform(0.7, 1.2), 0.05)
    turn = rng.normal(0, 0.3)
    centre = place + np.float32([0, size[1] / 2 + 0.05, 0])
    ahead = np.float32([np.sin(turn), 0, np.cos(turn)]) * 0.04
    face = mesh.box(centre + ahead, (size[0] * 0.85, size[1] * 0.8, 0.03), turn, _colour(rng), owner)
    return [mesh.box(centre, size, turn, _colour(rng), owner), replace(face, nearer=face.nearer + np.float32(0.2))]


def _bin(rng, place, owner):
    height, radius, colour = rng.uniform(0.6, 1.0), rng.uniform(0.2, 0.3), _colour(rng)
    top = place + np.float32([0, height, 0])
    return [mesh.rod(place, top, radius * 0.9, radius, colour, owner, sides=14),
            mesh.rod(top, top + np.float32([0, 0.08, 0]), radius * 1.05, radius * 0.8, colour * 0.6, owner, sides=14,
                     bands=2)]
