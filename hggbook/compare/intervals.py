"""How sure a number is: bootstrap intervals over images, and paired differences. Not in the paper: it gives none."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Share = Callable[[Float[Tensor, "R 8"]], Float[Tensor, "R"]]


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def f1_of(counts: Float[Tensor, "R 8"]) -> Float[Tensor, "R"]:
    """Pairwise F1 of summed `image_counts` (rows: sums over images; columns: as `GroupingCounts`)."""
    right, false, missed = counts[:, 0], counts[:, 1], counts[:, 2]
    return 2 * right / (2 * right + false + missed).clamp_min(1)


def perfect_of(counts: Float[Tensor, "R 8"]) -> Float[Tensor, "R"]:
    """Share of people grouped perfectly, of summed `image_counts`."""
    return counts[:, 4] / counts[:, 3].clamp_min(1)


def share_interval(
    counts: Int64[Tensor, "B 8"], share: Share = f1_of, *, repeats: int = 2000, seed: int = 0
) -> Interval:
    """A share over all images, and its interval if other images of the same kind had been drawn.

    Args:
        counts: `image_counts`.
        share: `f1_of` or `perfect_of`.
        repeats: bootstrap samples.
        seed: of the resampling.
    """
    sums = _resampled(counts, repeats, seed)
    return _interval(float(share(counts.sum(0, keepdim=True).float())), share(sums))


def share_samples(
    counts: Int64[Tensor, "B 8"], share: Share = f1_of, *, repeats: int = 400, seed: int = 0
) -> Float[Tensor, "R"]:
    """A share over bootstrap samples of the images; the same seed draws the same samples of the same images."""
    return share(_resampled(counts, repeats, seed))


def paired_difference(
    ours: Int64[Tensor, "B 8"], theirs: Int64[Tensor, "C 8"], share: Share = f1_of, *, repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """How much ``ours`` is ahead of ``theirs`` on the same images: they are resampled together.

    Raises:
        ValueError: counts of different numbers of images.
    """  # fmt: skip
    if ours.shape != theirs.shape:
        raise ValueError(f"paired difference: expected counts of the same images, got {len(ours)} and {len(theirs)}")
    samples = share(_resampled(ours, repeats, seed)) - share(_resampled(theirs, repeats, seed))
    here = share(ours.sum(0, keepdim=True).float()) - share(theirs.sum(0, keepdim=True).float())
    return _interval(float(here), samples)


def _resampled(counts: Int64[Tensor, "B 8"], repeats: int, seed: int) -> Float[Tensor, "R 8"]:
    images = len(counts)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(max(images, 1), (repeats, images), generator=generator)
    weight = torch.zeros(repeats, images).scatter_add_(1, drawn, torch.ones(repeats, images))
    return (weight.double() @ counts.double().cpu()).float()


def _interval(value: float, samples: Float[Tensor, "R"]) -> Interval:
    low, high = torch.quantile(samples, torch.tensor([0.025, 0.975])).tolist()
    return Interval(value, low, high)
