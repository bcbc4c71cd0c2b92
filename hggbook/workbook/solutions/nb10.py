"""Solutions of notebook 10, ablations. Written for reading: plain loops, one step a line."""

import numpy as np

from hggbook.workbook.solutions import Solution


def interval(ours: list[float], theirs: list[float], draws: list[list[int]]) -> tuple[float, float]:
    """The paired bootstrap interval of a difference of means. Not in the paper: it gives one number a row.

    Args:
        ours, theirs: a score of every image.
        draws: lists of image numbers, drawn with replacement.

    Returns:
        The 2.5 % and the 97.5 % quantile of the differences.
    """
    differences = []
    for draw in draws:
        one = sum(ours[k] for k in draw) / len(draw)
        other = sum(theirs[k] for k in draw) / len(draw)
        differences.append(one - other)
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def effects(score: list[list[float]]) -> tuple[float, float, float]:
    """What X brings without Y, what it brings with Y, and the interaction. Paper: sec. 4.2 reads Table 2 so.

    Args:
        score: ``score[x][y]`` with x and y 0 (off) or 1 (on).
    """
    without = score[1][0] - score[0][0]
    beside = score[1][1] - score[0][1]
    return without, beside, beside - without


FAIR = {"a"}


def _unpaired(ours, theirs, draws):
    other = draws[1:] + draws[:1]
    found = [np.mean([ours[k] for k in a]) - np.mean([theirs[k] for k in b]) for a, b in zip(draws, other)]
    return tuple(np.quantile(found, [0.025, 0.975]))


def _of_the_mean(ours, theirs, draws):
    found = [np.mean([ours[k] - theirs[k] for k in draw]) for draw in draws]
    return tuple(np.mean(found) + np.array([-1.96, 1.96]) * np.std(found))


def _both_sides(ours, theirs, draws):
    one, other = ([np.mean([side[k] for k in draw]) for draw in draws] for side in (ours, theirs))
    return np.quantile(one, 0.025) - np.quantile(other, 0.975), np.quantile(one, 0.975) - np.quantile(other, 0.025)


def _ninety(ours, theirs, draws):
    found = [np.mean([ours[k] - theirs[k] for k in draw]) for draw in draws]
    return tuple(np.quantile(found, [0.05, 0.95]))


def _of_y(score):
    without, beside = score[0][1] - score[0][0], score[1][1] - score[1][0]
    return without, beside, beside - without


def _reversed(score):
    without, beside = score[1][0] - score[0][0], score[1][1] - score[0][1]
    return without, beside, without - beside


def _whole(score):
    without, beside = score[1][0] - score[0][0], score[1][1] - score[0][0]
    return without, beside, beside - without


SOLUTIONS = {
    "10.e1": Solution(
        interval,
        {
            "each side has a draw of its own": _unpaired,
            "mean and 1.96 standard deviations": _of_the_mean,
            "difference of two intervals": _both_sides,
            "90 % instead of 95 %": _ninety,
        },
    ),
    "10.e2": Solution(
        effects,
        {"the effects of Y": _of_y, "interaction the wrong way round": _reversed, "X and Y against nothing": _whole},
    ),
    "10.e3": Solution(
        FAIR,
        {
            "a diverged run may be left out": {"a", "e"},
            "tuning one side only is fair": {"a", "b"},
            "the best seed is fair if tune chose it": {"a", "d"},
            "nothing is fair": set(),
        },
    ),
}
