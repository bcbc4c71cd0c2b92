"""Online hierarchical graph clustering (OHGC): merge the most confident pairs, round after round, until none is."""

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from hggbook.grouping.graclus import ORDERS, graclus
from hggbook.grouping.graph import coarsen, scramble
from hggbook.types import Graph, Grouping, Level


class OHGC(nn.Module):
    """Groups the nodes of each graph into people, from isolated keypoints to whole bodies.

    Repeats, until no edge of an image may merge: score the edges; match nodes with graclus over the edges whose score
    reaches the cut; average the members of every cluster into a macro-node; prune the edges between macro-nodes that
    share a keypoint type; score the macro-nodes.

    An edge under the cut only sits out this round: it is scored again in the next. Stopping is **per image**: an image
    in which nothing merged loses its edges, so that a batch groups exactly as its images one by one. Training and
    inference run this same code.

    Args:
        edge_discriminator: Graph -> (E,) logits.
        node_discriminator: macro-node features (N, F) -> (N,) logits.
        order: of `graclus`.
        cut: logit under which an edge may not merge. Choice: 0, probability one half; the paper only says "until all
            the edges are cut", and without a cut the leftovers of different people are forced together in every round.
        max_rounds: safety cap; 0 for none but the number of nodes, at which every grouping has long ended.
        seed: of the visiting order of ``random``.

    Raises:
        ValueError: unknown order.

    Paper: sec. 3.1, algorithm 1.
    """

    def __init__(
        self,
        edge_discriminator: nn.Module,
        node_discriminator: nn.Module,
        *,
        order: str = "mutual",
        cut: float = 0.0,
        max_rounds: int = 0,
        seed: int = 0,
    ):
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order: expected one of {ORDERS}, got {order!r}")
        self.edge_discriminator = edge_discriminator
        self.node_discriminator = node_discriminator
        self.order, self.cut, self.max_rounds, self.seed = order, cut, max_rounds, seed

    def forward(self, graph: Graph) -> Grouping:
        """Clusters a level-0 graph.

        Returns:
            `Grouping` with one `Level` per round in which edges were scored (the last one of an image has no admissible
            edge: its scores say why the image stopped). ``person`` is consecutive over the batch.
        """
        person = torch.arange(graph.num_nodes, device=graph.x.device)
        rounds = torch.zeros(graph.num_images, dtype=torch.int64, device=graph.x.device)
        levels: list[Level] = []
        for step in range(self.max_rounds or graph.num_nodes):
            if graph.num_edges == 0:
                break
            logit = self.edge_discriminator(graph)
            weight = logit.detach() - self.cut
            admissible = weight >= 0
            cluster = self._match(graph, weight, admissible, step)
            # What the pairs of candidates said in round 0 is the evidence that macro-edges accumulate.
            macro = coarsen(graph.replace(edge_evidence=logit) if step == 0 else graph, cluster)
            node_logit = self.node_discriminator(macro.x)
            made_of = torch.bincount(cluster, minlength=macro.num_nodes)
            levels.append(Level(graph, logit, admissible, cluster, node_logit, made_of))

            merged = torch.zeros_like(rounds, dtype=torch.bool)
            merged[macro.batch[made_of > 1]] = True
            rounds = rounds + merged
            person = cluster[person]
            graph = _without_edges_of(macro, finished=~merged)
        return Grouping(tuple(levels), person, rounds)

    def _match(self, graph: Graph, weight: Tensor, admissible: Tensor, step: int) -> Int64[Tensor, "N"]:
        rank = None
        if self.order == "random":
            rank = scramble(graph.rank + scramble(torch.full_like(graph.rank, self.seed * 1000 + step)))
        label = graclus(
            graph.edge_index[:, admissible], weight[admissible], graph.num_nodes, order=self.order, rank=rank
        )
        # Labels are the smaller index of each pair, so numbering them in order keeps the nodes in image order.
        return torch.unique(label, return_inverse=True)[1]


def _without_edges_of(graph: Graph, finished: Tensor) -> Graph:
    keep = ~finished[graph.batch[graph.edge_index[0]]]
    return graph.replace(
        edge_index=graph.edge_index[:, keep],
        edge_attr=None if graph.edge_attr is None else graph.edge_attr[keep],
        edge_count=graph.edge_count[keep],
        edge_evidence=graph.edge_evidence[keep],
    )
