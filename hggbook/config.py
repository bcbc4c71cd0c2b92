"""Configuration: frozen dataclasses, a few sizes, and overrides that must name an existing key.

A config is data: it can be written as JSON or YAML, travels in every checkpoint, and rebuilds the run. Modules do not
read it; only what joins them does (`model`, `objective`, `train`, `data.source`, `compare`), and hands each part its
own few numbers.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

POSE_FILE = "coco/person_keypoints_train2017_poses.json.gz"  # in the folder that HGGBOOK_DATA names
SIZES = ("tiny", "small", "paper", "pose")


@dataclass(frozen=True)
class DetectorConfig:
    """The keypoint proposal network. Paper: sec. 3.3 (a stacked hourglass); defaults are the paper's size."""

    kind: str = "hourglass"  # hourglass | efficientnet (not in the paper; only its width can be chosen)
    input_size: int = 512
    stacks: int = 4  # of hourglasses; an efficientnet has 1
    depth: int = 4
    width: int = 256
    growth: int = 128
    embedding: int = 1  # d, size of the relational embedding per keypoint type
    normalisation: str = "none"  # none (as in the AE code base) | batch | group (same result for any batch)


@dataclass(frozen=True)
class ProposalConfig:
    """From heatmaps to candidates. Paper: sec. 3.3 ("apply keypoint NMS and parse the heatmaps")."""

    threshold: float = 0.1
    per_type: int = 30
    kernel: int = 3
    subpixel: str = "quarter"  # none | quarter (as AE: a quarter cell towards the larger neighbour) | taylor
    limit: int = 400  # most candidates per image, best scores first; bounds the quadratic graph


@dataclass(frozen=True)
class GroupingConfig:
    """Graph, interaction GNN, discriminators, OHGC. Paper: sec. 3.1, 3.2."""

    graph: str = "full"  # tree | bypass | extended | full
    reading: str = "pairwise"  # literal | pairwise (every edge carries its own feature)
    interaction: str = "edgeconv"  # edgeconv | gat | fc
    layers: int = 3
    hidden: int = 64
    aggregation: str = "max"  # max | mean
    edge_mlp: int = 1  # fully connected layers in an EdgeConv's edge function
    dropout: float = 0.0  # of the three-layer MLPs. Choice: none; it gained nothing, and drawing masks costs time
    edge_start: str = "full"  # full | geometry | embedding | types: what an edge's own feature starts from (pairwise)
    edge_score: str = "learned"  # learned | distance (of the embeddings; for training without the edge loss)
    evidence: str = "input"  # none | input | added: a macro-edge sees its pairs' round-0 scores (pairwise reading only)
    graclus: str = "mutual"  # random (the paper) | heaviest | mutual
    cut: float = 0.0  # logit under which an edge may not merge in this round
    pair_power: float = 0.0  # an edge weighs (logit - cut) * its candidate pairs ** pair_power
    least_share: float = 0.0  # a round merges only pairs of at least this share of the image's greatest weight
    max_rounds: int = 0  # 0: the number of keypoint types, or of nodes for mutual
    seed: int = 0  # of the visiting order of random graclus
    macro: str = "off"  # off | veto (undo a merge under probability 1/2) | factor (in a pose's score): at inference


@dataclass(frozen=True)
class LossConfig:
    """Loss weights. Paper: sec. 3.3, "1 : 1e-3 : 1e-5"."""

    detection: float = 1.0
    foreground: float = 0.0  # a heatmap's cell counts 1 + foreground * target times; not in the paper
    pull: float = 1e-3
    push: float = 1e-3
    push_kind: str = "exp"  # exp (as the paper) | hinge
    push_margin: float = 1.0
    edge: float = 1.0
    macro_final: float = 0.5
    macro_intermediate: float = 0.5
    into_detector: float = 1e-5  # factor on the grouping gradient where it enters the detector
    background: str = "annotated"  # annotated | zero | ignore: label of an edge to a background candidate
    mixed: str = "ignore"  # ignore | share: label of an edge whose node is mixed already (share of its pairs)
    sigma: float = 2.0  # of the target Gaussians, in map cells
    truncate_targets: bool = False  # heatmap centres truncated to whole cells, as in the AE code


@dataclass(frozen=True)
class DataConfig:
    """Where training samples come from."""

    kind: str = "scenes"  # scenes | coco (photographs) | poses (annotations only: the pose track) | candidates (frozen)
    train: str = ""  # annotation file (coco, poses), or file of labelled candidates (candidates)
    images: str = ""  # image folder (coco)
    part: str = "all"  # all | train: only the images that the splits leave for training (coco, poses)
    preset: str = "crowd"  # scenes: easy | crowd | dense; poses: a simulation, e.g. hard
    knobs: str = ""  # changes to the scenes' preset, e.g. "overlap=0.2 people_high=4"
    num_scenes: int = 4000
    scene_seed: int = 0  # training scenes; tuning and reporting use other seeds
    least_people: int = 0  # leave out images with fewer annotated people (coco, poses, candidates)
    most_people: int = 0  # leave out images with more; 0: none (poses, candidates)
    augment: bool = True
    rotation: float = 30.0  # degrees
    scale_low: float = 0.75
    scale_high: float = 1.25
    shift: float = 0.2  # of the long side
    flip: float = 0.5
    colour: bool = True
    workers: int = 0

    @property
    def has_images(self) -> bool:
        """Whether there is a detector to train; if not, training begins with candidates."""
        return self.kind in ("scenes", "coco")


@dataclass(frozen=True)
class BaselineConfig:
    """Associative embedding's greedy grouping on the same candidates. Paper: sec. 4."""

    threshold: float = 1.0  # largest embedding distance of a match


@dataclass(frozen=True)
class TrainConfig:
    """The training loop. Paper: sec. 3.3: Adam, learning rate 2e-4, AE pre-training, then everything jointly."""

    batch: int = 32
    pretrain_steps: int = 200_000  # detection, pull and push only
    joint_steps: int = 100_000  # all losses
    learning_rate: float = 2e-4
    grouping_learning_rate: float = 2e-4
    encoder_rate: float = 1.0  # times learning_rate: of a detector's `encoder`, which has learned before (efficientnet)
    warmup: int = 0
    decay: str = "none"  # none | linear | cosine: to zero over pretrain_steps + joint_steps
    epsilon: float = 1e-8  # Adam's
    clip: float = 0.0  # largest gradient norm, 0: unlimited
    precision: str = "fp32"  # fp32 | bf16 (autocast, detector only)
    channels_last: bool = True
    compile: bool = False
    log_every: int = 20
    save_every: int = 500


@dataclass(frozen=True)
class Config:
    """Everything a run depends on, apart from the data's content and the machine."""

    skeleton: str = "coco"
    seed: int = 0
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    proposal: ProposalConfig = field(default_factory=ProposalConfig)
    grouping: GroupingConfig = field(default_factory=GroupingConfig)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict of numbers and strings, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Inverse of `to_dict`; keys left out keep their default.

        Raises:
            ValueError: unknown key (the nearest known ones are named), or a value of the wrong type.
        """
        return _build(cls, values, "")

    def override(self, *settings: str, **values: Any) -> "Config":
        """A copy with single settings changed, e.g. ``override("grouping.layers=2", **{"loss.push_kind": "hinge"})``.

        Raises:
            ValueError: not of the form key=value, unknown key, or a value that does not fit the key's type.
        """
        flat = dict(values)
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise ValueError(f"override {setting!r}: expected key=value, e.g. grouping.layers=2")
            flat[key.strip()] = value.strip()
        nested = self.to_dict()
        for key, value in flat.items():
            section, _, name = key.rpartition(".")
            target = nested[section] if section in nested and isinstance(nested[section], dict) else nested
            if section and target is nested:
                raise ValueError(f"unknown config section {section!r} in {key!r}; {_nearest(section, nested)}")
            if name not in target:
                raise ValueError(f"unknown config key {key!r}; {_nearest(name, target)}")
            target[name] = value
        return Config.from_dict(nested)


def preset(size: str) -> Config:
    """The config of one size.

    ``paper``: the paper's words throughout (size, literal reading, random graclus, loss weights, Adam 2e-4).
    ``small``: 2 stacks of 64 channels at 256 x 256, the default method. ``tiny``: 2 stacks of 32 at 128 x 128, what a
    laptop trains in minutes. ``pose``: the grouping stage alone, on candidates simulated from annotated people.

    Raises:
        ValueError: unknown size.
    """
    if size == "paper":
        return Config(
            grouping=GroupingConfig(reading="literal", graclus="random", evidence="none", dropout=0.3),
            data=DataConfig(kind="coco", train="coco/annotations/person_keypoints_train2017.json",
                            images="coco/train2017"),
            train=TrainConfig(precision="bf16"),
        )
    if size not in SIZES:
        raise ValueError(f"size: expected one of {SIZES}, got {size!r}")
    # Choice: the surest first, by how much hangs on a merge; results/GROUPING.md has what it is worth.
    surest = GroupingConfig(pair_power=0.5, least_share=0.5)
    if size == "pose":
        return Config(
            grouping=surest,
            # Choice: images with two people or more: with one there is nothing to group. With six or fewer: the others
            # are one image in five, hold three fifths of all pairs, and teach nothing that was seen in the scores.
            data=DataConfig(
                kind="poses", train=POSE_FILE, part="train", preset="hard", least_people=2, most_people=6,
            ),
            loss=LossConfig(mixed="share"),
            train=TrainConfig(
                batch=8, pretrain_steps=0, joint_steps=7000, grouping_learning_rate=4e-3, warmup=50, decay="linear",
                clip=5.0,
            ),
        )
    tiny = size == "tiny"
    return Config(
        grouping=surest,
        # Choice: group normalisation, because it learns as the AE network without any does not in a short run, and
        # yet gives an image the same maps whatever images, or processes, are beside it.
        detector=DetectorConfig(
            input_size=128 if tiny else 256, stacks=2, depth=3 if tiny else 4, width=32 if tiny else 64,
            growth=16 if tiny else 32, normalisation="group",
        ),
        # Choice: hinge push, because the exponential one has no gradient where small, fast runs start (all tags equal).
        # Choice: a hundredfold gradient of the grouping losses into the detector: short runs see no effect of 1e-5.
        loss=LossConfig(push_kind="hinge", pull=1e-2, push=1e-2, into_detector=1e-3, mixed="share", sigma=1.5),
        proposal=ProposalConfig(limit=150, subpixel="taylor"),
        train=TrainConfig(
            batch=16, pretrain_steps=3000, joint_steps=1000, learning_rate=2e-3, grouping_learning_rate=2e-3,
            warmup=50, decay="cosine", clip=5.0,
        ),
    )


def _build(cls, values, where):
    known = {f.name: f for f in dataclasses.fields(cls)}
    if not isinstance(values, Mapping):
        raise ValueError(f"config section {where or 'top level'}: expected a mapping, got {type(values).__name__}")
    built = {}
    for key, value in values.items():
        path = f"{where}{key}"
        if key not in known:
            raise ValueError(f"unknown config key {path!r}; {_nearest(key, known)}")
        kind = known[key].type
        built[key] = _build(kind, value, f"{path}.") if dataclasses.is_dataclass(kind) else _cast(kind, value, path)
    return cls(**built)


def _cast(kind, value, path):
    if kind is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind is bool and not isinstance(value, bool):
        raise ValueError(f"config key {path}: expected true or false, got {value!r}")
    if isinstance(value, bool) and kind is not bool:
        raise ValueError(f"config key {path}: expected {kind.__name__}, got {value!r}")
    try:
        cast = kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"config key {path}: expected {kind.__name__}, got {value!r}") from None
    if kind is int and float(value) != cast:
        raise ValueError(f"config key {path}: expected int, got {value!r}")
    return cast


def _nearest(name, known):
    close = difflib.get_close_matches(str(name), list(known), n=3)
    return f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"
