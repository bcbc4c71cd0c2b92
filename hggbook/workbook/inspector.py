"""Layers of one picture on its way from pixels to people: what notebook 12 lets a reader page through."""

import numpy as np
import torch
from matplotlib.axes import Axes

from hggbook import viz
from hggbook.predict import Seen
from hggbook.skeleton import Skeleton

LAYERS = ("picture", "network input", "heatmap", "candidates", "edges", "people")
ALL_TYPES = "all types"


def draw_layer(ax: Axes, seen: Seen, skeleton: Skeleton, layer: str, *, kind: str = ALL_TYPES, round: int = 1) -> str:
    """Draws one layer of a picture, and says in a sentence or two what is to be seen.

    Args:
        layer: one of `LAYERS`. ``picture`` and ``people`` are drawn in pixels of the picture, the others in those of
            the network input.
        kind: of a heatmap and of candidates: a keypoint type, or `ALL_TYPES` for the largest value over all.
        round: of the edges, from 1; beyond the last one, what is left.

    Raises:
        ValueError: no such layer or type.

    Paper: fig. 2.
    """
    if layer not in LAYERS:
        raise ValueError(f"layer: expected one of {', '.join(LAYERS)}, got {layer!r}")
    if kind != ALL_TYPES and kind not in skeleton.keypoints:
        raise ValueError(f"kind: expected {ALL_TYPES!r} or one of {', '.join(skeleton.keypoints)}, got {kind!r}")
    height, width = seen.image.shape[:2]
    candidates, grouping = seen.output.candidates, seen.output.grouping
    if layer == "picture":
        viz.draw_image(ax, seen.image)
        return f"The picture: {width} x {height} pixels."
    if layer == "people":
        viz.draw_image(ax, seen.image, fade=0.25)
        viz.draw_poses(ax, seen.poses, skeleton)
        return viz.describe_poses(seen.poses)
    side = seen.batch.images.shape[-1]
    viz.draw_image(ax, seen.batch.images[0], fade={"network input": 0.0, "heatmap": 0.0}.get(layer, 0.5))
    if layer == "network input":
        padding = 1 - width * height / max(width, height) ** 2
        return f"The network input: {side} x {side} pixels, {padding:.0%} of them padding."
    if layer == "edges":
        level = min(round - 1, len(grouping.levels))
        viz.draw_graph_level(ax, candidates, grouping, level, most=300)
        if level < len(grouping.levels):
            return viz.describe_level(grouping, level)
        return f"After the last round: {len(grouping.person.unique())} nodes are left, each a person."
    number = None if kind == ALL_TYPES else skeleton.keypoints.index(kind)
    mine = torch.ones_like(candidates.type, dtype=torch.bool) if number is None else candidates.type == number
    name = kind.replace("_", " ")
    if layer == "candidates":
        chosen = candidates.replace(
            xy=candidates.xy[mine], type=candidates.type[mine], score=candidates.score[mine],
            embedding=candidates.embedding[mine], batch=candidates.batch[mine],
        )  # fmt: skip
        viz.draw_candidates(ax, chosen)
        best = f"; the highest score is {chosen.score.max():.2f}" if len(chosen) else ""
        return f"Candidates, {name}: {len(chosen)}{best}."
    heat = seen.output.maps.heatmaps[0, -1]
    heat = heat.amax(dim=0) if number is None else heat[number]
    heat = heat.clamp(0, 1).numpy()
    shown = np.ma.masked_less(heat, 0.02)  # the picture stays visible where nothing is seen
    ax.imshow(shown, cmap="cividis", vmin=0, vmax=1, alpha=0.85, extent=(-0.5, side - 0.5, side - 0.5, -0.5), zorder=1)
    return f"Heatmap, {name}: the highest value is {heat.max():.2f}, and {int(mine.sum())} candidates come from it."
