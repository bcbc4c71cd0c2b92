"""Bodies: proportions of people and where their limbs are in a pose (forward kinematics).

Frames: metres, x to the right, y up, z towards the viewer (right-handed). A person who faces the viewer has the left
hand at larger x. A body is built standing on y = 0 around x = z = 0 and moved to its place by `Figure.moved`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float

from hggbook.data.scenes.poses import Pose

UPPER_ARM, FOREARM, HAND, THUMB, THIGH, SHIN, FOOT, EAR, NECK = range(0, 17, 2)
"""First row (the left one; the right one follows) of every segment in a `Figure`; the neck is single."""
NUM_SEGMENTS = 17
LENGTHS = (0.176, 0.150, 0.098, 0.052, 0.245, 0.240, 0.150, 0.034, 0.080)
"""Length of each kind of segment as a fraction of stature."""


@dataclass(frozen=True)
class Build:
    """Body proportions of P people. Lengths are fractions of stature, the rest factors around 1.

    Attributes:
        stature: (P,) metres.
        shoulders, hips, waist, depth, limbs: (P,) widths of shoulders, pelvis and waist, depth of the trunk, girth of
            the limbs.
        legs, head: (P,) length of the legs and size of the head.
        belly, bust: (P,) how far they stand out, fraction of stature.

    Not in the paper: scenes are our data.
    """

    stature: Float[np.ndarray, "P"]
    shoulders: Float[np.ndarray, "P"]
    hips: Float[np.ndarray, "P"]
    waist: Float[np.ndarray, "P"]
    depth: Float[np.ndarray, "P"]
    limbs: Float[np.ndarray, "P"]
    legs: Float[np.ndarray, "P"]
    head: Float[np.ndarray, "P"]
    belly: Float[np.ndarray, "P"]
    bust: Float[np.ndarray, "P"]

    def take(self, rows) -> "Build":
        """The builds of some people."""
        return Build(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class Figure:
    """P posed people in space.

    Attributes:
        build: their proportions.
        pose: their joint angles.
        pelvis, chest, head: (P, 3, 3) frames; columns are the body part's left, up and front.
        hip: (P, 3) midpoint of the hip joints.  waist: (P, 3) bend of the spine.  throat: (P, 3) base of the neck.
        skull: (P, 3) centre of the head.
        start: (P, G, 3) where each segment begins.
        frame: (P, G, 3, 3) columns: across, thickness, along the segment (right-handed).
        length: (P, G) metres.
        keypoints: (P, 17, 3) COCO's keypoint types.

    Not in the paper: scenes are our data.
    """

    build: Build
    pose: Pose
    pelvis: Float[np.ndarray, "P 3 3"]
    chest: Float[np.ndarray, "P 3 3"]
    head: Float[np.ndarray, "P 3 3"]
    hip: Float[np.ndarray, "P 3"]
    waist: Float[np.ndarray, "P 3"]
    throat: Float[np.ndarray, "P 3"]
    skull: Float[np.ndarray, "P 3"]
    start: Float[np.ndarray, "P G 3"]
    frame: Float[np.ndarray, "P G 3 3"]
    length: Float[np.ndarray, "P G"]
    keypoints: Float[np.ndarray, "P 17 3"]

    @property
    def count(self) -> int:
        """P."""
        return len(self.hip)

    def moved(self, offset: Float[np.ndarray, "P 3"]) -> "Figure":
        """The same people shifted by ``offset`` metres."""
        points = {n: getattr(self, n) + offset for n in ("hip", "waist", "throat", "skull")}
        many = {n: getattr(self, n) + offset[:, None] for n in ("start", "keypoints")}
        return replace(self, **points, **many)

    def take(self, rows) -> "Figure":
        """Some of the people."""
        picked = {f.name: getattr(self, f.name) for f in fields(self)}
        return Figure(**{n: v.take(rows) if n in ("build", "pose") else v[rows] for n, v in picked.items()})


def sample_builds(rng: np.random.Generator, count: int) -> Build:
    """Proportions of ``count`` people: women and men, slim and heavy, one in nine a child.

    Not in the paper: scenes are our data.
    """
    female = rng.random(count) < 0.5
    child = rng.random(count) < 0.11
    heavy = np.clip(rng.normal(0, 1, count), -1.6, 2.6)
    small = np.where(child, rng.uniform(0.35, 0.9, count), 0)  # 0 adult .. 1 small child
    stature = np.where(female, rng.normal(1.64, 0.065, count), rng.normal(1.77, 0.07, count)) * (1 - 0.42 * small)
    factors = {
        "shoulders": np.where(female, 0.92, 1.03) + 0.02 * heavy - 0.06 * small,
        "hips": np.where(female, 1.05, 0.96) + 0.05 * heavy - 0.1 * small,
        "waist": np.where(female, 0.90, 1.04) + 0.11 * heavy + 0.12 * small,
        "depth": 1 + 0.07 * heavy + 0.08 * small,
        "limbs": np.where(female, 0.93, 1.05) + 0.08 * heavy + 0.06 * small,
        "legs": rng.normal(1, 0.025, count) - 0.13 * small,
        "head": rng.normal(1.04, 0.03, count) + 0.42 * small,
        "belly": np.maximum(0, 0.012 * heavy),
        "bust": np.where(female & ~child, rng.uniform(0.008, 0.022, count), 0),
    }
    return Build(stature=stature.astype(np.float32), **{n: v.astype(np.float32) for n, v in factors.items()})


def pose_figures(build: Build, pose: Pose, yaw: Float[np.ndarray, "P"]) -> Figure:
    """Where all limbs are: forward kinematics of P people standing, sitting or lying on the ground y = 0.

    Args:
        build: proportions.
        pose: joint angles.
        yaw: (P,) radians; 0 faces the viewer, positive turns to the viewer's right.

    Not in the paper: scenes are our data.
    """
    size = build.stature[:, None]
    pelvis = _rotation(1, yaw) @ _rotation(2, pose.root[:, 1]) @ _rotation(0, pose.root[:, 0])
    bend, side, twist = pose.spine.T
    half_bend = _rotation(2, 0.5 * side) @ _rotation(0, 0.5 * bend) @ _rotation(1, 0.5 * twist)
    middle = pelvis @ half_bend
    chest = middle @ half_bend
    turn, nod, tilt = pose.neck.T
    head = chest @ _rotation(1, turn) @ _rotation(0, nod) @ _rotation(2, tilt)

    hip = np.zeros((len(yaw), 3), np.float32)
    waist = hip + pelvis[:, :, 1] * 0.13 * size
    throat = waist + middle[:, :, 1] * 0.085 * size + chest[:, :, 1] * 0.085 * size
    skull_up = (0.002 + 0.073 * build.head)[:, None] * size
    nape = throat + (chest[:, :, 1] * 0.035 + chest[:, :, 2] * 0.010) * size
    skull = nape + head[:, :, 1] * skull_up + head[:, :, 2] * 0.012 * size

    start = np.zeros((len(yaw), NUM_SEGMENTS, 3), np.float32)
    frame = np.zeros((len(yaw), NUM_SEGMENTS, 3, 3), np.float32)
    length = np.repeat(np.array(LENGTHS, np.float32), 2)[:NUM_SEGMENTS][None] * size
    length = length * np.ones((len(yaw), NUM_SEGMENTS), np.float32)
    length[:, THIGH : SHIN + 2] *= build.legs[:, None]
    length[:, EAR : EAR + 2] *= build.head[:, None]

    for side_index, s in enumerate((1.0, -1.0)):  # left, right
        _arm(start, frame, length, side_index, s, build, pose, chest, throat)
        _leg(start, frame, length, side_index, s, build, pose, pelvis, hip)
        scale = (build.head * build.stature)[:, None]
        start[:, EAR + side_index] = skull + head @ np.float32([s * 0.0435, -0.024, -0.006]) * scale
        frame[:, EAR + side_index] = np.stack(
            [s * head[:, :, 2], s * head[:, :, 0], head[:, :, 1]], -1
        ) @ _rotation(0, np.full(len(yaw), -0.12))
    start[:, NECK] = throat - chest[:, :, 1] * 0.02 * size
    along = skull - start[:, NECK]
    length[:, NECK] = np.linalg.norm(along, axis=1)
    frame[:, NECK] = _frame_along(along / length[:, NECK, None], chest[:, :, 2])

    figure = Figure(
        build, pose, pelvis.astype(np.float32), chest.astype(np.float32), head.astype(np.float32), hip, waist, throat,
        skull, start, frame, length, _keypoints(build, start, frame, length, head, skull),
    )
    return figure.moved(_to_ground(figure))


def _arm(start, frame, length, i, s, build, pose, chest, throat):
    size = build.stature[:, None]
    flex, abduct, twist = pose.shoulder[:, i].T
    upper = chest @ _rotation(0, -flex) @ _rotation(2, s * abduct) @ _rotation(1, -s * twist)
    # the collar bone lifts the shoulder when the arm goes up
    raised = np.clip((np.arccos(np.clip((upper[:, :, 1] * chest[:, :, 1]).sum(1), -1, 1)) - 0.9) / 2, 0, 1)[:, None]
    across = s * (0.102 * build.shoulders)[:, None] * (1 - 0.22 * raised)
    lift = -0.030 + 0.046 * raised
    shoulder = throat + (chest[:, :, 0] * across + chest[:, :, 1] * lift + chest[:, :, 2] * -0.004) * size
    fore = upper @ _rotation(0, -pose.elbow[:, i])
    bend, turn = pose.wrist[:, i].T
    # hanging, the palm faces the thigh: a quarter turn from the frame of the arm
    hand = fore @ _rotation(1, -s * (0.5 * np.pi - 0.3 + turn)) @ _rotation(0, -bend)
    elbow = shoulder - upper[:, :, 1] * length[:, UPPER_ARM + i, None]
    wrist = elbow - fore[:, :, 1] * length[:, FOREARM + i, None]
    for kind, point, axes in ((UPPER_ARM, shoulder, upper), (FOREARM, elbow, fore), (HAND, wrist, hand)):
        start[:, kind + i] = point
        frame[:, kind + i] = _down(axes)
    thumb = hand @ _rotation(2, np.full(len(wrist), s * 0.65)) @ _rotation(0, np.full(len(wrist), -0.25))
    start[:, THUMB + i] = wrist + (-hand[:, :, 1] * 0.018 + s * hand[:, :, 0] * 0.010) * size
    frame[:, THUMB + i] = _down(thumb)


def _leg(start, frame, length, i, s, build, pose, pelvis, hip):
    size = build.stature[:, None]
    flex, abduct, twist = pose.hip[:, i].T
    thigh = pelvis @ _rotation(0, -flex) @ _rotation(2, s * abduct) @ _rotation(1, -s * twist)
    shin = thigh @ _rotation(0, pose.knee[:, i])
    top = hip + pelvis[:, :, 0] * s * (0.050 * build.hips)[:, None] * size
    knee = top - thigh[:, :, 1] * length[:, THIGH + i, None]
    ankle = knee - shin[:, :, 1] * length[:, SHIN + i, None]
    # a foot is flat on the ground under an upright shin and square to the shin otherwise
    upright = np.clip((shin[:, 1, 1:2] - 0.45) / 0.35, 0, 1)
    front = shin[:, :, 2] * np.where(upright > 0, np.float32([1, 0, 1]), 1) * upright + shin[:, :, 2] * (1 - upright)
    front /= np.maximum(np.linalg.norm(front, axis=1, keepdims=True), 1e-6)
    side = np.cross(shin[:, :, 1], front)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    foot = np.stack([side, np.cross(front, side), front], -1) @ _rotation(0, pose.ankle[:, i])
    for kind, point, axes in ((THIGH, top, thigh), (SHIN, knee, shin)):
        start[:, kind + i] = point
        frame[:, kind + i] = _down(axes)
    start[:, FOOT + i] = ankle - (foot[:, :, 2] * 0.040 + foot[:, :, 1] * 0.012) * size
    frame[:, FOOT + i] = foot


def _keypoints(build, start, frame, length, head, skull):
    """(P, 17, 3): eyes, nose and ears on the skin, the others inside the limbs: where COCO's annotators click."""
    points = np.zeros((len(skull), 17, 3), np.float32)
    scale = (build.head * build.stature)[:, None]
    face = np.float32([[0, -0.018, 0.060], [0.0175, 0.002, 0.048], [-0.0175, 0.002, 0.048]])
    points[:, :3] = skull[:, None] + np.einsum("pij,kj->pki", head, face) * scale[:, None]
    points[:, 3:5] = start[:, EAR : EAR + 2] + frame[:, EAR : EAR + 2] @ np.float32([0, 0.10, 0.5]) * length[
        :, EAR : EAR + 2, None]
    points[:, 5:7] = start[:, UPPER_ARM : UPPER_ARM + 2]
    points[:, 7:9] = start[:, FOREARM : FOREARM + 2]
    points[:, 9:11] = start[:, HAND : HAND + 2]
    points[:, 11:13] = start[:, THIGH : THIGH + 2]
    points[:, 13:15] = start[:, SHIN : SHIN + 2]
    points[:, 15:17] = start[:, SHIN : SHIN + 2] + frame[:, SHIN : SHIN + 2, :, 2] * length[:, SHIN : SHIN + 2, None]
    return points


def _to_ground(figure):
    """(P, 3) shift that puts the lowest point of every figure on the ground (or ``lift`` above it)."""
    size = figure.build.stature
    girth = figure.build.limbs * size
    ends = figure.start + figure.frame[..., 2] * figure.length[..., None]
    thick = np.full(NUM_SEGMENTS, 0.02, np.float32)
    thick[THIGH : THIGH + 2] = 0.045
    low = np.minimum(figure.start[..., 1], ends[..., 1]) - thick * girth[:, None]
    sole = figure.start[:, FOOT : FOOT + 2, 1] - figure.frame[:, FOOT : FOOT + 2, 1, 1] * 0.028 * size[:, None]
    toe = sole + figure.frame[:, FOOT : FOOT + 2, 1, 2] * figure.length[:, FOOT : FOOT + 2]
    low[:, FOOT : FOOT + 2] = np.minimum(sole, toe)
    seat = figure.hip[:, 1] - 0.068 * size * figure.build.hips
    lowest = np.minimum(np.minimum(low.min(1), seat), figure.skull[:, 1] - 0.06 * size)
    shift = np.zeros((figure.count, 3), np.float32)
    shift[:, 1] = figure.pose.lift * size - lowest
    return shift


def _down(axes):
    """Frame of a limb that hangs down along its own -y: across = x, thickness = z, along = -y."""
    return np.stack([axes[:, :, 0], axes[:, :, 2], -axes[:, :, 1]], -1)


def _frame_along(along, front):
    """(P, 3, 3) right-handed frame whose third column is ``along`` and whose second is close to ``front``."""
    across = np.cross(front, along)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([across, np.cross(along, across), along], -1)


def _rotation(axis, angle):
    """(P, 3, 3) rotation by ``angle`` (P,) about axis 0 (x), 1 (y) or 2 (z)."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.zeros((len(angle), 3, 3), np.float32)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, axis, axis] = 1
    matrix[:, i, i] = matrix[:, j, j] = c
    matrix[:, i, j] = -s
    matrix[:, j, i] = s
    return matrix
