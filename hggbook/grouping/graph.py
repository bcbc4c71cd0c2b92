"""Graph construction and coarsening: from candidates to a graph, from a graph and its clusters to the macro-graph."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from hggbook.types import Candidates, Graph

MAX_TYPES = 62  # the types of a node are bits of an int64


def node_features(candidates: Candidates, num_types: int) -> Float[Tensor, "N F"]:
    """What each vertex is initialised with: relational embedding, one-hot keypoint type, (x, y) normalised to [0, 1].

    Args:
        candidates: N candidates, coordinates in network-input pixels.
        num_types: K.

    Returns:
        (N, d + K + 2); the embedding keeps its gradient.

    Paper: sec. 3.1 (graph construction).
    """
    xy = (candidates.xy + 0.5) / candidates.size[candidates.batch]
    return torch.cat([candidates.embedding, one_hot(candidates.type, num_types).to(xy.dtype), xy], dim=1)


def pairs_within_images(batch: Int64[Tensor, "N"], num_images: int) -> Int64[Tensor, "2 P"]:
    """Every pair of rows that belong to the same image, the smaller row first, ordered by (first, second).

    Works from the sorted offsets: the peak size is the number of pairs itself, not the square of the batch.

    Args:
        batch: (N,) image of each row, non-decreasing.
        num_images: B.

    Not in the paper: bookkeeping of a disjoint batch.
    """
    device = batch.device
    end = torch.bincount(batch, minlength=num_images).cumsum(0)
    row = torch.arange(len(batch), device=device)
    later = end[batch] - row - 1  # rows of the same image that come after each row
    first = torch.repeat_interleave(row, later)
    start = later.cumsum(0) - later
    second = first + 1 + torch.arange(len(first), device=device) - start[first]
    return torch.stack([first, second])


def build_graph(candidates: Candidates, x: Float[Tensor, "N F"], linked: Bool[Tensor, "K K"]) -> Graph:
    """Constructs the graph of each image: vertices are its candidates, edges link pairs of different keypoint type.

    Args:
        candidates: N candidates.
        x: (N, F) node features, usually `node_features`.
        linked: (K, K) symmetric, which types the graph configuration links (`Skeleton.linked`); for the paper's choice,
            the fully-connected graph, everything off the diagonal.

    Returns:
        The level-0 `Graph`, edges without attributes.

    Raises:
        ValueError: candidates out of image order, or more keypoint types than an int64 has bits.

    Paper: sec. 3.1 (graph construction), sec. 4.2 (graph configurations).
    """
    if linked.shape[0] > MAX_TYPES:
        raise ValueError(f"linked: expected at most {MAX_TYPES} keypoint types, got {linked.shape[0]}")
    batch = candidates.batch
    if len(batch) > 1 and bool((batch[1:] < batch[:-1]).any()):
        raise ValueError("candidates.batch: expected non-decreasing image indices, got unsorted ones")
    pairs = pairs_within_images(batch, candidates.num_images)
    edge_index = pairs[:, linked[candidates.type[pairs[0]], candidates.type[pairs[1]]]]
    ones = torch.ones(edge_index.shape[1], dtype=x.dtype, device=x.device)
    cell = torch.round(candidates.xy.detach()).long()
    return Graph(
        x=x,
        edge_index=edge_index,
        edge_attr=None,
        edge_count=ones,
        edge_evidence=torch.zeros_like(ones),
        edge_logit=torch.full_like(ones, torch.nan),
        types=torch.bitwise_left_shift(torch.ones_like(batch), candidates.type),
        count=torch.ones_like(batch),
        rank=scramble(scramble(candidates.type * 65_536 + cell[:, 0]) + cell[:, 1]),
        batch=batch,
        num_images=candidates.num_images,
    )


def coarsen(graph: Graph, cluster: Int64[Tensor, "N"]) -> Graph:
    """Feature aggregation and graph pruning: turns every cluster of nodes into one macro-node.

    A macro-node's feature is the mean over **all member candidates** ("averaging all features in the set"). A
    macro-edge links two macro-nodes if any of their candidates were linked; its attributes are averaged over the
    candidate pairs it stands for, their count and their evidence are summed. An edge between macro-nodes that hold a
    candidate of the same type is pruned, because no person has two keypoints of one type. An edge between two nodes
    that merged with nothing is the same edge as before and keeps its score.

    Args:
        graph: N nodes.
        cluster: (N,) cluster of each node, consecutive from 0, in order of each cluster's first node, so that the image
            order is kept. No cluster may hold two candidates of one type: matching along the graph's own edges never
            makes such a cluster.

    Returns:
        `Graph` with one node per cluster.

    Paper: sec. 3.1 (feature aggregation, graph pruning).
    """
    device = graph.x.device
    n = int(cluster.max()) + 1 if len(cluster) else 0
    members = graph.count.to(graph.x.dtype)
    count = torch.zeros(n, dtype=torch.int64, device=device).index_add_(0, cluster, graph.count)
    x = torch.zeros(n, graph.x.shape[1], dtype=graph.x.dtype, device=device)
    x = x.index_add(0, cluster, graph.x * members[:, None]) / count[:, None]
    types = torch.zeros(n, dtype=torch.int64, device=device).index_add_(0, cluster, graph.types)
    rank = torch.full((n,), torch.iinfo(torch.int64).max, device=device).scatter_reduce_(0, cluster, graph.rank, "amin")
    batch = torch.zeros(n, dtype=torch.int64, device=device).scatter_(0, cluster, graph.batch)

    ends = cluster[graph.edge_index]
    first, second = ends.min(dim=0).values, ends.max(dim=0).values
    kept = ((first != second) & (types[first] & types[second] == 0)).nonzero()[:, 0]
    first, second = first[kept], second[kept]
    pair, edge_of = torch.unique(first * n + second, return_inverse=True)
    single = torch.bincount(cluster, minlength=n) == 1
    same = single[first] & single[second]  # neither node has changed: the edge goes on as it is
    edges = _EdgeMap(kept, edge_of, same, len(pair))
    return Graph(
        x=x,
        edge_index=torch.stack([pair // n, pair % n]) if len(pair) else graph.edge_index[:, :0],
        edge_attr=None if graph.edge_attr is None else edges.mean(graph.edge_attr, graph.edge_count),
        edge_count=edges.sum(graph.edge_count),
        edge_evidence=edges.sum(graph.edge_evidence),
        edge_logit=edges.carry(graph.edge_logit.detach()),
        types=types,
        count=count,
        rank=rank,
        batch=batch,
        num_images=graph.num_images,
    )


@dataclass(frozen=True)
class _EdgeMap:
    """Which macro-edge each edge becomes part of.

    Attributes:
        kept: (T,) edges that are part of one.
        edge_of: (T,) which macro-edge.
        same: (T,) True where the macro-edge is that edge, unchanged; then it has no other part.
        number: macro-edges.
    """

    kept: Int64[Tensor, "T"]
    edge_of: Int64[Tensor, "T"]
    same: Bool[Tensor, "T"]
    number: int

    def sum(self, value: Float[Tensor, "E"]) -> Float[Tensor, "E2"]:
        return value.new_zeros(self.number).index_add(0, self.edge_of, value.index_select(0, self.kept))

    def mean(self, value: Float[Tensor, "E D"], count: Float[Tensor, "E"]) -> Float[Tensor, "E2 D"]:
        """Weighted mean of the parts. What is unchanged is only copied: most edges are, in most rounds."""
        new = torch.ones(self.number, dtype=torch.bool, device=value.device)
        new[self.edge_of[self.same]] = False
        place = torch.cumsum(new, dim=0) - 1  # of a new macro-edge among the new ones
        parts, into = self.kept[~self.same], place[self.edge_of[~self.same]]
        weight = count[parts, None]
        rows = int(new.sum())
        total = value.new_zeros(rows, value.shape[1]).index_add(0, into, value.index_select(0, parts) * weight)
        mean = total / weight.new_zeros(rows, 1).index_add(0, into, weight)
        origin = len(value) + place
        origin[self.edge_of[self.same]] = self.kept[self.same]
        return torch.cat([value, mean]).index_select(0, origin)

    def carry(self, value: Float[Tensor, "E"]) -> Float[Tensor, "E2"]:
        """The value of what is unchanged, NaN for the rest."""
        carried = torch.full((self.number,), torch.nan, dtype=value.dtype, device=value.device)
        carried[self.edge_of[self.same]] = value[self.kept[self.same]]
        return carried


def scramble(key: Int64[Tensor, "*any"]) -> Int64[Tensor, "*any"]:
    """Pseudo-random int64 of each key (splitmix64's finaliser): equal keys give equal numbers on every device.

    Random visiting orders are drawn from what a candidate *is* (type and position), never from its row: so a batch and
    its images one by one are visited in the same order.

    Not in the paper: makes random clustering reproducible.
    """
    key = (key ^ (key >> 30)) * -4658895280553007687
    key = (key ^ (key >> 27)) * -7723592293110705685
    return key ^ (key >> 31)
