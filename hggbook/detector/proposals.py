"""From maps to keypoint candidates: "apply keypoint NMS and parse the heatmaps"."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.detector.heatmaps import locate, nms
from hggbook.types import Candidates, Maps


def propose(
    maps: Maps,
    *,
    threshold: float = 0.1,
    per_type: int = 30,
    kernel: int = 3,
    subpixel: str = "quarter",
    limit: int = 400,
    stack: int = -1,
    size: Float[Tensor, "B 2"] | None = None,
) -> Candidates:
    """Keypoint candidates: the best peaks of each type's heatmap, with the embedding found there.

    Which cells are peaks, and where, carries no gradient; the score and the embedding read at them do.

    Args:
        maps: what the detector gave.
        threshold: a candidate's score is above it.
        per_type: most candidates of one type in one image, best scores first.
        kernel: window of the NMS, in cells.
        subpixel: how a peak is placed between cells (`heatmaps.locate`).
        limit: most candidates in one image, best scores first; bounds the graph.
        stack: which stack's maps are read.
        size: (B, 2) width, height of the network input in pixels; by default that of the maps.

    Returns:
        `Candidates` ordered by image, type, falling score, row-major cell: a total order, so equal scores give the same
        result in any batch and on any device. Where equal scores meet a limit, the smaller type, then the earlier cell
        stays.

    Raises:
        ValueError: a map of that stack holds a value that is not finite, a count below 1, or a bad kernel or rule.

    Choice: the cell's embedding is read in the candidate's own type's map, without interpolation, as in the AE code.

    Paper: sec. 3.3.
    """
    if per_type < 1 or limit < 1:
        raise ValueError(f"propose: expected per_type and limit to be at least 1, got {per_type} and {limit}")
    heatmaps, embeddings = maps.heatmaps[:, stack], maps.embeddings[:, stack]
    for name, values in (("heatmaps", heatmaps), ("embeddings", embeddings)):
        if not torch.isfinite(values.detach().sum()):  # the sum is far cheaper to look at than every value
            bad = (~torch.isfinite(values)).flatten(1).any(1).nonzero()[:, 0].tolist()
            if bad:
                raise ValueError(f"{name}: expected finite numbers, got NaN or infinity in images {bad}")
    images, num_types, height, width = heatmaps.shape

    with torch.no_grad():
        batch, type, row, column = (nms(heatmaps, kernel) & (heatmaps > threshold)).nonzero(as_tuple=True)
        score = heatmaps[batch, type, row, column]
        order, rank = rank_in_group(batch * num_types + type, score)
        order = order[rank < per_type]
        best, rank = rank_in_group(batch[order], score[order])
        order = order[best[rank < limit].sort().values]
        batch, type, row, column = batch[order], type[order], row[order], column[order]
        xy = locate(heatmaps, batch, type, row, column, maps.stride, subpixel)
        if size is None:
            size = xy.new_tensor([width * maps.stride, height * maps.stride]).repeat(images, 1)
    return Candidates(
        xy=xy,
        type=type,
        score=heatmaps[batch, type, row, column],
        embedding=embeddings[batch, type, :, row, column],
        batch=batch,
        size=size,
    )


def rank_in_group(
    group: Int64[Tensor, "N"], score: Float[Tensor, "N"]
) -> tuple[Int64[Tensor, "N"], Int64[Tensor, "N"]]:
    """Rows sorted by group, then falling score, then row number; and each sorted row's place in its group, from 0.

    Args:
        group: (N,) any integers.
        score: (N,) no NaN.

    Returns:
        order: (N,) row numbers in sorted order. rank: (N,) place of ``order``'s rows within their group.

    Not in the paper: bookkeeping.
    """
    order = torch.sort(score.detach(), descending=True, stable=True).indices
    order = order[torch.sort(group[order], stable=True).indices]
    sorted_group = group[order]
    first = torch.searchsorted(sorted_group, sorted_group)  # where each row's group starts
    return order, torch.arange(len(group), device=group.device) - first
