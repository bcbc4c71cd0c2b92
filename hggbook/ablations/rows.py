"""The rows of the grouping study: what is switched, and what that asks."""

from dataclasses import dataclass

POSE, FROZEN = "pose", "frozen"
TRACKS = (POSE, FROZEN)


@dataclass(frozen=True)
class Row:
    """One variant of the grouping stage.

    Attributes:
        name: short, unique.
        group: what it varies; rows of one group are read together.
        settings: changes to the default config, as for `Config.override`.
        trained: False if the default's weights are used and only the clustering after training differs.
        budget: steps of training, as a multiple of the study's.
        tracks: where it is run.
        goes_on: starts from weights that were trained on the pose track (`Study.start`), not from the default's.
    """

    name: str
    group: str
    settings: tuple[str, ...] = ()
    trained: bool = True
    budget: int = 1
    tracks: tuple[str, ...] = (POSE,)
    goes_on: bool = False


DEFAULT = "default"
_MAXIMAL = ("grouping.pair_power=0", "grouping.least_share=0")  # the paper's matching: every edge, by its score alone
_LITERAL = ("grouping.reading=literal", "grouping.evidence=none")
_SLOW = "train.grouping_learning_rate=1e-3"  # a quarter of the default
_UNSCALED = ("loss.edge=1e-5", "loss.macro_final=0.5e-5", "loss.macro_intermediate=0.5e-5", "train.clip=0")

ROWS = (
    Row(DEFAULT, "default", tracks=TRACKS),
    Row("literal, random", "reading", (*_LITERAL, *_MAXIMAL, "grouping.graclus=random", "loss.mixed=ignore"),
        tracks=TRACKS),
    Row("literal", "reading", _LITERAL, tracks=TRACKS),
    Row("literal, mean", "reading", (*_LITERAL, "grouping.aggregation=mean")),
    Row("literal, edge MLP of 2", "reading", (*_LITERAL, "grouping.edge_mlp=2")),
    Row("literal, mean, edge MLP of 2, 5 layers", "reading",
        (*_LITERAL, "grouping.aggregation=mean", "grouping.edge_mlp=2", "grouping.layers=5")),
    Row("literal, rate 1e-3", "reading", (*_LITERAL, _SLOW)),
    Row("literal, mean, rate 1e-3", "reading", (*_LITERAL, _SLOW, "grouping.aggregation=mean")),
    Row("literal, mean, edge MLP of 2, rate 1e-3", "reading",
        (*_LITERAL, _SLOW, "grouping.aggregation=mean", "grouping.edge_mlp=2")),
    Row("literal, mean, edge MLP of 2, 5 layers, rate 1e-3", "reading",
        (*_LITERAL, _SLOW, "grouping.aggregation=mean", "grouping.edge_mlp=2", "grouping.layers=5")),
    Row("random", "graclus", (*_MAXIMAL, "grouping.graclus=random"), tracks=TRACKS),
    Row("heaviest", "graclus", (*_MAXIMAL, "grouping.graclus=heaviest")),
    Row("all mutual pairs at once", "graclus", ("grouping.least_share=0",)),
    Row("weight: the logit alone", "graclus", ("grouping.pair_power=0",)),
    Row("weight: logit x pairs", "graclus", ("grouping.pair_power=1",)),
    Row("all mutual pairs, by logit", "graclus", _MAXIMAL, tracks=TRACKS),
    Row("no evidence", "evidence", ("grouping.evidence=none",), tracks=TRACKS),
    Row("evidence also added", "evidence", ("grouping.evidence=added",), tracks=TRACKS),
    Row("starts from geometry", "edge start", ("grouping.edge_start=geometry",)),
    Row("starts from embeddings", "edge start", ("grouping.edge_start=embedding",)),
    Row("starts from types", "edge start", ("grouping.edge_start=types",)),
    Row("mean", "aggregation", ("grouping.aggregation=mean",)),
    Row("edge MLP of 2", "edge MLP", ("grouping.edge_mlp=2",)),
    Row("GAT", "interaction", ("grouping.interaction=gat",), tracks=TRACKS),
    Row("FC", "interaction", ("grouping.interaction=fc",), tracks=TRACKS),
    Row("1 layer", "depth", ("grouping.layers=1",)),
    Row("2 layers", "depth", ("grouping.layers=2",)),
    Row("5 layers", "depth", ("grouping.layers=5",)),
    Row("width 32", "width", ("grouping.hidden=32",)),
    Row("dropout 0.3", "dropout", ("grouping.dropout=0.3",)),
    Row("background 0", "background", ("loss.background=zero",), tracks=TRACKS),
    Row("background ignored", "background", ("loss.background=ignore",), tracks=TRACKS),
    Row("mixed nodes' edges ignored", "mixed nodes", ("loss.mixed=ignore",), tracks=TRACKS),
    Row("crowds in training too", "data", ("data.most_people=0",)),
    Row("no macro-node loss", "macro-node", ("loss.macro_final=0", "loss.macro_intermediate=0")),
    Row("embedding of 4", "embedding", ("detector.embedding=4", "data.knobs=dimensions=4")),
    Row("losses at 1e-5, epsilon 1e-8", "loss weight", _UNSCALED),
    Row("losses at 1e-5, epsilon 1e-15", "loss weight", (*_UNSCALED, "train.epsilon=1e-15")),
    Row("goes on from the pose track", "start", (_SLOW,), tracks=(FROZEN,), goes_on=True),
    Row("goes on, threefold budget", "start", (_SLOW,), budget=3, tracks=(FROZEN,), goes_on=True),
    Row("the pose track's weights as they are", "start", trained=False, tracks=(FROZEN,), goes_on=True),
    Row("random after training", "inference", (*_MAXIMAL, "grouping.graclus=random"), trained=False, tracks=TRACKS),
    Row("heaviest after training", "inference", (*_MAXIMAL, "grouping.graclus=heaviest"), trained=False),
    Row("macro-node veto", "inference", ("grouping.macro=veto",), trained=False, tracks=TRACKS),
    Row("macro-node factor", "inference", ("grouping.macro=factor",), trained=False, tracks=(FROZEN,)),
    Row("default, tenfold budget", "budget", budget=10),
    Row("literal, tenfold budget", "budget", _LITERAL, budget=10),
    Row("literal, best shape, tenfold budget", "budget",
        (*_LITERAL, "grouping.aggregation=mean", "grouping.edge_mlp=2", "grouping.layers=5"), budget=10),
)  # fmt: skip
"""All rows. The best shape of the literal reading is chosen from its rows at the single budget, on the tune split."""


def rows_of(track: str, names: list[str] | None = None) -> list[Row]:
    """The rows of a track, or those named.

    Raises:
        ValueError: unknown track or row.

    Not in the paper: bookkeeping.
    """
    if track not in TRACKS:
        raise ValueError(f"track: expected one of {TRACKS}, got {track!r}")
    rows = [row for row in ROWS if track in row.tracks]
    if names:
        known = {row.name: row for row in rows}
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"rows: unknown {unknown}; the rows of track {track} are {sorted(known)}")
        rows = [known[name] for name in dict.fromkeys(names)]
    return rows
