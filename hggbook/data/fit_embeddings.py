"""How a detector's embeddings lie within, between and beyond people: the part of a simulation that grouping rests on.

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.data.fit_rates import FEWEST
from hggbook.data.mixed_logit import normal_nodes
from hggbook.data.observe import FOUND, STRAY, Observed, SeenCandidates

_ROUNDS = 6
_NODES = 9  # of the quadrature over the share's random part
_FREEDOM = 4.0  # of Student's t, which the noise is taken for: a few wild candidates do not decide
_LEAST_WIDTH = 1e-3  # of the noise: without any at all the likelihood has no bound
_MOST = 30_000  # rows in the likelihood of blending


@dataclass(frozen=True)
class Blend:
    """How much of the nearest other person's embedding a candidate has: log odds where both are equally near (found
    candidates, strays of missed and of found keypoints), the reach by which they fall, and their standard deviation.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """

    found: float
    stray_missed: float
    stray_found: float
    reach: float
    spread: float

    def share(self, candidates: SeenCandidates) -> Float[Tensor, "N"]:
        """Mean share of the nearest other person in each candidate's embedding."""
        base = torch.tensor([self.found, self.stray_missed, self.stray_found])[_sort(candidates)]
        odds = (base - (candidates.distance - candidates.own) / self.reach).double()
        value, weight = normal_nodes(_NODES)
        share = torch.sigmoid(odds[:, None] + self.spread * value) @ weight.exp()
        return share.float()


@dataclass(frozen=True)
class Inside:
    """Embeddings within people.

    Attributes:
        mean: (P, d) of each person; count: (P,) found candidates behind it.
        slope: (d, 2) change across and down the network input, within a person.
        blend: None if too few candidates lie near other people.
        residual: (N, d) what is left of each candidate's embedding (NaN for those without a person that was measured).
        alone: (N,) candidates in which hardly any other person's embedding is expected.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """

    mean: Float[Tensor, "P d"]
    count: Int64[Tensor, "P"]
    slope: Float[Tensor, "d 2"]
    blend: Blend | None
    residual: Float[Tensor, "N d"]
    alone: Bool[Tensor, "N"]


def fit_inside(observed: Observed) -> Inside:
    """Means of people, the gradient within them and the share of others, each in turn given the rest.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """
    people, c = observed.people, observed.candidates
    m, d = len(people.area), c.embedding.shape[1]
    found = c.what == FOUND
    of = c.person.clamp_min(0)
    count = torch.zeros(m, dtype=torch.int64).index_add_(0, of[found], torch.ones_like(of[found]))
    if not m or not bool(found.any()):
        nothing = torch.full_like(c.embedding, torch.nan)
        return Inside(torch.zeros(m, d), count, torch.zeros(d, 2), None, nothing, torch.zeros_like(found))
    offset = c.offset / people.size[c.image].amax(dim=1, keepdim=True)
    slope, blend, mean = torch.zeros(d, 2), None, torch.zeros(m, d)
    known = (c.other >= 0) & (count[c.other.clamp_min(0)] > 0)
    other = c.other.clamp_min(0)
    share = torch.zeros_like(c.score)
    # Near another person a candidate's offset and that person's share cannot be told apart.
    told_slope = found & (count[of] > 2)
    away = told_slope & (c.distance - c.own > 0.5)
    told_slope = away if int(away.sum()) >= FEWEST else told_slope
    for _ in range(_ROUNDS):
        # A found candidate says of its person's mean: (embedding - what else is in it) / its part of it.
        for _ in range(_ROUNDS):
            own = (1 - share)[:, None]
            told = (c.embedding - offset @ slope.T - share[:, None] * mean[other]) * own
            total = torch.zeros(m, d).index_add_(0, of[found], told[found])
            weight = torch.zeros(m).index_add_(0, of[found], own[found, 0].square())
            mean = total / weight.clamp_min(1e-6)[:, None]
        left = c.embedding - mean[of] - share[:, None] * (mean[other] - mean[of])
        slope = _slope(left, offset, of, told_slope, m)
        left = c.embedding - offset @ slope.T - mean[of]
        usable = known & (count[of] > 1) & (found | (c.what == STRAY))
        blend = _fit_blend(left, mean[other] - mean[of], c, usable)
        share = blend.share(c).masked_fill(~known, 0.0) if blend else torch.zeros_like(share)
    residual = c.embedding - offset @ slope.T - mean[of] - share[:, None] * (mean[other] - mean[of])
    return Inside(mean, count, slope, blend, residual.masked_fill((count[of] < 2)[:, None], torch.nan), share < 0.05)


def _slope(left, offset, person, rows, people):
    """(d, 2) least squares slope of embeddings on offsets, both centred on their person."""
    if int(rows.sum()) < FEWEST:
        return left.new_zeros(left.shape[1], 2)
    of = person[rows]
    number = torch.zeros(people).index_add_(0, of, torch.ones(len(of))).clamp_min(1)[:, None]

    def centred(value):
        return value - (torch.zeros(people, value.shape[1]).index_add_(0, of, value) / number)[of]

    x, y = centred(offset[rows]).double(), centred(left[rows]).double()
    # A weak ridge: where all offsets lie on a line, the other direction stays at 0.
    return torch.linalg.solve(x.T @ x + 1e-6 * torch.eye(2), x.T @ y).T.to(left)


def _fit_blend(left, apart, candidates, rows):
    """Most likely blend of ``left = share x apart + noise``, the share's random part integrated out."""
    near = rows & (candidates.distance - candidates.own < 1.5)
    pick = near.nonzero().squeeze(1)
    if len(pick) < FEWEST:
        return None
    pick = pick[:: -(-len(pick) // _MOST)]
    left, apart = left[pick].double(), apart[pick].double()
    gap = (candidates.distance - candidates.own)[pick].double()
    sort = _sort(candidates)[pick]
    value, weight = normal_nodes(_NODES)
    width = math.log(float(left.abs().median()) + 1e-3)
    start = [-2.0, -2.0, -2.0, width, width, width, math.log(0.2), math.log(0.5)]
    p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([p], max_iter=60, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        odds = p[:3][sort] - gap / p[6].exp()
        share = torch.sigmoid(odds[:, None] + p[7].exp() * value)  # (rows, nodes)
        width = p[3:6].exp()[sort][:, None, None] + _LEAST_WIDTH
        z = (left[:, None] - share[..., None] * apart[:, None]) / width
        density = (-(_FREEDOM + 1) / 2 * torch.log1p(z.square() / _FREEDOM) - width.log()).sum(dim=2)
        cost = -torch.logsumexp(density + weight, dim=1).sum()
        # Priors as weak as a few candidates: without any blending the numbers stay finite.
        prior = ((p[:3] + 2) / 2).square().sum() + (p[3:6] - start[3]).square().sum() / 4
        prior = prior + (p[6] - math.log(0.2)).square() + (p[7] - math.log(0.5)).square()
        cost = (cost + 0.5 * prior) / len(left)
        cost.backward()
        return cost

    with torch.enable_grad():
        optimizer.step(loss)
    found, missed, extra, *_, reach, spread = p.detach().tolist()
    return Blend(found, missed, extra, math.exp(reach), math.exp(spread))


def _sort(candidates):
    """0 found, 1 stray of a missed keypoint, 2 stray of a found one."""
    return torch.where(candidates.what == STRAY, 1 + candidates.matched.long(), 0)
