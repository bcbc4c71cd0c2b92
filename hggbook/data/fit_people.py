"""How the embeddings of the people of an image lie to each other: what decides which people are told apart.

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.fit_embeddings import Inside
from hggbook.data.fit_rates import FEWEST
from hggbook.data.simulated_people import along, nearest_person, place_along
from hggbook.data.surroundings import centres
from hggbook.grouping.graph import pairs_within_images

_REACHES = (0.0, 0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.15)
_NEIGHBOURS = 0.15
_MOST_PLACES = 20  # apart in the random order; more people than that are rare


@dataclass(frozen=True)
class Between:
    """Embeddings of people: see the fields of the same names of `hggbook.data.simulation.Simulation`.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """

    ordered: bool
    reach: float
    origin: Float[Tensor, "d"]
    gradient: Float[Tensor, "d 2"]
    step: float
    spread: float
    scale: float
    collide: float
    collide_spread: float
    pairs: int
    nearest_pairs: int


def fit_between(people: PoseSet, inside: Inside, noise: float) -> Between | None:
    """The most likely way in which people got their embeddings, from the differences of all pairs in an image.

    A pair that does not collide differs by what the gradient says of the distance, plus the step times how far apart
    they stand in the order, times the image's factor, plus both spreads; in random order every distance of places is
    weighed by its probability. A pair of which one is the other's nearest collides if just one of the two takes over
    the other's embedding.

    Args:
        people: P people, in the frame of the network input.
        inside: their means.
        noise: standard deviation of a single candidate's embedding, which the means still carry a part of.

    Returns:
        None without enough pairs.

    Choice: of the orders (random; along the gradient, with several reaches) the one that makes the differences
    likeliest.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """
    first, second = pairs_within_images(people.batch, people.num_images)
    told = (inside.count[first] > 1) & (inside.count[second] > 1)
    first, second = first[told], second[told]
    if len(first) < FEWEST:
        return None
    side = people.size[people.batch].amax(dim=1, keepdim=True)
    centre = ((centres(people.keypoints) + 0.5) / side - 0.5).double()
    mean = inside.mean.double()
    apart, shift = mean[second] - mean[first], centre[second] - centre[first]
    start = torch.linalg.lstsq(shift, apart).solution.T  # (d, 2)
    number = torch.bincount(people.batch, minlength=people.num_images)[people.batch]
    nearest, alone = nearest_person(people.keypoints, people.batch, people.num_images)
    nearest = torch.where(alone, -1, nearest)
    takers = (nearest[first] == second).double() + (nearest[second] == first).double()
    carried = noise**2 * (1 / inside.count[first].double() + 1 / inside.count[second].double())
    weight = (inside.count[first] * inside.count[second]).double() * torch.exp(-shift.norm(dim=1) / _NEIGHBOURS)
    weight = weight / weight.mean()
    labelled = (people.keypoints[:, :, 2] > 0).sum(dim=1).clamp_min(1)
    found, tried = (inside.count / labelled).double(), []
    for reach in (None, *_REACHES):  # None: random order
        place = ((number.double() - 1) / 2)[:, None].expand(-1, len(start))
        if reach is not None:
            by_channel = [
                place_along(along(centre, g), found, reach, people.batch, people.num_images)
                for g in start
            ]
            place = torch.stack(by_channel, dim=1)
        places = None if reach is None else place[second] - place[first]
        for step in (0.3, 1.0):
            fit = _likeliest(apart, shift, places, number[first], takers, carried, start, step, weight)
            tried.append((fit[0], reach, place, *fit[1:]))
    _, reach, place, gradient, step, spread, scale, collide, collide_spread = min(tried, key=lambda one: one[0])
    rows = inside.count.double()[:, None]
    origin = ((mean - centre @ gradient.T - step * place) * rows).sum(dim=0) / rows.sum()
    return Between(
        reach is not None, reach or 0.0, origin.float(), gradient.float(), step, spread, scale, collide, collide_spread,
        len(first), int((takers > 0).sum()),
    )  # fmt: skip


def _likeliest(apart, shift, places, number, takers, carried, start, step, weight):
    """Minimises the negative log likelihood of all pairs, from a first gradient and step."""
    d = apart.shape[1]
    if places is None:  # how far apart two of n people stand in a random order, with the log of its probability
        k = torch.arange(-_MOST_PLACES, _MOST_PLACES + 1, dtype=torch.float64)
        n = number.double()[:, None]
        chance = ((n - k.abs()).clamp_min(0) / (n * (n - 1))).masked_fill(k == 0, 0.0)
        chance = (chance / chance.sum(dim=1, keepdim=True)).log()[:, None]  # (pairs, 1, places)
        places = k.view(1, 1, -1)
    else:
        chance, places = torch.zeros(1, 1, 1, dtype=torch.float64), places[..., None]
    spread = math.log(float(apart.std()) / 3 + 1e-3)
    values = [*start.flatten().tolist(), step, spread, -2.0, math.log(0.3), math.log(0.1)]
    p = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([p], max_iter=100, line_search_fn="strong_wolfe")
    cost = apart.new_zeros(())

    def loss():
        nonlocal cost
        optimizer.zero_grad()
        gradient, (step, spread, odds, near, scale) = p[: 2 * d].view(d, 2), p[2 * d :]
        mean = (shift @ gradient.T)[..., None] + step * places
        variance = 2 * spread.exp().square() + (scale.exp() * mean).square() + carried[:, None, None]
        free = _normal(apart[..., None] - mean, variance) + chance
        free = torch.logsumexp(free, dim=2).sum(dim=1)
        taken = _normal(apart, near.exp().square() + carried[:, None]).sum(dim=1)
        collide = torch.sigmoid(odds)
        share = takers * collide * (1 - collide)
        pairs = torch.logaddexp(torch.log1p(-share) + free, (share + 1e-300).log() + taken)
        prior = ((odds + 2) / 2).square() + (near - math.log(0.3)).square() + (spread - math.log(0.2)).square() / 4
        prior = prior + (scale - math.log(0.1)).square()
        cost = (0.5 * prior - (weight * pairs).sum()) / len(apart)
        cost.backward()
        return cost

    with torch.enable_grad():
        optimizer.step(loss)
    gradient, (step, spread, odds, near, scale) = p.detach()[: 2 * d].view(d, 2), p.detach()[2 * d :].tolist()
    collide = 1 / (1 + math.exp(-odds))
    return float(cost.detach()), gradient, step, math.exp(spread), math.exp(scale), collide, math.exp(near)


def _normal(value, variance):
    """Log density of a normal number of mean 0; a least variance keeps it bounded where nothing varies."""
    variance = variance + 1e-6
    return -0.5 * (value.square() / variance + variance.log() + math.log(2 * math.pi))
