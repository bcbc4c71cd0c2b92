"""Exercises and questions of notebook 11, crowds and runtime."""

from typing import Any

import torch

from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb11 as solutions

TRIALS = 60


def check_shift(answer: Any) -> str | None:
    """Exercise 11.e1: the shift for a wanted IoU of random boxes."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        one, other = (100 * torch.rand(2, 2, generator=generator) + 50).round().tolist()
        other[0] = max(one[0], other[0]) + 10.0  # wide enough
        wanted = (0.1, 0.3, 0.5, 0.67, 0.9)[seed % 5]
        found = float(call(answer, tuple(one), tuple(other), wanted))
        expected = solutions.shift(tuple(one), tuple(other), wanted)
        if abs(found - expected) > 1e-6:
            told = f"boxes {one[0]:g} x {one[1]:g} and {other[0]:g} x {other[1]:g}, IoU {wanted}"
            return f"{told}: expected {expected:.3f}, got {found:.3f}"
    return None


def check_pieces(answer: Any) -> str | None:
    """Exercise 11.e2: connected pieces of random graphs with hidden nodes, some with cycles."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        n = 3 + seed % 8
        order = torch.randperm(n, generator=generator).tolist()
        links = [(order[k], order[int(torch.randint(k, (1,), generator=generator))]) for k in range(1, n)]  # a tree
        for _ in range(seed % 4):  # and links that close cycles
            a, b = torch.randperm(n, generator=generator)[:2].tolist()
            if (a, b) not in links and (b, a) not in links:
                links.append((a, b))
        seen = {k for k in range(n) if float(torch.rand(1, generator=generator)) < 0.7}
        found, expected = int(call(answer, set(seen), list(links))), solutions.pieces(seen, links)
        if found != expected:
            return f"seen = {sorted(seen)}, links = {links}: expected {expected}, got {found}"
    return None


def check_edges(answer: Any) -> str | None:
    """Exercise 11.e3: edges of the full graph for random numbers of candidates."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        counts = torch.randint(0, 4, (1 + seed % 17,), generator=generator).tolist()
        found, expected = int(call(answer, list(counts))), solutions.full_edges(counts)
        if found != expected:
            return f"counts = {counts}: expected {expected}, got {found}"
    return None


EXERCISES = (
    Exercise(
        "11.e1",
        "Write shift(one, other, wanted): how far to the right the second box must begin for the IoU wanted.",
        check_shift,
        (
            "Work out the shared area first. The union is the sum of the two areas less the shared one.",
            "IoU q = S / (A - S) with the sum A of both areas gives S = q A / (1 + q).",
            "The shared part is as high as the lower box, so it is S / min(heights) wide; the shift is the first "
            "width less that, and never negative.",
        ),
    ),
    Exercise(
        "11.e2",
        "Write pieces(seen, links): in how many connected pieces the seen keypoints fall.",
        check_pieces,
        (
            "A keypoint that is not seen is no stepping stone. One that is seen and linked to nobody is a piece.",
            "Take any seen keypoint, collect all that can be reached from it over seen ones, count one, and go on.",
            "Or merge: every seen keypoint starts as a piece; each link between two seen ones of different pieces "
            "makes one of them. Mind cycles: a link within a piece changes nothing.",
        ),
    ),
    Exercise(
        "11.e3",
        "Write full_edges(counts): the number of edges of the full graph.",
        check_edges,
        (
            "The full graph links every pair of candidates of different types.",
            "All pairs, less those within a type: n (n - 1) / 2 each.",
            "total * (total - 1) // 2 - sum(c * (c - 1) // 2 for c in counts).",
        ),
    ),
)

QUESTIONS = (
    Question(
        "11.q1",
        "In the simulation hard, AE greedy has the same F1 at every overlap. Why?",
        {
            "a": "It is robust: greedy assignment handles crowds.",
            "b": "It looks at embeddings only, and the simulation makes them alike good wherever people stand.",
            "c": "Its threshold was chosen for each overlap.",
        },
        "b",
        {
            "a": "With embeddings that depend on places it falls, by the very same rule.",
            "b": "What does not enter a method cannot change its result. That is a property of the simulation.",
            "c": "One threshold was chosen for all, on other crowds.",
        },
    ),
    Question(
        "11.q2",
        "With a perfect scorer the extended graph keeps fewer people whole than the full one. What would help it?",
        {
            "a": "A better edge discriminator.",
            "b": "More training data with hidden torsos.",
            "c": "Nothing that is learned: two pieces without an edge between them are never scored.",
        },
        "c",
        {
            "a": "The scorer is perfect already.",
            "b": "Data teach scores; there is no score where there is no edge.",
            "c": "Connectivity is decided before the network sees anything.",
        },
    ),
    Question(
        "11.q3",
        "A method is said to cost 'only 10 % of the run time'. What do you need to know before you believe that it is "
        "cheap?",
        {
            "a": "Ten per cent of what: which detector, on which device, with how many people.",
            "b": "How many parameters it has.",
            "c": "Whether it is 10 % on average or in the median.",
        },
        "a",
        {
            "a": "A smaller detector, a crowd or a GPU that waits for many small operations, and it is another share.",
            "b": "The grouping stage has next to none, and takes time all the same.",
            "c": "Worth knowing, but second to what the whole consists of.",
        },
    ),
)
