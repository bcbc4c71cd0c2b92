"""Corrects a fitted simulation by its own measure: what it simulates should measure as the detector did.

Formulas that read one number off one kind of row leave out what the kinds do to each other: merged peaks take
candidates away, a stray may land on somebody's keypoint, means of people carry noise. Simulating the same people and
measuring that again shows by how much, and the numbers move the other way (indirect inference).

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import dataclasses
import math
from collections.abc import Callable

from hggbook.data.observe import Observed, join, observe
from hggbook.data.simulate import MATCH_RADIUS, as_batch, simulate
from hggbook.data.simulation import Numbers, Simulation
from hggbook.skeleton import Skeleton

# How each number moves: by log odds, by a factor, by a difference. Others stay as they were measured.
_ODDS = (
    "miss_seen", "miss_occluded", "duplicate", "stray_missed", "stray_found", "stray_again", "swap", "background",
    "blend_found", "blend_stray",
)  # fmt: skip
_FACTOR = (
    "apart", "clutter", "embedding_spread", "noise_background", "noise_clutter", "miss_reach", "noise_reach",
    "noise_seen_table", "noise_occluded_table", "noise_stray_table", "stray_missed_table", "stray_found_table",
)  # fmt: skip
_DIFFERENCE = (
    "jitter_table", "embedding_step", "embedding_origin", "embedding_gradient", "embedding_within",
    "score_seen_table", "score_occluded_table", "score_duplicate_table", "score_stray_missed_table",
    "score_stray_found_table", "score_background_table",
)  # fmt: skip
_EFFECTS = ("miss_by", "stray_missed_by", "stray_found_by")  # of these only what people have in common
_MOST = 2.0  # factor, or log odds, that a number moves by in one round


def calibrate(
    measured: Simulation, observed: Observed, skeleton: Skeleton, measure: Callable[[Observed], Simulation],
    rounds: int = 3, seeds: int = 2,
) -> Simulation:
    """Moves a simulation's numbers until what it simulates measures like what was observed.

    Args:
        measured: of the detector; where it starts, and what is aimed at.
        observed: the detector's rows; their people are simulated.
        skeleton: keypoint types and their OKS sigmas.
        measure: rows -> numbers, the same as made ``measured``.
        rounds: times; each simulates the people ``seeds`` times over and measures that.

    Not in the paper: indirect inference.
    """
    now = measured
    for turn in range(rounds):
        rows = [imitate(now, observed, skeleton, seed=turn * seeds + seed) for seed in range(seeds)]
        now = _moved(now, measured, measure(join(rows)))
    return now


def imitate(simulation: Simulation, observed: Observed, skeleton: Skeleton, seed: int) -> Observed:
    """The rows of a simulation of the people that were observed.

    Not in the paper: see `calibrate`.
    """
    candidates, targets, people = simulate(observed.people, simulation, skeleton, seed)
    return observe(candidates, targets, as_batch(people), skeleton)


def _moved(now: Simulation, aim: Simulation, got: Simulation) -> Simulation:
    changes = {}
    for name in _ODDS:
        changes[name] = _by_odds(*(getattr(one, name) for one in (now, aim, got)))
    for name in _FACTOR + _DIFFERENCE:
        values = [getattr(one, name) for one in (now, aim, got)]
        move = _by_factor if name in _FACTOR else _by_difference
        if not isinstance(values[0], tuple):
            changes[name] = move(*values)
        elif len({len(value) for value in values}) == 1:  # else one was measured from too few rows
            changes[name] = tuple(map(move, *values))
        if name.endswith("_table") and name in changes:
            top = MATCH_RADIUS if name == "jitter_table" else math.inf
            changes[name] = _rising(changes[name], top)
    for name in _EFFECTS:
        one, two, three = (getattr(one, name) for one in (now, aim, got))
        changes[name] = dataclasses.replace(one, person=max(_by_difference(one.person, two.person, three.person), 0.0))
    return dataclasses.replace(now, **changes)


def _by_odds(now: float, aim: float, got: float) -> float:
    if not all(0 < p < 1 for p in (now, aim, got)):
        return aim
    move = _log_odds(aim) - _log_odds(got)
    return 1 / (1 + math.exp(-_log_odds(now) - min(max(move, -_MOST), _MOST)))


def _by_factor(now: float, aim: float, got: float) -> float:
    if not all(value > 0 for value in (now, aim, got)):
        return aim
    return now * min(max(aim / got, 1 / _MOST), _MOST)


def _by_difference(now: float, aim: float, got: float) -> float:
    return now + aim - got


def _rising(table: Numbers, top: float) -> Numbers:
    """A table that a correction has left in order: none below 0 or the one before it, none above the top."""
    rising, least = [], 0.0
    for value in table:
        least = min(max(value, least), top)
        rising.append(least)
    return tuple(rising)


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))
