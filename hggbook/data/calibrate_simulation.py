"""Corrects a fitted simulation by its own measure: what it simulates should measure as the detector did.

Formulas that read one number off one kind of row leave out what the kinds do to each other: merged peaks take
candidates away, a stray may land on somebody's keypoint, means of people carry noise. Simulating the same people and
measuring that again shows by how much, and the numbers move the other way (indirect inference).

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

import torch

from hggbook.data.observe import BACKGROUND, DUPLICATE, FOUND, STRAY, Observed, join, observe
from hggbook.data.simulate import as_batch, simulate
from hggbook.data.simulation import Numbers, Simulation
from hggbook.skeleton import Skeleton

# Numbers that move by a factor, or by a difference; tables that move as a whole by a factor, or each entry by a
# difference; probabilities that move by log odds. Others stay as measured.
_FACTOR = ("apart", "embedding_spread", "miss_reach", "noise_reach")
_DIFFERENCE = ("embedding_step", "score_noise", "score_stray")
_SCALE = ("noise_seen_table", "noise_occluded_table", "noise_stray_missed_table", "noise_stray_found_table")
_QUANTILES = ("score_seen_table", "score_occluded_table")
_ODDS = ("blend_found", "blend_stray_missed", "blend_stray_found")
_MOST = 2.0  # factor, or log odds, that a number moves by in one round


def calibrate(
    measured: Simulation, observed: Observed, skeleton: Skeleton, measure: Callable[[Observed], Simulation],
    rounds: int = 3, seeds: int = 2,
) -> Simulation:
    """Moves a simulation's numbers until what it simulates measures like what was observed.

    Probabilities move by how often what they stand for happens in all (`shares`), other numbers by themselves.

    Args:
        measured: of the detector; where it starts, and what is aimed at.
        observed: the detector's rows; their people are simulated.
        skeleton: keypoint types and their OKS sigmas.
        measure: rows -> numbers, the same as made ``measured``.
        rounds: times; each simulates the people ``seeds`` times over and measures that.

    Not in the paper: indirect inference.
    """
    now, aim = measured, shares(observed)
    for turn in range(rounds):
        rows = join([imitate(now, observed, skeleton, seed=turn * seeds + seed) for seed in range(seeds)])
        got = shares(rows)
        odds = {name: _by_odds(getattr(now, name), aim[name], got[name]) for name in aim}
        now = dataclasses.replace(_moved(now, measured, measure(rows)), **odds)
    return now


def shares(observed: Observed) -> dict[str, float]:
    """How often in all what each probability of a simulation stands for has happened. 0 where it could not.

    Not in the paper: see `calibrate`.
    """
    q, c = observed.keypoints, observed.candidates
    count = torch.bincount(c.what, minlength=5).tolist()
    strayed, number = q.strays > 0, q.strays.clamp_max(4)

    def share(part, whole) -> float:
        return int(part) / int(whole) if int(whole) else 0.0

    return {
        "miss_seen": share((~q.found & q.seen).sum(), q.seen.sum()),
        "miss_occluded": share((~q.found & ~q.seen).sum(), (~q.seen).sum()),
        "stray_missed": share((strayed & ~q.found).sum(), (~q.found).sum()),
        "stray_found": share((strayed & q.found).sum(), q.found.sum()),
        "stray_again": share((number - 1).clamp_min(0).sum(), number.clamp_max(3).sum()),
        "swap": share(c.swapped.sum(), count[STRAY]),
        "duplicate": share(count[DUPLICATE], count[FOUND]),
        "background": share(count[BACKGROUND], len(q.type)),
    }


def imitate(simulation: Simulation, observed: Observed, skeleton: Skeleton, seed: int) -> Observed:
    """The rows of a simulation of the people that were observed.

    Not in the paper: see `calibrate`.
    """
    candidates, targets, people = simulate(observed.people, simulation, skeleton, seed)
    return observe(candidates, targets, as_batch(people), skeleton)


def _moved(now: Simulation, aim: Simulation, got: Simulation) -> Simulation:
    changes = {}
    for names, move in ((_FACTOR, _by_factor), (_DIFFERENCE, _by_difference), (_ODDS, _by_odds)):
        changes |= {name: move(*(getattr(one, name) for one in (now, aim, got))) for name in names}
    for name in ("score_noise", "score_stray"):
        changes[name] = min(max(changes[name], -0.9), 0.9)
    for name in _SCALE + _QUANTILES:
        tables = [getattr(one, name) for one in (now, aim, got)]
        if not all(tables):
            continue  # one was measured from too few rows
        if name in _SCALE:
            factor = _by_factor(1.0, sum(tables[1]), sum(tables[2]))
            changes[name] = tuple(value * factor for value in tables[0])
        else:
            changes[name] = _rising(tuple(map(_by_difference, *tables)))
    for name in ("miss_by", "stray_missed_by", "stray_found_by"):  # of these what a person's keypoints have in common
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


def _rising(table: Numbers) -> Numbers:
    """A table in order after a correction: no entry below 0 or the one before it."""
    return tuple(itertools.accumulate((max(value, 0.0) for value in table), max))


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))
