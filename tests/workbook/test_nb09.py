"""What notebook 09 and its exercises take for granted."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO as CocoIndex

from hggbook.compare import f1_of
from hggbook.evaluate import coco_ap
from hggbook.metrics import grouping_counts
from hggbook.skeleton import COCO
from hggbook.types import Targets
from hggbook.workbook import exercises
from hggbook.workbook.exercises import nb09
from hggbook.workbook.solutions import nb09 as solutions

AREA = 3000.0
THRESHOLDS = np.arange(50, 100, 5) / 100


def scenes(seed):
    """People (M, 17, 3) and poses (P, 17, 2) with scores, for each of three images."""
    rng = np.random.default_rng(seed)
    told = []
    for _ in range(3):
        points = np.concatenate([rng.uniform(50, 250, (4, 17, 2)), 2.0 * (rng.random((4, 17, 1)) < 0.8)], axis=2)
        copies = rng.integers(0, 4, 7)
        moved = points[copies, :, :2] + rng.normal(0, 1, (7, 17, 2)) * rng.uniform(0, 12, (7, 1, 1))
        told.append((points * (points[..., 2:] > 0), moved, rng.random(7)))
    return told


def oks(poses, people):
    square = np.square(poses[:, None] - people[None, :, :, :2]).sum(-1)
    similar = np.exp(-square / (2 * AREA * (2 * np.array(COCO.sigmas)) ** 2))
    return (similar * (people[..., 2] > 0)).sum(-1) / (people[..., 2] > 0).sum(-1)


def by_pycocotools(told):
    index, results = CocoIndex(), []
    people = [(image, person) for image, (points, _, _) in enumerate(told, 1) for person in points]
    index.dataset = {
        "images": [{"id": image, "width": 300, "height": 300} for image in range(1, 1 + len(told))],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
        "annotations": [
            {
                "id": n, "image_id": image, "category_id": 1, "iscrowd": 0, "area": AREA, "bbox": [0, 0, 300, 300],
                "keypoints": person.ravel().tolist(), "num_keypoints": int((person[:, 2] > 0).sum()),
            }
            for n, (image, person) in enumerate(people, 1)
        ],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    for image, (_, poses, scores) in enumerate(told, 1):
        for pose, score in zip(poses, scores):
            flat = np.concatenate([pose, np.ones((17, 1))], axis=1).ravel().tolist()
            results.append({"image_id": image, "category_id": 1, "keypoints": flat, "score": float(score)})
    return coco_ap(results, index)


def interpolated(hits, people):
    right = np.cumsum(hits)
    precision, recall = right / np.arange(1, len(hits) + 1), right / people
    return np.mean([precision[recall >= level].max(initial=0) for level in np.linspace(0, 1, 101)])


@pytest.mark.parametrize("seed", range(6))
def test_the_hits_of_the_first_exercise_are_those_of_pycocotools(seed):
    told = scenes(seed)
    number, expected, found = sum(len(people) for people, _, _ in told), by_pycocotools(told), []
    for threshold in THRESHOLDS:
        rows = []
        for people, poses, scores in told:
            rows += zip(scores.tolist(), solutions.hits(oks(poses, people).tolist(), scores.tolist(), threshold))
        found.append(interpolated([hit for _, hit in sorted(rows, key=lambda row: -row[0])], number))
    assert 0.05 < expected["AP"] < 0.95
    assert np.mean(found) == pytest.approx(expected["AP"])
    assert found[0] == pytest.approx(expected["AP50"])


def test_the_solution_of_the_second_exercise_is_the_librarys_f1():
    for seed in range(nb09.TRIALS):
        ours, theirs, draws = nb09._counted(seed)
        sums = (torch.tensor(counts)[torch.tensor(draws)].sum(dim=1).float() for counts in (ours, theirs))
        one, other = (f1_of(torch.nn.functional.pad(total, (0, 5))) for total in sums)
        assert solutions.paired_differences(ours, theirs, draws) == pytest.approx((one - other).tolist(), abs=1e-6)


def test_the_solution_of_the_third_exercise_says_what_the_librarys_counts_say():
    told = set()
    for seed in range(nb09.TRIALS):
        clusters, truth = nb09._partitions(seed)
        verdicts = solutions.verdicts(clusters, truth)
        nobody = torch.full((len(truth),), -1)
        targets = Targets(
            torch.tensor(truth), nobody, nobody < 0, torch.ones(9, 17) > 0, torch.zeros(9, dtype=torch.int64)
        )
        counts = grouping_counts(torch.tensor(clusters), targets)
        whole = [person for person, verdict in verdicts.items() if verdict == "whole"]
        assert sum(truth.count(person) > 1 for person in whole) == counts.perfect
        assert any(verdict in ("split", "both") for verdict in verdicts.values()) == (counts.splits > 0)
        assert any(verdict in ("merged", "both") for verdict in verdicts.values()) == (counts.merges > 0)
        told |= set(verdicts.values())
    assert told == set(nb09.VERDICTS)  # the trials ask for all four


def test_an_exchange_in_the_embrace_costs_f1_by_its_size_and_ap_by_its_place():
    assert nb09.scored_exchange(set()) == (1, pytest.approx(1))
    assert nb09.scored_exchange(set(range(17))) == (1, pytest.approx(1))  # only the names of the people change
    above, below = nb09.scored_exchange({0, 1, 2}), nb09.scored_exchange({11, 12, 13})
    assert above[0] == below[0] < 1
    assert above[1] == pytest.approx(1)
    assert below[1] == pytest.approx(0.7)  # OKS 14/17: seven of the ten thresholds
    assert nb09.scored_exchange(set(range(nb09.WAIST, 17)))[1] == pytest.approx(1)
    sizes = [nb09.scored_exchange(set(range(nb09.WAIST, nb09.WAIST + n)))[1] for n in range(7)]
    assert min(sizes) == below[1]  # there is no larger difference to be found


def test_sets_may_be_written_as_lists_in_any_order():
    for answer in (([11, 12, 13], [2, 0, 1]), [{14, 15, 16}, (3, 4, 5)], ({0, 1, 2, 3}, {3, 11, 12, 13})):
        assert nb09.check_equal_f1(answer) is None
    exercise = exercises.load("09")["09.e4"]
    for answer in ("ab", {0: 1, 2: 3}, [[0], [11], [12]], lambda: None, 3):
        assert exercises.judge(exercise, answer).state == "failed"


def test_the_checks_ask_for_what_the_recipe_turns_on():
    asked = [nb09._similarities(seed) for seed in range(nb09.TRIALS)]
    assert any(value == threshold for rows, _, threshold in asked for row in rows for value in row)
    assert any(scores != sorted(scores, reverse=True) for _, scores, _ in asked)
    drawn = [draw for seed in range(nb09.TRIALS) for draw in nb09._counted(seed)[2]]
    assert any(len(set(draw)) < len(draw) for draw in drawn)
