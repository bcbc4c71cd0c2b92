"""Solutions of notebook 13, reproduction report. Written for reading: plain rules, one a line."""

from hggbook.workbook.solutions import Solution


def outcome(low: float, high: float, nothing: float) -> str:
    """What the interval of a difference says to a claim that it is above zero. Not in the paper: our rule.

    Args:
        low, high: its ends.
        nothing: an effect within this of zero is none.

    Returns:
        "holds", "against" or "open".
    """
    if low > 0:
        return "holds"
    if high < 0:
        return "against"
    if low > -nothing and high < nothing:
        return "against"
    return "open"


def verdict_of(outcomes: list[str], about_method: bool) -> str:
    """The verdict from the outcomes of a claim's tests. Not in the paper: our rule.

    Args:
        outcomes: of all tests of one reading.
        about_method: the claim is about the method, not about the paper's data.
    """
    if all(one == "holds" for one in outcomes):
        return "reproduced" if about_method else "direction only"
    if "against" in outcomes and "holds" not in outcomes:
        return "contradicted"
    return "unsettled"


UNSUPPORTED = {"b", "c", "e"}


def _significance(low, high, nothing):
    return "holds" if low > 0 else "against"


def _no_margin(low, high, nothing):
    return "holds" if low > 0 else "against" if high < 0 else "open"


def _beyond_the_margin(low, high, nothing):
    return "holds" if low > nothing else "against" if high < nothing else "open"


def _by_the_middle(low, high, nothing):
    middle = (low + high) / 2
    return "open" if abs(middle) < nothing else "holds" if middle > 0 else "against"


def _majority(outcomes, about_method):
    if 2 * outcomes.count("holds") > len(outcomes):
        return "reproduced" if about_method else "direction only"
    return "contradicted" if "against" in outcomes else "unsettled"


def _always_reproduced(outcomes, about_method):
    found = verdict_of(outcomes, True)
    return found


def _any_against(outcomes, about_method):
    return "contradicted" if "against" in outcomes else verdict_of(outcomes, about_method)


def _open_counts_against(outcomes, about_method):
    return verdict_of(["against" if one == "open" else one for one in outcomes], about_method)


SOLUTIONS = {
    "13.e1": Solution(
        outcome,
        {
            "not significant is against": _significance,
            "no margin": _no_margin,
            "must be beyond the margin": _beyond_the_margin,
            "by the middle of the interval": _by_the_middle,
        },
    ),
    "13.e2": Solution(
        verdict_of,
        {
            "the majority decides": _majority,
            "data do not matter": _always_reproduced,
            "one test against is enough": _any_against,
            "open counts against": _open_counts_against,
        },
    ),
    "13.e3": Solution(
        UNSUPPORTED,
        {
            "a confirms nothing": {"a", "b", "c", "e"},
            "no effect may be said of any interval with zero": {"c", "e"},
            "the size is confirmed": {"b", "e"},
            "two leads over a third can be compared": {"b", "c"},
        },
    ),
}
