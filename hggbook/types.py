"""The records that flow through the library: `Batch` -> `Maps` -> `Candidates` -> `Graph` -> `Grouping` -> `Poses`.

Letters, used everywhere: B images, S stacks, K keypoint types, d embedding size per type, F node features, N keypoint
candidates in the batch, E edges, M annotated people, P poses; H, W input; h, w map.

Everything ragged is flat: rows of all images one after another, and a ``batch`` vector that says which image a row
belongs to. An image may own no row, so ``num_images`` is stored and never inferred.

Coordinates are ``(x, y)``, float32, in **network-input pixels, an integer being a pixel's centre**. Only `decode`
leaves that frame. Cell ``c`` of a map of stride ``s`` lies at input pixel ``(c + 0.5) * s - 0.5``; mirroring an image
maps ``x`` to ``W - 1 - x``.

Shapes are annotated with jaxtyping; they are checked under test and cost nothing otherwise.
"""

import dataclasses
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

R = TypeVar("R", bound="Record")  # not typing.Self: the run-time checks of the tests cannot read it in a base class


class Record:
    """Base of the records: moves all tensors of a record at once."""

    def _map(self: R, function) -> R:
        changes = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changes[field.name] = function(value)
            elif isinstance(value, Record):
                changes[field.name] = value._map(function)
            elif isinstance(value, tuple) and value and isinstance(value[0], Record):
                changes[field.name] = tuple(item._map(function) for item in value)
        return dataclasses.replace(self, **changes)

    def to(self: R, device: torch.device | str, non_blocking: bool = False) -> R:
        """The same record with every tensor on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def detach(self: R) -> R:
        """The same record cut from the autograd graph."""
        return self._map(Tensor.detach)

    def pin_memory(self: R) -> R:
        """The same record in page-locked memory (a ``DataLoader`` calls this)."""
        return self._map(Tensor.pin_memory)

    def replace(self: R, **changes) -> R:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class Batch(Record):
    """Images with their annotated people: what a loader gives.

    Attributes:
        images: (B, 3, H, W) RGB in [0, 1].
        keypoints: (M, K, 3) x, y in network-input pixels and COCO visibility: 0 not labelled, 1 occluded, 2 seen.
        area: (M,) square pixels of the network input, for OKS.
        batch: (M,) image of each person, non-decreasing.
        mask: (B, H, W) False on crowd regions and on padding: the losses ignore what lies there.
        image_id: (B,) COCO image ids.
        to_image: (B, 2, 3) affine map from network-input pixels to original image pixels.
    """

    images: Float[Tensor, "B 3 H W"]
    keypoints: Float[Tensor, "M K 3"]
    area: Float[Tensor, "M"]
    batch: Int64[Tensor, "M"]
    mask: Bool[Tensor, "B H W"]
    image_id: Int64[Tensor, "B"]
    to_image: Float[Tensor, "B 2 3"]

    @property
    def num_images(self) -> int:
        return self.images.shape[0]


@dataclass(frozen=True)
class Maps(Record):
    """What the keypoint proposal network says of each image. Paper: sec. 3.3.

    Attributes:
        heatmaps: (B, S, K, h, w) confidence; targets lie in [0, 1], outputs are not clamped.
        embeddings: (B, S, K, d, h, w) relational embedding, one map of d channels per keypoint type.
        stride: input pixels per map cell.

    Choice: K and d are two axes (not one of K*d), so that no caller has to know their order.
    """

    heatmaps: Float[Tensor, "B S K h w"]
    embeddings: Float[Tensor, "B S K d h w"]
    stride: int


@dataclass(frozen=True)
class Candidates(Record):
    """N keypoint candidates of all images: the vertices of the paper's graph. Paper: sec. 3.1.

    Attributes:
        xy: (N, 2) network-input pixels, no gradient.
        type: (N,) keypoint type in [0, K).
        score: (N,) confidence.
        embedding: (N, d) relational embedding; carries the gradient into the detector.
        batch: (N,) image of each candidate, non-decreasing.
        size: (B, 2) width, height of the network input in pixels; also tells the number of images.
    """

    xy: Float[Tensor, "N 2"]
    type: Int64[Tensor, "N"]
    score: Float[Tensor, "N"]
    embedding: Float[Tensor, "N d"]
    batch: Int64[Tensor, "N"]
    size: Float[Tensor, "B 2"]

    @property
    def num_images(self) -> int:
        return self.size.shape[0]

    def __len__(self) -> int:
        return self.xy.shape[0]


@dataclass(frozen=True)
class Targets(Record):
    """What each candidate really is, from the annotations. Built by `hggbook.labels` or by the simulation.

    Attributes:
        person: (N,) annotated person (row of ``annotated``) that the candidate belongs to, -1 if none.
        duplicate: (N,) person whose keypoint the candidate doubles (another candidate is the better match), else -1.
        counts: (N,) False in crowd regions and padding: no loss is computed on such a candidate.
        annotated: (M, K) True where the person has that keypoint type labelled.
        batch: (M,) image of each person.

    A candidate with ``person == -1`` and ``duplicate == -1`` is *background*.
    """

    person: Int64[Tensor, "N"]
    duplicate: Int64[Tensor, "N"]
    counts: Bool[Tensor, "N"]
    annotated: Bool[Tensor, "M K"]
    batch: Int64[Tensor, "M"]


@dataclass(frozen=True)
class Graph(Record):
    """A disjoint batch of graphs, one per image. Paper: sec. 3.1.

    At level 0 a node is a keypoint candidate, later it is a macro-node. **Every edge is stored once**, the smaller node
    index first, ordered by (first, second) node; `both_directions` gives the doubled form that message passing and
    PyG's operators expect. Choice: an edge has one score, so storing it once makes scores symmetric by construction and
    halves the memory of the edge discriminator.

    Attributes:
        x: (N, F) node features; a macro-node's is the mean over its member candidates.
        edge_index: (2, E) node pairs, first < second, both in one image, no pair of nodes that share a keypoint type.
        edge_attr: (E, D) features of the edges, or None in the literal reading.
        edge_count: (E,) pairs of candidates that the edge stands for (1 at level 0).
        edge_evidence: (E,) sum of those pairs' round-0 logits (0 at level 0, before any score exists).
        edge_logit: (E,) the score that an edge was given in an earlier round and keeps, because neither of its nodes
            has changed since; NaN for a new edge, which has none yet. No gradient.
        types: (N,) bit ``k`` is set if a member candidate is of type ``k``.
        count: (N,) number of member candidates.
        rank: (N,) pseudo-random visiting key of each node, the same in whatever batch its image is (see `ohgc`).
        batch: (N,) image of each node, non-decreasing.
        num_images: B.
    """

    x: Float[Tensor, "N F"]
    edge_index: Int64[Tensor, "2 E"]
    edge_attr: Float[Tensor, "E D"] | None
    edge_count: Float[Tensor, "E"]
    edge_evidence: Float[Tensor, "E"]
    edge_logit: Float[Tensor, "E"]
    types: Int64[Tensor, "N"]
    count: Int64[Tensor, "N"]
    rank: Int64[Tensor, "N"]
    batch: Int64[Tensor, "N"]
    num_images: int

    @property
    def num_nodes(self) -> int:
        return self.x.shape[0]

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    def with_edges(self, chosen: Bool[Tensor, "E"]) -> "Graph":
        """The same nodes with only the chosen edges, in their order."""
        row = chosen.nonzero()[:, 0]
        return self.replace(
            edge_index=self.edge_index[:, row],
            edge_attr=None if self.edge_attr is None else self.edge_attr.index_select(0, row),
            edge_count=self.edge_count[row],
            edge_evidence=self.edge_evidence.index_select(0, row),
            edge_logit=self.edge_logit[row],
        )

    def both_directions(self) -> Int64[Tensor, "2 E2"]:
        """(2, 2E): every edge as stored, then every edge reversed, in the same order (PyG's source, target rows)."""
        return torch.cat([self.edge_index, self.edge_index.flip(0)], dim=1)

    def to_data(self):
        """The graph as a ``torch_geometric.data.Data`` with both directions of every edge."""
        from torch_geometric.data import Data

        double = None if self.edge_attr is None else torch.cat([self.edge_attr, self.edge_attr])
        return Data(x=self.x, edge_index=self.both_directions(), edge_attr=double, batch=self.batch)


@dataclass(frozen=True)
class PairScores(Record):
    """How much pairs of candidates look like one person, for the groupers that decide from pairs alone.

    Attributes:
        edge_index: (2, E) candidates, first < second, both in one image; each pair once, ordered by (first, second).
            A pair that is not listed (two of one keypoint type, say) cannot be compared.
        logit: (E,) same person if positive, the surer the larger.

    Not in the paper: the scores of its first round, or any other, as input of other groupers.
    """

    edge_index: Int64[Tensor, "2 E"]
    logit: Float[Tensor, "E"]


@dataclass(frozen=True)
class Level(Record):
    """One round of OHGC, kept for the losses, the pictures and the reader. Paper: algorithm 1.

    Attributes:
        graph: the graph before the round.
        edge_logit: (E,) edge discriminator's score of every edge: same person if positive. New edges are scored in this
            round, the others (``graph.edge_logit`` is not NaN) keep their score.
        admissible: (E,) edges that the clustering was allowed to use (score at or above the cut, image not finished).
        cluster: (N,) macro-node of each node, consecutive from 0 over the batch: row of the next level's graph.
        node_logit: (N',) macro-node discriminator's score of every macro-node made in this round.
        made_of: (N',) how many nodes of this level each macro-node was made of: 1 (went on alone) or 2.
    """

    graph: Graph
    edge_logit: Float[Tensor, "E"]
    admissible: Bool[Tensor, "E"]
    cluster: Int64[Tensor, "N"]
    node_logit: Float[Tensor, "N2"]
    made_of: Int64[Tensor, "N2"]


@dataclass(frozen=True)
class Grouping(Record):
    """What grouping says: which candidates are one person.

    Attributes:
        levels: one per round in which edges were scored; empty if no graph had an edge. In an image's last one nothing
            merges: its scores say why the image stopped.
        person: (N,) final macro-node of each candidate, consecutive from 0 over the batch; -1 for a candidate that a
            grouper left out (HGG never does).
        rounds: (B,) rounds in which something merged, per image.
    """

    levels: tuple[Level, ...]
    person: Int64[Tensor, "N"]
    rounds: Int64[Tensor, "B"]


@dataclass(frozen=True)
class Output(Record):
    """All that one forward pass gives; `losses` and `decode` both read it. ``maps`` is None on the pose track."""

    maps: Maps | None
    candidates: Candidates
    grouping: Grouping


@dataclass(frozen=True)
class Poses(Record):
    """People found, ready for evaluation and pictures.

    Attributes:
        keypoints: (P, K, 3) x, y, score in **original image pixels**; score 0 = absent.
        score: (P,) confidence of the whole pose.
        batch: (P,) image of each pose, non-decreasing.
        num_images: B.
    """

    keypoints: Float[Tensor, "P K 3"]
    score: Float[Tensor, "P"]
    batch: Int64[Tensor, "P"]
    num_images: int
