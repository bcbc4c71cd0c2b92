"""All groupers on the same candidates: each tuned on the tune part, then scored once on the test part."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from hggbook.ablations.grouping import Study, scored_images, summary
from hggbook.ablations.rows import FROZEN
from hggbook.ablations.scoring import on_frozen, tuned_ap
from hggbook.compare.candidates import Contender, Measured, calibrate_contender, measure, once
from hggbook.compare.contenders import contenders_of
from hggbook.compare.intervals import Interval, f1_of, paired_difference, perfect_of, share_interval
from hggbook.config import Config
from hggbook.data.labelled import LabelledCandidates
from hggbook.model import HGG

PEOPLE = (2, 3, 4, 6, 10, 1000)
OVERLAP = (0.0, 0.05, 0.1, 0.2, 0.3, 1.01)


def contest(
    model: HGG, config: Config, study: Study, *, exact: bool = True,
    on_result: Callable[[str, dict[str, Any]], None] = lambda name, result: None,
) -> dict[str, Any]:
    """Every grouper on the study's tune and test images.

    Args:
        model, config: give HGG's scores.
        study: which images; the tune part chooses each grouper's number, the test part is scored once.
        exact: with the exact multicut; not on a frozen detector's candidates, of which an image has too many for it.
        on_result: called with each grouper's name and result.

    Returns:
        By grouper: the scores it uses, its number, shares on tune and test with 95 % intervals over images, HGG's lead
        over it on the same images, time, and its F1 by number of people and by overlap.

    Raises:
        ValueError: missing data; too many candidates for the exact solver.

    Paper: sec. 4 (the same detections, grouped in different ways).
    """  # fmt: skip
    tune, test = scored_images(study, config, "tune"), scored_images(study, config, "test")
    told, ours = {}, None
    frozen = study.track == FROZEN
    for name, contender in contenders_of(model, config, exact=exact and not frozen).items():
        # F1 and AP are of one and the same grouping.
        contender = replace(contender, make=cache(lambda value, make=contender.make: once(make(value))))
        chosen, tried = _tuned(contender, tune)
        found = measure({name: contender.make(chosen)}, test.batches(64))[name]
        ours = found if name == "hgg" else ours
        told[name] = {"scores": contender.scores, "value": chosen, "tune": tried} | report(found, ours)
        told[name]["notes"] = contender.notes()
        if frozen:
            told[name] |= tuned_ap(on_frozen(contender.make), contender.values, contender.default, study.frozen)
        on_result(name, told[name])
    return told


def report(found: Measured, ours: Measured | None) -> dict[str, Any]:
    """What is told of one grouper on the test part; ``ours`` is HGG's, for the lead."""
    told: dict[str, Any] = {"test": summary(found), "f1": _interval(share_interval(found.counts, f1_of))}
    told["perfect"] = _interval(share_interval(found.counts, perfect_of))
    if ours is not None and ours is not found:
        told["lead_f1"] = _interval(paired_difference(ours.counts, found.counts, f1_of))
        told["lead_perfect"] = _interval(paired_difference(ours.counts, found.counts, perfect_of))
    for key, value, edges in (("people", found.people, PEOPLE), ("overlap", found.overlap, OVERLAP)):
        bins = found.by(value, edges)
        told[f"images_by_{key}"] = [images for images, _ in bins]
        told[f"f1_by_{key}"] = [round(total.f1, 4) if images else None for images, total in bins]
        told[f"perfect_by_{key}"] = [round(total.perfect_share, 4) if images else None for images, total in bins]
    return told


def _tuned(contender: Contender, tune: LabelledCandidates) -> tuple[float, dict[str, dict[str, float]]]:
    chosen, tried = calibrate_contender(contender, tune)
    return chosen, {str(value): summary(found) for value, found in tried.items()}


def _interval(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.value, interval.low, interval.high)]


__all__ = ["OVERLAP", "PEOPLE", "contest", "report"]
