"""Ways to group the same candidates into people, interchangeable. Paper: sec. 3.2, sec. 4."""

from hggbook.grouping.groupers.ae_greedy import AEGreedy
from hggbook.grouping.groupers.base import Grouper, number_groups
from hggbook.grouping.groupers.oracle import Oracle

__all__ = ["AEGreedy", "Grouper", "Oracle", "number_groups"]
