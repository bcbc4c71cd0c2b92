"""Heatmaps: drawing the targets, finding the peaks, placing a peak between cells.

Cell ``c`` of a map of stride ``s`` lies at input pixel ``(c + 0.5) * s - 0.5``; a keypoint at ``x`` lies in cell
``floor((x + 0.5) / s)``.
"""

import math
from functools import reduce

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

SUBPIXEL = ("none", "quarter", "taylor", "ae")


def to_cells(xy: Float[Tensor, "*rows 2"], stride: int) -> Float[Tensor, "*rows 2"]:
    """Input pixels to map cells, fractional; an integer is a cell's centre. Not in the paper: our coordinate frame."""
    return (xy + 0.5) / stride - 0.5


def to_pixels(cells: Float[Tensor, "*rows 2"], stride: int) -> Float[Tensor, "*rows 2"]:
    """Map cells, fractional, to input pixels: the inverse of `to_cells`. Not in the paper: our coordinate frame."""
    return (cells + 0.5) * stride - 0.5


def keypoint_cell(xy: Float[Tensor, "*rows 2"], stride: int, truncate: bool = False) -> Int64[Tensor, "*rows 2"]:
    """The cell (column, row) a keypoint belongs to; it may lie outside the map.

    By default the cell that contains the keypoint. With ``truncate`` the AE code's rule: it carries keypoints into
    the map by the input's own affine transform divided by ``stride``, so its map coordinate is ``x / stride``, and cuts
    that to a whole cell towards zero. At stride 4 that coordinate is an eighth of a cell below ours (one keypoint in
    eight falls into the cell before), and cell 0 also takes what lies up to one cell outside on the left and above.

    Args:
        xy: (..., 2) input pixels.
        stride: input pixels per cell.
        truncate: the AE code's rule.

    Returns:
        (..., 2) int64.

    Paper: sec. 3.3 (through [29]).
    """
    return torch.trunc(xy / stride).long() if truncate else torch.floor((xy + 0.5) / stride).long()


def render(
    keypoints: Float[Tensor, "M K 3"],
    batch: Int64[Tensor, "M"],
    num_images: int,
    map_size: tuple[int, int],
    stride: int,
    *,
    sigma: float = 2.0,
    truncate: bool = False,
) -> Float[Tensor, "B K h w"]:
    """Target heatmaps: a Gaussian of height 1 at every labelled keypoint, the maximum over people.

    Args:
        keypoints: (M, K, 3) x, y in input pixels and visibility; all with visibility > 0 are drawn, seen or occluded.
        batch: (M,) image of each person.
        num_images: B.
        map_size: h, w in cells.
        stride: input pixels per cell.
        sigma: of the Gaussian, in cells.
        truncate: draw at the centre of the AE code's cell (`keypoint_cell`) instead of at the exact position.

    Returns:
        (B, K, h, w) in [0, 1], on the keypoints' device. A keypoint whose own cell is outside the map leaves nothing.

    Choice: the exact position, because a truncated centre is wrong by up to a cell and teaches sub-pixel refinement
    nothing. Choice: a Gaussian is drawn on the (6 sigma + 3)-cell square around its cell (15 x 15 for sigma 2), as in
    the AE code: what lies farther out is below 0.003, and the work does not grow with the map.

    Paper: sec. 3.3 (heatmaps as in [29]).
    """
    height, width = map_size
    num_types = keypoints.shape[1]
    person, kind = (keypoints[..., 2] > 0).nonzero(as_tuple=True)
    xy = keypoints[person, kind, :2]
    cell = keypoint_cell(xy, stride, truncate)
    inside = in_map(cell, map_size)
    person, kind, cell = person[inside], kind[inside], cell[inside]
    centre = cell.to(xy.dtype) if truncate else to_cells(xy[inside], stride)

    radius = int(3 * sigma + 1)
    reach = torch.arange(-radius, radius + 1, device=xy.device)
    column = cell[:, :1] + reach  # (R, 15)
    row = cell[:, 1:] + reach
    across = torch.exp(-((column - centre[:, :1]) ** 2) / (2 * sigma**2))
    down = torch.exp(-((row - centre[:, 1:]) ** 2) / (2 * sigma**2))
    value = down[:, :, None] * across[:, None, :]  # (R, 15, 15)
    drawn = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
    plane = (batch[person] * num_types + kind)[:, None, None]
    index = (plane * height + row[:, :, None]) * width + column[:, None, :]

    flat = xy.new_zeros(num_images * num_types * height * width)
    flat.scatter_reduce_(0, index[drawn], value[drawn], "amax")
    return flat.view(num_images, num_types, height, width)


def in_map(cell: Int64[Tensor, "*rows 2"], map_size: tuple[int, int]) -> Bool[Tensor, "*rows"]:
    """True where a cell (column, row) lies on a map of ``map_size`` = h, w. Not in the paper: bookkeeping."""
    height, width = map_size
    return (cell >= 0).all(-1) & (cell[..., 0] < width) & (cell[..., 1] < height)


def shrink_mask(mask: Bool[Tensor, "B H W"], stride: int) -> Bool[Tensor, "B h w"]:
    """An input mask at map resolution: a cell counts if more than half of its pixels do (the AE code's threshold).

    Args:
        mask: (B, H, W), H and W multiples of ``stride``.
        stride: input pixels per cell.

    Returns:
        (B, H / stride, W / stride).

    Paper: sec. 3.3 (through [29]).
    """
    return F.avg_pool2d(mask[:, None].float(), stride)[:, 0] > 0.5


def nms(heatmaps: Float[Tensor, "B K h w"], kernel: int = 3) -> Bool[Tensor, "B K h w"]:
    """Keypoint NMS: the local maxima of each map.

    A cell is a peak if nothing in the ``kernel`` x ``kernel`` window around it is higher and nothing *before* it in
    row-major order in that window is as high. So a plateau of equal values has no two peaks within a window of each
    other, and a rectangular one has exactly one, its first cell.

    Args:
        heatmaps: (B, K, h, w), no NaN.
        kernel: odd window size in cells; 1 makes every cell a peak.

    Returns:
        (B, K, h, w) True at peaks.

    Raises:
        ValueError: even or non-positive kernel.

    Choice: the tie rule; the AE code keeps every cell of a plateau.

    Paper: sec. 3.3 ("keypoint NMS").
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"nms kernel: expected an odd number of cells, got {kernel}")
    r = kernel // 2
    if r == 0:
        return torch.ones_like(heatmaps, dtype=torch.bool)
    height, width = heatmaps.shape[-2:]
    padded = F.pad(heatmaps, (r, r, r, r), value=-math.inf)
    left = _highest(padded, range(r), width, -1)  # in each row, before the cell
    across = torch.maximum(left, _highest(padded, range(r, kernel), width, -1))  # in each row
    above = _highest(across, range(r), height, -2)
    window = _highest(across, range(r, kernel), height, -2)  # the cell's own row and those below
    return (heatmaps > above) & (heatmaps > left[..., r : r + height, :]) & (heatmaps >= window)


def _highest(values, offsets, length, dim):
    """Maximum over ``length`` long pieces that start at each of ``offsets``; several times faster than max pooling."""
    return reduce(torch.maximum, [values.narrow(dim, offset, length) for offset in offsets])


def locate(
    heatmaps: Float[Tensor, "B K h w"],
    batch: Int64[Tensor, "N"],
    type: Int64[Tensor, "N"],
    row: Int64[Tensor, "N"],
    column: Int64[Tensor, "N"],
    stride: int,
    subpixel: str = "quarter",
) -> Float[Tensor, "N 2"]:
    """Position of peaks in input pixels, refined between cells.

    Args:
        heatmaps: (B, K, h, w).
        batch, type, row, column: (N,) image, keypoint type and cell of each peak.
        stride: input pixels per cell.
        subpixel: ``none``: the cell's centre. ``quarter``: a quarter of a cell towards the larger neighbour, along each
            axis; equal neighbours, or a neighbour off the map, mean no move. ``taylor``: the top of the parabola
            through the logarithm of the cell and its two neighbours, along each axis, at most half a cell away: exact
            for a Gaussian. ``ae``: the AE code's rule: a quarter towards the larger neighbour, towards the smaller
            index on ties, a neighbour off the map replaced by the cell itself; then half a cell is added and the
            result multiplied by the stride, which is half a pixel more than in our frame.

    Returns:
        (N, 2) x, y float32, no gradient.

    Raises:
        ValueError: unknown rule.

    Paper: sec. 3.3 ("parse the heatmaps", as in [29]).
    """
    if subpixel not in SUBPIXEL:
        raise ValueError(f"subpixel: expected one of {SUBPIXEL}, got {subpixel!r}")
    cell = torch.stack([column, row], dim=1)
    if subpixel == "none":
        return to_pixels(cell.float(), stride)
    height, width = heatmaps.shape[-2:]

    def value(rows, columns):
        return heatmaps.detach()[batch, type, rows.clamp(0, height - 1), columns.clamp(0, width - 1)].float()

    lower = torch.stack([value(row, column - 1), value(row - 1, column)], dim=1)
    upper = torch.stack([value(row, column + 1), value(row + 1, column)], dim=1)
    if subpixel == "ae":
        return (cell + torch.where(upper > lower, 0.25, -0.25) + 0.5) * stride
    if subpixel == "quarter":
        offset = 0.25 * torch.sign(upper - lower)
    else:
        lower, here, upper = (v.clamp(min=1e-6).log() for v in (lower, value(row, column)[:, None], upper))
        bend = upper + lower - 2 * here
        curved = bend < -1e-6
        offset = torch.where(curved, 0.5 * (lower - upper) / torch.where(curved, bend, -1), 0).clamp(-0.5, 0.5)
    border = torch.stack([(column == 0) | (column == width - 1), (row == 0) | (row == height - 1)], dim=1)
    return to_pixels(cell + offset.float().masked_fill(border, 0), stride)
