"""Flip and multi-scale testing: one set of candidates from several views of an image, and a grouping that hears them.

The AE code averages the heatmaps of all views and lets a candidate's tag grow by one number a view; a network that was
trained on embeddings of one length cannot take longer ones. So here every view of scale 1 (the image, and its mirror
image) goes through the interaction GNN on its own, over one and the same graph, and the discriminators' logits are
averaged in every round.
"""

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hggbook.config import Config
from hggbook.grouping.graph import build_graph, node_features
from hggbook.grouping.ohgc import OHGC
from hggbook.model import HGG
from hggbook.skeleton import SKELETONS
from hggbook.types import Candidates, Graph, Maps

_LARGEST = 4.0  # Choice: memory grows with the square of it, and the paper goes up to 2
_BASE = 1.0  # the scale that a network was trained on, and whose embeddings can be compared


class TestTimeHGG(HGG):
    """An HGG that looks at every image several times. It is used like the model that it is made from.

    Its maps hold the mean of all views' heatmaps at the largest scale, and the embeddings of the views of scale 1 one
    behind the other, as the AE baseline wants them: (B, 1, K, V*d, h, w), the image first, then its mirror image.

    Args:
        model: with a detector.
        flip_order: for each keypoint type the type it becomes in a mirrored image (`Skeleton.flip_order`).
        sides: of the square input at each scale, pixels; the largest is that of the images which are passed in.
        base: which of them is scale 1.
        flip: look at mirror images too.

    Choice: bilinear resizing of images (with anti-aliasing) and maps. The AE code warps the original photograph once
    for each scale instead; where the largest input is larger than the photograph the two are alike.

    Paper: sec. 4.1 (flip and multi-scale testing, as in [29]). Choice: logits averaged over views; the paper is silent.
    """

    __test__ = False  # not a test, whatever its name

    def __init__(self, model: HGG, flip_order: Sequence[int], sides: Sequence[int], base: int, *, flip: bool):
        old = model.ohgc
        ohgc = OHGC(
            _OverViews(old.edge_discriminator, 1 + flip), _OverViews(old.node_discriminator, 1 + flip),
            order=old.order, cut=old.cut, pair_power=old.pair_power, least_share=old.least_share,
            max_rounds=old.max_rounds, seed=old.seed, veto=old.veto,
        )  # fmt: skip
        super().__init__(
            model.detector, model.propose, model.gnn, ohgc, model.linked, into_detector=model.into_detector,
            threshold=model.threshold, precision=model.precision,
        )  # fmt: skip
        self.sides, self.base, self.flip = tuple(sides), base, flip
        self.register_buffer("flip_order", torch.tensor(flip_order, device=model.linked.device), persistent=False)
        self.train(model.training)

    def detect(self, images: Float[Tensor, "B 3 H W"]) -> Maps:
        """Maps of all views as one; see the class.

        Raises:
            ValueError: images of another size than the largest scale's.
        """
        side = max(self.sides)
        if images.shape[-2:] != (side, side):
            raise ValueError(f"images: expected {side} x {side} pixels, got {tuple(images.shape[-2:])}")
        heatmaps, embeddings = [], []
        for size in self.sides:
            view = images if size == side else _resize(images, size, antialias=True)
            for mirrored in (False, True)[: 1 + self.flip]:
                maps = super().detect(view.flip(-1) if mirrored else view)
                heat, embedding = maps.heatmaps[:, -1], maps.embeddings[:, -1]
                if mirrored:
                    heat = heat.flip(-1)[:, self.flip_order]
                    embedding = embedding.flip(-1)[:, self.flip_order]
                height = side // maps.stride
                heatmaps.append(_resize(heat, height))
                if size == self.base:
                    embeddings.append(_resize(embedding.flatten(1, 2), height).unflatten(1, embedding.shape[1:3]))
        heat = torch.stack(heatmaps).mean(dim=0)
        return Maps(heat[:, None], torch.cat(embeddings, dim=2)[:, None], maps.stride)

    def embed(self, candidates: Candidates) -> Graph:
        """The graph of each image with the features of all its views beside each other."""
        parts = candidates.embedding.chunk(1 + self.flip, dim=1)
        views = [candidates.replace(embedding=parts[0])]
        if self.flip:
            width = candidates.size[candidates.batch, 0]
            xy = torch.stack([width - 1 - candidates.xy[:, 0], candidates.xy[:, 1]], dim=1)
            views.append(candidates.replace(xy=xy, type=self.flip_order[candidates.type], embedding=parts[1]))
        graph = build_graph(candidates, node_features(views[0], len(self.linked)), self.linked)
        seen = [self.gnn(graph.replace(x=node_features(view, len(self.linked))), view) for view in views]
        x = torch.stack([one.x for one in seen], dim=1).flatten(1)
        edges = None
        if seen[0].edge_attr is not None:
            edges = torch.stack([one.edge_attr for one in seen], dim=1).flatten(1)
        return seen[0].replace(x=x, edge_attr=edges)


class _OverViews(nn.Module):
    """A discriminator's mean logit over views whose features lie beside each other.

    Merging averages features channel by channel, so the views of a macro-node are the macro-nodes of its views.
    """

    def __init__(self, discriminator: nn.Module, views: int):
        super().__init__()
        self.discriminator, self.views = discriminator, views

    def forward(self, nodes: Graph | Tensor) -> Tensor:
        """Logits of a graph's edges, or of macro-nodes given by their features."""
        return torch.stack([self.discriminator(view) for view in self._split(nodes)]).mean(dim=0)

    def _split(self, nodes):
        if isinstance(nodes, Tensor):
            return nodes.chunk(self.views, dim=1)
        edges = [None] * self.views if nodes.edge_attr is None else nodes.edge_attr.chunk(self.views, dim=1)
        return [nodes.replace(x=x, edge_attr=e) for x, e in zip(nodes.x.chunk(self.views, dim=1), edges)]


def with_views(
    model: HGG, config: Config, *, flip: bool = True, scales: Sequence[float | int] = (_BASE,)
) -> tuple[HGG, Config]:
    """A model that is tested with flipped and scaled images, and the config that its images are prepared by.

    Args:
        model, config: as loaded.
        flip: average over each image and its mirror image. The paper's "single-scale" results have it, as AE's.
        scales: of the input, 1 among them; the paper's multi-scale testing has 0.5, 1 and 2.

    Returns:
        The model, and the config with the input size that the largest scale needs. Weights are shared, not copied.
        Averaging over scales lowers the candidates' scores, which the grouping network reads too: its cut has to be
        chosen anew for what it is tested with (``hggbook evaluate --calibrate`` with the same scales).

    Raises:
        ValueError: scales that are not above 0 or above 4, without 1 among them, or so close that two inputs are
            equally large; a model without a detector.

    Paper: sec. 4.1.
    """
    if not all(0 < scale <= _LARGEST for scale in scales) or _BASE not in scales:
        raise ValueError(
            f"scales: expected numbers above 0, {_LARGEST:g} at most, with 1 among them, got {tuple(scales)}"
        )
    if model.detector is None:
        raise ValueError("model: it has a grouping stage only (pose track) and cannot look at images")
    unit, base = model.detector.unit, config.detector.input_size
    sides = [base if scale == _BASE else int((base * scale + unit - 1) // unit * unit) for scale in scales]
    if len(set(sides)) < len(sides):
        raise ValueError(f"scales: expected inputs of different sizes, got {tuple(scales)}, which are {sides} pixels")
    tested = TestTimeHGG(model, SKELETONS[config.skeleton].flip_order, sides, base, flip=flip)
    return tested, dataclasses.replace(config, detector=dataclasses.replace(config.detector, input_size=max(sides)))


def _resize(images: Float[Tensor, "B C H W"], size: int, antialias: bool = False) -> Float[Tensor, "B C h w"]:
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=antialias)


__all__ = ["TestTimeHGG", "with_views"]
