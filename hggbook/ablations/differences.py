"""A row against another: the mean difference over seeds, with an interval over images and seeds. Not in the paper."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hggbook.ablations.rows import FROZEN, IMAGE, POSE
from hggbook.ablations.scoring import unpacked
from hggbook.compare.intervals import Interval

Run = Mapping[str, Any]
MEASURES = {POSE: "f1", FROZEN: "ap", IMAGE: "ap"}
"""What a track's rows are compared by: pairwise F1 of the grouping, or AP of the poses."""


def value_of(run: Run, measure: str, grouper: str | None = None) -> float:
    """One run's number on the test part.

    Args:
        run: result of `hggbook.ablations.grouping.run` or `hggbook.ablations.joint.run_joint`.
        measure: ``f1``, ``perfect``, or one of COCO's in lower case, e.g. ``ap``, ``ar50``.
        grouper: whose, where a run has several; default: the one that the row is about.

    Raises:
        KeyError: the run has no such number.

    Not in the paper: bookkeeping.
    """
    if measure in ("f1", "perfect"):
        return run["test"]["f1" if measure == "f1" else "perfect_share"]
    return _scored(run, grouper)["measures_test"][measure.upper()]


def samples_of(run: Run, measure: str, grouper: str | None = None) -> np.ndarray:
    """The same number over bootstrap samples of the test images: those of F1 and of AP are kept.

    Raises:
        KeyError: the run kept none.

    Not in the paper: bookkeeping.
    """
    return unpacked(run["f1_samples"] if measure == "f1" else _scored(run, grouper)["ap_samples"])


def difference(
    ours: Mapping[int, Run], theirs: Mapping[int, Run], measure: str,
    groupers: tuple[str | None, str | None] = (None, None), *, level: int | float = 95,
) -> Interval:
    """How far ``ours`` is ahead of ``theirs``: mean over the seeds that both have, on the same images.

    The interval holds 95 % (``level``) of bootstrap samples in which images are drawn anew, the same for both sides and
    all seeds, and so are the seeds. With three seeds it says too little of how seeds differ; the table's ± says that.

    Args:
        ours, theirs: runs by seed.
        measure: ``f1`` or ``ap``.
        groupers: whose numbers, where a run has several.
        level: per cent of the samples that the interval holds.

    Raises:
        ValueError: no seed in common.

    Not in the paper: it gives one number a row.
    """  # fmt: skip
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        raise ValueError(f"difference: no seed in common, {sorted(ours)} and {sorted(theirs)}")
    one, other = groupers
    ahead = [value_of(ours[s], measure, one) - value_of(theirs[s], measure, other) for s in seeds]
    samples = np.stack([samples_of(ours[s], measure, one) - samples_of(theirs[s], measure, other) for s in seeds])
    drawn = np.random.default_rng(0).integers(len(seeds), size=(len(seeds), samples.shape[1]))
    ends = [(100 - level) / 200, (100 + level) / 200]
    low, high = np.quantile(np.take_along_axis(samples, drawn, axis=0).mean(axis=0), ends)
    return Interval(float(np.mean(ahead)), float(low), float(high))


def _scored(run: Run, grouper: str | None) -> Run:
    return run[grouper or run["grouper"]] if run["track"] == IMAGE else run
