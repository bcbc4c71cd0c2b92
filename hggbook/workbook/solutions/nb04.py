"""Solutions of notebook 04, EdgeConv message passing. Written for reading: plain loops, one step a line."""

from collections.abc import Callable

import torch
from torch import Tensor

from hggbook.workbook.solutions import Solution


def edge_conv(x: Tensor, edge_index: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One EdgeConv layer with a single FC layer and the maximum. Paper: sec. 3.1.

    Args:
        x: (N, F) node features.
        edge_index: (2, E) the source (who speaks) and the target (who listens) of every message.
        weight: (C, 2 F), times [own features ; the neighbour's minus own].
        bias: (C,).

    Returns:
        (N, C); zeros for a node that nobody speaks to.
    """
    out = torch.zeros(len(x), len(bias))
    for j, i in edge_index.T.tolist():
        message = torch.relu(weight @ torch.cat([x[i], x[j] - x[i]]) + bias)
        out[i] = torch.maximum(out[i], message)
    return out


def renumbering_gap(layer: Callable[[Tensor, Tensor], Tensor], x: Tensor, edge_index: Tensor, order: Tensor) -> float:
    """How far a layer is from being permutation equivariant, for one renumbering.

    Args:
        layer: ``layer(x, edge_index) -> (N, C)``.
        x: (N, F).
        edge_index: (2, E).
        order: (N,) the new node ``k`` is the old node ``order[k]``.

    Returns:
        The largest difference between what the layer says of the renumbered graph and its renumbered answer.

    Not in the paper: what every layer on a graph should pass.
    """
    new_number = torch.empty_like(order)
    for new, old in enumerate(order.tolist()):
        new_number[old] = new
    after = layer(x[order], new_number[edge_index])
    before = layer(x, edge_index)[order]
    return float((after - before).abs().max())


def _edge_conv_with(x, edge_index, weight, bias, *, pair=None, into=1, start=0.0, relu=True, add=False):
    """`edge_conv` with one mistake in it."""
    out = torch.full((len(x), len(bias)), start)
    for edge in edge_index.T.tolist():
        i, j = edge[into], edge[1 - into]
        both = [x[i], x[j] - x[i]] if pair is None else pair(x[i], x[j])
        message = weight @ torch.cat(both) + bias
        message = torch.relu(message) if relu else message
        out[i] = out[i] + message if add else torch.maximum(out[i], message)
    return out


def _gap_with(layer, x, edge_index, order, *, edges=None, compare_in_place=False):
    """`renumbering_gap` with one mistake in it."""
    edges = torch.argsort(order)[edge_index] if edges is None else edges(edge_index, order)
    before = layer(x, edge_index)
    return float((layer(x[order], edges) - (before if compare_in_place else before[order])).abs().max())


SOLUTIONS = {
    "04.e1": Solution(
        edge_conv,
        {
            "sends the messages to their sources": lambda x, e, w, b: _edge_conv_with(x, e, w, b, into=0),
            "takes the neighbour instead of the difference": lambda x, e, w, b: _edge_conv_with(
                x, e, w, b, pair=lambda own, other: [own, other]
            ),
            "own minus the neighbour's": lambda x, e, w, b: _edge_conv_with(
                x, e, w, b, pair=lambda own, other: [own, own - other]
            ),
            "difference first, own features second": lambda x, e, w, b: _edge_conv_with(
                x, e, w, b, pair=lambda own, other: [other - own, own]
            ),
            "adds the messages up": lambda x, e, w, b: _edge_conv_with(x, e, w, b, add=True),
            "minus infinity where nobody speaks": lambda x, e, w, b: _edge_conv_with(x, e, w, b, start=-torch.inf),
            "no bias": lambda x, e, w, b: edge_conv(x, e, w, 0 * b),
        },
    ),
    "04.e2": Solution(
        renumbering_gap,
        {
            "leaves the edges as they are": lambda layer, x, e, order: _gap_with(
                layer, x, e, order, edges=lambda edges, _: edges
            ),
            "looks the edges up the wrong way round": lambda layer, x, e, order: _gap_with(
                layer, x, e, order, edges=lambda edges, order: order[edges]
            ),
            "does not renumber the answer": lambda layer, x, e, order: _gap_with(
                layer, x, e, order, compare_in_place=True
            ),
            "renumbers nothing": lambda layer, x, e, order: float((layer(x, e) - layer(x, e)).abs().max()),
        },
    ),
    "04.e3": Solution(
        [-3.0, 6.0],
        {
            "the same neighbours": [-3.0, 1.0, 6.0],
            "a smaller reach": [-3.0, -2.0, 5.0],
            "a larger reach": [-4.0, 6.0],
            "the same mean": [-1.0, -1.0, 6.0],
            "the same distances, mirrored": [7.0, 3.0, -2.0],
        },
    ),
    "04.e4": Solution(
        ([[0.0, 1.0], [0.0, -1.0]], [0.0, 0.0], [[-1.0, -1.0]], [3.0]),
        {
            "sees neighbours on the right only": ([[0.0, 1.0]], [0.0], [[-1.0]], [3.0]),
            "takes the difference for the neighbour": ([[-1.0, 1.0], [1.0, -1.0]], [0.0, 0.0], [[-1.0, -1.0]], [3.0]),
            "the farthest and not the nearest": ([[0.0, 1.0], [0.0, -1.0]], [0.0, 0.0], [[1.0, 1.0]], [-3.0]),
            "no bias: always zero": ([[0.0, 1.0], [0.0, -1.0]], [0.0, 0.0], [[-1.0, -1.0]], [0.0]),
            "the bias in the wrong layer": ([[0.0, 1.0], [0.0, -1.0]], [3.0, 3.0], [[-1.0, -1.0]], [0.0]),
            "one matrix only": ([[0.0, 1.0]], [0.0]),
        },
    ),
}
