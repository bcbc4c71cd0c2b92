"""HGG: the parts joined. ``forward`` is `detect`, `propose`, `group`; both tracks share `group`."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hggbook.config import Config, DetectorConfig
from hggbook.detector import EfficientNet, Hourglass, propose
from hggbook.grouping.discriminators import EdgeDiscriminator, MacroNodeDiscriminator, MeanEvidence
from hggbook.grouping.graph import build_graph, node_features
from hggbook.grouping.groupers.scores import embedding_scores
from hggbook.grouping.losses import scale_gradient
from hggbook.grouping.message_passing import InteractionGNN
from hggbook.grouping.ohgc import OHGC
from hggbook.paths import whole_file
from hggbook.skeleton import SKELETONS
from hggbook.types import Candidates, Graph, Grouping, Maps, Output, PairScores

DETECTORS = ("hourglass", "efficientnet")
MACRO = ("off", "veto", "factor")
EDGE_SCORE = ("learned", "distance")
Proposer = Callable[[Maps], Candidates]


class HGG(nn.Module):
    """Hierarchical graph grouping embedded with a keypoint proposal network; all modules trained end to end.

    Args:
        detector: images (B, 3, H, W) -> `Maps`. Any bottom-up detector that gives heatmaps and embeddings will do; None
            for a grouping stage alone (pose track).
        propose: `Maps` -> `Candidates`.
        gnn: the interaction GNN.
        ohgc: the clustering with its two discriminators.
        linked: (K, K) bool, the pairs of keypoint types that the graph configuration links.
        into_detector: factor on the gradient of the grouping losses where it enters the detector.
        threshold: if given, the edges of the first round are scored by it, less the distance of their embeddings, and
            not by the edge discriminator.
        precision: ``fp32``, or ``bf16`` to run the detector (never the grouping) under autocast.

    Paper: sec. 3, Fig. 1, Fig. 2.
    """

    def __init__(
        self,
        detector: nn.Module | None,
        propose: Proposer,
        gnn: InteractionGNN,
        ohgc: OHGC,
        linked: Bool[Tensor, "K K"],
        *,
        into_detector: float = 1.0,
        threshold: float | None = None,
        precision: str = "fp32",
    ):
        super().__init__()
        if precision not in ("fp32", "bf16"):
            raise ValueError(f"precision: expected fp32 or bf16, got {precision!r}")
        self.detector = detector
        self.propose = propose
        self.gnn = gnn
        self.ohgc = ohgc
        self.into_detector = into_detector
        self.threshold = threshold
        self.precision = precision
        self.register_buffer("linked", linked, persistent=False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Output:
        """Everything that one pass gives, alike in training and inference; losses and `decode` both read it."""
        maps = self.detect(images)
        candidates = self.propose(maps)
        return Output(maps, candidates, self.group(candidates))

    def detect(self, images: Float[Tensor, "B 3 H W"]) -> Maps:
        """Heatmaps and embeddings of all stacks, fp32. Paper: sec. 3.3.

        Raises:
            ValueError: this model has no detector.
        """
        if self.detector is None:
            raise ValueError("model: it has a grouping stage only (pose track) and cannot look at images")
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.detector(images)

    def group(self, candidates: Candidates) -> Grouping:
        """Groups candidates, wherever they come from: the grouping stage of both tracks. Paper: sec. 3.1, 3.2."""
        scaled = candidates.replace(
            embedding=scale_gradient(candidates.embedding, self.into_detector),
            score=scale_gradient(candidates.score, self.into_detector),
        )
        return self.ohgc(self._scored(self.embed(scaled), candidates))

    def embed(self, candidates: Candidates) -> Graph:
        """The graph of each image after the interaction GNN, which the clustering starts from. Paper: sec. 3.1."""
        graph = build_graph(candidates, node_features(candidates, len(self.linked)), self.linked)
        return self.gnn(graph, candidates)

    def score_pairs(self, candidates: Candidates, cut: float = 0.0) -> PairScores:
        """The edge discriminator's logits of the first round, less ``cut``: scores of pairs for other groupers."""
        graph = self._scored(self.embed(candidates), candidates)
        return PairScores(graph.edge_index, self.ohgc.score(graph).detach() - cut)

    def _scored(self, graph: Graph, candidates: Candidates) -> Graph:
        """The graph with the scores that its edges have before the edge discriminator is asked: usually none."""
        if self.threshold is None:
            return graph
        return graph.replace(edge_logit=embedding_scores(candidates, self.linked, self.threshold).logit)

    def grouping_parameters(self) -> list[nn.Parameter]:
        """Parameters of the GNN and the discriminators."""
        return [*self.gnn.parameters(), *self.ohgc.parameters()]


def build(config: Config, *, with_detector: bool = True) -> HGG:
    """The model that a config describes, with fresh weights from torch's global generator.

    Args:
        config: any size.
        with_detector: False for the pose track.

    Raises:
        ValueError: a value that no part knows; the part names it.
    """
    skeleton = SKELETONS.get(config.skeleton)
    if skeleton is None:
        raise ValueError(f"skeleton: expected one of {tuple(SKELETONS)}, got {config.skeleton!r}")
    d, p, g, k = config.detector, config.proposal, config.grouping, skeleton.num_types
    detector = None
    if with_detector:
        detector = build_detector(d, k)
        if config.train.channels_last:
            detector = detector.to(memory_format=torch.channels_last)

    def proposer(maps: Maps) -> Candidates:
        return propose(
            maps, threshold=p.threshold, per_type=p.per_type, kernel=p.kernel, subpixel=p.subpixel, limit=p.limit
        )

    gnn = InteractionGNN(
        d.embedding + k + 2, k, reading=g.reading, interaction=g.interaction, layers=g.layers, hidden=g.hidden,
        aggregation=g.aggregation, edge_mlp=g.edge_mlp, edge_start=g.edge_start,
        dropout=g.dropout,
    )  # fmt: skip
    if g.macro not in MACRO:
        raise ValueError(f"grouping.macro: expected one of {MACRO}, got {g.macro!r}")
    if g.edge_score not in EDGE_SCORE:
        raise ValueError(f"grouping.edge_score: expected one of {EDGE_SCORE}, got {g.edge_score!r}")
    learned = g.edge_score == "learned"
    pairwise = g.reading == "pairwise"  # the literal edge discriminator sees two node features and nothing else
    edges = MeanEvidence()
    if learned:
        edges = EdgeDiscriminator(
            g.hidden,
            edge_channels=g.hidden if pairwise else 0,
            evidence=g.evidence if pairwise else "none",
            dropout=g.dropout,
        )
    ohgc = OHGC(
        edges,
        MacroNodeDiscriminator(g.hidden, dropout=g.dropout),
        order=g.graclus,
        cut=g.cut,
        pair_power=g.pair_power,
        least_share=g.least_share,
        # Choice: a maximal matching halves the clusters, so K rounds are far more than it needs; if the surest pairs
        # merge first, it may take many.
        max_rounds=g.max_rounds or (0 if g.graclus == "mutual" or g.least_share else k),
        seed=g.seed,
        veto=g.macro == "veto",
    )
    return HGG(
        detector, proposer, gnn, ohgc, torch.from_numpy(skeleton.linked(g.graph)),
        into_detector=config.loss.into_detector, threshold=None if learned else config.baseline.threshold,
        precision=config.train.precision,
    )  # fmt: skip


def build_detector(config: DetectorConfig, num_types: int) -> nn.Module:
    """The keypoint proposal network that a config describes, for so many keypoint types.

    Raises:
        ValueError: unknown kind, a value that the network refuses, or one that an efficientnet cannot have.
    """
    if config.kind == "hourglass":
        return Hourglass(
            num_types, config.embedding, stacks=config.stacks, depth=config.depth, width=config.width,
            growth=config.growth, normalisation=config.normalisation,
        )  # fmt: skip
    if config.kind != "efficientnet":
        raise ValueError(f"detector.kind: expected one of {DETECTORS}, got {config.kind!r}")
    for key, only in (("stacks", 1), ("normalisation", EfficientNet.normalisation)):
        if (found := getattr(config, key)) != only:
            raise ValueError(f"detector.{key}: an efficientnet has {only}, got {found} (set detector.{key}={only})")
    return EfficientNet(num_types, config.embedding, width=config.width)


def save_weights(path: str | Path, model: HGG, config: Config, **facts: str) -> None:
    """Writes a model's weights with its config as safetensors: whole, or not at all.

    Args:
        path: file to write, usually ``*.safetensors``.
        model: any device.
        config: what `build` made it from; stored in the file, so that it can be rebuilt.
        **facts: texts to store beside it (how it was trained, on what).

    Not in the paper: bookkeeping.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with whole_file(Path(path)) as temporary:
        save_file(weights, temporary, {"hggbook_config": json.dumps(config.to_dict()), **facts})


def load_weights(path: str | Path, settings: Sequence[str] = ()) -> tuple[HGG, Config]:
    """Rebuilds a model from a file of `save_weights`, in eval mode. Nothing in the file is executed.

    Args:
        path: the file.
        settings: changes to its config, as for `Config.override`, e.g. ``detector.input_size=384``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, or weights that do not fit the architecture its config describes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file, got something else ({error})") from None
    if "hggbook_config" not in facts:
        raise ValueError(f"{path}: expected weights written by hggbook (with their config), got {sorted(facts)}")
    config = Config.from_dict(json.loads(facts["hggbook_config"])).override(*settings)
    model = build(config, with_detector=any(name.startswith("detector.") for name in weights))
    fit_weights(model, weights, str(path))
    return model.eval(), config


def joined(detector: tuple[HGG, Config], grouping: tuple[HGG, Config]) -> tuple[HGG, Config]:
    """One model of the detector of the one and the grouping stage of the other, which was trained on its candidates.

    Args:
        detector: as `load_weights` gives it; so is all of the config but its part on grouping.
        grouping: likewise.

    Raises:
        ValueError: the first has no detector; or the second was made for other embeddings or keypoint types.

    Not in the paper: it trains everything together.
    """
    (seeing, config), (grouper, its) = detector, grouping
    if seeing.detector is None:
        raise ValueError("model: it has a grouping stage only (pose track) and cannot look at images")
    config = dataclasses.replace(config, grouping=its.grouping)
    model = build(config)
    weights = {name: value for name, value in seeing.state_dict().items() if name.startswith("detector.")}
    weights |= {name: value for name, value in grouper.state_dict().items() if not name.startswith("detector.")}
    fit_weights(model, weights, "grouping stage")
    return model.eval(), config


def fit_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Loads weights into a model of exactly that architecture.

    Raises:
        ValueError: names or shapes differ; says which, and which file.
    """
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    ]
    if missing or unknown or shapes:
        said = [
            f"{len(names)} {what} (e.g. {names[0]})"
            for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", sorted(shapes)))
            if names
        ]
        raise ValueError(f"{source}: weights of another architecture: {'; '.join(said)}")
    model.load_state_dict(weights)
