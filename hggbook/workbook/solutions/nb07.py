"""Solutions of notebook 07, discriminators. Written for reading: plain loops, one step a line."""

import math

from torch import Tensor

from hggbook.workbook.solutions import Solution


def macro_edge_label(one: list[int], other: list[int], label: Tensor) -> float:
    """The share rule: how many of the labelled pairs between two nodes are one person's. Paper: sec. 3.2 (edges).

    Args:
        one, other: candidates that the two nodes hold.
        label: (N, N) symmetric: 1 or 0 for a pair of candidates, NaN where it has no label or no edge.

    Returns:
        The share, NaN if no pair has a label.
    """
    known = [float(label[a, b]) for a in one for b in other if not math.isnan(label[a, b])]
    return sum(known) / len(known) if known else math.nan


def macro_node_label(person: list[int], types: list[int], annotated: list[set[int]]) -> float:
    """Whether all candidates of a macro-node belong to one person. Paper: sec. 3.2 (macro-nodes).

    Args:
        person: of each member, -1 for background.
        types: keypoint type of each member.
        annotated: the keypoint types that each person has annotated.

    Returns:
        1, 0, or NaN if nobody can tell or there is nothing to tell.
    """
    owners = {p for p in person if p >= 0}
    if len(person) < 2 or not owners:
        return math.nan
    if len(owners) > 1:
        return 0.0
    (owner,) = owners
    strangers = [k for p, k in zip(person, types) if p < 0]
    if any(k in annotated[owner] for k in strangers):
        return 0.0
    return math.nan if strangers else 1.0


def calibration_error(prob: list[float], label: list[int], bins: int) -> float:
    """Expected calibration error, bins of equal width. Not in the paper: it shows no calibration.

    Args:
        prob: predicted probabilities of label 1.
        label: 1 or 0.
        bins: how many.

    Returns:
        The mean over all predictions of how far the mean probability of their bin is from its share of ones.
    """
    held = [[] for _ in range(bins)]
    for p, y in zip(prob, label):
        held[min(int(p * bins), bins - 1)].append((p, y))
    total = 0.0
    for items in filter(None, held):
        predicted = sum(p for p, _ in items) / len(items)
        observed = sum(y for _, y in items) / len(items)
        total += len(items) / len(prob) * abs(predicted - observed)
    return total


LEAKS = {"b", "c", "e", "f"}


def _share_of(one, other, label, *, unknown=None, over=None):
    """`macro_edge_label` with one mistake in it."""
    values = [float(label[a, b]) for a in one for b in other]
    if unknown is not None:
        values = [unknown if math.isnan(v) else v for v in values]
    known = [v for v in values if not math.isnan(v)]
    return over(known) if known else math.nan


def _mean(values):
    return sum(values) / len(values)


def _node(person, types, annotated, *, smallest=2, strangers="rule", share=None):
    """`macro_node_label` with one mistake in it."""
    owners = [p for p in person if p >= 0]
    if len(person) < smallest or not owners:
        return math.nan
    if share is not None:
        return share(max(owners.count(p) for p in owners) / len(person))
    if len(set(owners)) > 1:
        return 0.0
    if len(owners) < len(person) and strangers != "rule":
        return strangers
    return macro_node_label(person, types, annotated) if len(person) > 1 else 1.0


def _unsure_first(person, types, annotated):
    doubt = any(p < 0 and all(k not in annotated[q] for q in person if q >= 0) for p, k in zip(person, types))
    return math.nan if doubt else macro_node_label(person, types, annotated)


def _error(prob, label, bins, *, weigh=True, size=abs, hit=False, root=False):
    """`calibration_error` with one mistake in it."""
    held = [[] for _ in range(bins)]
    for p, y in zip(prob, label):
        held[min(int(p * bins), bins - 1)].append((p, (p >= 0.5) == y if hit else y))
    held = [items for items in held if items]
    gaps = [size(_mean([p for p, _ in items]) - _mean([y for _, y in items])) for items in held]
    weights = [len(items) / len(prob) if weigh else 1 / len(held) for items in held]
    total = sum(w * (g * g if root else g) for w, g in zip(weights, gaps))
    return math.sqrt(total) if root else total


SOLUTIONS = {
    "07.e1": Solution(
        macro_edge_label,
        {
            "a pair without a label counts as 0": lambda a, b, y: _share_of(a, b, y, unknown=0.0, over=_mean),
            "the majority decides": lambda a, b, y: _share_of(a, b, y, over=lambda v: float(_mean(v) >= 0.5)),
            "1 only if all pairs are 1": lambda a, b, y: _share_of(a, b, y, over=min),
            "none if any pair has none": lambda a, b, y: (
                math.nan if y[a][:, b].isnan().any() else float(y[a][:, b].mean())
            ),
            "one half if no pair has a label": lambda a, b, y: (
                0.5 if y[a][:, b].isnan().all() else macro_edge_label(a, b, y)
            ),
        },
    ),
    "07.e2": Solution(
        macro_node_label,
        {
            "background is one more person": lambda p, k, a: _node(p, k, a, strangers=0.0),
            "background does not matter": lambda p, k, a: _node(p, k, a, strangers=1.0),
            "background is never known": lambda p, k, a: _node(p, k, a, strangers=math.nan),
            "the majority decides": lambda p, k, a: _node(p, k, a, share=lambda part: float(part >= 0.5)),
            "the purity itself": lambda p, k, a: _node(p, k, a, share=lambda part: part),
            "a single candidate is pure": lambda p, k, a: _node(p, k, a, smallest=1),
            "doubt comes first": _unsure_first,
        },
    ),
    "07.e3": Solution(
        calibration_error,
        {
            "every bin counts the same": lambda p, y, n: _error(p, y, n, weigh=False),
            "errors up and down cancel": lambda p, y, n: _error(p, y, n, size=lambda gap: gap),
            "share of right decisions instead of ones": lambda p, y, n: _error(p, y, n, hit=True),
            "no bins": lambda p, y, n: _mean([abs(a - b) for a, b in zip(p, y)]),
            "root of the mean square": lambda p, y, n: _error(p, y, n, root=True),
        },
    ),
    "07.e4": Solution(
        LEAKS,
        {
            "only the plain one": {"b"},
            "different candidates are different data": LEAKS - {"c"},
            "a choice that is not the cut": LEAKS - {"e"},
            "the training images are forbidden": LEAKS | {"d"},
            "everything": set("abcdef"),
        },
    ),
}
