"""Exercises and questions of notebook 02, keypoint candidates and associative embedding."""

import math
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from hggbook.grouping.groupers import AEGreedy
from hggbook.types import Candidates
from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb02 as solutions

TRIALS = 60
PEAK_THRESHOLD = 0.25
AE_THRESHOLD = 1.0
LEAST_GAP = 2.0  # between the two people of exercise 4
TYPES = ("head", "hand", "foot")


def _heatmap(seed: int) -> Tensor:
    """A small map of quarters, so that plateaus and values at the threshold are common; grows with the seed."""
    generator = torch.Generator().manual_seed(seed)
    height, width = 1 + seed // 15, 2 + seed // 12
    return torch.randint(0, 5, (height, width), generator=generator) / 4


def check_peaks(answer: Any) -> str | None:
    """Exercise 02.e1: the peaks of small maps."""
    for seed in range(TRIALS):
        heatmap = _heatmap(seed)
        expected = solutions.peaks(heatmap, PEAK_THRESHOLD)
        result = [(int(row), int(column)) for row, column in call(answer, heatmap.clone(), PEAK_THRESHOLD)]
        if result != expected:
            return f"heatmap {heatmap.tolist()}, threshold {PEAK_THRESHOLD}: expected {expected}, got {result}"
    return None


def _people(seed: int) -> tuple[Tensor, Tensor]:
    """Embeddings of one to four people, each of one to four keypoints, in any order and with any numbers."""
    generator = torch.Generator().manual_seed(seed)
    people = 1 + seed // 15
    size = torch.randint(1, 5, (people,), generator=generator)
    ids = torch.randperm(10, generator=generator)[:people]
    person = torch.repeat_interleave(ids, size)
    person = person[torch.randperm(len(person), generator=generator)]
    embedding = torch.randint(-10, 11, (len(person),), generator=generator, dtype=torch.float64) / 10
    return embedding, person


def check_gradient(answer: Any) -> str | None:
    """Exercise 02.e2: the gradient of pull + push."""
    for seed in range(TRIALS):
        embedding, person = _people(seed)
        expected = solutions.gradient(embedding, person)
        result = torch.as_tensor(call(answer, embedding.clone(), person.clone()), dtype=torch.float64)
        situation = f"embedding = {embedding.tolist()}, person = {person.tolist()}"
        if result.shape != expected.shape:
            return f"expected one number for each embedding, shape {tuple(expected.shape)}, got {tuple(result.shape)}"
        if not torch.allclose(result, expected, atol=1e-4):
            return f"{situation}: expected {_rounded(expected)}, got {_rounded(result)}"
    return None


def _step(seed: int) -> tuple[list[float], list[float], list[float]]:
    """Candidates of one type and people, of whom all cheapest assignments make the same of; grows with the seed."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        candidates = 1 + int(torch.randint(0, 1 + seed // 20, (1,), generator=generator))
        people = 1 + int(torch.randint(0, 1 + seed // 20, (1,), generator=generator))
        embeddings = (torch.randperm(39, generator=generator)[:candidates] - 19) / 10
        means = torch.randint(-19, 20, (people,), generator=generator) / 10 + 0.03  # no distance is halfway
        scores = (10 + torch.randperm(90, generator=generator)[:candidates]) / 100
        given = tuple([round(value, 2) for value in part.tolist()] for part in (embeddings, scores, means))
        if len(_outcomes(*given)) == 1:
            return given


def _outcomes(embeddings: list[float], scores: list[float], means: list[float]) -> set[tuple[int, ...]]:
    """What the cheapest assignments, of which there may be several, make of the candidates; -1: starts a person."""
    cost = solutions.costs(embeddings, scores, means)
    options = list(permutations(range(len(cost[0])), len(cost)))
    least = min(solutions.total(cost, columns) for columns in options)
    cheapest = [columns for columns in options if solutions.total(cost, columns) < least + 1e-3]
    return {
        tuple(p if p < len(means) and abs(e - means[p]) < AE_THRESHOLD else -1 for e, p in zip(embeddings, columns))
        for columns in cheapest
    }


def check_one_type(answer: Any) -> str | None:
    """Exercise 02.e3: one step of the greedy grouping."""
    for seed in range(TRIALS):
        embeddings, scores, means = _step(seed)
        expected = solutions.one_type(embeddings, scores, means, AE_THRESHOLD)
        result = list(call(answer, list(embeddings), list(scores), list(means), AE_THRESHOLD))
        if result != expected:
            given = f"embeddings {embeddings}, scores {scores}, means {means}, threshold {AE_THRESHOLD}"
            return f"{given}: expected {expected}, got {result}"
    return None


def two_people(first: Tensor, second: Tensor) -> Candidates:
    """Head, hand and foot of two people; the first person's candidates have the higher scores.

    Not in the paper: the example of exercise 4.
    """
    n = 2 * len(TYPES)
    return Candidates(
        xy=torch.zeros(n, 2),
        type=torch.arange(len(TYPES)).repeat_interleave(2),
        score=torch.tensor([0.9, 0.8]).repeat(len(TYPES)),
        embedding=torch.stack([first, second], dim=1).flatten()[:, None],
        batch=torch.zeros(n, dtype=torch.int64),
        size=torch.tensor([[64.0, 64.0]]),
    )


def check_split(answer: Any) -> str | None:
    """Exercise 02.e4: embeddings that are right about their means, and that the greedy grouping gets wrong."""
    if callable(answer) or isinstance(answer, str) or len(answer) != 2:
        return "expected two lists of three numbers: the embeddings of A's and of B's head, hand and foot"
    if any(len(part) != len(TYPES) for part in answer):
        return f"expected three embeddings a person, got {[len(part) for part in answer]}"
    both = torch.tensor([[float(value) for value in part] for part in answer], dtype=torch.float32)
    if not torch.isfinite(both).all():
        return f"expected finite numbers, got {both.tolist()}"
    mean = both.mean(dim=1)
    gap = float((mean[0] - mean[1]).abs())
    if gap < LEAST_GAP:
        return f"the means {_rounded(mean)} are {gap:.2f} apart, expected at least {LEAST_GAP:g}"
    away = (both - mean[:, None]).abs()
    if far := (away >= AE_THRESHOLD).nonzero().tolist():
        p, k = far[0]
        return f"the {TYPES[k]} of {'AB'[p]} is {away[p, k]:.2f} from its own mean, expected less than {AE_THRESHOLD:g}"
    person = AEGreedy((0, 1, 2), threshold=AE_THRESHOLD)(two_people(both[0], both[1])).view(len(TYPES), 2)
    for p in range(2):
        if len(person[:, p].unique()) > 1:
            return None
    return f"greedy grouping keeps both people whole: {[_rounded(part) for part in both]}"


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 3) if math.isfinite(value) else value for value in values.tolist()]


EXERCISES = (
    Exercise(
        "02.e1",
        "Write peaks(heatmap, threshold): row and column of every peak of one heatmap, row by row.",
        check_peaks,
        (
            "Look at each cell and its up to eight neighbours; at the rim there are fewer.",
            "Of equal cells in a window only the first may stay: those before it, row by row, must be lower, those "
            "after it may be as high.",
            "Neighbours in the row above, and the one to the left, come before. The score must be above the threshold.",
        ),
    ),
    Exercise(
        "02.e2",
        "Write gradient(embedding, person): the gradient of pull + push with regard to every embedding.",
        check_gradient,
        (
            "Begin with pull: one person, K keypoints, derivative of the mean squared deviation. The mean moves too, "
            "but deviations from a mean add up to zero.",
            "Push sees means only: an embedding moves its person's mean by 1/K of what it moves itself.",
            "With P people: 2 (h - mean) / K / P, less (mean - mean') exp(-(mean - mean')^2) / K / pairs for each "
            "other person; pairs = P (P - 1) / 2.",
        ),
    ),
    Exercise(
        "02.e3",
        "Write one_type(embeddings, scores, means, threshold): the person that each candidate joins, or None.",
        check_one_type,
        (
            "The cost of a pair is 100 * round(distance) - score. Every candidate needs a column of its own.",
            "If candidates outnumber people, add columns of cost 1e10. itertools.permutations lists all assignments.",
            "The threshold comes last, and looks at the distance that was not rounded.",
        ),
    ),
    Exercise(
        "02.e4",
        "Find embeddings of two people, each near its person's mean, for which greedy grouping splits somebody.",
        check_split,
        (
            "The mean that counts for the hand is that of the head alone: nobody has met the foot yet.",
            "Two embeddings can each be less than 1 from their mean and yet be how far apart?",
            "Put A's head a good half above A's mean and A's hand as far below, and B far away from both.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "02.q1",
        "Pull alone is minimised, with a network that may give every place its own embedding. What is sure at the end?",
        {
            "a": "Different people have different embeddings.",
            "b": "Each person's keypoints share one embedding, and nothing is said about different people.",
            "c": "All embeddings are zero.",
        },
        "b",
        {
            "a": "No: pull never looks at two people at once.",
            "b": "Yes: one embedding for everybody is as good a minimum as any other.",
            "c": "No: pull does not care where a person's embeddings are, only that they agree.",
        },
    ),
    Question(
        "02.q2",
        "Two people have the means 0 and 0.4; two knees with the embeddings 0 and 0.4 come in. What decides who gets "
        "which?",
        {
            "a": "The smaller distance: each knee goes to its own mean.",
            "b": "The threshold: 0.4 is refused.",
            "c": "Neither: all distances round to 0, both assignments cost the same, and the solver's habit decides.",
        },
        "c",
        {
            "a": "No: distances are rounded before they are compared, and 0.4 rounds to 0.",
            "b": "No: 0.4 is far below the threshold of 1.",
            "c": "Yes: the scores add up to the same total either way, so the assignments tie.",
        },
    ),
    Question(
        "02.q3",
        "A knee was given to the wrong person. What does this mistake teach the detector of associative embedding?",
        {
            "a": "Nothing: the grouping has no gradient, and pull and push are computed without it.",
            "b": "To move the knee's embedding to the right person.",
            "c": "To lower the knee's score.",
        },
        "a",
        {
            "a": "Yes: the losses look at the annotated places; they never see what the greedy grouping made of them.",
            "b": "No: pull does that whether or not the knee was grouped rightly. The mistake itself adds nothing.",
            "c": "No: the score is taught by the heatmap alone.",
        },
    ),
)
