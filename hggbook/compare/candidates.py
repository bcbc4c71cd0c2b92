"""Groupers side by side on labelled candidates: accuracy, time, people and overlap. Paper: sec. 4, on one detector."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.compare.intervals import f1_of
from hggbook.data.labelled import LabelledCandidates
from hggbook.metrics import GroupingCounts, image_counts
from hggbook.model import HGG
from hggbook.types import Candidates, Targets

Group = Callable[[Candidates, Targets], Int64[Tensor, "N"]]

CUTS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
_INDISTINCT = 0.001


@dataclass(frozen=True)
class Contender:
    """A grouper in a comparison, with the one number it may tune on other images.

    Attributes:
        scores: which pairwise scores it decides from, in words.
        make: the grouper for a value of its number. Targets are for the oracle only.
        values: what may be tried; empty if there is nothing to tune.
        default: the value without tuning.
        notes: what it has to tell afterwards, e.g. how often it gave up.
    """

    scores: str
    make: Callable[[float], Group]
    values: tuple[float, ...] = ()
    default: float = 0.0
    notes: Callable[[], dict[str, int]] = dict


@dataclass(frozen=True)
class Measured:
    """What one grouper did on one set of images.

    Attributes:
        counts: (B, 8) `image_counts`.
        people: (B,) annotated people.
        overlap: (B,) see `hggbook.data.labelled.overlap`.
        seconds: wall time in all, scores included.
    """

    counts: Int64[Tensor, "B 8"]
    people: Int64[Tensor, "B"]
    overlap: Float[Tensor, "B"]
    seconds: float

    @property
    def total(self) -> GroupingCounts:
        """Over all images."""
        return GroupingCounts(*self.counts.sum(dim=0).tolist())

    @property
    def milliseconds(self) -> float:
        """Wall time per image."""
        return 1e3 * self.seconds / max(len(self.people), 1)

    def by(self, value: Tensor, edges: Sequence[int | float]) -> list[tuple[int, GroupingCounts]]:
        """Images whose ``value`` (people, overlap) lies in [edges[k], edges[k + 1]): how many, and their totals."""
        bins = [(value >= low) & (value < high) for low, high in itertools.pairwise(edges)]
        return [(int(chosen.sum()), GroupingCounts(*self.counts[chosen].sum(dim=0).tolist())) for chosen in bins]


def hgg_contender(model: HGG, cut: float) -> Contender:
    """HGG's own grouping; what it tunes is its cut.

    Args:
        model: with its grouping stage.
        cut: the default.
    """

    def make(cut: float) -> Group:
        def group(candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
            with with_cut(model, cut):
                return model.group(candidates).person

        return group

    return Contender("HGG's edge logits, renewed every round", make, CUTS, cut)


@contextlib.contextmanager
def with_cut(model: HGG, cut: float) -> Iterator[None]:
    """While active, the model's clustering uses another cut."""
    before, model.ohgc.cut = model.ohgc.cut, cut
    try:
        yield
    finally:
        model.ohgc.cut = before


def once(group: Group) -> Group:
    """The same grouper, which looks at the same candidates only once, for when one grouping is scored in several ways.

    Not in the paper: bookkeeping.
    """
    known: dict[bytes, Tensor] = {}

    def grouped(candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
        seen = (candidates.xy, candidates.type, candidates.batch, candidates.embedding)
        key = b"".join(part.detach().cpu().numpy().tobytes() for part in seen)
        if key not in known:
            known[key] = group(candidates, targets)
        return known[key]

    return grouped


@torch.no_grad()
def measure(groupers: Mapping[str, Group], batches: Iterable[LabelledCandidates]) -> dict[str, Measured]:
    """Lets every grouper group the same candidates.

    Args:
        groupers: by name.
        batches: labelled candidates, e.g. ``labelled.batches(64)``.

    Returns:
        `Measured` by grouper.

    Paper: sec. 4 (the same detections, grouped in different ways).
    """
    counts: dict[str, list[Tensor]] = {name: [] for name in groupers}
    seconds = dict.fromkeys(groupers, 0.0)
    people, overlap = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0)]
    for batch in batches:
        for name, group in groupers.items():
            start = time.perf_counter()
            person = group(batch.candidates, batch.targets)
            seconds[name] += time.perf_counter() - start
            counts[name].append(image_counts(person, batch.targets, batch.candidates.batch, batch.num_images))
        people.append(batch.people)
        overlap.append(batch.overlap)
    none = torch.zeros(0, len(GroupingCounts.__dataclass_fields__), dtype=torch.int64)
    return {
        name: Measured(torch.cat([none, *counts[name]]), torch.cat(people), torch.cat(overlap), seconds[name])
        for name in groupers
    }


def calibrate_contender(
    contender: Contender, labelled: LabelledCandidates, *, values: Sequence[float] | None = None, batch_size: int = 64
) -> tuple[float, dict[float, Measured]]:
    """Chooses a contender's number by pairwise F1 on a tuning set: every contender gets the same care.

    Args:
        labelled: the tuning set; never the one that is reported.
        values: tried; default: the contender's own. Of those within 0.001 of the best F1, which is less than a
            thousand images can tell apart, the one nearest to its default wins.

    Returns:
        The number chosen, and what was measured with every number tried.

    Not in the paper: it tells no thresholds.
    """
    values = contender.values if values is None else tuple(values)
    if not values:
        return contender.default, {}
    names = {str(value): contender.make(value) for value in values}
    found = measure(names, labelled.batches(batch_size))
    f1 = {value: float(f1_of(found[str(value)].counts.sum(0, keepdim=True).float())) for value in values}
    near = [value for value in values if f1[value] >= max(f1.values()) - _INDISTINCT]
    chosen = min(near, key=lambda value: abs(value - contender.default))
    return chosen, {value: found[str(value)] for value in values}
