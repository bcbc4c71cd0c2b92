"""Clothed bodies: meshes of limbs, trunk and skirt of posed people."""

from functools import cache

import numpy as np
from jaxtyping import Int

from hggbook.data.scenes import body, mesh
from hggbook.data.scenes.appearance import Looks
from hggbook.data.scenes.body import Figure
from hggbook.data.scenes.mesh import Quads

# Profiles along each kind of segment: position (share of its length), half width, half thickness, shift of the centre
# along the thickness; fractions of stature. First and last ring close the ends.
_ROUND = (
    # upper arm
    ((-0.20, -0.15, -0.04, 0.12, 0.35, 0.60, 0.85, 1.03, 1.10, 1.13),
     (0, 0.020, 0.031, 0.0335, 0.0305, 0.0275, 0.0240, 0.0222, 0.014, 0), None, None),
    # forearm
    ((-0.16, -0.11, -0.03, 0.14, 0.30, 0.55, 0.80, 0.95, 1.02, 1.05),
     (0, 0.015, 0.0222, 0.0265, 0.0262, 0.0220, 0.0175, 0.0155, 0.011, 0), None, None),
    # hand: palm, then fingers
    ((-0.06, 0.02, 0.16, 0.34, 0.50, 0.62, 0.78, 0.90, 0.98, 1.02),
     (0, 0.014, 0.0180, 0.0225, 0.0235, 0.0220, 0.0205, 0.0175, 0.0110, 0),
     (0, 0.011, 0.0125, 0.0120, 0.0110, 0.0090, 0.0078, 0.0068, 0.0050, 0),
     (0, 0, 0, 0, 0.001, 0.003, 0.007, 0.012, 0.016, 0.018)),
    # thumb
    ((-0.20, -0.10, 0.05, 0.25, 0.45, 0.60, 0.75, 0.88, 0.97, 1.02),
     (0, 0.007, 0.0100, 0.0098, 0.0085, 0.0080, 0.0078, 0.0068, 0.0045, 0), None, None),
    # thigh
    ((-0.20, -0.14, -0.03, 0.12, 0.35, 0.60, 0.82, 1.03, 1.09, 1.13),
     (0, 0.030, 0.0460, 0.0510, 0.0485, 0.0415, 0.0350, 0.0318, 0.021, 0),
     (0, 0.032, 0.0500, 0.0545, 0.0510, 0.0435, 0.0365, 0.0330, 0.022, 0), None),
    # shin, with the calf behind
    ((-0.14, -0.10, -0.03, 0.14, 0.30, 0.50, 0.72, 0.90, 1.00, 1.04),
     (0, 0.021, 0.0315, 0.0315, 0.0325, 0.0280, 0.0215, 0.0180, 0.0165, 0),
     (0, 0.021, 0.0328, 0.0340, 0.0355, 0.0305, 0.0235, 0.0200, 0.0185, 0),
     (0, 0, 0, -0.004, -0.009, -0.008, -0.004, -0.001, 0, 0)),
    # foot in its shoe: flat below, high at the ankle
    ((-0.02, 0.00, 0.08, 0.25, 0.45, 0.65, 0.82, 0.93, 1.00, 1.02),
     (0, 0.015, 0.0210, 0.0215, 0.0220, 0.0265, 0.0285, 0.0240, 0.0130, 0),
     (0, 0.016, 0.0235, 0.0270, 0.0200, 0.0145, 0.0120, 0.0100, 0.0060, 0),
     (-0.014, -0.014, -0.006, -0.003, -0.010, -0.0155, -0.018, -0.020, -0.023, -0.023)),
    # ear
    ((0.00, 0.03, 0.12, 0.30, 0.50, 0.68, 0.83, 0.93, 0.99, 1.00),
     (0, 0.004, 0.0065, 0.0085, 0.0105, 0.0115, 0.0110, 0.0085, 0.004, 0),
     (0, 0.003, 0.0040, 0.0048, 0.0056, 0.0062, 0.0060, 0.0045, 0.002, 0), None),
    # neck
    ((-0.30, -0.28, -0.10, 0.05, 0.20, 0.35, 0.50, 0.65, 0.80, 0.82),
     (0, 0.040, 0.0390, 0.0360, 0.0335, 0.0322, 0.0315, 0.0312, 0.031, 0), None, None),
)
_PARTS = np.array([
    *mesh.UPPER_ARMS, *mesh.FOREARMS, *mesh.HANDS, *mesh.HANDS, *mesh.THIGHS, *mesh.SHINS, *mesh.FEET,
    mesh.HEAD, mesh.HEAD, mesh.NECK_SKIN,
])

# Trunk, from the crotch to the base of the neck: height over the hips along the spine, half width, depth of front and
# back; fractions of stature.
_TRUNK = np.array((
    (-0.072, 0.020, 0.018, 0.020), (-0.060, 0.052, 0.036, 0.044), (-0.035, 0.084, 0.052, 0.070),
    (-0.005, 0.096, 0.056, 0.074), (0.030, 0.095, 0.056, 0.064), (0.070, 0.086, 0.055, 0.048),
    (0.110, 0.080, 0.055, 0.044), (0.160, 0.086, 0.058, 0.050), (0.205, 0.094, 0.062, 0.058),
    (0.240, 0.098, 0.060, 0.061), (0.268, 0.099, 0.050, 0.058), (0.288, 0.086, 0.041, 0.051),
    (0.302, 0.060, 0.036, 0.045), (0.314, 0.041, 0.034, 0.041), (0.322, 0.036, 0.032, 0.036),
))


@cache
def _segment_profiles(fine: bool):
    """(4, 9, R) position, width, thickness, shift of the nine kinds of segments; twice as many rings if ``fine``."""
    table = np.zeros((4, len(_ROUND), 10), np.float32)
    for k, (t, width, thickness, shift) in enumerate(_ROUND):
        table[:, k] = t, width, thickness or width, shift or np.zeros(10)
    if fine:
        middle = 0.5 * (table[:, :, 1:-2] + table[:, :, 2:-1])
        inner = np.stack([table[:, :, 1:-2], middle], -1).reshape(4, len(_ROUND), -1)
        table = np.concatenate([table[:, :, :1], inner, table[:, :, -2:]], 2)
    return table


def body_mesh(figure: Figure, looks: Looks, owner: Int[np.ndarray, "P"], rng: np.random.Generator,
              detail: int) -> list[Quads]:
    """Limbs, trunk and skirts of P people (not their heads).

    Args:
        figure: where they are.
        looks: what they wear.
        owner: (P,) number of each person.
        rng: for the folds in the cloth.
        detail: 0, 1 or 2: how fine the mesh is, for people seen from far, from midway, from near.

    Not in the paper: scenes are our data.
    """
    meshes = [_limbs(figure, looks, owner, rng, detail), _trunk(figure, looks, owner, rng, detail)]
    wearers = np.flatnonzero(looks.skirt > 0)
    if len(wearers):
        meshes.append(_skirts(figure, looks, owner, wearers, rng, detail))
    return meshes


def _limbs(figure, looks, owner, rng, detail):
    kinds = np.arange(body.NUM_SEGMENTS) // 2
    t, width, thick, shift = _segment_profiles(detail == 2)[:, kinds]  # (G, R) each
    size = figure.build.stature
    girth = figure.build.limbs[:, None] * np.where(np.isin(kinds, (2, 3, 6, 7)), 0, 1) + np.isin(kinds, (2, 3, 6, 7))
    girth = girth * np.where(kinds == 7, figure.build.head[:, None], 1) * size[:, None]
    width, thick, shift = (girth[:, :, None] * values for values in (width, thick, shift))  # (P, G, R)

    cover = np.zeros((figure.count, body.NUM_SEGMENTS), np.float32)  # share of the segment under cloth
    for first, share in ((body.UPPER_ARM, looks.sleeve * 2), (body.FOREARM, looks.sleeve * 2 - 1),
                         (body.THIGH, looks.leg * 2), (body.SHIN, looks.leg * 2 - 1)):
        cover[:, first : first + 2] = np.clip(share, 0, 1)[:, None]
    covered = (t <= cover[:, :, None] * 1.2) & (cover[:, :, None] > 0)
    is_shin, is_leg = np.isin(kinds, (5,)), np.isin(kinds, (4, 5))
    slack = 0.004 + looks.loose[:, None, None] * np.where(is_leg, 0.6, 0.55)[:, None] + (
        looks.flare[:, None, None] * (is_shin[:, None] * np.clip(t, 0, 1) + (kinds == 4)[:, None] * 0.15))
    slack = np.where(covered & (width > 0), slack, 0)
    width, thick = width + slack, thick + slack

    _, c, s = mesh.circle((7, 10, 14)[detail])
    axes = figure.frame
    rings = (
        figure.start[:, :, None, None]
        + (t * figure.length[:, :, None])[..., None, None] * axes[:, :, None, None, :, 2]
        + (width[..., None] * c)[..., None] * axes[:, :, None, None, :, 0]
        + (thick[..., None] * s + shift[..., None])[..., None] * axes[:, :, None, None, :, 1]
    )
    colour = _limb_colours(figure, looks, kinds, t, cover, s, rng)
    return mesh.make_quads(mesh.ring_faces(rings), colour, owner[:, None, None, None], _PARTS[:, None, None])


def _limb_colours(figure, looks, kinds, t, cover, s, rng):
    """(P, G, R - 1, S, 3) albedo: cloth where it reaches, skin elsewhere, shoes on the feet."""
    middle = 0.5 * (t[:, :-1] + t[:, 1:])
    clothed = (middle[None] < cover[:, :, None] * 1.2) & (cover[:, :, None] > 0)
    sides = len(s)
    around = np.arange(sides) * np.float32(0.30 / sides)
    along = middle[None] * figure.length[:, :, None]
    arm = np.isin(kinds, (0, 1))
    second = np.where(
        arm[:, None, None],
        _pattern(looks.pattern[:, 0], looks.pitch, along[..., None], around),
        _pattern(looks.pattern[:, 1], looks.pitch, along[..., None], around),
    )
    first_colour = np.where(arm[:, None], looks.top[:, None], looks.bottom[:, None])[:, :, None, None]
    second_colour = np.where(arm[:, None], looks.top_second[:, None], looks.bottom_second[:, None])[:, :, None, None]
    cloth = first_colour + second[..., None] * (second_colour - first_colour)
    cloth = cloth * _folds(rng, (figure.count, len(kinds), t.shape[1] - 1, sides), 0.9 / sides)[..., None]
    skin = looks.skin[:, None, None, None] * _folds(rng, (figure.count, len(kinds), 1, sides), 0.02)[..., None]
    colour = np.where(clothed[..., None, None], cloth, skin)
    shoe = np.where((s < -0.55)[:, None], looks.sole[:, None, None, None], looks.shoes[:, None, None, None])
    colour = np.where((kinds == 6)[:, None, None, None], shoe, colour)
    fingers = (kinds == 2)[:, None] & (middle > 0.55)
    return colour * np.where(fingers, 0.94, 1)[:, :, None, None]


def _trunk(figure, looks, owner, rng, detail):
    rings = (15, 18, 30)[detail]
    s = np.interp(np.linspace(0, 1, rings), np.linspace(0, 1, len(_TRUNK)), _TRUNK[:, 0]).astype(np.float32)
    width, front, back = (np.interp(s, _TRUNK[:, 0], _TRUNK[:, i]).astype(np.float32) for i in (1, 2, 3))
    build, size = figure.build, figure.build.stature[:, None]
    upper = _smooth((s - 0.13) / 0.10)
    middle = np.exp(-(((s - 0.10) / 0.06) ** 2))
    wide = build.hips[:, None] * (1 - upper) + build.shoulders[:, None] * upper
    wide = wide * (1 - middle) + build.waist[:, None] * middle
    deep = build.depth[:, None] * (1 - 0.5 * middle) + 0.5 * middle * build.waist[:, None]
    neck = _smooth((s - 0.300) / 0.015)
    wide, deep = wide * (1 - neck) + neck, deep * (1 - neck) + neck
    worn = s[None] > looks.hem[:, None]
    slack = 0.004 + looks.loose[:, None] * np.where(worn, 1, 0.5) + (0.005 + 0.010 * looks.jacket[:, None]) * worn
    slack = slack * (s > -0.068) * (1 - 0.8 * neck)
    width = width * wide * size + slack
    front, back = front * deep * size + slack, back * deep * size + slack

    angle, c, sn = mesh.circle((14, 20, 28)[detail])
    x = np.sign(c) * np.abs(c) ** 0.86
    z = np.sign(sn) * np.abs(sn) ** 0.86
    bust = np.exp(-(((np.abs(angle - np.pi / 2) - 0.52) / 0.30) ** 2)) * np.exp(-(((s - 0.212) / 0.026) ** 2))[:, None]
    belly = np.exp(-(((angle - np.pi / 2) / 0.9) ** 2)) * np.exp(-(((s - 0.085) / 0.05) ** 2))[:, None]
    bulge = (build.bust[:, None, None] * bust + build.belly[:, None, None] * belly) * size[:, :, None]
    depth = np.where(sn > 0, front[:, :, None], back[:, :, None]) + bulge
    centre, axes = _spine(figure, s)
    points = (
        centre[:, :, None]
        + (width[:, :, None] * x)[..., None] * axes[:, :, None, :, 0]
        + (depth * z)[..., None] * axes[:, :, None, :, 2]
    )
    colour = _trunk_colours(figure, looks, s, angle, rng)
    # the hem of a shirt hangs over the trousers, whatever the thighs below do
    above = s[None, :-1] > (looks.hem - 0.03 * (looks.hem > 0))[:, None]  # and so does the belt
    nearer = np.where(s[:-1] >= 0.06, 0.012, np.where(above, 0.045, -0.01)).astype(np.float32)[:, ::-1, None]
    faces = mesh.ring_faces(points[:, ::-1])
    return mesh.make_quads(faces, colour[:, ::-1], owner[:, None, None], mesh.TORSO, nearer=nearer)


def _spine(figure, s):
    """Centres (P, R, 3) and frames (P, R, 3, 3) of the trunk's rings: a curve from the hips through the waist."""
    size = figure.build.stature[:, None, None]
    t = np.clip(s / 0.30, 0, 1)[:, None]
    curve = (
        (1 - t) ** 2 * figure.hip[:, None] + 2 * t * (1 - t) * figure.waist[:, None] + t**2 * figure.throat[:, None]
        + np.minimum(s, 0)[:, None] * figure.pelvis[:, None, :, 1] * size
        + np.maximum(s - 0.30, 0)[:, None] * figure.chest[:, None, :, 1] * size
    )
    blend = _smooth(t)[..., None]
    axes = figure.pelvis[:, None] * (1 - blend) + figure.chest[:, None] * blend
    return curve, axes / np.linalg.norm(axes, axis=2, keepdims=True)


def _trunk_colours(figure, looks, s, angle, rng):
    """(P, R - 1, S, 3) albedo of shirt, jacket, print, belt and trousers."""
    mid = 0.5 * (s[:-1] + s[1:])
    high = mid[None, :, None]
    around = np.mod(angle - np.pi / 2 + np.pi, 2 * np.pi) - np.pi  # 0 in front
    shape = (figure.count, len(mid), len(angle))

    def person(values):
        return values[:, None, None]

    top_mask = _pattern(looks.pattern[:, 0], looks.pitch, (mid * 1.7)[None, None, :, None], around * 0.16)[:, 0]
    bottom_mask = _pattern(looks.pattern[:, 1], looks.pitch, (mid * 1.7)[None, None, :, None], around * 0.16)[:, 0]
    printed = (person(looks.print) > 0) & (high > 0.16) & (high < 0.245) & (np.abs(around) < 0.62)
    printed = printed & (person(looks.pattern[:, 0]) == 0)
    top_mask = np.where(printed, 0.85, top_mask)
    top = person(looks.top) + top_mask[..., None] * person(looks.top_second - looks.top)
    bottom = person(looks.bottom) + bottom_mask[..., None] * person(looks.bottom_second - looks.bottom)
    opening = (person(looks.jacket) > 0) & (np.abs(around) < 0.16 + 1.1 * np.clip(high - 0.05, 0, 1))
    top = np.where(opening[..., None], person(looks.inner), top)
    is_top = np.broadcast_to(high > person(looks.hem), shape)
    belt = (person(looks.hem) > 0) & (high <= person(looks.hem)) & (high > person(looks.hem) - 0.022)
    colour = np.where(is_top[..., None], top, bottom)
    colour = np.where(belt[..., None], person(looks.shoes) * 0.5, colour)
    neckline = high > 0.304 + 0.010 * person(looks.collar) - 0.022 * (np.abs(around) < 0.7)
    bare = neckline & (person(looks.collar) == 0)
    # without sleeves the shoulders are bare beside the straps
    straps = (person(looks.sleeve) == 0) & (high > 0.262) & (np.abs(np.cos(angle)) > 0.62)
    colour = np.where((bare | straps)[..., None], person(looks.skin), colour)
    collar = (person(looks.collar) > 0) & (high > 0.306)
    colour = np.where(collar[..., None], person(looks.top) * 0.82, colour)
    flank = 1 - 0.12 * (np.abs(np.cos(angle)) > 0.85) * (high > 0.1)
    return colour * (_folds(rng, shape, 1.4 / len(angle)) * flank)[..., None]


def _skirts(figure, looks, owner, wearers, rng, detail):
    figure, owner = figure.take(wearers), owner[wearers]
    length, size = looks.skirt[wearers], figure.build.stature[:, None]
    rings = (7, 9, 14)[detail]
    q = np.linspace(0, 1, rings, dtype=np.float32) * length[:, None]  # share of the leg
    ends = figure.start + figure.frame[..., 2] * figure.length[..., None]
    legs = []
    for i in (0, 1):
        hip, knee, ankle = figure.start[:, body.THIGH + i], ends[:, body.THIGH + i], ends[:, body.SHIN + i]
        a, b = np.clip(q * 2, 0, 1)[..., None], np.clip(q * 2 - 1, 0, 1)[..., None]
        legs.append(hip[:, None] * (1 - a) + knee[:, None] * a + (ankle - knee)[:, None] * b)
    half = 0.5 * (legs[0] - legs[1])
    centre = 0.5 * (legs[0] + legs[1])
    spread = np.linalg.norm(half, axis=2)
    across = half / np.maximum(spread, 1e-4)[..., None]
    along = np.gradient(centre, axis=1)
    along /= np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-4)
    front = np.cross(along, across)
    front /= np.maximum(np.linalg.norm(front, axis=2, keepdims=True), 1e-4)
    # the first rings sit on the pelvis, above the hip joints
    rise = np.clip(1 - q / np.maximum(length[:, None], 1e-3) * 4, 0, 1)
    centre = centre + rise[..., None] * 0.065 * size[:, None] * figure.pelvis[:, None, :, 1]
    swing = rng.uniform(0.3, 1.3, (len(wearers), 1)).astype(np.float32)
    radius = (0.056 * figure.build.limbs[:, None] + 0.075 * swing * q) * size
    width = np.where(rise > 0.5, 0.092 * figure.build.hips[:, None] * size, spread + radius)
    depth = np.where(rise > 0.5, 0.066 * figure.build.depth[:, None] * size, radius + 0.012)
    angle, c, s = mesh.circle((14, 20, 28)[detail])
    phase = rng.uniform(0, 6.28, (len(wearers), 1, 1))
    wave = 1 + 0.07 * (q / length[:, None])[..., None] * np.sin(angle * 6 + phase)
    points = (
        centre[:, :, None]
        + (width[..., None] * c * wave)[..., None] * across[:, :, None]
        + (depth[..., None] * s * wave)[..., None] * front[:, :, None]
    )
    of_top = looks.skirt_of_top[wearers, None]
    first = np.where(of_top > 0, looks.top[wearers], looks.bottom[wearers])[:, None, None]
    second = np.where(of_top > 0, looks.top_second[wearers], looks.bottom_second[wearers])[:, None, None]
    kind = np.where(of_top[:, 0] > 0, looks.pattern[wearers, 0], looks.pattern[wearers, 1])
    mask = _pattern(kind, looks.pitch[wearers], (q[:, None, :-1, None] * 0.85), angle * 0.16)[:, 0]
    colour = first + mask[..., None] * (second - first)
    pleat = 1 - 0.13 * (q[:, :-1] / length[:, None])[..., None] * (np.cos(angle * 6 + phase) > 0.4)
    colour = colour * (_folds(rng, mask.shape, 1.2 / len(angle)) * pleat)[..., None]
    faces = mesh.ring_faces(points)
    return mesh.make_quads(faces, colour, owner[:, None, None], mesh.SKIRT, both_sides=True, nearer=0.02)


def _pattern(kind, pitch, along, around):
    """Share of the second colour, 0..1, at cloth coordinates in metres; ``kind`` and ``pitch`` are per person.

    ``along`` (P or 1, G, R, 1) runs down the cloth, ``around`` (S,) about the body; the result is (P, G, R, S).
    """
    kind, pitch = kind[:, None, None, None], pitch[:, None, None, None]
    hoops = np.mod(along / pitch, 1) < 0.5
    stripes = np.mod(around / (0.7 * pitch), 1) < 0.5
    both = hoops.astype(np.float32) + stripes
    return np.where(kind == 1, hoops, np.where(kind == 2, stripes, np.where(
        kind == 3, both == 1, np.where(kind == 4, both * 0.45, 0.0)))).astype(np.float32)


def _folds(rng, shape, strength):
    """Brightness factors around 1, smooth along the last two axes: folds and wear."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = noise + np.roll(noise, 1, -1) + np.roll(noise, 2, -1)
    noise[..., 1:, :] += 0.8 * noise[..., :-1, :]
    return 1 + np.float32(0.4 * strength) * noise


def _smooth(t):
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
