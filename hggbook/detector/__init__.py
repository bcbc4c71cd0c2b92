"""The keypoint proposal network and what turns its maps into candidates. Paper: sec. 3.3."""

from hggbook.detector.ae_checkpoint import load_ae_checkpoint
from hggbook.detector.heatmaps import keypoint_cell, locate, nms, render, shrink_mask, to_cells, to_pixels
from hggbook.detector.hourglass import Hourglass
from hggbook.detector.proposals import propose, rank_in_group
from hggbook.detector.resnet import ResNet

__all__ = [
    "Hourglass",
    "ResNet",
    "keypoint_cell",
    "load_ae_checkpoint",
    "locate",
    "nms",
    "propose",
    "rank_in_group",
    "render",
    "shrink_mask",
    "to_cells",
    "to_pixels",
]
