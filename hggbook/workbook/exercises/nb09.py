"""Exercises and questions of notebook 09, inference and evaluation."""

import contextlib
import io
from typing import Any

import torch
from pycocotools.coco import COCO as CocoIndex

from hggbook.decode import decode
from hggbook.evaluate import coco_ap, to_coco_results
from hggbook.metrics import grouping_counts
from hggbook.skeleton import COCO
from hggbook.types import Candidates, Targets
from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb09 as solutions

TRIALS = 80
LEAST_DIFFERENCE = 0.3  # of the two APs of exercise 4
WAIST = 11  # the first keypoint type below it
VERDICTS = ("whole", "split", "merged", "both")


def _similarities(seed: int) -> tuple[list[list[float]], list[float], float]:
    """OKS of a few poses with a few people, in twentieths, so that values at the threshold are common."""
    generator = torch.Generator().manual_seed(seed)
    poses, people = 1 + seed // 20, 1 + int(torch.randint(0, 1 + seed // 20, (1,), generator=generator))
    # no value twice in a row: no ties between people
    table = torch.stack([torch.randperm(12, generator=generator)[:people] for _ in range(poses)]) + 8
    scores = (1 + torch.randperm(9, generator=generator)[:poses]) / 10
    return [[v / 20 for v in row] for row in table.tolist()], [round(s, 1) for s in scores.tolist()], 0.5


def check_hits(answer: Any) -> str | None:
    """Exercise 09.e1: which poses of an image are hits."""
    for seed in range(TRIALS):
        oks, scores, threshold = _similarities(seed)
        expected = solutions.hits(oks, scores, threshold)
        result = [bool(value) for value in call(answer, [list(row) for row in oks], list(scores), threshold)]
        if result != expected:
            return f"oks {oks}, scores {scores}, threshold {threshold}: expected {expected}, got {result}"
    return None


def _counted(seed: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[list[int]]]:
    """Pairs counted in a few images for two groupers, and draws of images with replacement."""
    generator = torch.Generator().manual_seed(seed)
    images, draws = 1 + seed // 20, 1 + seed // 40
    sides = torch.randint(0, 12, (2, images, 3), generator=generator)
    sides[:, :, 0] += 1  # a true positive at least: F1 of every draw is defined
    drawn = torch.randint(0, images, (draws, images), generator=generator)
    ours, theirs = ([tuple(counts) for counts in side] for side in sides.tolist())
    return ours, theirs, drawn.tolist()


def check_paired_differences(answer: Any) -> str | None:
    """Exercise 09.e2: what one grouper is ahead in each bootstrap draw."""
    for seed in range(TRIALS):
        ours, theirs, draws = _counted(seed)
        expected = solutions.paired_differences(ours, theirs, draws)
        result = [float(v) for v in call(answer, list(ours), list(theirs), draws)]
        if len(result) != len(expected) or not all(abs(r - e) < 1e-6 for r, e in zip(result, expected)):  # NaN too
            told = [round(value, 4) for value in expected], [round(value, 4) for value in result]
            return f"ours {ours}, theirs {theirs}, draws {draws}: expected {told[0]}, got {told[1]}"
    return None


def _partitions(seed: int) -> tuple[list[int], list[int]]:
    """Clusters and people of a few candidates, with any numbers; neither the one nor the other is in order."""
    generator = torch.Generator().manual_seed(seed)
    number = 1 + seed // 10
    people = torch.randperm(9, generator=generator)[: 1 + seed // 27]
    truth = people[torch.randint(0, len(people), (number,), generator=generator)]
    other = torch.randint(0, 1 + seed // 20, (number,), generator=generator)
    astray = torch.rand(number, generator=generator) < 0.35
    return torch.where(astray, 20 + other, truth).tolist(), truth.tolist()


def check_verdicts(answer: Any) -> str | None:
    """Exercise 09.e3: what became of each person."""
    for seed in range(TRIALS):
        clusters, truth = _partitions(seed)
        expected = solutions.verdicts(clusters, truth)
        result = dict(call(answer, list(clusters), list(truth)))
        if result != expected:
            return f"clusters {clusters}, truth {truth}: expected {expected}, got {result}"
    return None


def embrace() -> tuple[Candidates, Targets, CocoIndex]:
    """Two people whose keypoints nearly coincide above the waist and lie far apart below: candidates, truth, file.

    Not in the paper: the example of exercise 4.
    """
    kinds = torch.arange(COCO.num_types)
    first = torch.stack([100.0 + 3 * (kinds % 4), 40.0 + 12 * kinds], dim=1)
    aside = torch.where(kinds >= WAIST, 150.0, 0.5)
    second = first + torch.stack([aside, torch.zeros_like(aside)], dim=1)
    xy = torch.stack([first, second], dim=1).flatten(0, 1)  # type by type, first person 0, then person 1
    n = len(xy)
    zero, nobody = torch.zeros(n, dtype=torch.int64), torch.full((n,), -1)
    candidates = Candidates(
        xy, kinds.repeat_interleave(2), torch.ones(n), torch.zeros(n, 1), zero, torch.tensor([[384.0, 384.0]])
    )
    targets = Targets(
        torch.arange(n) % 2, nobody, nobody < 0, torch.ones(2, COCO.num_types) > 0, torch.zeros(2, dtype=torch.int64)
    )
    index = CocoIndex()
    index.dataset = {
        "images": [{"id": 1, "width": 384, "height": 384}],
        "annotations": [
            {
                "id": 1 + p, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 10_000.0,
                "num_keypoints": COCO.num_types, "bbox": [0, 0, 384, 384],
                "keypoints": [v for x, y in person.tolist() for v in (x, y, 2)],
            }
            for p, person in enumerate((first, second))
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress
        index.createIndex()
    return candidates, targets, index


def scored_exchange(types: set[int]) -> tuple[float, float]:
    """F1 of pairs and AP if the two people of `embrace` have exchanged their keypoints of some types.

    Not in the paper: what exercise 4 asks about.
    """
    candidates, targets, index = embrace()
    exchanged = torch.isin(candidates.type, torch.tensor(sorted(types), dtype=torch.int64))
    person = torch.where(exchanged, 1 - targets.person, targets.person)
    poses = decode(candidates, person, torch.eye(2, 3)[None], COCO.num_types)
    ap = coco_ap(to_coco_results(poses, torch.tensor([1])), index)["AP"]
    return grouping_counts(person, targets).f1, ap


def check_equal_f1(answer: Any) -> str | None:
    """Exercise 09.e4: two groupings with one F1 and two APs."""
    if callable(answer) or isinstance(answer, str) or len(answer) != 2:
        return "expected two sets of keypoint types, such as ({0, 1}, {11, 12})"
    sets = [{int(kind) for kind in part} for part in answer]
    if wrong := sorted(kind for part in sets for kind in part if not 0 <= kind < COCO.num_types):
        return f"expected keypoint types from 0 to {COCO.num_types - 1}, got {wrong}"
    (f1, ap), (other_f1, other_ap) = (scored_exchange(part) for part in sets)
    if abs(f1 - other_f1) > 1e-9:
        return f"the F1 of pairs differ: {f1:.3f} and {other_f1:.3f} (AP {ap:.2f} and {other_ap:.2f})"
    if abs(ap - other_ap) < LEAST_DIFFERENCE - 1e-9:
        return f"F1 is {f1:.3f} in both, but the APs {ap:.2f} and {other_ap:.2f} differ by less than {LEAST_DIFFERENCE}"
    return None


EXERCISES = (
    Exercise(
        "09.e1",
        "Write hits(oks, scores, threshold): which poses of an image are hits, in the order given.",
        check_hits,
        (
            "Go through the poses by falling score, but write the answers at the poses' own places.",
            "A pose whose nearest person is taken may still take another one that is near enough.",
            "Keep a set of the people taken. Of the free ones with OKS at or above the threshold take the one with the "
            "highest OKS.",
        ),
    ),
    Exercise(
        "09.e2",
        "Write paired_differences(ours, theirs, draws): the difference of F1 in each bootstrap draw.",
        check_paired_differences,
        (
            "An image that was drawn twice counts twice.",
            "Add the counts of the drawn images first, then take F1 once: 2 tp / (2 tp + fp + fn).",
            "Both groupers get the same draw; the result has one number a draw, ours minus theirs.",
        ),
    ),
    Exercise(
        "09.e3",
        "Write verdicts(clusters, truth): for each true person whole, split, merged or both.",
        check_verdicts,
        (
            "Collect the set of clusters in which a person's candidates are.",
            "Merged asks about every one of these clusters, not only about the largest.",
            "Two sets a person: clusters of its own candidates, clusters of everybody else's. Split: the first has "
            "more than one element. Merged: they share one.",
        ),
    ),
    Exercise(
        "09.e4",
        "Find two sets of keypoint types to exchange: equal F1 of pairs, APs that differ by at least 0.3.",
        check_equal_f1,
        (
            "How does F1 depend on which types are exchanged? Try sets of equal size.",
            "An exchange costs AP only where the two people's keypoints lie apart.",
            "Exchange some types above the waist in one, as many below it in the other. One or two are too few; with "
            "all six a pose has the other person's legs and, nearly, the other person's rest: it is that person.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "09.q1",
        "A pose has all labelled keypoints right. A grouper adds a wrong left ear, and the person's left ear is not "
        "labelled. What happens to AP?",
        {
            "a": "It falls a little: one keypoint in eighteen is wrong.",
            "b": "OKS stays as it is; at most the pose's score, and so its rank, changes.",
            "c": "The pose becomes a false positive.",
        },
        "b",
        {
            "a": "No: OKS is a mean over the labelled keypoints, and the ear is not among them.",
            "b": "Yes: OKS looks at labelled keypoints only. The added keypoint even raises the pose's score.",
            "c": "No: its OKS has not changed.",
        },
    ),
    Question(
        "09.q2",
        "Ten people; a method gives ten perfect poses with score 0.9 and ninety false ones with score 0.1. AP and AR?",
        {"a": "AP 1, AR 1", "b": "AP 0.1, AR 1", "c": "AP 0.1, AR 0.1"},
        "a",
        {
            "a": "Yes: when the false ones come, recall is 1 already; what follows the last hit changes nothing.",
            "b": "No: 0.1 is the precision of the whole list, but at every recall the best precision is 1.",
            "c": "No: every person was found, so AR is 1; and AP is not the precision of the whole list.",
        },
    ),
    Question(
        "09.q3",
        "With multi-scale testing a learned grouper leaves everybody in pieces, AE greedy does not. What first?",
        {
            "a": "Train the detector longer.",
            "b": "Choose the grouper's cut anew, on other images, with the same views.",
            "c": "Raise the threshold on candidates.",
        },
        "b",
        {
            "a": "No: the oracle grouping shows that the candidates are as good as before.",
            "b": "Yes: averaged maps have lower peaks, the network reads them as doubt, and every logit sinks.",
            "c": "No: that throws away more of the candidates, and leaves the scores of the others as low as they are.",
        },
    ),
)
