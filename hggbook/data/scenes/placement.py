"""Placement: where people stand, so that sizes, overlap and truncation are as asked for."""

import numpy as np
from jaxtyping import Float

from hggbook.data.scenes.body import EAR, NUM_SEGMENTS, THIGH, Figure
from hggbook.data.scenes.config import SceneConfig
from hggbook.data.scenes.render import Camera

_GAP = 0.34  # metres in depth between people whose boxes overlap
_NEIGHBOURS = 12  # bodies tried for a place beside somebody


def sample_camera(rng: np.random.Generator, config: SceneConfig) -> Camera:
    """A level camera that sees a standing adult of any allowed size from head to foot.

    Not in the paper: scenes are our data.
    """
    tall = config.scale_high * config.height
    eye = rng.uniform(0.75, min(2.1, 1.5 / config.scale_high))  # so that the horizon lies within the frame
    share = eye / 1.7
    low, high = tall * max(0.0, 1 - share), config.height - 1.04 * tall * share
    horizon = rng.uniform(min(low, high), max(low, high))
    return Camera(config.width, config.height, rng.uniform(1.3, 2.0) * config.height, eye, float(horizon))


def place_people(rng: np.random.Generator, config: SceneConfig, camera: Camera, pool: Figure,
                 count: int) -> tuple[list[int], Float[np.ndarray, "M 3"]]:
    """Choose ``count`` of the posed bodies and where they stand.

    People come in pairs (and one group of three if their number is odd): the first stands where it overlaps little, the
    next beside it, with the body and the offset whose box IoU comes nearest to the overlap knob. Choice: pairs suffice,
    because the knob is about each person's *largest* IoU.

    Args:
        pool: bodies to choose from, at least ``pool_size(count)``.

    Returns:
        rows of ``pool``, and their shifts (M, 3) in metres.

    Not in the paper: scenes are our data.
    """
    points, radii = _outline(pool)
    spare = list(range(pool.count))
    chosen: list[int] = []
    shifts: list[np.ndarray] = []
    boxes = np.zeros((0, 4), np.float32)
    while len(chosen) < count:
        last = len(chosen) == count - 1 and count > 1
        partner = config.overlap > 0 and (len(chosen) % 2 == 1 or last)
        cut = rng.random() < config.truncation
        if partner:
            row, shift = _beside(rng, config, camera, points, radii, spare, shifts[-1], boxes[-1], cut)
        else:
            row = spare[0]
            shift = _apart(rng, config, camera, points[row], radii[row], boxes, shifts, cut)
        spare.remove(row)
        chosen.append(row)
        shifts.append(shift)
        boxes = np.concatenate([boxes, _box(camera, points[row] + shift, radii[row])[None]])
    return chosen, np.array(shifts, np.float32).reshape(-1, 3)


def pool_size(count: int) -> int:
    """How many bodies `place_people` wants to choose from.

    Not in the paper: scenes are our data.
    """
    return count + _NEIGHBOURS


def box_iou(a: Float[np.ndarray, "*n 4"], b: Float[np.ndarray, "*m 4"]) -> Float[np.ndarray, "*k"]:
    """Intersection over union of boxes given as left, top, right, bottom (broadcast against each other).

    Not in the paper: scenes are our data.
    """
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    both = np.maximum(width, 0) * np.maximum(height, 0)
    size_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    size_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return both / np.maximum(size_a + size_b - both, 1e-6)


def _covered(a, b):
    """Intersection as a share of the smaller box."""
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    size_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    size_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return np.maximum(width, 0) * np.maximum(height, 0) / np.maximum(np.minimum(size_a, size_b), 1e-6)


def _outline(figure):
    """Points (P, n, 3) and radii (P, n) of balls that enclose the bodies, to know their boxes before they are drawn."""
    keep = np.array([g for g in range(NUM_SEGMENTS) if g not in (EAR, EAR + 1)])
    ends = figure.start + figure.frame[..., 2] * figure.length[..., None]
    size = figure.build.stature[:, None]
    thick = np.full(len(keep), 0.020)
    thick[(keep == THIGH) | (keep == THIGH + 1)] = 0.045
    radii = np.concatenate([np.tile(thick, (figure.count, 2)), np.full((figure.count, 1), 0.062)], 1) * size
    points = np.concatenate([figure.start[:, keep], ends[:, keep], figure.skull[:, None]], 1)
    return points.astype(np.float32), radii.astype(np.float32)


def _box(camera, points, radii):
    """(..., 4) left, top, right, bottom of balls seen by the camera."""
    seen = camera.project(points)
    radius = radii * camera.focal / np.maximum(seen[..., 2], 0.3)
    low, high = seen[..., :2] - radius[..., None], seen[..., :2] + radius[..., None]
    return np.concatenate([low.min(-2), high.max(-2)], -1)


def _clip(camera, box):
    """Boxes limited to the frame."""
    limit = np.float32([camera.width, camera.height, camera.width, camera.height]) - 0.5
    return np.clip(box, -0.5, limit)


def _apart(rng, config, camera, points, radii, boxes, shifts, cut):
    """A place where the box overlaps others little, cut by the frame if asked for and whole otherwise."""
    best, best_cost = None, np.inf
    for _ in range(25 if config.overlap < 0.1 else 10):
        scale = rng.uniform(config.scale_low, config.scale_high)
        near = cut and rng.random() < 0.4
        if near:
            scale *= rng.uniform(1.2, 1.9)
        distance = camera.focal * 1.7 / (scale * config.height)
        shift = np.float32([0, 0, -distance])
        box = _box(camera, points + shift, radii)
        if not cut:
            shift, box = _fit(camera, points, radii, shift, box)
        x = _sideways(rng, camera, box, cut and not near)
        shift = shift + np.float32([x * -shift[2] / camera.focal, 0, 0])
        box = _clip(camera, _box(camera, points + shift, radii))
        cost = float(_covered(box, _clip(camera, boxes)).max(initial=0))
        # people who overlap must not stand in each other
        cost += sum(0.5 for other in shifts if abs(other[2] - shift[2]) < _GAP and abs(other[0] - shift[0]) < 0.7)
        if cost < best_cost - 0.02:
            best, best_cost = shift, cost
        if best_cost < 0.02 or (best_cost < 0.3 and config.overlap > 0.1):
            break
    return best


def _fit(camera, points, radii, shift, box):
    """Move somebody away until head and feet are in the frame."""
    for _ in range(20):
        tall = box[3] - box[1] <= camera.height - 2 and box[2] - box[0] <= camera.width - 2
        if tall and box[1] >= 0 and box[3] <= camera.height - 1:
            break
        shift = shift * np.float32(1.12)
        box = _box(camera, points + shift, radii)
    return shift, box


def _sideways(rng, camera, box, cut):
    """Pixels to move a box that is centred on x = 0 metres: into the frame, or across its left or right edge."""
    low, high = 1 - box[0], camera.width - 2 - box[2]
    if not cut:
        return rng.uniform(min(low, high), max(low, high))
    outside = rng.uniform(0.2, 0.65) * (box[2] - box[0])
    return low - outside if rng.random() < 0.5 else high + outside


def _beside(rng, config, camera, points, radii, spare, partner, partner_box, cut):
    """The body and place whose box IoU with the partner comes nearest to the overlap knob."""
    rows = np.array(spare[:_NEIGHBOURS])
    target = _clip(camera, partner_box)
    depth = partner[2] + rng.choice((-1.0, 1.0)) * np.array([_GAP, rng.uniform(_GAP, 2 * _GAP)])
    depth = np.minimum(depth, -1.2)
    shifts = np.zeros((len(rows), len(depth), 3), np.float32)
    shifts[..., 2] = depth
    shifts[..., 0] = partner[0] * depth / partner[2]
    boxes = _box(camera, points[rows, None] + shifts[:, :, None], radii[rows, None])  # (n, 2, 4)
    width = float(partner_box[2] - partner_box[0])
    offsets = np.linspace(-1.1, 1.1, 45) * width
    moved = boxes[:, :, None] + offsets[:, None] * np.array([1, 0, 1, 0])
    clipped = _clip(camera, moved)
    iou = box_iou(clipped, target)
    outside = np.abs(clipped - moved).max(-1) > 1.5
    cost = np.abs(iou - config.overlap) + (0.0 if cut else 5.0) * outside + rng.uniform(0, 0.03, iou.shape)
    best = np.unravel_index(np.argmin(cost), cost.shape)
    shift = shifts[best[0], best[1]].copy()
    shift[0] += offsets[best[2]] * -shift[2] / camera.focal
    return int(rows[best[0]]), shift
