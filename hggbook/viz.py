"""Pictures: scenes, candidates, graphs and poses drawn on matplotlib axes, and a sentence that says what is to be seen.

Every ``draw_*`` takes an ``Axes`` and records of one batch, draws **one** image of it and returns nothing. Colour never
carries meaning alone: clusters also differ by marker, and edges by line width.
"""

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from torch import Tensor

from hggbook.skeleton import Skeleton
from hggbook.types import Candidates, Grouping, Level, Poses

# Okabe and Ito's palette, told apart with all common kinds of colour blindness; black and yellow left out (invisible
# on dark and on light pictures).
DISTINCT = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")
NEUTRAL = "#6e6e6e"


def set_style() -> None:
    """Legible figures: one size of text, light grid, no box, the palette of this module. Not in the paper."""
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.labelsize": 11,
            "legend.fontsize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "image.cmap": "cividis",
            "lines.linewidth": 1.8,
            "axes.prop_cycle": mpl.cycler(color=DISTINCT),
        }
    )


def palette(n: int) -> list[tuple[float, float, float]]:
    """``n`` colours as (r, g, b) in [0, 1], all different; the first six are told apart by colour-blind readers.

    Later ones are spread by the golden angle over the hue circle, in three alternating lightnesses.

    Raises:
        ValueError: ``n`` is negative.

    Not in the paper: how pictures are coloured.
    """
    if n < 0:
        raise ValueError(f"palette: expected a number of colours from 0, got {n}")
    colours = [mpl.colors.to_rgb(colour) for colour in DISTINCT[:n]]
    for i in range(n - len(colours)):
        hue = (0.08 + i * 0.61803398875) % 1.0
        saturation, value = ((0.85, 0.62), (0.55, 0.90), (0.95, 0.42))[i % 3]
        colours.append(tuple(float(c) for c in mpl.colors.hsv_to_rgb((hue, saturation, value))))
    return colours


def frame_axes(ax: Axes, width: int | float, height: int | float) -> None:
    """Show the image frame on an axis: y down, equal scale, no ticks; pixel centres at whole numbers.

    Not in the paper: how pictures are drawn.
    """
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(True)
        side.set_color("#bbbbbb")


def draw_image(ax: Axes, image: Float[Tensor, "3 H W"] | UInt8[np.ndarray, "H W 3"], *, fade: int | float = 0) -> None:
    """Draw an image: (3, H, W) in [0, 1] as in `Batch`, or (H, W, 3) uint8 as `data.scenes` gives.

    Args:
        fade: 0 draws it as it is, 1 draws white; so that what is drawn on top stands out.

    Not in the paper: how pictures are drawn.
    """
    if isinstance(image, Tensor):
        pixels = image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    else:
        pixels = image.astype(np.float32) / 255
    ax.imshow(pixels * (1 - fade) + fade, interpolation="nearest" if pixels.shape[1] <= 64 else "antialiased")
    frame_axes(ax, pixels.shape[1], pixels.shape[0])


def _rows(batch: Int64[Tensor, "N"], image: int, num_images: int) -> Int64[Tensor, "n"]:
    if not 0 <= image < num_images:
        raise ValueError(f"image: expected a number from 0 to {num_images - 1}, got {image}")
    return (batch == image).nonzero()[:, 0]


def draw_candidates(
    ax: Axes, candidates: Candidates, image: int = 0, *, group: Int64[Tensor, "N"] | None = None, size: int | float = 46
) -> None:
    """Draw one image's keypoint candidates in network-input pixels.

    Args:
        group: (N,) person, cluster or any other label of each candidate: sets colour and marker, -1 is drawn as a grey
            cross. Without it, colour shows the keypoint type.
        size: area of a marker in square points; a candidate of low score is drawn smaller.

    Raises:
        ValueError: no such image in the batch.

    Paper: sec. 3.1, the vertices of the graph.
    """
    rows = _rows(candidates.batch, image, candidates.num_images)
    frame_axes(ax, *candidates.size[image].tolist())
    label = (candidates.type if group is None else group)[rows].cpu()
    xy = candidates.xy[rows].detach().cpu().numpy()
    area = size * (0.4 + 0.6 * candidates.score[rows].detach().cpu().clamp(0, 1).numpy())
    for order, (value, colour) in enumerate(_colours(label)):
        mine = (label == value).numpy()
        if value < 0:
            ax.scatter(*xy[mine].T, s=area[mine], marker="x", color=NEUTRAL, linewidths=1.4, zorder=3)
        else:
            marker = MARKERS[order % len(MARKERS)] if group is not None else "o"
            ax.scatter(
                *xy[mine].T, s=area[mine], marker=marker, color=[colour], edgecolors="white", linewidths=0.8, zorder=4
            )


def _colours(label: Int64[Tensor, "n"]) -> list[tuple[int, tuple[float, float, float] | str]]:
    """Each label with its colour; negative labels are grey and come last, so that markers count from person 0."""
    values = label.unique().tolist()
    shown = [value for value in values if value >= 0]
    return [*zip(shown, palette(len(shown))), *((value, NEUTRAL) for value in values if value < 0)]


def membership(grouping: Grouping, level: int) -> Int64[Tensor, "N"]:
    """Node of ``levels[level].graph`` that each candidate is in; ``level == len(levels)`` gives the final clusters.

    Raises:
        ValueError: no such level.

    Paper: alg. 1.
    """
    if not 0 <= level <= len(grouping.levels):
        raise ValueError(f"level: expected 0 to {len(grouping.levels)}, got {level}")
    node = torch.arange(grouping.person.shape[0], device=grouping.person.device)
    for earlier in grouping.levels[:level]:
        node = earlier.cluster[node]
    return node


def node_xy(candidates: Candidates, node: Int64[Tensor, "N"], num_nodes: int) -> Float[Tensor, "N_l 2"]:
    """Where a macro-node is drawn: the mean place of its members, in network-input pixels. Not in the paper."""
    total = candidates.xy.new_zeros(num_nodes, 2).index_add(0, node, candidates.xy.detach())
    return total / node.bincount(minlength=num_nodes).clamp(min=1)[:, None]


def draw_graph_level(
    ax: Axes, candidates: Candidates, grouping: Grouping, level: int, image: int = 0, *, most: int = 600
) -> None:
    """Draw one round of OHGC: the graph before it, and which nodes it merges.

    The pairs that this round merges are joined by a thick line. A node that is a macro-node already, or becomes part of
    one in this round, has the colour and marker of the person it ends in, the same in every round; other nodes are grey
    rings. Admissible edges are solid and the darker the higher their score, the others dotted. Macro-nodes lie at the
    mean place of their members and are the larger, the more they have.

    Args:
        candidates: the batch that was grouped.
        grouping: its result.
        level: which round, from 0; ``len(grouping.levels)`` draws the graph that is left.
        image: which image.
        most: largest number of edges drawn; the highest scores are kept. A full graph of 100 candidates has about 4,700
            edges, and drawing them all shows none.

    Raises:
        ValueError: no such level or image.

    Paper: alg. 1, fig. 2.
    """
    node = membership(grouping, level)
    member = _rows(candidates.batch, image, candidates.num_images)
    frame_axes(ax, *candidates.size[image].tolist())
    if len(member) == 0:
        return
    num_nodes = int(node.max()) + 1
    place = node_xy(candidates, node, num_nodes).cpu()
    count = node.bincount(minlength=num_nodes).cpu()
    coloured = count > 1
    if level < len(grouping.levels):
        step: Level = grouping.levels[level]
        merging = (step.cluster.bincount()[step.cluster] > 1).cpu()
        coloured = coloured | merging
        _draw_edges(ax, step, place, image, most)

    mine = node[member].unique().cpu()
    person = grouping.person.new_full((num_nodes,), -1)
    person[node] = grouping.person  # all members of a node end in one person
    person = person.cpu()
    for order, (value, colour) in enumerate(_colours(grouping.person[member].cpu())):
        marker = MARKERS[order % len(MARKERS)] if value >= 0 else "o"
        nodes = mine[(person[mine] == value) & coloured[mine]]
        _draw_nodes(ax, place[nodes], count[nodes], color=colour, marker=marker, edgecolors="white", linewidths=0.9)
        if level < len(grouping.levels):
            _draw_merges(ax, place, step.cluster.cpu(), nodes[merging[nodes]], colour)
    rest = mine[~coloured[mine]]
    _draw_nodes(ax, place[rest], count[rest], color="white", marker="o", edgecolors="#606060", linewidths=1.4)


def _draw_merges(ax, place, cluster, nodes, colour):
    """A thick line through the nodes of every cluster that is made."""
    for value in cluster[nodes].unique():
        xy = place[nodes[cluster[nodes] == value]].T.numpy()
        ax.plot(*xy, color="white", linewidth=5.4, solid_capstyle="round", zorder=3)
        ax.plot(*xy, color=colour, linewidth=3.4, solid_capstyle="round", zorder=3)


def _draw_nodes(ax, place, count, **look):
    ax.scatter(*place.T.numpy(), s=26.0 + 20.0 * count.numpy(), zorder=4, **look)


def _draw_edges(ax, step, place, image, most):
    pair = step.graph.edge_index.cpu()
    rows = (step.graph.batch.cpu()[pair[0]] == image).nonzero()[:, 0]
    score = step.edge_logit.detach().cpu().sigmoid()
    rows = rows[score[rows].argsort(descending=True, stable=True)[:most]].flip(0)  # best on top
    lines = place[pair[:, rows]].permute(1, 0, 2).numpy()
    shade = score[rows].numpy()
    admissible = step.admissible.cpu()[rows].numpy()
    for chosen, style, colour in ((~admissible, ":", "#b0b0b0"), (admissible, "-", "#303030")):
        opacity = np.clip(0.6 * shade[chosen], 0.08, 0.5)
        rgba = [mpl.colors.to_rgba(colour, alpha) for alpha in opacity]
        width = 0.3 + 0.9 * shade[chosen]
        ax.add_collection(LineCollection(lines[chosen], colors=rgba, linewidths=width, linestyles=style, zorder=2))


def draw_poses(ax: Axes, poses: Poses, skeleton: Skeleton, image: int = 0, *, min_score: int | float = 0.0) -> None:
    """Draw one image's people in original image pixels: bones of `Skeleton.drawn`, keypoints on top, one colour each.

    A keypoint with score 0 is absent and is not drawn, nor are bones to it. A white rim keeps lines visible on any
    background.

    Args:
        min_score: people whose score is lower are left out.

    Raises:
        ValueError: no such image, or poses of another number of keypoint types than the skeleton has.

    Paper: fig. 5.
    """
    if (given := poses.keypoints.shape[1]) != skeleton.num_types:
        raise ValueError(f"poses: expected the {skeleton.num_types} keypoint types of {skeleton.name}, got {given}")
    rows = _rows(poses.batch, image, poses.num_images)
    rows = rows[poses.score[rows] >= min_score]
    bones = torch.tensor(skeleton.drawn, dtype=torch.int64)
    for order, (row, colour) in enumerate(zip(rows.tolist(), palette(len(rows)))):
        keypoints = poses.keypoints[row].detach().cpu()
        present = keypoints[:, 2] > 0
        whole = bones[present[bones].all(dim=1)]
        lines = keypoints[whole][:, :, :2].numpy()
        for width, shade in ((4.2, "white"), (2.4, colour)):
            ax.add_collection(
                LineCollection(lines, colors=[shade], linewidths=width, capstyle="round", zorder=5 + 2 * order)
            )
        xy = keypoints[present][:, :2].numpy()
        marker = MARKERS[order % len(MARKERS)]
        ax.scatter(*xy.T, s=26, marker=marker, color=[colour], edgecolors="white", linewidths=0.8, zorder=6 + 2 * order)


def describe_candidates(candidates: Candidates, image: int = 0, group: Int64[Tensor, "N"] | None = None) -> str:
    """One sentence for readers who do not see `draw_candidates`. Not in the paper: alt text."""
    rows = _rows(candidates.batch, image, candidates.num_images)
    types = candidates.type[rows].unique().numel()
    text = f"{_count(len(rows), 'keypoint candidate')} of {_count(types, 'type')}"
    if group is None:
        return f"{text}, coloured by keypoint type."
    label = group[rows]
    left_out = int((label < 0).sum())
    sizes = label[label >= 0].unique(return_counts=True)[1].sort(descending=True).values.tolist()
    text += f" in {_count(len(sizes), 'group')}"
    if sizes:
        text += f" of {', '.join(map(str, sizes[:12]))}{' and fewer' if len(sizes) > 12 else ''}"
    return f"{text}; {left_out} in no group." if left_out else f"{text}."


def describe_level(grouping: Grouping, level: int, image: int = 0) -> str:
    """One sentence for readers who do not see `draw_graph_level`. Paper: alg. 1."""
    step = grouping.levels[level]
    nodes = _rows(step.graph.batch, image, grouping.rounds.shape[0])
    mine = step.graph.batch[step.graph.edge_index[0]] == image
    after = step.cluster[nodes].unique().numel()
    return (
        f"Round {level + 1}: {_count(len(nodes), 'node')} and {_count(int(mine.sum()), 'edge')}, of which "
        f"{int(step.admissible[mine].sum())} may merge; {_count(len(nodes) - after, 'pair')} merged, "
        f"{_count(after, 'node')} left."
    )


def describe_poses(poses: Poses, image: int = 0, *, min_score: int | float = 0.0) -> str:
    """One sentence for readers who do not see `draw_poses`. Not in the paper: alt text."""
    rows = _rows(poses.batch, image, poses.num_images)
    rows = rows[poses.score[rows] >= min_score]
    if len(rows) == 0:
        return "No person found."
    present = (poses.keypoints[rows, :, 2] > 0).sum(dim=1).tolist()
    people = "1 person" if len(rows) == 1 else f"{len(rows)} people"
    return f"{people} found, with {', '.join(str(n) for n in present)} keypoints."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
