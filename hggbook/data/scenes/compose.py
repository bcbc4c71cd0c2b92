"""Scenes put together: people, objects and background, drawn and annotated."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32

from hggbook.data.scenes import mesh
from hggbook.data.scenes.appearance import sample_looks
from hggbook.data.scenes.background import draw_background
from hggbook.data.scenes.body import Figure, pose_figures, sample_builds
from hggbook.data.scenes.clothing import body_mesh
from hggbook.data.scenes.config import Scene, SceneConfig
from hggbook.data.scenes.heads import head_mesh
from hggbook.data.scenes.mesh import Quads
from hggbook.data.scenes.objects import sample_distractor, sample_luggage, sample_occluder, seat
from hggbook.data.scenes.placement import place_people, pool_size, sample_camera
from hggbook.data.scenes.poses import sample_poses
from hggbook.data.scenes.render import Buffers, Camera, Light, blend, extents, render
from hggbook.data.scenes.visibility import judge_keypoints

_FEWEST_PIXELS = 0.015  # of the box: less of a person counts as not seen
_ATTEMPTS = 4


@dataclass(frozen=True)
class Stage:
    """A scene before its picture is taken: what stands where, and what the camera sees of it.

    Attributes:
        camera, light: how it is seen and lit.
        figure: its M people, in the order of their numbers 1..M.
        quads: all faces: people, objects (owners above M), scenery (owner 0).
        boxes: (M, 4) x, y, width, height of whole bodies within the frame.
        buffers: what each pixel shows.

    Not in the paper: scenes are our data.
    """

    camera: Camera
    light: Light
    figure: Figure
    quads: Quads
    boxes: Float32[np.ndarray, "M 4"]
    buffers: Buffers


def render_scene(config: SceneConfig, seed: int) -> Scene:
    """A crowd scene with all that is known of its people; depends on ``config`` and ``seed`` alone.

    Args:
        config: the knobs.
        seed: at least 0.

    Raises:
        ValueError: negative seed.

    Not in the paper: scenes are our data.
    """
    stage = stage_scene(config, seed)
    rng = np.random.default_rng([seed, 1])
    kind = config.backgrounds[rng.integers(len(config.backgrounds))]
    background = draw_background(rng, kind, config.width, config.height, stage.camera.horizon)
    background = _ground_shadows(stage, background)
    image = _photograph(rng, blend(stage.buffers, background), config.noise)
    owner = stage.buffers.owner
    masks = owner[None] == np.arange(1, stage.figure.count + 1)[:, None, None]
    return Scene(
        image=image,
        keypoints=judge_keypoints(stage.figure, stage.camera, stage.buffers),
        boxes=stage.boxes,
        areas=masks.sum((1, 2)).astype(np.float32),
        masks=masks,
        owner=owner,
        part=stage.buffers.part,
        depth=stage.buffers.depth,
    )


def stage_scene(config: SceneConfig, seed: int) -> Stage:
    """People and objects of the scene that `render_scene` shows for the same config and seed.

    Everybody can be seen: if somebody is hidden (nearly) completely, the people are drawn by lot again, and after a few
    attempts whoever is still hidden leaves the scene.

    Raises:
        ValueError: negative seed.

    Not in the paper: scenes are our data.
    """
    if seed < 0:
        raise ValueError(f"seed: expected at least 0, got {seed}")
    rng = np.random.default_rng([seed, 0])
    camera = sample_camera(rng, config)
    light = _sample_light(rng)
    count = int(rng.integers(config.people_low, config.people_high + 1))
    for _ in range(_ATTEMPTS):
        figure = _sample_people(rng, config, camera, count)
        quads = _all_faces(rng, config, camera, figure)
        buffers = render(quads, camera, light)
        boxes = _boxes(quads, camera, count)
        visible = np.bincount(buffers.owner.ravel(), minlength=count + 1)[1 : count + 1]
        seen = visible > np.maximum(_FEWEST_PIXELS * boxes[:, 2] * boxes[:, 3], 12)
        if seen.all():
            return Stage(camera, light, figure, quads, boxes, buffers)
    quads = _without(quads, seen)
    return Stage(camera, light, figure.take(np.flatnonzero(seen)), quads, boxes[seen], render(quads, camera, light))


def _sample_light(rng):
    direction = np.array([rng.uniform(-0.9, 0.9), rng.uniform(0.3, 1.2), rng.uniform(0.15, 1.1)])
    warm = rng.normal(0, 0.05) * np.array([1, 0, -1])
    lamp = rng.uniform(0.35, 0.8) * (1 + warm)
    sky = rng.uniform(0.5, 0.7) * (1 - 0.6 * warm)
    return Light(
        (direction / np.linalg.norm(direction)).astype(np.float32), lamp.astype(np.float32), sky.astype(np.float32),
        (rng.uniform(0.26, 0.42) * (1 + warm)).astype(np.float32),
    )


def _sample_people(rng, config, camera, count):
    """M posed and placed people, the farthest first."""
    size = pool_size(count)
    facing = rng.choice((0.0, np.pi / 2, -np.pi / 2, np.pi), size=size, p=(0.52, 0.15, 0.15, 0.18))
    yaw = (facing + rng.normal(0, 0.45, size)).astype(np.float32)
    poses = sample_poses(rng, size)
    # whoever lies, lies across the picture
    yaw = np.where(poses.lying > 0, np.sign(rng.normal(size=size)) * (np.pi / 2 + rng.normal(0, 0.3, size)), yaw)
    pool = pose_figures(sample_builds(rng, size), poses, yaw.astype(np.float32))
    rows, shifts = place_people(rng, config, camera, pool, count)
    order = np.argsort(shifts[:, 2], kind="stable")
    return pool.take(np.array(rows, int)[order]).moved(shifts[order])


def _all_faces(rng, config, camera, figure):
    """All faces of a scene: people, seats, objects before them, things behind them."""
    count = figure.count
    owner = np.arange(1, count + 1)
    looks = sample_looks(rng, figure.build.bust > 0, figure.build.stature, alike=0.12)
    # a long skirt cannot follow legs that part or kneel
    bent = (figure.pose.knee.max(1) > 0.9) & (figure.pose.seated == 0)
    looks = replace(looks, skirt=np.where(bent, np.minimum(looks.skirt, np.float32(0.3)), looks.skirt))
    meshes = [_nothing()]
    tall = 1.7 * camera.focal / np.maximum(-figure.hip[:, 2], 0.1) if count else np.zeros(0)
    for detail in (0, 1, 2):
        rows = np.flatnonzero(np.digitize(tall, (110, 230)) == detail)
        if len(rows):
            args = (figure.take(rows), looks.take(rows), owner[rows], rng, detail)
            meshes += body_mesh(*args) + head_mesh(*args)
    number = count
    for row in np.flatnonzero((figure.pose.seated > 0) & (figure.hip[:, 1] > 0.17 * figure.build.stature)):
        number += 1
        meshes.append(_seat_of(rng, figure, row, number))
    for row in np.flatnonzero(rng.random(count) < 0.15 * min(config.occluders, 1)):
        number += 1
        meshes.append(sample_luggage(rng, figure, int(row), number))
    for _ in range(rng.poisson(config.occluders) if count else 0):
        number += 1
        meshes.append(sample_occluder(rng, _before(rng, figure), number))
    for _ in range(rng.poisson(config.distractors)):
        depth = -rng.uniform(6, 14)
        x = rng.uniform(-0.5, 0.5) * camera.width / camera.focal * depth
        meshes.append(sample_distractor(rng, np.float32([x, 0, depth])))
    return mesh.join(meshes)


def _nothing():
    return mesh.make_quads(np.zeros((0, 4, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))


def _seat_of(rng, figure, row, number):
    size = float(figure.build.stature[row])
    front = figure.pelvis[row, :, 2]
    turn = float(np.arctan2(front[0], front[2]))
    top = figure.hip[row] - np.float32([0, 0.075 * size, 0]) + np.float32([np.sin(turn), 0, np.cos(turn)]) * 0.03 * size
    return seat(rng, top, size, turn, number)


def _before(rng, figure):
    """A place on the ground in front of somebody, so that it hides a part."""
    row = rng.integers(figure.count)
    place = figure.hip[row] * np.float32([1, 0, 1])
    distance = min(rng.uniform(0.45, 1.0), 0.5 * -float(place[2]))
    return place * np.float32(1 + distance / min(float(place[2]), -0.5)) + np.float32([rng.normal(0, 0.28), 0, 0])


def _boxes(quads: Quads, camera: Camera, count: int):
    """(M, 4) x, y, width, height of whole bodies within the frame; whole pixels."""
    edges = extents(quads, camera, count)
    limit = np.float32([camera.width, camera.height])
    low = np.clip(np.floor(edges[:, :2] - 0.5), 0, limit)
    high = np.clip(np.ceil(edges[:, 2:] + 0.5) + 1, 0, limit)
    return np.concatenate([low, np.maximum(high - low, 0)], 1)


def _without(quads, seen):
    """The faces of all but the people who cannot be seen; who and what remains is renumbered."""
    number = np.concatenate([[True], seen, np.ones(max(int(quads.owner.max()) - len(seen), 0), bool)])
    renumbered = (np.cumsum(number) - 1).astype(np.int32)
    kept = quads.take(number[quads.owner])
    return replace(kept, owner=renumbered[kept.owner])


def _ground_shadows(stage, background):
    """Darken the ground: limbs cast shadows away from the lamp, feet and objects a soft one below them.

    Drawn small and blurred, at a quarter of the resolution.
    """
    figure, camera = stage.figure, stage.camera
    small = np.zeros((camera.height // 4 + 1, camera.width // 4 + 1), np.float32)
    away = stage.light.direction / max(float(stage.light.direction[1]), 0.45)

    def shadow(points):
        """Pixels (of the small picture) and scale of the shadows of points on the ground."""
        ground = points - points[..., 1:2] * away
        seen = camera.project(ground)
        return np.clip(seen[..., :2] / 4, -1e3, 1e3), camera.focal / np.maximum(seen[..., 2], 0.3) / 4

    ends = figure.start + figure.frame[..., 2] * figure.length[..., None]
    girth = np.repeat((0.06, 0.05, 0.04, 0.03, 0.1, 0.07, 0.07, 0.03, 0.07), 2)[:-1]
    bones = [(figure.start, ends, girth), (figure.hip[:, None], figure.throat[:, None], [0.26]),
             (figure.skull[:, None], figure.skull[:, None], [0.17])]
    for start, end, thick in bones:
        (a, scale), (b, _) = shadow(start), shadow(end)
        for p, q, wide in zip((a * 16).reshape(-1, 2).astype(int), (b * 16).reshape(-1, 2).astype(int),
                              np.maximum(scale * thick, 1).ravel()):
            cv2.line(small, tuple(p.tolist()), tuple(q.tolist()), 0.30, int(wide), cv2.LINE_8, 4)
    things = stage.quads.take(stage.quads.owner > figure.count).corners
    if len(things):
        flat, _ = shadow(things * np.float32([1, 0.25, 1]))
        for corners in (flat[::2] * 16).astype(np.int32):
            cv2.fillConvexPoly(small, corners, 0.30, cv2.LINE_8, 4)
    for point in ends[:, -5:-3].reshape(-1, 3):
        spot, scale = shadow(point * np.float32([1, 0, 1]))
        axes = (max(1, int(0.14 * scale)), max(1, int(0.05 * scale)))
        cv2.ellipse(small, (int(spot[0]), int(spot[1])), axes, 0, 0, 360, 0.5 * float(np.exp(-3 * point[1])), -1)
    small = cv2.GaussianBlur(small, (0, 0), 1.1)
    small[: max(0, int(camera.horizon / 4))] = 0  # walls and sky stay as they are
    dark = cv2.resize(small, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
    return (background * (1 - dark)[..., None]).astype(np.uint8)


def _photograph(rng, image, noise):
    """What a camera adds: exposure, contrast, a cast of colour, grain."""
    gain = rng.uniform(0.85, 1.15) * (1 + rng.normal(0, 0.025, 3))
    shift = rng.uniform(-14, 14)
    table = np.arange(256, dtype=np.float32)[:, None] / 255
    curve = (table ** rng.uniform(0.85, 1.2)) * gain * 255 + shift
    image = cv2.LUT(image, np.clip(curve, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.9))
    grain = rng.integers(0, 256, (2, *image.shape), dtype=np.uint8).astype(np.int16)
    level = np.float32(rng.uniform(0.2, 1.0) * noise / 104)  # the sum of two dice of 256 sides spreads by 104
    return np.clip(image + (grain[0] + grain[1] - 255) * level, 0, 255).astype(np.uint8)
