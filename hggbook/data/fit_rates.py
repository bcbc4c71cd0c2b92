"""Which keypoints a detector misses, and where its strays, duplicates and other wrong candidates are.

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from hggbook.data.coco import PoseSet
from hggbook.data.mixed_logit import fit_log_odds, fit_reach, mean_probability
from hggbook.data.observe import BACKGROUND, CLUTTER, DUPLICATE, FOUND, Observed
from hggbook.data.simulation import Effects
from hggbook.data.surroundings import within_person
from hggbook.skeleton import Skeleton

FEWEST = 30  # rows without which a number is left at its neutral value

_MERGING = 60.0  # pixels of the network input: peaks farther apart are taken not to merge


def rates(observed: Observed, skeleton: Skeleton) -> dict[str, Any]:
    """Which keypoints are missed, which have strays, duplicates; what else there is: fields of a `Simulation`.

    Misses and strays are fitted by logistic regression on what `Effects` names, with an effect that the keypoints of a
    person share.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """
    q, c = observed.keypoints, observed.candidates
    count = torch.bincount(c.what, minlength=5).tolist()
    size = observed.people.area[q.person].clamp_min(1.0).sqrt().double()
    middle = float(size.log().mean().exp())
    share = [(~q.seen).double(), torch.log2(size / middle), q.crowding.double(), q.hidden.double()]
    types = one_hot(q.type, skeleton.num_types).double()
    design = torch.cat([torch.ones_like(size)[:, None], torch.stack(share, dim=1), types], dim=1)
    prior = torch.tensor([5.0, 2.0, 2.0, 3.0, 3.0] + [1.0] * skeleton.num_types, dtype=torch.float64)

    def log_odds(outcome: Bool[Tensor, "Q"], rows: Bool[Tensor, "Q"]) -> tuple[float, float, Effects]:
        """Probability of a seen and of an occluded keypoint under middling conditions, and what moves it."""
        if int(rows.sum()) < FEWEST:
            share = float(outcome[rows].double().mean()) if bool(rows.any()) else 0.0
            return share, share, Effects()
        weight, person = fit_log_odds(design[rows], outcome[rows], q.person[rows], prior)
        level = float((types[rows] @ weight[5:]).mean())  # the types' effects are told from their mean
        base, occluded, by_size, crowding, hidden = weight[:5].tolist()
        by = Effects(by_size, middle, crowding, hidden, person, tuple((weight[5:] - level).tolist()))
        return probability(base + level), probability(base + level + occluded), by

    apart = _apart(observed)
    # Where peaks merge, keypoints are missed for another reason; what moves the rest is told by the rest.
    seen, occluded, miss_by = log_odds(~q.found, q.rival > 1.5 * apart)
    # What is left of misses once all that is taken into account, and how far it goes together.
    effects = [miss_by.size, miss_by.crowding, miss_by.hidden]
    odds = _log_odds(seen) + (_log_odds(occluded) - _log_odds(seen)) * design[:, 1]
    odds = odds + design[:, 2:5] @ odds.new_tensor(effects)
    odds = odds + odds.new_tensor(miss_by.types or (0.0,) * skeleton.num_types)[q.type]
    expected = mean_probability(odds, miss_by.person).clamp(1e-3, 1 - 1e-3)
    people, gaps = observed.people, within_person(observed.people.keypoints, observed.people.area)
    surprise = ((~q.found).double() - expected) / (expected * (1 - expected)).sqrt()
    strayed, number = q.strays > 0, q.strays.clamp_max(4)
    missed, _, missed_by = log_odds(strayed, ~q.found)
    found, _, found_by = log_odds(strayed, q.found)
    tried = int(number.clamp_max(3).sum())
    nobody = (c.what == BACKGROUND) | (c.what == CLUTTER)
    types_of = torch.bincount(c.type[nobody], minlength=skeleton.num_types) + 0.5
    return {
        "miss_seen": seen, "miss_occluded": occluded, "miss_by": miss_by,
        "miss_reach": fit_reach(by_person(surprise.float(), q.person, q.type, people), gaps),
        "stray_missed": missed, "stray_missed_by": missed_by, "stray_found": found, "stray_found_by": found_by,
        "stray_again": int((number - 1).clamp_min(0).sum()) / tried if tried else 0.0,
        "duplicate": count[DUPLICATE] / count[FOUND],
        "background": count[BACKGROUND] / len(q.type),
        "apart": apart,
        "clutter": count[CLUTTER] / observed.num_images,
        "types": tuple((types_of / types_of.sum()).tolist()),
    }  # fmt: skip


def by_person(
    values: Float[Tensor, "n"], person: Int64[Tensor, "n"], kind: Int64[Tensor, "n"], people: PoseSet
) -> Float[Tensor, "P K"]:
    """Values as a table of people and types, NaN where there is none. Not in the paper: bookkeeping."""
    table = torch.full(people.keypoints.shape[:2], torch.nan)
    table[person, kind] = values
    return table


def _apart(observed: Observed) -> float:
    """Distance at which half of the pairs of keypoints of one type that would both be found have merged."""
    q = observed.keypoints
    rows = q.found & (q.rival < _MERGING)
    if int(rows.sum()) < FEWEST:
        return 0.0
    gap, both = q.rival[rows].double(), q.rival_found[rows]
    best = (torch.inf, 0.0)
    for apart in torch.linspace(0.0, _MERGING / 2, 121, dtype=torch.float64).tolist():
        kept = 1 - torch.exp2(-((gap / apart) ** 4)) if apart else torch.ones_like(gap)
        base = both.double().sum() / kept.sum()  # of rivals that are found where nothing merges
        chance = (base * kept).clamp(1e-6, 1 - 1e-6)
        surprise = -torch.where(both, chance, 1 - chance).log().sum()
        best = min(best, (float(surprise), apart))
    return best[1]


def probability(log_odds: float) -> float:
    """Of an event with these log odds. Not in the paper: arithmetic."""
    return 1 / (1 + math.exp(-log_odds))


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))
