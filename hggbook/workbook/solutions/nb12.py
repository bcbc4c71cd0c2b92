"""Solutions of notebook 12, your own images. Written for reading: plain loops, one step a line."""

import math

import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution

STRIDE = 4  # input pixels per cell of a heatmap
STEP = 64  # the side of a network input must be a multiple of this: four halvings of a map of stride 4


def to_photo(x: float, y: float, width: int, height: int, size: int) -> tuple[float, float]:
    """A place in the network input as a place in the photograph. Not in the paper: geometry of the AE code base.

    Args:
        x, y: in the input of ``size`` x ``size`` pixels, an integer being a pixel's centre.
        width, height: of the photograph in pixels.

    Returns:
        x and y in the photograph, an integer being a pixel's centre.
    """
    scale = size / max(width, height)  # the long side fits
    left, top = (size - scale * width) / 2, (size - scale * height) / 2  # padding
    return (x + 0.5 - left) / scale - 0.5, (y + 0.5 - top) / scale - 0.5


def average_views(heat: Tensor, mirrored: Tensor, swap: list[int]) -> Tensor:
    """Mean of the heatmaps of an image and of its mirror image, in the frame of the image. Paper: sec. 4.1.

    Args:
        heat: (K, h, w) of the image.
        mirrored: (K, h, w) of the mirror image, as the network gave them.
        swap: for each keypoint type the type that it becomes in a mirror.

    Returns:
        (K, h, w).
    """
    back = torch.stack([mirrored[swap[k]] for k in range(len(swap))])
    return (heat + back.flip(-1)) / 2


def upright(image: Tensor, tag: int) -> Tensor:
    """A stored image as its orientation tag says that it is to be seen. Not in the paper: how cameras store images.

    Args:
        image: (h, w).
        tag: 1 to 8, where the first row and the first column of what is stored are seen.

    Returns:
        (h, w), or (w, h) for the tags 5 to 8.
    """
    if tag in (5, 6, 7, 8):  # the first stored row is a column of what is seen
        image = image.T
    if tag in (2, 3, 6, 7):  # the first column is on the right
        image = image.flip(1)
    if tag in (3, 4, 7, 8):  # the first row is at the bottom
        image = image.flip(0)
    return image


def needed_side(person: float, long_side: float, cells: float) -> int:
    """The smallest network input at which a person is so many cells high. Not in the paper: arithmetic.

    Args:
        person: height of the person in the photograph, pixels.
        long_side: of the photograph, pixels.
        cells: of a heatmap that the person must be high, at least.

    Returns:
        Side of the input in pixels, a multiple of 64.
    """
    side = cells * STRIDE * long_side / person
    return math.ceil(side / STEP) * STEP


def _corners(x, y, width, height, size):
    scale = size / max(width, height)
    left, top = (size - scale * width) / 2, (size - scale * height) / 2
    return (x - left) / scale, (y - top) / scale


def _no_padding(x, y, width, height, size):
    scale = size / max(width, height)
    return (x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5


def _stretched(x, y, width, height, size):
    return (x + 0.5) * width / size - 0.5, (y + 0.5) * height / size - 0.5


def _short_side(x, y, width, height, size):
    scale = size / min(width, height)
    left, top = (size - scale * width) / 2, (size - scale * height) / 2
    return (x + 0.5 - left) / scale - 0.5, (y + 0.5 - top) / scale - 0.5


def _shifted(heat, mirrored, swap):
    back = torch.stack([mirrored[swap[k]] for k in range(len(swap))]).flip(-1)
    return (heat + back.roll(1, -1)) / 2


def _tags(right, bottom):
    def turn(image, tag):
        image = image.T if tag > 4 else image
        image = image.flip(1) if tag in right else image
        return image.flip(0) if tag in bottom else image

    return turn


def _not_a_multiple(person, long_side, cells):
    return math.ceil(cells * STRIDE * long_side / person)


def _rounded(person, long_side, cells):
    return round(cells * STRIDE * long_side / person / STEP) * STEP


SOLUTIONS = {
    "12.e1": Solution(
        to_photo,
        {
            "integers are corners": _corners,
            "no padding": _no_padding,
            "stretched to the square": _stretched,
            "the short side fits": _short_side,
        },
    ),
    "12.e2": Solution(
        average_views,
        {
            "left and right not swapped": lambda heat, mirrored, swap: (heat + mirrored.flip(-1)) / 2,
            "not flipped back": lambda heat, mirrored, swap: (heat + mirrored[swap]) / 2,
            "upside down": lambda heat, mirrored, swap: (heat + mirrored[swap].flip(-2)) / 2,
            "the sum": lambda heat, mirrored, swap: heat + mirrored[swap].flip(-1),
            "one cell off": _shifted,
        },
    ),
    "12.e3": Solution(
        upright,
        {
            "as it is stored": lambda image, tag: image,
            "6 and 8 the wrong way round": _tags((2, 3, 8, 7), (3, 4, 7, 6)),
            "5 and 7 as if not mirrored": _tags((2, 3, 6, 5), (3, 4, 7, 8)),
            "only turned, never mirrored": _tags((3, 6), (3, 8)),
        },
    ),
    "12.e4": Solution(
        needed_side,
        {
            "no multiple of 64": _not_a_multiple,
            "to the nearest multiple": _rounded,
            "pixels for cells": lambda person, long_side, cells: math.ceil(cells * long_side / person / STEP) * STEP,
            "upside down": lambda person, long_side, cells: (
                math.ceil(cells * STRIDE * person / long_side / STEP) * STEP
            ),
        },
    ),
}
