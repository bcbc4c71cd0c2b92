"""Solutions of notebook 01, keypoints and crowds. Written for reading: plain loops, one step a line."""

from collections.abc import Sequence

import numpy as np

from hggbook.workbook.solutions import Solution


def keypoint_box(keypoints: np.ndarray) -> tuple[float, float, float, float]:
    """The smallest box around the labelled keypoints of one person. Not in the paper: COCO's annotation format.

    Args:
        keypoints: (K, 3) x, y, visibility.

    Returns:
        x, y, width, height; zeros if nothing is labelled.
    """
    xy = keypoints[keypoints[:, 2] > 0, :2]
    if len(xy) == 0:
        return 0.0, 0.0, 0.0, 0.0
    left, top = xy.min(axis=0)
    right, bottom = xy.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)


def oks(poses: np.ndarray, people: np.ndarray, areas: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """OKS of every pose with every person. Paper: sec. 4.1 (the similarity under AP).

    Args:
        poses: (P, K, 2) x, y.
        people: (M, K, 3) x, y, visibility; everybody has a labelled keypoint.
        areas: (M,) visible pixels.
        sigmas: (K,) of the keypoint types.

    Returns:
        (P, M).
    """
    table = np.zeros((len(poses), len(people)))
    for p, pose in enumerate(poses):
        for m, person in enumerate(people):
            distance2 = ((pose - person[:, :2]) ** 2).sum(axis=1)
            similarity = np.exp(-distance2 / (2 * areas[m] * (2 * sigmas) ** 2))
            table[p, m] = similarity[person[:, 2] > 0].mean()
    return table


def crowd_index(people: np.ndarray, boxes: np.ndarray) -> float:
    """CrowdPose's measure of crowding: other people's keypoints in a box per own keypoint, the mean over people.

    Args:
        people: (M, K, 3) x, y, visibility; everybody has a labelled keypoint.
        boxes: (M, 4) x, y, width, height.

    Not in the paper: a second way to say how crowded an image is.
    """
    ratios = []
    for m, (x, y, width, height) in enumerate(boxes):
        foreign = 0
        for other, person in enumerate(people):
            for px, py, v in person:
                inside = x <= px <= x + width and y <= py <= y + height
                foreign += other != m and v > 0 and inside
        ratios.append(foreign / (people[m, :, 2] > 0).sum())
    return float(np.mean(ratios))


def exchange_costs(first: np.ndarray, second: np.ndarray, areas: Sequence[float], sigmas: np.ndarray) -> np.ndarray:
    """What exchanging each keypoint type alone takes from the mean OKS of two people. Not in the paper.

    Args:
        first, second: (K, 3) x, y, visibility, everything labelled.
        areas: of the two.
        sigmas: (K,) of the keypoint types.

    Returns:
        (K,).
    """
    distance2 = ((first[:, :2] - second[:, :2]) ** 2).sum(axis=1)
    lost = [1 - np.exp(-distance2 / (2 * area * (2 * sigmas) ** 2)) for area in areas]
    return (lost[0] + lost[1]) / 2 / len(sigmas)


def worst_exchange(first: np.ndarray, second: np.ndarray, areas: Sequence[float], sigmas: np.ndarray) -> int:
    """The keypoint type whose exchange between two people lowers the mean of their OKS most. Not in the paper.

    The areas do not matter: a similarity falls with distance / sigma, whatever the area. Adding up both losses, as
    `exchange_costs` does, is just as right.
    """
    distance = np.linalg.norm(first[:, :2] - second[:, :2], axis=1)
    return int(np.argmax(distance / sigmas))


def _box_with_zeros(keypoints):
    return keypoint_box(np.concatenate([keypoints[:, :2], np.ones((len(keypoints), 1))], axis=1))


def _box_of_seen(keypoints):
    return keypoint_box(keypoints * (keypoints[:, 2:] == 2))


def _box_as_corners(keypoints):
    x, y, width, height = keypoint_box(keypoints)
    return x, y, x + width, y + height


def _oks(poses, people, areas, sigmas, *, labelled=lambda v: v > 0, over_all=False, mean_first=False):
    """`oks` with room for one mistake."""
    distance2 = ((poses[:, None] - people[None, :, :, :2]) ** 2).sum(axis=-1)
    counts = np.broadcast_to(labelled(people[:, :, 2]), distance2.shape)
    scaled = distance2 / (2 * np.asarray(areas)[:, None] * (2 * sigmas) ** 2)
    number = len(sigmas) if over_all else np.maximum(counts.sum(axis=-1), 1)
    if mean_first:
        return np.exp(-(scaled * counts).sum(axis=-1) / number)
    return (np.exp(-scaled) * counts).sum(axis=-1) / number


def _with_own_keypoints(people, boxes):
    inside = [_inside(people, box).sum() / (people[m, :, 2] > 0).sum() for m, box in enumerate(boxes)]
    return float(np.mean(inside))


def _with_unlabelled(people, boxes):
    inside = []
    for m, box in enumerate(boxes):
        mine = np.arange(len(people)) == m
        everything = _inside(np.concatenate([people[..., :2], np.ones_like(people[..., 2:])], axis=-1), box)
        inside.append(everything[~mine].sum() / (people[m, :, 2] > 0).sum())
    return float(np.mean(inside))


def _inside(people, box):
    x, y, width, height = box
    px, py, v = np.moveaxis(people, -1, 0)
    return (px >= x) & (px <= x + width) & (py >= y) & (py <= y + height) & (v > 0)


def _ratio_of_sums(people, boxes):
    labelled = (people[..., 2] > 0).sum(axis=1)
    foreign = [_inside(np.delete(people, m, axis=0), box).sum() for m, box in enumerate(boxes)]
    return float(sum(foreign) / labelled.sum())


def _boxes_as_corners(people, boxes):
    return crowd_index(people, np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1))


def _farthest(first, second, areas, sigmas):
    return int(np.argmax(((first[:, :2] - second[:, :2]) ** 2).sum(axis=1)))


SOLUTIONS = {
    "01.e1": Solution(
        keypoint_box,
        {
            "takes the zeros of unlabelled keypoints for a place": _box_with_zeros,
            "leaves out covered keypoints": _box_of_seen,
            "gives two corners": _box_as_corners,
            "gives width and height only": lambda keypoints: keypoint_box(keypoints)[2:],
        },
    ),
    "01.e2": Solution(
        oks,
        {
            "counts unlabelled keypoints": lambda p, m, a, s: _oks(p, m, a, s, labelled=lambda v: v > -1),
            "counts seen keypoints only": lambda p, m, a, s: _oks(p, m, a, s, labelled=lambda v: v == 2),
            "divides by all types": lambda p, m, a, s: _oks(p, m, a, s, over_all=True),
            "takes sigma for 2 sigma": lambda p, m, a, s: oks(p, m, a, s / 2),
            "takes the area for its root": lambda p, m, a, s: oks(p, m, np.asarray(a) ** 2, s),
            "averages before the exponential": lambda p, m, a, s: _oks(p, m, a, s, mean_first=True),
            "people in rows": lambda p, m, a, s: oks(p, m, a, s).T,
        },
    ),
    "01.e3": Solution(
        crowd_index,
        {
            "counts own keypoints": _with_own_keypoints,
            "counts unlabelled keypoints": _with_unlabelled,
            "the ratio of the sums": _ratio_of_sums,
            "takes width and height for a corner": _boxes_as_corners,
            "the sum over people": lambda people, boxes: crowd_index(people, boxes) * len(people),
        },
    ),
    "01.e4": Solution(
        worst_exchange,
        {
            "the farthest in pixels": _farthest,
            "the strictest type": lambda first, second, areas, sigmas: int(np.argmin(sigmas)),
            "the laxest of the far ones": lambda first, second, areas, sigmas: int(
                np.argmax(np.linalg.norm(first[:, :2] - second[:, :2], axis=1) * sigmas)
            ),
            "the cheapest": lambda first, second, areas, sigmas: int(
                np.argmin(exchange_costs(first, second, areas, sigmas))
            ),
        },
    ),
}
