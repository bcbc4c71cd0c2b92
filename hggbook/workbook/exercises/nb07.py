"""Exercises and questions of notebook 07, discriminators."""

import math
from typing import Any

import torch
from torch import Tensor

from hggbook.workbook.exercises import Exercise, Question, call, judge_letters
from hggbook.workbook.solutions import nb07 as solutions

TRIALS = 120
PROTOCOLS = {
    "a": "Cut by F1 on the tune scenes. F1 reported on the test scenes.",
    "b": "Nine cuts tried on the test scenes. The best F1 is reported, and all nine are shown.",
    "c": "Cut chosen on the test scenes, but with candidates simulated anew (another seed). F1 on the test scenes.",
    "d": "Cut by F1 on the scenes that the network was trained on. F1 reported on the test scenes.",
    "e": "Weights saved every 100 steps; those with the best test F1 are kept. Then the cut by F1 on the tune scenes.",
    "f": "As a; test F1 disappoints, so a finer grid of cuts is tried on the tune scenes, until test F1 is better.",
}
REASONS = {
    "a": "no decision has looked at the test scenes",
    "b": "the maximum over nine numbers is chosen by the very noise that the test is to average out",
    "c": "other candidates of the same people, poses and crowds: what is easy or hard there has been seen",
    "d": "the cut may be poor, because scores are surer on what was trained on; test is untouched all the same",
    "e": "the weights were chosen with the test scenes in sight; a clean cut does not wash that off",
    "f": "to stop when test F1 is better is to choose by test F1, whatever the grid was scored on",
}


def _number(value: Any) -> float:
    return float(value.item() if hasattr(value, "item") else value)


def _differs(result: float, expected: float) -> bool:
    if math.isnan(expected) or math.isnan(result):
        return math.isnan(expected) != math.isnan(result)
    return abs(result - expected) > 1e-6


def _pairs(seed: int) -> tuple[list[int], list[int], Tensor]:
    """Two nodes and the labels of all pairs of candidates; some have none."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 2 + seed // 30, (2,), generator=generator).tolist()
    n = sum(sizes) + 1
    label = torch.randint(0, 2, (n, n), generator=generator).float()
    label[torch.rand(n, n, generator=generator) < (0.0, 0.3, 0.8)[seed % 3]] = torch.nan
    label = label.triu(1) + label.triu(1).T
    label.fill_diagonal_(torch.nan)
    order = torch.randperm(n, generator=generator).tolist()
    return order[: sizes[0]], order[sizes[0] : sum(sizes)], label


def check_macro_edge(answer: Any) -> str | None:
    """Exercise 07.e1: the share of the labelled pairs that are one person's."""
    for seed in range(TRIALS):
        one, other, label = _pairs(seed)
        result = _number(call(answer, list(one), list(other), label.clone()))
        expected = solutions.macro_edge_label(one, other, label)
        if _differs(result, expected):
            pairs = ", ".join(f"{a}-{b}: {float(label[a, b]):g}" for a in one for b in other)
            return f"nodes {one} and {other}, labels of their pairs {pairs}: expected {expected:g}, got {result:g}"
    return None


def _members(seed: int) -> tuple[list[int], list[int], list[set[int]]]:
    """A macro-node of one to four members of different types, and what three people have annotated."""
    generator = torch.Generator().manual_seed(seed)
    size = 1 + seed // (TRIALS // 4)
    types = torch.randperm(6, generator=generator)[:size].tolist()
    people = 1 + int(torch.randint(0, 2, (1,), generator=generator))
    person = torch.randint(0, people, (size,), generator=generator)
    person[torch.rand(size, generator=generator) < 0.35] = -1
    has = torch.rand(3, 6, generator=generator) < 0.5
    for p, k in zip(person.tolist(), types):
        has[p, k] |= p >= 0
    return person.tolist(), types, [{k for k in range(6) if has[p, k]} for p in range(3)]


def check_macro_node(answer: Any) -> str | None:
    """Exercise 07.e2: all of one person, not, or no label."""
    for seed in range(TRIALS):
        person, types, annotated = _members(seed)
        result = _number(call(answer, list(person), list(types), [set(has) for has in annotated]))
        expected = solutions.macro_node_label(person, types, annotated)
        if _differs(result, expected):
            told = f"person = {person}, types = {types}, annotated = {annotated}"
            return f"{told}: expected {expected:g}, got {result:g}"
    return None


def check_calibration(answer: Any) -> str | None:
    """Exercise 07.e3: the expected calibration error of random predictions."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        n, bins = 1 + seed // 6, (4, 5, 10)[seed % 3]
        prob = torch.rand(n, generator=generator, dtype=torch.float64)
        label = (torch.rand(n, generator=generator) < prob**2).long().tolist()
        prob = [round(p, 3) + 0.0004 for p in prob.tolist()]  # none lies on the border of two bins, none is above 1
        prob = [min(p, 0.9996) for p in prob]
        result = _number(call(answer, list(prob), list(label), bins))
        expected = solutions.calibration_error(prob, label, bins)
        if _differs(result, expected):
            return f"prob = {prob}, label = {label}, {bins} bins: expected {expected:.5f}, got {result:.5f}"
    return None


def check_leaks(answer: Any) -> str | None:
    """Exercise 07.e4: which protocols let the test scenes take part in a decision."""
    more = "what you named leaks, and {number} more of the six: ask of each what was decided, and from what"
    return judge_letters(answer, REASONS, solutions.LEAKS, "does not leak", more)


EXERCISES = (
    Exercise(
        "07.e1",
        "Write macro_edge_label(one, other, label): the label of an edge between two (macro-)nodes by the share rule.",
        check_macro_edge,
        (
            "Collect the labels of all pairs with one end in each node, and leave out those that have none.",
            "math.isnan tells whether a pair has no label. The share is the mean of the rest.",
            "known = [label[a, b] for a in one for b in other if not isnan]; nan if known is empty, else its mean.",
        ),
    ),
    Exercise(
        "07.e2",
        "Write macro_node_label(person, types, annotated): 1 if all are one person's, 0 if not, NaN for no label.",
        check_macro_node,
        (
            "Ask first what is certain. Two people in one macro-node are certain, whatever else is in it.",
            "A background member is certainly wrong if the owner has that type annotated; else nobody can tell.",
            "In this order: a single member or nobody's only: NaN. Two owners: 0. An annotated stranger: 0. "
            "Any other stranger: NaN. Else 1.",
        ),
    ),
    Exercise(
        "07.e3",
        "Write calibration_error(prob, label, bins): the expected calibration error with bins of equal width.",
        check_calibration,
        (
            "Put every prediction into bin int(prob * bins), and compare two means in each bin.",
            "The two means are that of the probabilities and that of the labels. Both are over the same predictions.",
            "Add up len(bin) / len(prob) * abs(mean prob - mean label) over the bins that are not empty.",
        ),
    ),
    Exercise(
        "07.e4",
        "Which of the six protocols let the test scenes take part in a decision? Answer with a set of letters.",
        check_leaks,
        (
            "A protocol leaks if other test scenes would have led to another cut, other weights or another moment to "
            "stop.",
            "Not only the cut is chosen. Weights, grids and the moment to stop are choices too.",
            "Four of the six leak.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "07.q1",
        "After a wrong merge an edge has the label 0.75. Which logit makes its cross-entropy smallest?",
        {
            "a": "The larger the better: more than half of its pairs are true.",
            "b": "ln 3, the logit of probability 0.75.",
            "c": "0.75.",
        },
        "b",
        {
            "a": "No: the gradient is sigmoid(logit) - label, which turns positive above probability 0.75.",
            "b": "Yes: there the probability equals the label, and the gradient is zero. The loss itself is not.",
            "c": "No: that is the probability. Its logit is ln(0.75 / 0.25).",
        },
    ),
    Question(
        "07.q2",
        "A checker of merges has an area under the curve of 0.85. Why may undoing what it doubts not help at all?",
        {
            "a": "An area under the curve of 0.85 is hardly better than guessing.",
            "b": "Wrong merges are rare, so a large part of what it doubts is right.",
            "c": "An undone merge is always made again in the next round.",
        },
        "b",
        {
            "a": "No: guessing is 0.5. It says that a right merge outranks a wrong one in 85 of 100 pairs of the two.",
            "b": "Yes: the area does not change with the base rate, but the share of false alarms does.",
            "c": "No: the pair is not tried again until one of its nodes has changed.",
        },
    ),
    Question(
        "07.q3",
        "Nine pairs of candidates each score probability 0.9, and the sum of their logits says 0.999999997. "
        "It is wrong far more often than that. Why?",
        {
            "a": "The nine scores share their mistakes: the same two people, the same colliding embedding.",
            "b": "Logits may not be added; one must add probabilities.",
            "c": "The network has too few parameters.",
        },
        "a",
        {
            "a": "Yes: adding logits is right for independent evidence; nine looks at the same accident are not.",
            "b": "No: for independent evidence, at even prior odds, adding logits is exactly right.",
            "c": "No: each of the nine may be well calibrated; what fails is the step from one pair to nine.",
        },
    ),
)
