"""The upper bound: grouping by the annotations."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from hggbook.grouping.groupers.base import number_groups
from hggbook.types import Candidates, PairScores, Targets


@dataclass(frozen=True)
class Oracle:
    """Groups the candidates by the annotated person each belongs to; what is left to lose is the detector's.

    A duplicate and a background candidate become a person of their own each, as a perfect grouper without a way to
    reject candidates would leave them.

    Attributes:
        targets: what each candidate really is, of exactly the candidates that are grouped.

    Not in the paper: an upper bound to read the other groupers against.
    """

    targets: Targets

    def __call__(self, candidates: Candidates, scores: PairScores | None = None) -> Int64[Tensor, "N"]:
        """Person of each candidate, none left out; ``scores`` is not looked at.

        Raises:
            ValueError: targets of another number of candidates.
        """
        person = self.targets.person
        if len(person) != len(candidates):
            raise ValueError(f"oracle: expected targets of {len(candidates)} candidates, got {len(person)}")
        alone = len(self.targets.batch) + torch.arange(len(person), device=person.device)
        return number_groups(torch.where(person >= 0, person, alone))
