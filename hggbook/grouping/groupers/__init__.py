"""Ways to group the same candidates into people, interchangeable. Paper: sec. 3.2, sec. 4."""

from hggbook.grouping.groupers.ae_greedy import AEGreedy
from hggbook.grouping.groupers.base import Grouper, number_groups
from hggbook.grouping.groupers.contraction import Contraction
from hggbook.grouping.groupers.greedy_bones import GreedyBones
from hggbook.grouping.groupers.multicut import Multicut, multicut_value
from hggbook.grouping.groupers.oracle import Oracle
from hggbook.grouping.groupers.scores import embedding_scores, round_scores
from hggbook.grouping.groupers.spectral import Spectral

__all__ = [
    "AEGreedy",
    "Contraction",
    "GreedyBones",
    "Grouper",
    "Multicut",
    "Oracle",
    "Spectral",
    "embedding_scores",
    "multicut_value",
    "number_groups",
    "round_scores",
]
