"""Exercises and questions of notebook 01, keypoints and crowds."""

from typing import Any

import numpy as np

from hggbook.skeleton import COCO
from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb01 as solutions

TRIALS = 40
SIGMAS = np.array(COCO.sigmas)
CLOSE = 1e-6
CLEAR = 0.05  # how much more than any other the worst exchange costs, relatively


def _people(rng: np.random.Generator, number: int, size: float = 150.0) -> np.ndarray:
    """Random people, (number, 17, 3): unlabelled keypoints are zeros, and everybody has a labelled one."""
    people = np.zeros((number, 17, 3))
    place = rng.uniform(20, 200, (number, 1, 2))
    people[..., :2] = (place + rng.uniform(0, size, (number, 17, 2))).round()
    people[..., 2] = rng.choice((0, 1, 2), (number, 17), p=(0.4, 0.3, 0.3))
    people[:, rng.integers(17), 2] = 1
    people[people[..., 2] == 0] = 0
    return people


def _labelled(keypoints: np.ndarray) -> str:
    rows = [f"({x:g}, {y:g}, {v:g})" for x, y, v in keypoints if v > 0]
    return f"{', '.join(rows) or 'nothing'} labelled, {17 - len(rows)} others 0, 0, 0"


def check_box(answer: Any) -> str | None:
    """Exercise 01.e1: boxes around the labelled keypoints of random people, and of nobody."""
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        person = _people(rng, 1)[0]
        person[rng.permutation(17)[: 17 - seed // 3]] = 0  # few keypoints first: a small counterexample
        result = call(answer, person.copy())
        expected = solutions.keypoint_box(person)
        if len(result) != 4:
            return f"expected four numbers, x, y, width, height, got {len(result)}"
        if not np.allclose(np.asarray(result, dtype=float), expected, atol=CLOSE):
            return f"{_labelled(person)}: expected {_numbers(expected)}, got {_numbers(result)}"
    return None


def check_oks(answer: Any) -> str | None:
    """Exercise 01.e2: OKS of random poses with random people."""
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        people = _people(rng, 1 + seed % 3)
        areas = rng.uniform(500, 20_000, len(people))
        poses = people[rng.integers(len(people), size=1 + seed // 8), :, :2]
        poses = poses + rng.normal(0, 1, poses.shape) * SIGMAS[:, None] * 150
        given = (poses.copy(), people.copy(), areas.copy(), SIGMAS.copy())
        result = np.asarray(call(answer, *given))
        expected = solutions.oks(poses, people, areas, SIGMAS)
        situation = f"P = {len(poses)}, M = {len(people)}"
        if result.shape != expected.shape:
            return f"{situation}: expected an array of shape {expected.shape}, got {result.shape}"
        if not np.allclose(result.astype(float), expected, atol=CLOSE):
            p, m = np.unravel_index(np.argmax(np.abs(result - expected)), expected.shape)
            flags = people[m, :, 2].astype(int).tolist()
            return (
                f"{situation}: for pose {p} and person {m} (area {areas[m]:.0f}, flags {flags}) expected "
                f"{expected[p, m]:.4f}, got {float(result[p, m]):.4f}"
            )
        if not all(np.array_equal(a, b) for a, b in zip(given, (poses, people, areas, SIGMAS))):
            return "your function changes its arguments; work on copies"
    return None


def check_crowd_index(answer: Any) -> str | None:
    """Exercise 01.e3: the crowd index of random scenes, of a single person and of people whose box holds (0, 0)."""
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        people = _people(rng, 1 + seed // 10)
        boxes = np.array([solutions.keypoint_box(person) for person in people])
        corner = rng.random(len(people)) < 0.4  # such a box holds the place that unlabelled keypoints seem to have
        boxes[corner, 2:] += boxes[corner, :2]
        boxes[corner, :2] = 0
        result = float(call(answer, people.copy(), boxes.copy()))
        expected = solutions.crowd_index(people, boxes)
        if not abs(result - expected) < CLOSE:
            own = (people[..., 2] > 0).sum(axis=1).tolist()
            return (
                f"{len(people)} people with {own} labelled keypoints and boxes {boxes.round().astype(int).tolist()}: "
                f"expected {expected:.4f}, got {result:.4f}"
            )
    return None


def check_exchange(answer: Any) -> str | None:
    """Exercise 01.e4: the worst exchange between two people who stand so close that most exchanges cost little."""
    for seed in range(TRIALS):
        first, second, areas = _embrace(seed)
        costs = solutions.exchange_costs(first, second, areas, SIGMAS)
        expected = int(costs.argmax())
        result = call(answer, first.copy(), second.copy(), list(areas), SIGMAS.copy())
        if isinstance(result, str) or not 0 <= result < 17:
            return f"expected the number of a keypoint type, 0 to 16, got {result!r}"
        if result != expected:
            name, better = COCO.keypoints[int(result)], COCO.keypoints[expected]
            return (
                f"areas {areas[0]:.0f} and {areas[1]:.0f}: exchanging {result} ({name}) costs {costs[int(result)]:.4f} "
                f"of the mean OKS, and there is a type that costs {costs[expected]:.4f}: {expected} ({better})"
            )
    return None


def _embrace(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Two people, everything labelled, whose keypoints are about a tolerance apart; one exchange is clearly worst."""
    for attempt in range(1000):
        rng = np.random.default_rng([seed, attempt])
        areas = (float(rng.uniform(8_000, 20_000)), float(rng.uniform(500, 4_000)))
        if seed % 2:
            areas = areas[::-1]
        first = np.concatenate([rng.uniform(50, 250, (17, 2)), np.full((17, 1), 2.0)], axis=1)
        away = rng.normal(0, 1, (17, 2)) * (2 * SIGMAS[:, None]) ** 0.5 * 14
        second = first + np.concatenate([away, np.zeros((17, 1))], axis=1)
        costs = np.sort(solutions.exchange_costs(first, second, areas, SIGMAS))
        if costs[-1] > (1 + CLEAR) * costs[-2]:
            return first, second, areas
    raise RuntimeError(f"seed {seed}: no pair with a clearly worst exchange")


def _numbers(values: Any) -> str:
    return "(" + ", ".join(f"{float(value):g}" for value in values) + ")"


EXERCISES = (
    Exercise(
        "01.e1",
        "Write keypoint_box(keypoints): the smallest box (x, y, width, height) around the labelled keypoints.",
        check_box,
        (
            "First choose the rows that are labelled. Which flags say so?",
            "Rows with keypoints[:, 2] > 0, covered ones too; the others hold 0, 0, which is no place.",
            "Of the chosen rows' x and y: the minimum, and the maximum less the minimum. Mind the empty case.",
        ),
    ),
    Exercise(
        "01.e2",
        "Write oks(poses, people, areas, sigmas): OKS of every pose with every person, (P, M).",
        check_oks,
        (
            "Two loops, over poses and people, are fine. Inside: 17 squared distances, 17 similarities, one mean.",
            "A similarity is exp(-d² / (2 · area · (2σ)²)), with the area of the person, not of the pose.",
            "The mean runs over the person's labelled keypoints only, v > 0, seen or covered.",
        ),
    ),
    Exercise(
        "01.e3",
        "Write crowd_index(people, boxes): other people's keypoints in each box per own keypoint, mean over people.",
        check_crowd_index,
        (
            "For each person a ratio, then the mean of the ratios. Somebody alone in the picture has 0.",
            "A keypoint is inside if x <= px <= x + width, and so for y. Which keypoints must not be counted at all?",
            "Skip unlabelled keypoints of others, whose 0, 0 may lie in a box at the corner, and the person's own.",
        ),
    ),
    Exercise(
        "01.e4",
        "Write worst_exchange(first, second, areas, sigmas): the type whose exchange lowers the mean OKS most.",
        check_exchange,
        (
            "Both poses miss the exchanged keypoint by the same distance, and everything else stays exact.",
            "Each person loses (1 - similarity) / 17. How does a similarity depend on distance, sigma and area?",
            "It falls with distance / sigma, at every area. So the type with the largest such ratio is the worst.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "01.q1",
        "A wrist is covered (v = 1). A pose is exact but puts it half a body away. What does that cost?",
        {
            "a": "Nothing, because nobody can see it.",
            "b": "As much as a wrist that is seen.",
            "c": "Half as much as a wrist that is seen.",
        },
        "b",
        {
            "a": "No: only v = 0, not labelled, is left out of OKS.",
            "b": "Yes: OKS asks whether a keypoint is labelled, not whether it is seen.",
            "c": "No: the flag is no weight.",
        },
    ),
    Question(
        "01.q2",
        "The only pose of the only person has OKS 0.83. Which improvement of its OKS raises AP?",
        {"a": "To 0.84.", "b": "To 0.86.", "c": "Any."},
        "b",
        {
            "a": "No: 0.83 and 0.84 are hits at the same thresholds, 0.50 to 0.80.",
            "b": "Yes: 0.86 is a hit at 0.85 as well, so one more of ten thresholds is reached.",
            "c": "No: AP goes in steps; between two thresholds nothing changes.",
        },
    ),
    Question(
        "01.q3",
        "Two images have the same overlap, 0.6. Is grouping equally hard on both?",
        {
            "a": "Yes, overlap is what makes grouping hard.",
            "b": "Yes, if they show equally many people.",
            "c": "Not necessarily: boxes can overlap while the keypoints lie well apart.",
        },
        "c",
        {
            "a": "No: overlap looks at boxes; keypoints of one type may be far apart or on top of each other.",
            "b": "No: neither number says where the keypoints of one type lie.",
            "c": "Yes: in the embrace the boxes overlapped much; elbows touched, and the faces were well apart.",
        },
    ),
)
