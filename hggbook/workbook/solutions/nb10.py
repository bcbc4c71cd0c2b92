"""Solutions of notebook 10, ablations. Written for reading: plain loops, one step a line."""

from hggbook.workbook.solutions import Solution


def holm(p_values: list[float], alpha: float) -> list[bool]:
    """Which rows hold, with at most a chance of alpha for any false alarm among them. Not in the paper.

    Args:
        p_values: one a row.
        alpha: e.g. 0.05.

    Returns:
        Whether each row holds, in the order given.
    """
    order = sorted(range(len(p_values)), key=lambda row: p_values[row])
    holds = [False] * len(p_values)
    for place, row in enumerate(order):
        if p_values[row] > alpha / (len(p_values) - place):
            break
        holds[row] = True
    return holds


def effects(score: list[list[float]]) -> tuple[float, float, float]:
    """What X brings without Y, what it brings with Y, and the interaction. Paper: sec. 4.2 reads Table 2 so.

    Args:
        score: ``score[x][y]`` with x and y 0 (off) or 1 (on).
    """
    without = score[1][0] - score[0][0]
    beside = score[1][1] - score[0][1]
    return without, beside, beside - without


FAIR = {"a"}


def _each_alone(p_values, alpha):
    return [p <= alpha for p in p_values]


def _bonferroni(p_values, alpha):
    return [p <= alpha / len(p_values) for p in p_values]


def _in_given_order(p_values, alpha):
    holds = [False] * len(p_values)
    for row, p in enumerate(p_values):
        if p > alpha / (len(p_values) - row):
            break
        holds[row] = True
    return holds


def _without_stopping(p_values, alpha):
    order = sorted(range(len(p_values)), key=lambda row: p_values[row])
    return [p <= alpha / (len(p_values) - order.index(row)) for row, p in enumerate(p_values)]


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
        holm,
        {
            "every row by itself": _each_alone,
            "Bonferroni: alpha / n for all": _bonferroni,
            "not sorted": _in_given_order,
            "does not stop": _without_stopping,
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
