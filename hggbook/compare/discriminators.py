"""What the two discriminators said of every edge and macro-node, beside what was true; and its calibration."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.data.labelled import LabelledCandidates
from hggbook.labels import level_labels, node_truth
from hggbook.model import HGG
from hggbook.types import Record


@dataclass(frozen=True)
class EdgeScores(Record):
    """The edge discriminator's answers that have a label; every edge once, in the round that scored it.

    Attributes:
        logit: (E,) same person if positive.
        label: (E,) 1 same person, 0 different people.
        round: (E,) from 0.
        pairs: (E,) candidate pairs that the edge stands for.
        evidence: (E,) sum of those pairs' logits of round 0; in round 0 the logit itself.
        types: (E, 2) keypoint types of its two nodes, as bits.
        image: (E,) row of the image.
    """

    logit: Float[Tensor, "E"]
    label: Float[Tensor, "E"]
    round: Int64[Tensor, "E"]
    pairs: Float[Tensor, "E"]
    evidence: Float[Tensor, "E"]
    types: Int64[Tensor, "E 2"]
    image: Int64[Tensor, "E"]


@dataclass(frozen=True)
class MergeScores(Record):
    """The macro-node discriminator's answers that have a label; every merge once.

    Attributes:
        logit: (N,) of the macro-node that the merge made: one person if positive.
        label: (N,) 1 all of one person, 0 not.
        edge_logit: (N,) what the edge discriminator had said of the pair that merged.
        inherited: (N,) True if one of the two was certainly mixed before, so that this merge is not to blame.
        final: (N,) True where its image ends with this macro-node.
        round: (N,) from 0.
        image: (N,) row of the image.
    """

    logit: Float[Tensor, "N"]
    label: Float[Tensor, "N"]
    edge_logit: Float[Tensor, "N"]
    inherited: Bool[Tensor, "N"]
    final: Bool[Tensor, "N"]
    round: Int64[Tensor, "N"]
    image: Int64[Tensor, "N"]


@torch.no_grad()
def discriminator_scores(
    model: HGG, labelled: LabelledCandidates, *, background: str = "annotated", batch_size: int = 32
) -> tuple[EdgeScores, MergeScores]:
    """Groups labelled candidates and collects what both discriminators said on the way.

    Args:
        model: in eval mode; with its cut and switches as they are.
        labelled: candidates with the truth about them.
        background: rule of `hggbook.labels.edge_labels`.
        batch_size: images at a time; it changes the order of the rows and nothing else.

    Paper: sec. 3.2.
    """
    edges, merges, start = [], [], 0
    for batch in labelled.batches(batch_size):
        c, t = batch.candidates, batch.targets
        grouping = model.group(c)
        node = torch.arange(len(c), device=c.xy.device)
        mixed = torch.zeros_like(node, dtype=torch.bool)
        labels = level_labels(grouping, c, t, background)
        for step, (level, label) in enumerate(zip(grouping.levels, labels)):
            graph, cluster = level.graph, level.cluster
            i, j = graph.edge_index
            told = (~label.edge.isnan()).nonzero()[:, 0]
            edges.append(
                EdgeScores(
                    logit=level.edge_logit[told],
                    label=label.edge[told],
                    round=torch.full_like(told, step),
                    pairs=graph.edge_count[told],
                    evidence=(graph.edge_evidence if step else level.edge_logit)[told],
                    types=graph.types[graph.edge_index[:, told].T],
                    image=graph.batch[i[told]] + start,
                )
            )
            inside = cluster[i] == cluster[j]
            edge_logit = torch.full_like(level.node_logit, torch.nan)
            edge_logit[cluster[i[inside]]] = level.edge_logit[inside]
            inherited = torch.zeros_like(level.made_of, dtype=torch.bool)
            inherited[cluster[mixed]] = True
            image = torch.zeros_like(level.made_of).scatter_(0, cluster, graph.batch)
            told = (~label.node.isnan()).nonzero()[:, 0]
            merges.append(
                MergeScores(
                    logit=level.node_logit[told],
                    label=label.node[told],
                    edge_logit=edge_logit[told],
                    inherited=inherited[told],
                    final=label.final[told],
                    round=torch.full_like(told, step),
                    image=image[told] + start,
                )
            )
            node = cluster[node]
            mixed = node_truth(node, len(level.made_of), c.type, t).mixed
        start += batch.num_images
    return _joined(EdgeScores, edges, labelled), _joined(MergeScores, merges, labelled)


def _joined(kind, parts, labelled):
    number, whole = labelled.candidates.score[:0], labelled.candidates.type[:0]
    empty = {"types": whole.view(0, 2), "inherited": whole.bool(), "final": whole.bool()}
    empty |= {"round": whole, "image": whole}
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{n: torch.cat([empty.get(n, number), *(getattr(part, n) for part in parts)]) for n in names})


@dataclass(frozen=True)
class Reliability(Record):
    """Predicted probabilities in bins of equal width, against what came true.

    Attributes:
        number: (bins,) predictions in each bin.
        predicted: (bins,) their mean; NaN in an empty bin.
        observed: (bins,) share of them that came true; NaN in an empty bin.

    Not in the paper: it shows no calibration.
    """

    number: Int64[Tensor, "bins"]
    predicted: Float[Tensor, "bins"]
    observed: Float[Tensor, "bins"]

    @property
    def error(self) -> float:
        """Expected calibration error: mean over all predictions of how far their bin is off. 0 if there are none."""
        gap = (self.predicted - self.observed).abs().nan_to_num(0.0)
        return float((gap * self.number).sum() / self.number.sum().clamp_min(1))


def reliability(prob: Float[Tensor, "N"], label: Float[Tensor, "N"], bins: int = 10) -> Reliability:
    """Sorts predictions into bins. A probability on the border of two bins counts in the lower one, as scikit-learn's.

    Args:
        prob: predicted probabilities of label 1.
        label: 1 or 0, or a share in between.
        bins: how many.

    Raises:
        ValueError: a probability outside of [0, 1], a missing label, or no bin.

    Not in the paper: it shows no calibration.
    """
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    if not bool(((prob >= 0) & (prob <= 1)).all()):
        raise ValueError(f"prob: expected probabilities in [0, 1], got {float(prob.min())} to {float(prob.max())}")
    if bool(label.isnan().any()):
        raise ValueError("label: expected a label for every prediction, got NaN; leave out what has none")
    prob, label = prob.double(), label.double()
    border = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=prob.device)[1:-1]
    place = torch.bucketize(prob, border)
    number = torch.bincount(place, minlength=bins)

    def mean(value):
        return value.new_zeros(bins).index_add(0, place, value) / number

    return Reliability(number, mean(prob), mean(label))
