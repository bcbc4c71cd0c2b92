"""Labels: which annotated person a candidate belongs to, and what that makes of every edge and macro-node.

Paper: sec. 3.2 gives the two labels (edge: same person; macro-node: all of one person). What to do with candidates that
are nobody's is left open; the rules here are marked ``Choice:``.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.grouping.graclus import graclus
from hggbook.types import Batch, Candidates, Graph, Grouping, Level, Record, Targets

BACKGROUND_RULES = ("annotated", "zero", "ignore")
MIXED_RULES = ("ignore", "share")


def match_candidates(
    candidates: Candidates, batch: Batch, sigmas: Float[Tensor, "K"], threshold: float = 0.5
) -> Targets:
    """Finds which annotated keypoint each candidate is.

    Similarity of a candidate and an annotated keypoint of its type is OKS's, ``exp(-d^2 / (2 area (2 sigma)^2))``.
    Pairs are taken greedily, most similar first, one candidate per keypoint. A candidate that is similar enough to a
    keypoint but came too late is a *duplicate* of its most similar one; all others are *background*.

    Args:
        candidates: N candidates.
        batch: annotations of the same images, in the same frame.
        sigmas: (K,) OKS falloff per type.
        threshold: least similarity of a match.

    Returns:
        `Targets`; a candidate outside the mask (crowd, padding) does not count.

    Choice: the paper does not say how candidates are labelled; this is the rule of later work on learned grouping.
    """
    device = candidates.xy.device
    n, (m, k) = len(candidates), batch.keypoints.shape[:2]
    people = torch.bincount(batch.batch, minlength=batch.num_images)
    first = people.cumsum(0) - people
    times = people[candidates.batch]
    row = torch.repeat_interleave(torch.arange(n, device=device), times)
    person = first[candidates.batch[row]] + torch.arange(len(row), device=device) - (times.cumsum(0) - times)[row]
    target = batch.keypoints[person, candidates.type[row]]
    distance = (candidates.xy[row].detach() - target[:, :2]).square().sum(dim=1)
    width = 2 * batch.area[person].clamp_min(1.0) * (2 * sigmas[candidates.type[row]]).square()
    similarity = torch.exp(-distance / width)
    close = (similarity >= threshold) & (target[:, 2] > 0)
    row, person, similarity = row[close], person[close], similarity[close]

    # Greedy one-to-one matching is graclus from the heaviest edge down, on the graph candidates x keypoints.
    keypoint = n + person * k + candidates.type[row]
    cluster = graclus(torch.stack([row, keypoint]), similarity, n + m * k, order="heaviest")
    matched = cluster[keypoint] == row
    person_of = torch.full((n,), -1, dtype=torch.int64, device=device)
    person_of[row[matched]] = person[matched]

    best = torch.zeros(n, device=device).scatter_reduce_(0, row, similarity, "amax")
    spare = (person_of[row] < 0) & (similarity == best[row])
    duplicate = torch.full((n,), -1, dtype=torch.int64, device=device)
    duplicate.scatter_reduce_(0, row[spare], person[spare], "amax")

    height, width_px = batch.mask.shape[1:]
    x = candidates.xy[:, 0].detach().round().long().clamp(0, width_px - 1)
    y = candidates.xy[:, 1].detach().round().long().clamp(0, height - 1)
    counts = batch.mask[candidates.batch, y, x]
    return Targets(person_of, duplicate, counts, batch.keypoints[:, :, 2] > 0, batch.batch)


@dataclass(frozen=True)
class NodeTruth(Record):
    """What a (macro-)node holds, from the candidates' targets.

    Attributes:
        owner: (N,) the one person whose keypoints (or duplicates of them) it holds, -1 if it holds background only.
        mixed: (N,) certainly of more than one person: keypoints of two people, or a background candidate whose type
            its owner has annotated elsewhere.
        unsure: (N,) holds a duplicate, or background of a type that its owner lacks: it may or may not be one person.
        background: (N,) bit ``k`` set if it holds a background candidate of type ``k``.
        counts: (N,) False if any member candidate does not count.
        size: (N,) member candidates.
    """

    owner: Int64[Tensor, "N"]
    mixed: Bool[Tensor, "N"]
    unsure: Bool[Tensor, "N"]
    background: Int64[Tensor, "N"]
    counts: Bool[Tensor, "N"]
    size: Int64[Tensor, "N"]


def node_truth(node: Int64[Tensor, "N"], num_nodes: int, types: Int64[Tensor, "N"], targets: Targets) -> NodeTruth:
    """Sums up the targets of the candidates that every (macro-)node holds.

    Args:
        node: (N,) the node each candidate is in.
        num_nodes: how many nodes.
        types: (N,) keypoint type of each candidate.
        targets: of the N candidates.
    """
    device = node.device

    def count(flag):
        return torch.zeros(num_nodes, dtype=torch.int64, device=device).index_add_(0, node, flag.long())

    claimed = torch.maximum(targets.person, targets.duplicate)  # a duplicate sits on that person's keypoint
    has = claimed >= 0
    high = torch.full((num_nodes,), -1, dtype=torch.int64, device=device).scatter_reduce_(0, node, claimed, "amax")
    low = torch.full((num_nodes,), torch.iinfo(torch.int64).max, device=device)
    low = low.scatter_reduce_(0, node[has], claimed[has], "amin")
    bit = torch.bitwise_left_shift(torch.ones_like(types), types) * ~has
    background = torch.zeros(num_nodes, dtype=torch.int64, device=device).index_add_(0, node, bit)

    conflict = (background & _annotated_bits(targets)[high]) != 0
    mixed = (high >= 0) & ((low != high) | conflict)
    unsure = (count(targets.duplicate >= 0) > 0) | ((background != 0) & (high >= 0))
    return NodeTruth(high, mixed, unsure, background, count(~targets.counts) == 0, count(torch.ones_like(has)))


def edge_labels(
    edge_index: Int64[Tensor, "2 E"], truth: NodeTruth, targets: Targets, background: str = "annotated"
) -> Float[Tensor, "E"]:
    """Label of every edge: 1 same person, 0 different people, NaN no label (the losses skip it).

    * Both sides of one and the same person: 1; of two different people: 0.
    * Background against person P: 0 if P has a keypoint of that type annotated (so this candidate is not it), no label
      otherwise: COCO leaves many keypoints unlabelled.
    * Background against background: no label. A duplicate against its own person: no label.
    * A side that is already mixed, or holds a candidate that does not count: no label.

    Args:
        edge_index: (2, E) nodes.
        truth: of the nodes.
        targets: of the candidates, for what each person has annotated.
        background: ``annotated`` (the rule above), ``zero`` (every edge of background is 0), ``ignore`` (no label).

    Raises:
        ValueError: unknown rule for background.

    Paper: sec. 3.2. Choice: everything about background and duplicates.
    """
    if background not in BACKGROUND_RULES:
        raise ValueError(f"background: expected one of {BACKGROUND_RULES}, got {background!r}")
    i, j = edge_index
    a, b = truth.owner[i], truth.owner[j]
    label = torch.full((edge_index.shape[1],), torch.nan, device=edge_index.device)
    owned = (a >= 0) & (b >= 0)
    label[owned & (a != b)] = 0.0
    label[owned & (a == b) & ~truth.unsure[i] & ~truth.unsure[j]] = 1.0
    if background == "zero":
        label[~owned] = 0.0
    elif background == "annotated":
        annotated = _annotated_bits(targets)
        missed = ((truth.background[i] & annotated[b]) | (truth.background[j] & annotated[a])) != 0
        label[((a >= 0) ^ (b >= 0)) & missed] = 0.0
    usable = truth.counts[i] & truth.counts[j] & ~truth.mixed[i] & ~truth.mixed[j]
    return label.masked_fill(~usable, torch.nan)


def macro_labels(truth: NodeTruth) -> Float[Tensor, "N"]:
    """Label of every macro-node: 1 all of one person, 0 not, NaN no label.

    No label: nodes of a single candidate (trivially 1), background only, and those that may or may not be one person.

    Paper: sec. 3.2 ("classify whether all keypoint candidates in the group belong to the same person").
    """
    label = torch.full(truth.owner.shape, torch.nan, device=truth.owner.device)
    label[(truth.owner >= 0) & ~truth.unsure] = 1.0
    label[truth.mixed] = 0.0
    return label.masked_fill((truth.size < 2) | ~truth.counts, torch.nan)


@dataclass(frozen=True)
class LevelLabels(Record):
    """Labels of one `Level`: of its edges, and of the macro-nodes it made.

    Attributes:
        edge: (E,) 1, 0 or NaN (with the rule ``share`` also between 0 and 1); NaN also for an edge that keeps the score
            of an earlier round.
        node: (N',) 1, 0 or NaN; NaN also for a node that only went on from the round before.
        final: (N',) True where the macro-node is one that its image ends with ("FinalM"), False for "IntermM".
    """

    edge: Float[Tensor, "E"]
    node: Float[Tensor, "N2"]
    final: Bool[Tensor, "N2"]


def level_labels(
    grouping: Grouping,
    candidates: Candidates,
    targets: Targets,
    background: str = "annotated",
    *,
    mixed: str = "ignore",
) -> tuple[LevelLabels, ...]:
    """Labels of all rounds; every edge and every macro-node is labelled once, in the round that made it.

    Args:
        background: rule of `edge_labels`.
        mixed: an edge that `edge_labels` leaves without a label, because a node holds candidates of several people or
            may do so: ``ignore`` it, or label it with the ``share`` of its labelled candidate pairs that are one
            person's (where `edge_labels` knows the answer, that share is the same). With ``share`` the edge
            discriminator also learns what to do after a wrong merge.

    Raises:
        ValueError: unknown rule.

    Choice: once. Counting an edge again in every round in which nothing happens to it would let the loss be ruled by
    the edges that are never touched.

    Paper: sec. 3.2, Table 2 ("both the final human-level and the intermediate part-level grouping results").
    """
    if mixed not in MIXED_RULES:
        raise ValueError(f"mixed: expected one of {MIXED_RULES}, got {mixed!r}")
    labels = []
    last = pairs = None
    node = torch.arange(len(candidates), device=candidates.xy.device)
    final_size = torch.bincount(grouping.person) if len(candidates) else grouping.person
    before = node_truth(node, len(candidates), candidates.type, targets)
    for level in grouping.levels:
        edge = edge_labels(level.graph.edge_index, before, targets, background)
        if mixed == "share":
            pairs = _LabelledPairs.of(edge) if last is None else pairs.merged(last, level.graph)
            edge, last = torch.where(torch.isnan(edge), pairs.share, edge), level
        edge = edge.masked_fill(~torch.isnan(level.graph.edge_logit), torch.nan)
        node = level.cluster[node]
        after = node_truth(node, len(level.made_of), candidates.type, targets)
        new = macro_labels(after).masked_fill(level.made_of < 2, torch.nan)
        ends_as = torch.zeros_like(level.made_of).scatter_(0, node, final_size[grouping.person])
        labels.append(LevelLabels(edge, new, after.size == ends_as))
        before = after
    return tuple(labels)


@dataclass(frozen=True)
class _LabelledPairs:
    """Of the candidate pairs that an edge stands for: how many have a label, and how many of those are one person's."""

    same: Float[Tensor, "E"]
    known: Float[Tensor, "E"]

    @classmethod
    def of(cls, label: Float[Tensor, "E"]) -> "_LabelledPairs":
        """Of the edges of the first round, which are candidate pairs."""
        return cls(label.nan_to_num(0.0), (~torch.isnan(label)).to(label.dtype))

    @property
    def share(self) -> Float[Tensor, "E"]:
        """NaN where no pair has a label: 0 / 0."""
        return self.same / self.known

    def merged(self, level: Level, graph: Graph) -> "_LabelledPairs":
        """Of the next round's edges, from this round's; what was pruned is left out."""
        n = graph.num_nodes
        ends = level.cluster[level.graph.edge_index]
        key = ends.amin(dim=0) * n + ends.amax(dim=0)
        known = graph.edge_index[0] * n + graph.edge_index[1]  # ascending
        place = torch.searchsorted(known, key)
        goes_on = (place < len(known)).nonzero()[:, 0]
        goes_on = goes_on[known[place[goes_on]] == key[goes_on]]

        def total(value):
            return value.new_zeros(len(known)).index_add(0, place[goes_on], value[goes_on])

        return _LabelledPairs(total(self.same), total(self.known))


def graph_edge_labels(graph: Graph, candidates: Candidates, targets: Targets) -> Float[Tensor, "E"]:
    """Labels of a level-0 graph's edges, for looking at class balance before any grouping. Paper: sec. 3.2."""
    node = torch.arange(len(candidates), device=candidates.xy.device)
    return edge_labels(graph.edge_index, node_truth(node, len(candidates), candidates.type, targets), targets)


def _annotated_bits(targets: Targets) -> Int64[Tensor, "M1"]:
    """(M + 1,) type bits that each person has annotated; the last row is for person -1: none."""
    bits = targets.annotated.long() << torch.arange(targets.annotated.shape[1], device=targets.annotated.device)
    return torch.cat([bits.sum(dim=1), torch.zeros(1, dtype=torch.int64, device=bits.device)])
