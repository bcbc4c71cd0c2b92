"""What the keypoints of a person have in common: logistic regression with an effect of each group of rows, and how far
what is left goes together.

Not in the paper: see `hggbook.data.fit_simulation`.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import logsigmoid

_NODES = 15  # of the Gauss-Hermite quadrature over a group's effect
_REACHES = tuple(0.04 * 2 ** (i / 4) for i in range(24))


def normal_nodes(count: int) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Values and log weights (float64) with which an average over a standard normal number is taken.

    Not in the paper: Gauss-Hermite quadrature.
    """
    value, weight = np.polynomial.hermite_e.hermegauss(count)
    return torch.from_numpy(value), torch.from_numpy(np.log(weight / weight.sum()))


def fit_log_odds(
    design: Float[Tensor, "Q C"],
    outcome: Bool[Tensor, "Q"],
    group: Int64[Tensor, "Q"],
    prior: Float[Tensor, "C"],
) -> tuple[Float[Tensor, "C"], float]:
    """Log odds of an outcome as a weighted sum of covariates plus a normal effect of each group.

    Maximises the marginal likelihood of the groups (the effect is integrated out), with normal priors on the weights,
    so that what the data do not speak of stays at 0.

    Args:
        design: (Q, C) covariates, float64.
        outcome: (Q,) whether it happened.
        group: (Q,) any integers.
        prior: (C,) standard deviation of each weight's prior, float64.

    Returns:
        (C,) weights, float64, and the standard deviation of the groups' effects.

    Not in the paper: see `hggbook.data.fit_simulation`.
    """
    row = torch.unique(group, return_inverse=True)[1]
    groups = int(row.max()) + 1 if len(row) else 0
    value, weight = normal_nodes(_NODES)
    sign = torch.where(outcome, 1.0, -1.0).double()[:, None]
    parameters = torch.zeros(design.shape[1] + 1, dtype=torch.float64)
    parameters[-1] = 0.5  # at 0 the likelihood is flat in it
    parameters.requires_grad_()
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        odds = (design @ parameters[:-1])[:, None] + parameters[-1] * value
        by_group = odds.new_zeros(groups, _NODES).index_add(0, row, logsigmoid(sign * odds))
        likelihood = torch.logsumexp(by_group + weight, dim=1).sum()
        cost = 0.5 * (parameters[:-1] / prior).square().sum() + 0.5 * parameters[-1].square() / 4 - likelihood
        cost = cost / max(len(row), 1)
        cost.backward()
        return cost

    with torch.enable_grad():
        optimizer.step(loss)
    return parameters.detach()[:-1], abs(float(parameters.detach()[-1]))


def mean_probability(log_odds: Float[Tensor, "Q"], spread: float) -> Float[Tensor, "Q"]:
    """Probability where a normal effect of that standard deviation is added to the log odds. All float64.

    Not in the paper: Gauss-Hermite quadrature.
    """
    value, weight = normal_nodes(_NODES)
    return torch.sigmoid(log_odds[:, None] + spread * value) @ weight.exp()


def fit_reach(values: Float[Tensor, "P K"], distance: Float[Tensor, "P K K"]) -> float:
    """How far numbers of a person go together: products over pairs of keypoints as a + b exp(-distance / reach).

    Args:
        values: (P, K) of mean 0 and one scale; NaN where there is none.
        distance: (P, K, K) between a person's keypoints.

    Returns:
        The reach of least squared error; 0 if nearer keypoints do not go together more (or there are too few pairs).

    Not in the paper: see `hggbook.data.fit_simulation`.
    """
    first, second = torch.triu_indices(values.shape[1], values.shape[1], offset=1)
    product = (values[:, first] * values[:, second]).flatten().double()
    gap = distance[:, first, second].flatten().double()
    told = torch.isfinite(product) & torch.isfinite(gap)
    product, gap = product[told], gap[told]
    if len(product) < 100:
        return 0.0
    best, least = 0.0, torch.inf
    for reach in _REACHES:
        near = torch.exp(-gap / reach)
        x, y = near - near.mean(), product - product.mean()
        slope = (x @ y) / (x @ x).clamp_min(1e-12)
        error = float((y - slope * x).square().sum())
        if slope > 0 and error < least:
            best, least = reach, error
    return best
