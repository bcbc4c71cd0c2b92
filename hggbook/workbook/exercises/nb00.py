"""Exercises and questions of notebook 00, start here."""

import random
from typing import Any

from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb00 as solutions

TRIALS = 40
AE, EDGE, FULL = 57.6, 59.6, 60.4  # the paper's Table 2, AP of #1, #4, #9


def check_count_edges(answer: Any) -> str | None:
    """Exercise 00.e1: edges of the full graph of random candidates."""
    for seed in range(TRIALS):
        draw = random.Random(seed)
        types = [draw.randrange(4) for _ in range(seed // 4)]
        result, expected = call(answer, list(types)), solutions.count_edges(types)
        if result != expected:
            return f"types = {types}: expected {expected}, got {result!r}"
    return None


def check_pair_f1(answer: Any) -> str | None:
    """Exercise 00.e2: F1 of the pairs of random groupings, and of empty ones."""
    for seed in range(TRIALS):
        draw = random.Random(seed)
        number = seed // 4
        truth = [draw.randrange(3) for _ in range(number)]
        person = [7 - p if draw.random() < 0.7 else draw.randrange(4) for p in truth]  # groups have names of their own
        result, expected = call(answer, list(person), list(truth)), solutions.pair_f1(person, truth)
        if abs(float(result) - expected) > 1e-6:
            return f"person = {person}, truth = {truth}: expected {expected:.4f}, got {result!r}"
    return None


def check_gains(answer: Any) -> str | None:
    """Exercise 00.e3: two differences of the paper's Table 2."""
    gain, of_the_edges = (float(value) for value in answer)
    if abs(gain - (FULL - AE)) > 0.05:
        return f"{gain:g} is not the AP of #9 less that of #1, both tested at a single scale"
    if abs(of_the_edges - (EDGE - AE)) > 0.05:
        return f"the gain is right; {of_the_edges:g} is not the AP of #4 less that of #1"
    return None


EXERCISES = (
    Exercise(
        "00.e1",
        "Write count_edges(types): the number of edges of one image's full graph.",
        check_count_edges,
        (
            "Go through all pairs of candidates, each once, and count those whose types differ.",
            "itertools.combinations(types, 2) gives every pair once.",
            "sum(a != b for a, b in combinations(types, 2))",
        ),
    ),
    Exercise(
        "00.e2",
        "Write pair_f1(person, truth): F1 of the pairs of candidates that were put together.",
        check_pair_f1,
        (
            "The names of groups mean nothing: only which candidates share a group. Compare pairs, not numbers.",
            "For every pair: claimed = person[i] == person[j], true = truth[i] == truth[j]. Count three of four cases.",
            "TP: claimed and true. FP: claimed, not true. FN: true, not claimed. Mind the case that all three are 0.",
        ),
    ),
    Exercise(
        "00.e3",
        "How much AP does full HGG gain over AE in Table 2, and how much the edge discriminator alone?",
        check_gains,
        (
            "Both numbers are differences to AE, #1, without multi-scale testing.",
            "C1 and C9 in the table of claims.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "00.q1",
        "Two people are in the image, then a third walks in. What more has to be computed?",
        {
            "a": "Bottom-up: one pass of the network over the image, as before.",
            "b": "Bottom-up: the pose network runs once more for each person.",
            "c": "Top-down: nothing, the boxes are known.",
        },
        "a",
        {
            "a": "Yes: one pass finds everybody's keypoints. Only the grouping sees more candidates.",
            "b": "No: that is top-down, whose cost grows with the number of people.",
            "c": "No: the third person needs a box, and then a pass of the pose network.",
        },
    ),
    Question(
        "00.q2",
        "The oracle's AP is 0.60, HGG's 0.55. What could a better grouper gain, at most, on these candidates?",
        {"a": "0.45", "b": "about 0.05", "c": "0.40"},
        "b",
        {
            "a": "No: what the oracle misses was missed by the detector; no grouper finds it.",
            "b": "Yes: the oracle groups every candidate rightly, so about 0.05 is all that is left for grouping.",
            "c": "No: that is what a perfect detector could gain.",
        },
    ),
    Question(
        "00.q3",
        "A notebook printed AP 0.41 in the profile smoke. What may you conclude?",
        {
            "a": "HGG reaches 41 AP on COCO.",
            "b": "The paper's 60.4 is contradicted.",
            "c": "The chain runs, and on these few scenes the score is 0.41.",
        },
        "c",
        {
            "a": "No: other data, a far smaller model, and a fraction of the training.",
            "b": "No: to contradict a claim one has to test what it says, at its own scale.",
            "c": "Yes: a number is read together with its profile, its data and its size.",
        },
    ),
)
