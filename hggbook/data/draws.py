"""Random numbers that depend on what they are drawn for, and distributions made of them. What `simulate` draws with.

Not in the paper: see `hggbook.data.simulate`.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.simulation import QUANTILES, Numbers
from hggbook.grouping.graph import scramble


class Draws:
    """Random numbers (M, K) that depend on (seed, image id, person in image, keypoint type, name) alone.

    Attributes:
        image: (B,), person: (M,), keypoint: (M, K) keys; the last one is used where no key is given.

    Not in the paper: see `hggbook.data.simulate`.
    """

    def __init__(self, poses: PoseSet, seed: int):
        device = poses.keypoints.device
        m, k = poses.keypoints.shape[:2]
        number = torch.bincount(poses.batch, minlength=len(poses.image_id))
        local = torch.arange(m, device=device) - (number.cumsum(0) - number)[poses.batch]
        self.image = scramble(scramble(poses.image_id) + seed)
        self.person = scramble(self.image[poses.batch] + local)
        self.keypoint = scramble(self.person[:, None] + torch.arange(1, k + 1, device=device))

    def uniform(self, name: str, key: Int64[Tensor, "*any"] | None = None) -> Float[Tensor, "*shape"]:
        """Uniform in [0, 1); ``name``, of at most 7 letters, tells draws for the same key apart."""
        key = self.keypoint if key is None else key
        bits = scramble(key + int.from_bytes(name.encode().ljust(7), "little"))
        return ((bits >> 20) & 0xFFFFFF).float() / 0x1000000

    def normal(self, name: str, key: Int64[Tensor, "*any"] | None = None) -> Float[Tensor, "*shape"]:
        """Standard normal; ``name`` of at most 6 letters."""
        radius = (-2 * torch.log(self.uniform(name + "r", key).clamp_min(2.0**-24))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(name + "a", key))


def at_quantile(table: Numbers, probability: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Value of a table of quantiles at each probability, linear between entries, the outermost entry beyond them.

    Not in the paper: see `hggbook.data.simulation.QUANTILES`.
    """
    place = probability.new_tensor(QUANTILES)
    value = probability.new_tensor(table)
    p = probability.clamp(QUANTILES[0], QUANTILES[-1])
    after = torch.searchsorted(place, p.contiguous()).clamp(1, len(QUANTILES) - 1)
    share = (p - place[after - 1]) / (place[after] - place[after - 1])
    return value[after - 1] + share * (value[after] - value[after - 1])


def correlated(one: Float[Tensor, "*s"], other: Float[Tensor, "*s"], correlation: float) -> Float[Tensor, "*s"]:
    """Probabilities in (0, 1), uniform, whose normal scores have this correlation with ``one``.

    Args:
        one, other: independent standard normal numbers.

    Not in the paper: a Gaussian copula.
    """
    return torch.special.ndtr(correlation * one + math.sqrt(1 - correlation**2) * other)


def by_type(values: Numbers, neutral: float, num_types: int, name: str) -> Float[Tensor, "K"]:
    """(K,) numbers by keypoint type; all neutral if none are given.

    Raises:
        ValueError: numbers for another number of types.
    """
    if values and len(values) != num_types:
        raise ValueError(f"simulation {name}: expected {num_types} numbers, one for each type, got {len(values)}")
    return torch.tensor(values or [neutral] * num_types)
