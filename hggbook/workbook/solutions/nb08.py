"""Solutions of notebook 08, end-to-end training. Written for reading: plain loops, one step a line."""

import math
import random

import numpy as np
import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution


def adam_update(gradients: list[float], rate: float, beta1: float, beta2: float, epsilon: float) -> float:
    """What Adam adds to a parameter in its last step. Paper: sec. 3.3 ("We use Adam").

    Args:
        gradients: of one parameter, in all steps so far, the last one at the end.
        rate: learning rate.
        beta1, beta2: decay of the running means of the gradient and of its square.
        epsilon: added to the root of the mean square.

    Returns:
        New value less old value.
    """
    mean, square = 0.0, 0.0
    for gradient in gradients:
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
    steps = len(gradients)
    mean = mean / (1 - beta1**steps)
    square = square / (1 - beta2**steps)
    return -rate * mean / (math.sqrt(square) + epsilon)


def member_gradient(gradient: Tensor, count: Tensor, cluster: Tensor) -> Tensor:
    """The gradient of the nodes, given that of the macro-nodes they were averaged into. Paper: sec. 3.1 (aggregation).

    Args:
        gradient: (C, F) of the loss by the features of the macro-nodes.
        count: (N,) candidates that each node holds.
        cluster: (N,) macro-node of each node, from 0.

    Returns:
        (N, F).
    """
    rows = []
    for n, c in enumerate(cluster.tolist()):
        members = count[cluster == c].sum()
        rows.append(gradient[c] * count[n] / members)
    return torch.stack(rows)


def batch_at(step: int, images: int, size: int, seed: int) -> list[int]:
    """The images of the batch of a step, from the step's number alone. Not in the paper: bookkeeping.

    Args:
        step: from 0.
        images: in the training set.
        size: of a batch; what is left over at the end of an epoch is dropped.
        seed: of the run.

    Returns:
        Rows of the images.
    """
    in_epoch = images // size
    epoch, place = divmod(step, in_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(images)
    return order[place * size : (place + 1) * size].tolist()


CROSSES = {"a", "c", "e", "h"}


def _adam(gradients, rate, beta1, beta2, epsilon, *, correct=True, inside=False, root=True, sign=-1):
    """`adam_update` with one mistake in it."""
    mean = square = 0.0
    for gradient in gradients:
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
    if correct:
        mean, square = mean / (1 - beta1 ** len(gradients)), square / (1 - beta2 ** len(gradients))
    if inside:
        return sign * rate * mean / math.sqrt(square + epsilon)
    return sign * rate * mean / ((math.sqrt(square) if root else square) + epsilon)


def _batch(step, images, size, key, *, every_step=False):
    """`batch_at` with a key of its own for every epoch."""
    epoch, place = divmod(step, images // size)
    order = np.random.default_rng(key(epoch, step)).permutation(images)
    return order[:size].tolist() if every_step else order[place * size : (place + 1) * size].tolist()


def _reseeds(step, images, size, seed):
    epoch, place = divmod(step, images // size)
    torch.manual_seed(1000 * seed + epoch)
    return torch.randperm(images)[place * size : (place + 1) * size].tolist()


SOLUTIONS = {
    "08.e1": Solution(
        adam_update,
        {
            "no correction of the bias": lambda g, r, a, b, e: _adam(g, r, a, b, e, correct=False),
            "epsilon under the root": lambda g, r, a, b, e: _adam(g, r, a, b, e, inside=True),
            "no epsilon": lambda g, r, a, b, e: _adam(g, r, a, b, 0.0),
            "uphill": lambda g, r, a, b, e: _adam(g, r, a, b, e, sign=1),
            "no root": lambda g, r, a, b, e: _adam(g, r, a, b, e, root=False),
            "plain gradient descent": lambda g, r, a, b, e: -r * g[-1],
        },
    ),
    "08.e2": Solution(
        member_gradient,
        {
            "every member gets the whole gradient": lambda g, n, c: g[c],
            "a mean over nodes, not over candidates": lambda g, n, c: g[c] / c.bincount()[c][:, None],
            "forgets to divide": lambda g, n, c: g[c] * n[:, None],
            "divides by the node's own count": lambda g, n, c: g[c] / n[:, None],
        },
    ),
    "08.e3": Solution(
        batch_at,
        {
            "draws from the global generator": lambda step, n, size, seed: random.sample(range(n), size),
            "reseeds the global generator": _reseeds,
            "the same order in every epoch": lambda step, n, size, seed: _batch(step, n, size, lambda e, s: [seed]),
            "seed + epoch": lambda step, n, size, seed: _batch(step, n, size, lambda e, s: [seed + e]),
            "shuffles anew in every step": lambda step, n, size, seed: _batch(
                step, n, size, lambda e, s: [seed, s], every_step=True
            ),
            "not shuffled": lambda step, n, size, seed: [(step * size + k) % n for k in range(size)],
        },
    ),
    "08.e4": Solution(
        CROSSES,
        {
            "the matching is differentiable": CROSSES | {"b"},
            "coordinates too": CROSSES | {"f"},
            "the evidence is forgotten": CROSSES - {"c"},
            "means only": {"a", "h"},
            "everything": set("abcdefgh"),
        },
    ),
}
