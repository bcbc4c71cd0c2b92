"""Online hierarchical graph clustering (OHGC): merge the most confident pairs, round after round, until none is."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from hggbook.grouping.graclus import ORDERS, graclus
from hggbook.grouping.graph import coarsen, scramble
from hggbook.types import Graph, Grouping, Level


class OHGC(nn.Module):
    """Groups the nodes of each graph into people, from isolated keypoints to whole bodies.

    Repeats, until no edge of an image may merge: score the edges; match nodes with graclus over the edges whose score
    reaches the cut, "by maximizing the weighted edge score"; average the members of every cluster into a macro-node;
    prune the edges between macro-nodes that share a keypoint type; score the macro-nodes.

    An edge under the cut only sits out this round. An edge is scored again when one of its nodes has merged; until then
    it keeps its score, so a round costs what it changes. Stopping is **per image**: an image
    in which nothing merged loses its edges, so that a batch groups exactly as its images one by one. Training and
    inference run this same code.

    Args:
        edge_discriminator: Graph -> (E,) logits.
        node_discriminator: macro-node features (N, F) -> (N,) logits.
        order: of `graclus`.
        cut: logit under which an edge may not merge. Choice: 0, probability one half; the paper only says "until all
            the edges are cut", and without a cut the leftovers of different people are forced together in every round.
        pair_power: the weight of an edge is ``(logit - cut) * edge_count ** pair_power``. 0: the score alone. A score
            is a probability and says nothing of how much hangs on it: two halves of a body, linked by thirty pairs of
            candidates, should come before two stray keypoints of the same probability.
        least_share: only edges whose weight is at least this share of the greatest weight in their image take part in
            a round; the others wait until they are among the surest. 0: all take part.
        max_rounds: safety cap; 0 for none but the number of nodes, at which every grouping has long ended.
        seed: of the visiting order of ``random``.
        veto: undo a merge whose macro-node the node discriminator gives less than probability 1/2; that pair is not
            tried again until one of its nodes has changed. Meant for inference: what is undone leaves no macro-node to
            learn from. Choice: off; the paper says both that these predictions "supervise" and that they "suppress".

    Raises:
        ValueError: unknown order, or a share outside of [0, 1].

    Paper: sec. 3.1, algorithm 1. Choice: the weights and the share; see `pair_power` and `least_share`.
    """

    def __init__(
        self,
        edge_discriminator: nn.Module,
        node_discriminator: nn.Module,
        *,
        order: str = "mutual",
        cut: float = 0.0,
        pair_power: float = 0.0,
        least_share: float = 0.0,
        max_rounds: int = 0,
        seed: int = 0,
        veto: bool = False,
    ):
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order: expected one of {ORDERS}, got {order!r}")
        if not 0 <= least_share <= 1:
            raise ValueError(f"least_share: expected a share in [0, 1], got {least_share}")
        self.edge_discriminator = edge_discriminator
        self.node_discriminator = node_discriminator
        self.order, self.cut, self.max_rounds, self.seed, self.veto = order, cut, max_rounds, seed, veto
        self.pair_power, self.least_share = pair_power, least_share

    def forward(self, graph: Graph) -> Grouping:
        """Clusters a level-0 graph.

        Returns:
            `Grouping` with one `Level` per round in which edges were scored (the last one of an image has no admissible
            edge: its scores say why the image stopped). ``person`` is consecutive over the batch.
        """
        person = torch.arange(graph.num_nodes, device=graph.x.device)
        rounds = torch.zeros(graph.num_images, dtype=torch.int64, device=graph.x.device)
        levels: list[Level] = []
        for step in range(self.max_rounds or graph.num_nodes + self.veto * graph.num_edges):
            if graph.num_edges == 0:
                break
            logit = self.score(graph)
            weight = logit.detach() - self.cut
            admissible = weight >= 0
            cluster = self._match(graph, weight * graph.edge_count**self.pair_power, admissible, step)
            # What the pairs of candidates said in round 0 is the evidence that macro-edges accumulate.
            scored = graph.replace(edge_logit=logit, edge_evidence=logit if step == 0 else graph.edge_evidence)
            macro = coarsen(scored, cluster)
            node_logit = self.node_discriminator(macro.x)
            made_of = torch.bincount(cluster, minlength=macro.num_nodes)
            tried = _images_of(macro, made_of > 1)
            if self.veto and bool((undone := (made_of > 1) & (node_logit < 0)).any()):
                scored, cluster = _undo(scored, cluster, undone)
                macro = coarsen(scored, cluster)
                node_logit = self.node_discriminator(macro.x)
                made_of = torch.bincount(cluster, minlength=macro.num_nodes)
            levels.append(Level(graph, logit, admissible, cluster, node_logit, made_of))
            merged = _images_of(macro, made_of > 1)
            rounds = rounds + merged
            person = cluster[person]
            graph = macro.with_edges(tried[macro.batch[macro.edge_index[0]]])
        return Grouping(tuple(levels), person, rounds)

    def score(self, graph: Graph) -> Float[Tensor, "E"]:
        """Scores the new edges; the others keep theirs: there is nothing new to be known of them."""
        new = torch.isnan(graph.edge_logit)
        if new.all():
            return self.edge_discriminator(graph)
        logit = self.edge_discriminator(graph.with_edges(new))
        return graph.edge_logit.masked_scatter(new, logit)

    def _match(self, graph: Graph, weight: Tensor, admissible: Tensor, step: int) -> Int64[Tensor, "N"]:
        rank = None
        if self.order == "random":
            rank = scramble(graph.rank + scramble(torch.full_like(graph.rank, self.seed * 1000 + step)))
        sure = admissible & (weight >= self.least_share * _greatest(graph, weight)[graph.batch[graph.edge_index[0]]])
        label = graclus(graph.edge_index[:, sure], weight[sure], graph.num_nodes, order=self.order, rank=rank)
        # Labels are the smaller index of each pair, so numbering them in order keeps the nodes in image order.
        return torch.unique(label, return_inverse=True)[1]


def _images_of(graph: Graph, chosen: Bool[Tensor, "N"]) -> Bool[Tensor, "B"]:
    """Images that hold one of the chosen nodes."""
    images = torch.zeros(graph.num_images, dtype=torch.bool, device=chosen.device)
    images[graph.batch[chosen]] = True
    return images


def _greatest(graph: Graph, weight: Float[Tensor, "E"]) -> Float[Tensor, "B"]:
    """The greatest weight of an edge in every image, 0 where none is above."""
    image = graph.batch[graph.edge_index[0]]
    return weight.new_zeros(graph.num_images).scatter_reduce_(0, image, weight, "amax")


def _undo(
    graph: Graph, cluster: Int64[Tensor, "N"], undone: Bool[Tensor, "N2"]
) -> tuple[Graph, Int64[Tensor, "N"]]:
    """Takes the chosen clusters apart again, and scores the edges inside them so low that they stay apart."""
    n = len(cluster)
    node = torch.arange(n, device=cluster.device)
    first = torch.full((len(undone),), n, device=cluster.device).scatter_reduce_(0, cluster, node, "amin")
    apart = torch.unique(torch.where(undone[cluster], node, first[cluster]), return_inverse=True)[1]
    i, j = graph.edge_index
    inside = (cluster[i] == cluster[j]) & undone[cluster[i]]
    return graph.replace(edge_logit=graph.edge_logit.masked_fill(inside, -torch.inf)), apart


def final_logit(grouping: Grouping) -> Float[Tensor, "P"]:
    """The node discriminator's logit of every final macro-node: is it one person? 0 where nothing was ever scored.

    For pose scores. Choice: off by default; see `OHGC`'s ``veto`` for the other use of these predictions.

    Paper: sec. 3.2 (macro-node discriminator).
    """
    people = int(grouping.person.max()) + 1 if len(grouping.person) else 0
    if not grouping.levels:
        return torch.zeros(people, device=grouping.person.device)
    return grouping.levels[-1].node_logit
