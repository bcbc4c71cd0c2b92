"""Groupers on photographs: one detector, several ways to look at an image, every grouper tuned for each of them.

A detector's candidates are found in one view of a photograph, in it and its mirror image, or at several scales too. On
these same candidates AE greedy, oracle grouping and grouping stages that were trained on the frozen detector are scored
by AP, with and without missing keypoints filled. Each grouper's number is chosen on the tuning photographs, for
that way of looking and without filling; the others are looked at once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from hggbook.ablations.scoring import packed, unpacked
from hggbook.compare.ap_samples import ap_samples
from hggbook.compare.images import GroupFrom, compare, nearest_best
from hggbook.config import Config
from hggbook.data.coco import CocoPeople
from hggbook.grouping.groupers import AEGreedy, Oracle
from hggbook.model import HGG, joined
from hggbook.skeleton import SKELETONS
from hggbook.tta import with_views

Number = float | tuple[float, ...]

VIEWS: dict[str, dict[str, Any]] = {
    "one view": {"flip": False, "scales": (1.0,)},
    "flip": {"flip": True, "scales": (1.0,)},
    "flip, scales 0.5, 1, 2": {"flip": True, "scales": (0.5, 1.0, 2.0)},
}
"""Ways to look at an image. Paper: sec. 4.1 (flip testing; scales 0.5, 1, 2)."""

CUTS = (-4.0, -3.0, -2.0, -1.0, 0.0)
THRESHOLDS = (0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0)
SURER = (0.3, 0.4, 0.5, 0.6)
"""Scores that AE greedy may ask of a candidate. It cannot tell background, which a weak detector sees a lot of."""


@dataclass(frozen=True)
class Contestant:
    """A grouper whose number, or numbers, have yet to be chosen.

    Attributes:
        name: of the grouper, or of the row that its grouping stage was trained as.
        seed: of that training.
        make: the grouper for a number.
        values: numbers tried on the tuning photographs; none: there is nothing to choose.
        default: preferred among numbers that are as good.
    """

    name: str
    seed: int
    make: Callable[[Any], GroupFrom]
    values: tuple[Number, ...]
    default: Number

    def key(self, value: Number) -> str:
        """A name of its own for the grouper with one number."""
        return f"{self.name}, seed {self.seed}, {named(value)}"


def named(value: Number | list[float]) -> str:
    """A contestant's number as it is written down: ``0.5``, or ``0.5 / 0.4`` for two.

    Not in the paper: bookkeeping.
    """
    return " / ".join(f"{part:g}" for part in np.atleast_1d(value))


def study_photographs(
    detector: tuple[HGG, Config], stages: dict[str, dict[int, tuple[HGG, Config]]], tune: CocoPeople, dev: CocoPeople,
    *, views: Sequence[str] = tuple(VIEWS), batch_size: int = 8, device: str = "cpu",
    on_result: Callable[[dict[str, Any]], None] = lambda result: None,
) -> list[dict[str, Any]]:
    """Scores of every grouper for every way of looking, not filled and filled.

    Args:
        detector: as `hggbook.model.load_weights` gives it.
        stages: by row and seed, grouping stages that were trained on the detector's candidates.
        tune, dev: photographs to choose numbers on, and to report.
        views: which of `VIEWS`.
        batch_size: photographs at a time.
        device: where the models run.
        on_result: called with each result as it comes.

    Returns:
        A dict for each way of looking, filling and contestant: what it is, the number and the AP of every value on
        tune, COCO's measures on dev over all images and over those with people, bootstrap samples of the AP.

    Paper: sec. 4, Tables 1 and 2 (on photographs that are not its own).
    """  # fmt: skip
    results = []
    for name in views:
        tested, config = with_views(*detector, **VIEWS[name])
        contestants = contestants_of(detector, stages, VIEWS[name], config)
        started = time.perf_counter()
        tried = {c.key(value): c.make(value) for c in contestants for value in c.values}
        scores = compare(tested, tune, config, tried, batch_size=batch_size, device=device)
        on_tune = [{value: scores[c.key(value)].ap["AP"] for value in c.values} for c in contestants]
        chosen = [nearest_best(ap, c.default) if ap else c.default for c, ap in zip(contestants, on_tune)]
        spent = time.perf_counter() - started
        for fill in (False, True):
            started = time.perf_counter()
            groupers = {c.key(value): c.make(value) for c, value in zip(contestants, chosen)}
            scores = compare(tested, dev, config, groupers, batch_size=batch_size, device=device, fill=fill)
            for c, value, ap in zip(contestants, chosen, on_tune):
                score = scores[c.key(value)]
                result: dict[str, Any] = {"views": name, "filled": fill, "grouper": c.name, "seed": c.seed}
                result |= {"value": value, "tune": {named(v): round(at, 5) for v, at in ap.items()}}
                result |= {"dev": _rounded(score.ap), "dev_people": _rounded(score.ap_person_images)}
                result |= {"f1": round(score.counts.f1, 5), "perfect": round(score.counts.perfect_share, 5)}
                samples = ap_samples(score.results, dev.coco, dev.image_ids.tolist(), SKELETONS[config.skeleton])[1]
                results.append(result | {"ap_samples": packed(samples)})
                on_result(results[-1])
            spent += time.perf_counter() - started
        results[-1]["wall_s_of_views"] = round(spent, 1)
    return results


def contestants_of(
    detector: tuple[HGG, Config], stages: dict[str, dict[int, tuple[HGG, Config]]], look: dict[str, Any],
    config: Config,
) -> list[Contestant]:
    """AE greedy, oracle grouping and every grouping stage, as they group what is seen in one way of looking.

    AE greedy comes twice: grouping all candidates, as the others do, and only those above a score that is chosen too.

    Not in the paper: bookkeeping.
    """  # fmt: skip
    order = SKELETONS[config.skeleton].greedy_order

    def greedy(number: Number) -> GroupFrom:
        threshold, *sure = np.atleast_1d(number).tolist()
        grouper = AEGreedy(order, threshold=threshold, detection_threshold=sure[0] if sure else None)
        return lambda output, targets: grouper(output.candidates)

    def stage(model: HGG) -> Callable[[float], GroupFrom]:
        def make(cut: float) -> GroupFrom:
            def group(output, targets):
                model.ohgc.cut = cut
                return model.group(output.candidates).person

            return group

        return make

    threshold = config.baseline.threshold
    found = [
        Contestant("AE greedy", 0, greedy, THRESHOLDS, threshold),
        Contestant("AE greedy, surer candidates", 0, greedy, tuple(product(THRESHOLDS, SURER)), (threshold, SURER[0])),
        Contestant("oracle", 0, lambda value: lambda output, targets: Oracle(targets)(output.candidates), (), 0.0),
    ]
    for row, seeds in stages.items():
        for seed, grouping in seeds.items():
            model, _ = with_views(*joined(detector, grouping), **look)
            found.append(Contestant(row, seed, stage(model), CUTS, 0.0))
    return found


def photographs_table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown: means over seeds; AP and its lead over AE greedy with paired 95 % intervals.

    Not in the paper: the study is ours.
    """
    heads = ["views", "missing keypoints", "grouping", "seeds", "AP", "AP50", "AP75", "APM", "APL", "AR", "AP tune"]
    heads += ["against AE greedy", "pairwise F1", "value"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    cells: dict[tuple[str, bool], dict[str, list[dict[str, Any]]]] = {}
    for result in results:
        by_name = cells.setdefault((result["views"], result["filled"]), {})
        by_name.setdefault(result["grouper"], []).append(result)
    for (views, filled), by_name in cells.items():
        base = by_name["AE greedy"][0]
        for name, runs in by_name.items():
            samples = np.mean([unpacked(run["ap_samples"]) for run in runs], axis=0)
            line = [views, "filled" if filled else "as found", name, str(len(runs))]
            low, high = np.percentile(samples, (2.5, 97.5))
            line.append(f"{_mean(runs, 'AP'):.3f} [{low:.3f}, {high:.3f}]")
            line += [f"{_mean(runs, measure):.3f}" for measure in ("AP50", "AP75", "APM", "APL", "AR")]
            tuned = [run["tune"][named(run["value"])] for run in runs if run["tune"]]
            line.append(f"{np.mean(tuned):.3f}" if tuned else "")
            low, high = np.percentile(samples - unpacked(base["ap_samples"]), (2.5, 97.5))
            lead = _mean(runs, "AP") - base["dev"]["AP"]
            line.append("" if runs[0] is base else f"{lead:+.3f} [{low:+.3f}, {high:+.3f}]")
            line.append(f"{np.mean([run['f1'] for run in runs]):.3f}")
            line.append(", ".join(dict.fromkeys(named(run["value"]) for run in runs if run["tune"])))
            lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)


def _mean(runs, measure):
    return float(np.mean([run["dev"][measure] for run in runs]))


def _rounded(measures):
    return {name: round(value, 5) for name, value in measures.items()}


__all__ = [
    "CUTS", "SURER", "THRESHOLDS", "VIEWS", "Contestant", "contestants_of", "named", "photographs_table",
    "study_photographs",
]  # fmt: skip
