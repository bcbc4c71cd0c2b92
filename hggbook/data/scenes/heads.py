"""Heads: faces with eyes, nose and mouth, hair, hats."""

import numpy as np
from jaxtyping import Int

from hggbook.data.scenes import appearance, mesh
from hggbook.data.scenes.appearance import Looks
from hggbook.data.scenes.body import Figure
from hggbook.data.scenes.mesh import Quads

# Skull from crown to chin: height over the centre, half width, depth of face and back of the head; fractions of
# stature times head size. The centre lies between chin and crown, behind the bridge of the nose.
_SKULL = np.array((
    (0.0650, 0.000, 0.000, 0.000), (0.0640, 0.014, 0.016, 0.018), (0.0600, 0.025, 0.028, 0.034),
    (0.0500, 0.036, 0.040, 0.048), (0.0380, 0.0415, 0.047, 0.056), (0.0240, 0.0435, 0.050, 0.060),
    (0.0100, 0.0430, 0.0505, 0.060), (-0.0020, 0.0422, 0.0485, 0.057), (-0.0140, 0.0412, 0.0500, 0.051),
    (-0.0260, 0.0390, 0.0505, 0.042), (-0.0380, 0.0355, 0.0505, 0.032), (-0.0500, 0.0300, 0.0490, 0.020),
    (-0.0580, 0.0225, 0.0465, 0.008), (-0.0640, 0.0120, 0.0400, 0.000), (-0.0660, 0.000, 0.0300, 0.000),
))[::-1]


def head_mesh(figure: Figure, looks: Looks, owner: Int[np.ndarray, "P"], rng: np.random.Generator,
              detail: int) -> list[Quads]:
    """Heads of P people: skull, face, hair, hat.

    Args:
        figure, looks, owner, rng, detail: as for `clothing.body_mesh`.

    Not in the paper: scenes are our data.
    """
    angle, _c, _s = mesh.circle((12, 20, 28)[detail])
    y = np.interp(np.linspace(0, 1, (11, 16, 24)[detail]), np.linspace(0, 1, len(_SKULL)), _SKULL[:, 0])[::-1]
    points = _surface(y[:, None].astype(np.float32), angle)  # crown first
    colour = _skin_colours(looks, 0.5 * (y[:-1] + y[1:]), angle)
    meshes = [
        _place(figure, mesh.ring_faces(points), colour, owner, mesh.HEAD),
        *_face(figure, looks, owner),
        *_hair(figure, looks, owner, rng, detail),
    ]
    return meshes


def _surface(y, angle, grow=0.0):
    """Points of the skull at height ``y`` and direction ``angle`` (pi / 2 is the front), ``grow`` outside of it."""
    width, front, back = (np.interp(y, _SKULL[:, 0], _SKULL[:, i]).astype(np.float32) + grow for i in (1, 2, 3))
    c, s = np.cos(angle), np.sin(angle)
    x = width * np.sign(c) * np.abs(c) ** 0.92
    z = np.where(s > 0, front, back) * np.sign(s) * np.abs(s) ** 0.92
    return np.stack([x, y + 0 * x, z], -1).astype(np.float32)


def _place(figure, faces, colour, owner, part, nearer=0.0, both_sides=False, people=slice(None)):
    """Faces in the head's frame, (..., 4, 3) or one set per person, as a mesh in space."""
    if faces.ndim == 4:
        faces = faces[None]
    scale = (figure.build.head * figure.build.stature)[people, None, None, None, None]
    axes = np.swapaxes(figure.head[people], 1, 2)[:, None, None]
    corners = faces * scale @ axes + figure.skull[people, None, None, None]
    return mesh.make_quads(corners, colour, owner[people, None, None], part, both_sides, nearer)


def _skin_colours(looks, y, angle):
    """(P, R, S, 3): skin with eye sockets, cheeks, beard, and hair where it is cropped."""
    front = np.abs(np.mod(angle + np.pi / 2, 2 * np.pi) - np.pi)  # 0 in front .. pi behind
    y = y[:, None]
    skin = looks.skin[:, None, None]
    socket = np.exp(-(((front - 0.40) / 0.22) ** 2) - ((y - 0.004) / 0.009) ** 2)[None, ..., None]
    cheek = np.exp(-(((front - 0.62) / 0.30) ** 2) - ((y + 0.020) / 0.012) ** 2)[None, ..., None]
    colour = skin * (1 - 0.20 * socket) + cheek * np.float32([0.03, -0.02, -0.015])
    jaw = 1 / (1 + np.exp((y + 0.027 + 0.010 * (front > 0.85)) / 0.003))
    bearded = (looks.beard[:, None, None] * jaw * (front < 1.35))[..., None]
    colour = colour * (1 - bearded) + looks.hair[:, None, None] * bearded
    cropped = looks.hair_style == appearance.CREW
    crown = (y > 0.040 - 0.060 * np.clip((front - 0.85) / 0.6, 0, 1))
    stubble = (0.8 * crown * cropped[:, None, None])[..., None]
    return colour * (1 - stubble) + looks.hair[:, None, None] * stubble


def _patch(azimuth, height, half_width, half_height, grow):
    """A six-cornered patch on the skull, as two faces (1, 2, 4, 3); ``azimuth`` counts from the front to the left."""
    corner_x = np.float32([-1, -0.45, 0.45, 1, 0.45, -0.45]) * half_width / 0.05
    corner_y = np.float32([0, -1, -1, 0, 1, 1]) * half_height
    points = _surface(np.float32(height) + corner_y, np.pi / 2 - (azimuth + corner_x), grow)
    return np.stack([points[[0, 1, 2, 5]], points[[2, 3, 4, 5]]])[None]


def _face(figure, looks, owner):
    """Eyes, brows, nose, mouth, glasses. Each lies just outside the skull and is sorted before it."""
    def on_head(faces, colour, nearer, people=slice(None)):
        return _place(figure, faces, colour[people][:, None, None], owner, mesh.HEAD, nearer, True, people)

    white = np.ones_like(looks.skin) * np.float32([0.93, 0.92, 0.90])
    brow = looks.hair * 0.75
    parts = []
    for s in (1, -1):
        parts += [
            on_head(_patch(s * 0.375, 0.0015, 0.0105, 0.0046, 0.0006), white, 0.020),
            on_head(_patch(s * 0.370, 0.0015, 0.0046, 0.0046, 0.0010), looks.iris, 0.026),
            on_head(_patch(s * 0.385, 0.0062, 0.0120, 0.0013, 0.0010), looks.skin * 0.45, 0.027),
            on_head(_patch(s * 0.400, 0.0150, 0.0140, 0.0021, 0.0012), brow, 0.020),
        ]
    bridge, tip, base = (0, 0.006, 0.0495), (0, -0.019, 0.0640), (0, -0.0245, 0.0515)
    wings = ((0.0100, -0.0225, 0.0500), (-0.0100, -0.0225, 0.0500))
    roots = ((0.0040, 0.006, 0.0480), (-0.0040, 0.006, 0.0480))
    nose = np.float32([
        [roots[0], wings[0], tip, bridge], [bridge, tip, wings[1], roots[1]], [wings[0], base, wings[1], tip],
    ])[None]
    tone = np.float32([1.0, 1.0, 0.72])[None, None, :, None]
    parts.append(_place(figure, nose, looks.skin[:, None, None] * tone, owner, mesh.HEAD, 0.012, True))
    parts.append(on_head(_patch(0.0, -0.0385, 0.0180, 0.0038, 0.0010), looks.lips, 0.020))
    smiling = np.flatnonzero(looks.smile > 0)
    if len(smiling):
        parts.append(on_head(_patch(0.0, -0.0378, 0.0130, 0.0019, 0.0014), white, 0.024, smiling))
    wearing = np.flatnonzero(looks.glasses > 0)
    if len(wearing):
        frame = np.full_like(looks.skin, 0.10)
        for s in (1, -1):
            for height, half in ((0.0095, 0.0013), (-0.0075, 0.0010)):
                parts.append(on_head(_patch(s * 0.40, height, 0.0170, half, 0.0020), frame, 0.030, wearing))
        parts.append(on_head(_patch(0.0, 0.0060, 0.0080, 0.0012, 0.0040), frame, 0.030, wearing))
    return parts


def _hair(figure, looks, owner, rng, detail):
    meshes = []
    for style in np.unique(looks.hair_style):
        people = np.flatnonzero(looks.hair_style == style)
        if style in (appearance.BALD, appearance.CREW):
            continue
        colour = looks.hat if style in (appearance.SCARF,) else looks.hair
        meshes += _cap_of_hair(figure, looks, owner, people, int(style), colour, rng, detail)
        meshes += _extras(figure, looks, owner, people, int(style))
    return meshes


def _cap_of_hair(figure, looks, owner, people, style, colour, rng, detail):
    """A shell over the skull that leaves the face free and, for long hair, falls to the shoulders."""
    long = {appearance.BOB: 0.085, appearance.LONG: 0.165, appearance.SCARF: 0.125}.get(style, 0.0)
    thick = {appearance.AFRO: 0.034, appearance.SCARF: 0.010, appearance.BOB: 0.010, appearance.LONG: 0.009}.get(
        style, 0.007)
    if style in (appearance.CAP, appearance.BEANIE, appearance.SUNHAT):
        thick = 0.004
    angle, c, s = mesh.circle((16, 24, 32)[detail])
    bottom = -long if long else -0.040
    y = np.concatenate([0.066 - 0.066 * np.linspace(0, 1, 9) ** 2, np.linspace(0, bottom, 9)[1:]]).astype(np.float32)
    shell = _surface(np.maximum(y, -0.020)[:, None], angle, 0)
    outward = np.stack([c, np.zeros_like(c), s], -1) * np.minimum(1, (0.0665 - y) / 0.02)[:, None, None] ** 0.5
    shell = shell + outward * thick + np.float32([0, 0.6 * thick, 0]) * (y > 0.03)[:, None, None]
    shell[..., 1] = y[:, None] + 0.6 * thick * (y > 0.03)[:, None] + (0.010 if style == appearance.AFRO else 0)
    if long:  # below the ears it hangs straight down, flaring a little
        below = np.clip((-y - 0.01) / 0.06, 0, 1)[:, None, None]
        shell[..., 0:1] *= 1 + 0.16 * below
        shell[..., 2:3] = shell[..., 2:3] * (1 - 0.25 * below) - 0.006 * below
    faces = mesh.ring_faces(shell)
    front = np.abs(np.mod(angle + np.pi / len(angle) + np.pi / 2, 2 * np.pi) - np.pi)
    keep = _covers(0.5 * (y[:-1] + y[1:])[:, None], front, style)
    strands = 1 + 0.13 * rng.standard_normal((len(people), 1, len(angle)), dtype=np.float32)
    strands = strands * (1 + 0.04 * rng.standard_normal((len(people), len(y) - 1, len(angle)), dtype=np.float32))
    shade = colour[people][:, None, None] * strands[..., None]
    faces, shade = faces[keep], shade[:, keep]
    quads = [_place(figure, faces[None], shade[:, None], owner, mesh.HAIR, 0.004, True, people)]
    fringed = people[looks.fringe[people] > 0]
    if len(fringed) and style in (appearance.SHORT, appearance.BOB, appearance.LONG, appearance.BUN):
        bangs = _surface(np.linspace(0.055, 0.018, 4, dtype=np.float32)[:, None],
                         np.linspace(0.72, np.pi - 0.72, 7, dtype=np.float32)[::-1], thick * 0.9)
        bangs, shade = mesh.ring_faces(bangs, closed=False), (colour[fringed] * 0.92)[:, None, None]
        quads.append(_place(figure, bangs, shade, owner, mesh.HAIR, 0.012, True, fringed))
    return quads


def _covers(y, front, style):
    """Which faces of the shell are there, given height and angle from the front."""
    if style == appearance.SCARF:
        return (front > 0.80) | (y > 0.044)
    if style in (appearance.CAP, appearance.BEANIE, appearance.SUNHAT):  # hair that shows under the hat
        return (y < 0.030) & (front > 1.25) & (y > -0.034)
    top = y > 0.046
    temples = (y > 0.012) & (front > 0.80 + 0.35 * np.clip((0.046 - y) / 0.034, 0, 1))
    if style in (appearance.BOB, appearance.LONG):
        return top | temples | ((y <= 0.012) & (front > 1.12))
    nape = (y <= 0.012) & (front > 1.85) & (y > -0.036)
    sideburn = (y <= 0.012) & (front > 1.20) & (front < 1.45) & (y > -0.006)
    return top | temples | nape | sideburn


def _extras(figure, looks, owner, people, style):
    """Ponytails, buns and hats, which are not part of the shell."""
    angle, c, s = mesh.circle(18)
    zero = np.zeros_like(c)

    def lathe(profile, centre, flat=1.0):
        radius, y = np.float32(profile).T
        rings = np.stack([radius[:, None] * c, y[:, None] + zero, flat * radius[:, None] * s], -1)
        return mesh.ring_faces(rings + np.float32(centre))

    def put(faces, colour):
        return _place(figure, faces, colour[people][:, None, None], owner, mesh.HAIR, 0.004, True, people)

    if style == appearance.PONYTAIL:
        tail = lathe(((0.0, 0.035), (0.012, 0.030), (0.016, 0.0), (0.019, -0.04), (0.016, -0.09), (0.008, -0.125),
                      (0.0, -0.135)), (0, 0.0, -0.075))
        return [put(tail, looks.hair)]
    if style == appearance.BUN:
        bun = lathe(((0.0, 0.022), (0.014, 0.017), (0.021, 0.0), (0.014, -0.017), (0.0, -0.022)), (0, 0.045, -0.058))
        return [put(bun, looks.hair * 0.9)]
    if style == appearance.BEANIE:
        return [put(mesh.ring_faces(_hat_shell(angle, 0.010, 0.026)), looks.hat)]
    if style == appearance.CAP:
        outer = np.linspace(0.25, np.pi - 0.25, 9)[::-1]
        inner_edge = _surface(np.full(9, 0.036, np.float32), outer, 0.006)
        ahead = np.stack([0.10 * np.cos(outer), np.full_like(outer, -0.10), np.sin(outer)], -1)
        outer_edge = inner_edge + ahead * 0.045
        brim = mesh.ring_faces(np.stack([inner_edge, outer_edge]).astype(np.float32), closed=False)
        return [put(mesh.ring_faces(_hat_shell(angle, 0.007, 0.034)), looks.hat), put(brim, looks.hat * 0.8)]
    if style == appearance.SUNHAT:
        brim = lathe(((0.046, 0.036), (0.078, 0.030), (0.104, 0.022)), (0, 0, -0.004), 1.1)
        return [put(mesh.ring_faces(_hat_shell(angle, 0.007, 0.034)), looks.hat), put(brim, looks.hat * 0.93)]
    return []


def _hat_shell(angle, grow, low):
    y = 0.066 - (0.066 - low) * np.linspace(0, 1, 7, dtype=np.float32) ** 1.6
    shell = _surface(y[:, None], angle, grow * 0.5)
    shell[..., 1] += grow * np.clip((y - low) / 0.02, 0, 1)[:, None]
    shell[..., 0] += 0.5 * grow * np.cos(angle) * np.minimum(1, (0.0662 - y) / 0.01)[:, None]
    shell[..., 2] += 0.5 * grow * np.sin(angle) * np.minimum(1, (0.0662 - y) / 0.01)[:, None]
    return shell
