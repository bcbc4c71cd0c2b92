"""The keypoint proposal network and what turns its maps into candidates. Paper: sec. 3.3."""

from hggbook.detector.ae_checkpoint import load_ae_checkpoint, without_unused_outputs
from hggbook.detector.efficientnet import EfficientNet, installed_imagenet, load_imagenet
from hggbook.detector.heatmaps import keypoint_cell, locate, nms, render, shrink_mask, to_cells, to_pixels
from hggbook.detector.hourglass import Hourglass
from hggbook.detector.proposals import propose, rank_in_group

__all__ = [
    "EfficientNet",
    "Hourglass",
    "installed_imagenet",
    "keypoint_cell",
    "load_ae_checkpoint",
    "load_imagenet",
    "locate",
    "nms",
    "propose",
    "rank_in_group",
    "render",
    "shrink_mask",
    "to_cells",
    "to_pixels",
    "without_unused_outputs",
]
