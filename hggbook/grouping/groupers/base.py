"""What every grouper has in common."""

from typing import Protocol

import torch
from jaxtyping import Int64
from torch import Tensor

from hggbook.types import Candidates, PairScores


class Grouper(Protocol):
    """Decides which candidates are one person.

    A callable that takes candidates and, if it wants them, pairwise scores, and returns for each candidate the number
    of its person: (N,) int64, consecutive from 0 over the batch and non-decreasing from image to image, -1 for a
    candidate it leaves out. A batch and its images one by one give the same groups.

    Paper: sec. 3.2 (grouping), sec. 4 (comparison with associative embedding).
    """

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]: ...


def number_groups(group: Int64[Tensor, "N"]) -> Int64[Tensor, "N"]:
    """The same groups, numbered from 0 in the order of their first candidate; negative stays -1.

    Candidates are ordered by image, so groups that stay within images come out numbered image by image.

    Not in the paper: bookkeeping.
    """
    kept = group >= 0
    ids, row = torch.unique(group[kept], return_inverse=True)
    position = torch.arange(len(row), device=group.device)
    first = torch.full_like(ids, len(row)).scatter_reduce(0, row, position, "amin")
    number = torch.empty_like(ids)
    number[torch.argsort(first)] = torch.arange(len(ids), device=group.device)
    return torch.full_like(group, -1).masked_scatter(kept, number[row])
