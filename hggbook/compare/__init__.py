"""Groupers side by side on the same candidates: on images by AP, on labelled candidates by pairs and people."""

from hggbook.compare.candidates import Contender, Measured, calibrate_contender, hgg_contender, measure
from hggbook.compare.contenders import contenders_of
from hggbook.compare.discriminators import (
    EdgeScores,
    MergeScores,
    Reliability,
    discriminator_scores,
    reliability,
)
from hggbook.compare.images import Score, calibrate, compare, groupers_of
from hggbook.compare.intervals import Interval, f1_of, paired_difference, perfect_of, share_interval

__all__ = [
    "Contender", "EdgeScores", "Interval", "Measured", "MergeScores", "Reliability", "Score", "calibrate",
    "calibrate_contender", "compare", "contenders_of", "discriminator_scores", "f1_of", "groupers_of",
    "hgg_contender", "measure", "paired_difference", "perfect_of", "reliability", "share_interval",
]  # fmt: skip
