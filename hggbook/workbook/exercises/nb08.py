"""Exercises and questions of notebook 08, end-to-end training."""

import math
import random
from typing import Any

import numpy as np
import torch

from hggbook.workbook.exercises import Exercise, Question, call, judge_letters
from hggbook.workbook.solutions import nb08 as solutions

TRIALS = 60
WAYS = {
    "a": "The mean of the members' node features.",
    "b": "Which two nodes graclus merged.",
    "c": "The sum of the round-1 scores of the pairs that a macro-edge stands for (its evidence).",
    "d": "Which cells of the heatmaps were chosen as peaks.",
    "e": "The value of the embedding map at a chosen peak.",
    "f": "The place of a candidate, refined to less than a cell.",
    "g": "Which edges were pruned, because their nodes share a keypoint type.",
    "h": "The mean of the edge features of the pairs that a macro-edge stands for.",
}
REASONS = {
    "a": "a mean is a weighted sum: every member gets its share of the macro-node's gradient",
    "b": "the matching is a choice of whole numbers, the same for all scores nearby",
    "c": "a sum passes the gradient on to every score in it",
    "d": "the choice does not change if a map changes a little",
    "e": "reading a map at a cell passes the gradient to that cell",
    "f": "the proposals cut the place from the graph of derivatives; only numbers go on",
    "g": "types are whole numbers that no score moves",
    "h": "a weighted mean, as of the node features",
}


def _number(value: Any) -> float:
    return float(value.item() if hasattr(value, "item") else value)


def check_adam(answer: Any) -> str | None:
    """Exercise 08.e1: the last step of Adam on random gradients, large and tiny."""
    for seed in range(TRIALS):
        rng = random.Random(seed)
        scale = 10.0 ** rng.choice((-10, -8, -4, 0))
        gradients = [round(rng.gauss(0.3, 1), 2) * scale for _ in range(1 + seed // 10)]
        gradients[-1] = gradients[-1] or scale
        settings = (10.0 ** rng.choice((-4, -2)), rng.choice((0.8, 0.9)), rng.choice((0.99, 0.999)))
        epsilon = rng.choice((1e-15, 1e-8, 1e-3))
        result = _number(call(answer, list(gradients), *settings, epsilon))
        expected = solutions.adam_update(gradients, *settings, epsilon)
        if not math.isclose(result, expected, rel_tol=1e-5):
            told = f"gradients {[float(f'{g:.3g}') for g in gradients]}, rate {settings[0]:g}, betas {settings[1:]}"
            return f"{told}, epsilon {epsilon:g}: expected {expected:.6g}, got {result:.6g}"
    return None


def check_member_gradient(answer: Any) -> str | None:
    """Exercise 08.e2: the backward pass of averaging, on random merges."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        nodes = 1 + seed // 8
        cluster = torch.randint(0, nodes, (nodes,), generator=generator).unique(return_inverse=True)[1]
        count = torch.randint(1, 6, (nodes,), generator=generator)
        gradient = torch.randn(int(cluster.max()) + 1, 2, generator=generator).mul(10).round().div(10)
        result = torch.as_tensor(call(answer, gradient.clone(), count.clone(), cluster.clone()))
        expected = solutions.member_gradient(gradient, count, cluster)
        told = f"gradient {gradient.tolist()}, count {count.tolist()}, cluster {cluster.tolist()}"
        if result.shape != expected.shape:
            return f"{told}: expected the shape {tuple(expected.shape)}, got {tuple(result.shape)}"
        if not torch.allclose(result.float(), expected, atol=1e-5):
            rounded = [[[round(v, 3) for v in row] for row in value.tolist()] for value in (expected, result)]
            return f"{told}: expected {rounded[0]}, got {rounded[1]}"
    return None


def check_batches(answer: Any) -> str | None:
    """Exercise 08.e3: batches that follow from the step alone, with what shuffling owes to training."""
    for images, size, seed in ((12, 4, 0), (13, 3, 1), (50, 8, 2)):
        epoch = images // size
        steps = list(range(4 * epoch))
        given = f"images = {images}, size = {size}, seed = {seed}"
        before = _global_state()
        known = {step: _rows(answer, step, images, size, seed) for step in steps}
        after = _global_state()
        for step, rows in known.items():
            if len(rows) != size or len(set(rows)) != size or not set(rows) <= set(range(images)):
                return f"{given}, step {step}: expected {size} different rows from 0 to {images - 1}, got {rows}"
        for step in reversed(steps):  # as after a resume: nobody has asked for the steps before
            if (again := _rows(answer, step, images, size, seed)) != known[step]:
                return f"{given}, step {step}: gave {known[step]}, and when asked again {again}"
        if before != after:
            return f"{given}: it draws from, or seeds, a global generator, which others (dropout) draw from too"
        for first in range(0, len(steps), epoch):
            seen = [row for step in range(first, first + epoch) for row in known[step]]
            if len(set(seen)) != len(seen):
                return f"{given}, steps {first} to {first + epoch - 1}, one epoch: an image comes twice in {seen}"
        orders = [[known[first + k] for k in range(epoch)] for first in range(0, len(steps), epoch)]
        if any(orders[a] == orders[b] for a in range(len(orders)) for b in range(a)):
            return f"{given}: two epochs have the same order"
        if known[0] == list(range(size)) and known[1] == list(range(size, 2 * size)):
            return f"{given}: the first batches are {known[0]} and {known[1]}, not shuffled"
        for ahead in (0, epoch):
            other = [_rows(answer, step, images, size, seed + 1) for step in range(epoch)]
            if other == [known[step + ahead] for step in range(epoch)]:
                return f"{given}: epoch {ahead // epoch} of this run is epoch 0 of the run with seed {seed + 1}"
    return None


def _global_state() -> tuple[list[int], list[int]]:
    """Of the generators of numpy and torch. Python's own is left out: run-time type checks draw from it."""
    return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


def _rows(answer: Any, step: int, images: int, size: int, seed: int) -> list[int]:
    rows = call(answer, step, images, size, seed)
    return [int(row) for row in (rows.tolist() if hasattr(rows, "tolist") else rows)]


def check_ways(answer: Any) -> str | None:
    """Exercise 08.e4: what carries a gradient from later rounds into the detector."""
    more = "what you named does, and {number} more of the eight: is each a number or a choice?"
    return judge_letters(answer, REASONS, solutions.CROSSES, "carries none", more)


EXERCISES = (
    Exercise(
        "08.e1",
        "Write adam_update(gradients, rate, beta1, beta2, epsilon): what Adam adds to the parameter in the last step.",
        check_adam,
        (
            "Two running means: of the gradient and of its square, both from 0. Only the last step's change is asked.",
            "Divide both means by 1 - beta ** steps; they started from 0 and are too small at first.",
            "-rate * mean / (sqrt(square) + epsilon): epsilon is added after the root.",
        ),
    ),
    Exercise(
        "08.e2",
        "Write member_gradient(gradient, count, cluster): the gradient of the nodes that were averaged.",
        check_member_gradient,
        (
            "A macro-node's feature is sum(count[n] * x[n]) / sum(count[n]) over its nodes. Derive it by x[n].",
            "The derivative is count[n] / (candidates in the macro-node). A node of three gets three shares.",
            "gradient[cluster[n]] * count[n] / count[cluster == cluster[n]].sum() for every node n.",
        ),
    ),
    Exercise(
        "08.e3",
        "Write batch_at(step, images, size, seed): the images of a step's batch, so that a resumed run sees the same.",
        check_batches,
        (
            "The answer may depend on nothing but the four arguments. divmod(step, images // size) tells the epoch and "
            "the place in it.",
            "Draw the order of an epoch from a generator of its own that is seeded with the run's seed and the epoch.",
            "np.random.default_rng([seed, epoch]).permutation(images), and of it the rows place * size to "
            "(place + 1) * size. The sum seed + epoch will not do: two runs would share their epochs.",
        ),
    ),
    Exercise(
        "08.e4",
        "Which of the eight carry a gradient from later rounds towards the detector? Answer with letters.",
        check_ways,
        (
            "Nudge a number by very little: does what depends on it move a little, or not at all?",
            "Choices (which, whether) do not move; values (means, sums, what is read) do.",
            "Four of the eight do. The place of a candidate is a value, too, but look at what `propose` does with it.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "08.q1",
        "All losses of a run are multiplied by 1e-5. Adam, no clipping, epsilon so small that it never matters. "
        "What changes?",
        {
            "a": "Everything learns 100,000 times more slowly.",
            "b": "The detector learns more slowly, the grouping stage does not.",
            "c": "Nothing, but for rounding.",
        },
        "c",
        {
            "a": "No: that is gradient descent. Adam divides by the size of the gradient itself.",
            "b": "No: one factor for all losses changes neither directions nor, with Adam, lengths of steps.",
            "c": "Yes: both running means scale alike, and their ratio stays. Only epsilon has a size of its own.",
        },
    ),
    Question(
        "08.q2",
        "For some steps macro_final is exactly 0; then it jumps to about 0.7, and the total loss rises. Why?",
        {
            "a": "Until then no edge reached the cut: there was no macro-node to judge.",
            "b": "The training has diverged; the learning rate must be lowered.",
            "c": "The macro-node discriminator was perfect and has forgotten.",
        },
        "a",
        {
            "a": "Yes: the tasks appear with the merges. A total whose terms come and go is no measure of progress.",
            "b": "No: the edge loss goes on falling. What rises is the number of terms.",
            "c": "No: it was never asked. A mean over nothing counts as 0.",
        },
    ),
    Question(
        "08.q3",
        "You go on from saved weights, but without the optimiser's state and the step. The loss looks as before. "
        "What is different?",
        {
            "a": "Nothing: the weights are all that matters.",
            "b": "Adam's means start from 0, and schedule and data start again: it is another run.",
            "c": "Only what the log says.",
        },
        "b",
        {
            "a": "No: you saw tensors differ after a few steps. The loss of a batch does not show it.",
            "b": "Yes: it may well be a good run, but not the one you began, and nobody can repeat it from its config.",
            "c": "No: the next update already differs, and with on-policy merges so do later tasks.",
        },
    ),
)
