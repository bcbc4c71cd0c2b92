"""The rows of the studies: what is switched, and what that asks."""

from dataclasses import dataclass

POSE, FROZEN, IMAGE = "pose", "frozen", "image"
TRACKS = (POSE, FROZEN, IMAGE)
DEFAULT = "default"


@dataclass(frozen=True)
class Row:
    """One variant of the method.

    Attributes:
        name: short, unique.
        group: what it varies; rows of one group are read together.
        settings: changes to the default config, as for `Config.override`.
        trained: False if the weights of another row are used and only what follows training differs.
        weights_of: that row.
        budget: steps of training, as a multiple of the study's.
        tracks: where it is run.
        goes_on: starts from weights that were trained on the pose track (`Study.start`), not from the default's.
        grouper: whose grouping the row's numbers are of, after training: ``hgg`` or ``ae``.
        values: tried on the tune part for the grouper's one number; empty: the study's own.
        detector_only: the detector is trained for as long as in the other rows, without grouping (track image).
        scales: tested with mirror images and at these scales (track image); empty: on the image as it is.
    """

    name: str
    group: str
    settings: tuple[str, ...] = ()
    trained: bool = True
    weights_of: str = DEFAULT
    budget: int = 1
    tracks: tuple[str, ...] = (POSE,)
    goes_on: bool = False
    grouper: str = "hgg"
    values: tuple[float, ...] = ()
    detector_only: bool = False
    scales: tuple[float, ...] = ()


BOTH = (POSE, FROZEN)
_MAXIMAL = ("grouping.pair_power=0", "grouping.least_share=0")  # the paper's matching: every edge, by its score alone
_LITERAL = ("grouping.reading=literal", "grouping.evidence=none")
_SLOW = "train.grouping_learning_rate=1e-3"  # a quarter of the default
_UNSCALED = ("loss.edge=1e-5", "loss.macro_final=0.5e-5", "loss.macro_intermediate=0.5e-5", "train.clip=0")

ROWS = (
    Row(DEFAULT, "default", tracks=BOTH),
    Row("literal, random", "reading", (*_LITERAL, *_MAXIMAL, "grouping.graclus=random", "loss.mixed=ignore"),
        tracks=BOTH),
    Row("literal", "reading", _LITERAL, tracks=BOTH),
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
    Row("random", "graclus", (*_MAXIMAL, "grouping.graclus=random"), tracks=BOTH),
    Row("heaviest", "graclus", (*_MAXIMAL, "grouping.graclus=heaviest")),
    Row("all mutual pairs at once", "graclus", ("grouping.least_share=0",)),
    Row("weight: the logit alone", "graclus", ("grouping.pair_power=0",)),
    Row("weight: logit x pairs", "graclus", ("grouping.pair_power=1",)),
    Row("all mutual pairs, by logit", "graclus", _MAXIMAL, tracks=BOTH),
    Row("no evidence", "evidence", ("grouping.evidence=none",), tracks=BOTH),
    Row("evidence also added", "evidence", ("grouping.evidence=added",), tracks=BOTH),
    Row("starts from geometry", "edge start", ("grouping.edge_start=geometry",)),
    Row("starts from embeddings", "edge start", ("grouping.edge_start=embedding",)),
    Row("starts from types", "edge start", ("grouping.edge_start=types",)),
    Row("mean", "aggregation", ("grouping.aggregation=mean",)),
    Row("edge MLP of 2", "edge MLP", ("grouping.edge_mlp=2",)),
    Row("GAT", "interaction", ("grouping.interaction=gat",), tracks=BOTH),
    Row("FC", "interaction", ("grouping.interaction=fc",), tracks=BOTH),
    Row("1 layer", "depth", ("grouping.layers=1",)),
    Row("2 layers", "depth", ("grouping.layers=2",)),
    Row("5 layers", "depth", ("grouping.layers=5",)),
    Row("width 32", "width", ("grouping.hidden=32",)),
    Row("dropout 0.3", "dropout", ("grouping.dropout=0.3",)),
    Row("background 0", "background", ("loss.background=zero",), tracks=BOTH),
    Row("background ignored", "background", ("loss.background=ignore",), tracks=BOTH),
    Row("mixed nodes' edges ignored", "mixed nodes", ("loss.mixed=ignore",), tracks=BOTH),
    Row("crowds in training too", "data", ("data.most_people=0",)),
    Row("no macro-node loss", "macro-node", ("loss.macro_final=0", "loss.macro_intermediate=0")),
    Row("embedding of 4", "embedding", ("detector.embedding=4", "data.knobs=dimensions=4")),
    Row("losses at 1e-5, epsilon 1e-8", "loss weight", _UNSCALED),
    Row("losses at 1e-5, epsilon 1e-15", "loss weight", (*_UNSCALED, "train.epsilon=1e-15")),
    Row("goes on from the pose track", "start", (_SLOW,), tracks=(FROZEN,), goes_on=True),
    Row("goes on, threefold budget", "start", (_SLOW,), budget=3, tracks=(FROZEN,), goes_on=True),
    Row("the pose track's weights as they are", "start", trained=False, tracks=(FROZEN,), goes_on=True),
    Row("random after training", "inference", (*_MAXIMAL, "grouping.graclus=random"), trained=False, tracks=BOTH),
    Row("heaviest after training", "inference", (*_MAXIMAL, "grouping.graclus=heaviest"), trained=False),
    Row("macro-node veto", "inference", ("grouping.macro=veto",), trained=False, tracks=BOTH),
    Row("macro-node factor", "inference", ("grouping.macro=factor",), trained=False, tracks=(FROZEN,)),
    Row("default, tenfold budget", "budget", budget=10),
    Row("literal, tenfold budget", "budget", _LITERAL, budget=10),
    Row("literal, best shape, tenfold budget", "budget",
        (*_LITERAL, "grouping.aggregation=mean", "grouping.edge_mlp=2", "grouping.layers=5"), budget=10),
)  # fmt: skip
"""All rows. The best shape of the literal reading is chosen from its rows at the single budget, on the tune split."""



_NO_INTERMEDIATE = ("loss.macro_intermediate=0",)
_NO_MACRO = ("loss.macro_final=0", *_NO_INTERMEDIATE)
_NO_EDGE = ("loss.edge=0", "grouping.edge_score=distance", *_NO_INTERMEDIATE)
_NEAR = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.375, 0.5, 0.625, 0.75)  # cuts on 1 - distance: AE's thresholds, 2 to 0.25
_MULTI = (0.5, 1.0, 2.0)
_WORDS = (*_LITERAL, *_MAXIMAL, "grouping.graclus=random", "loss.mixed=ignore")  # the paper's, taken narrowly
READINGS = {"default": (), "literal": _WORDS}
FULL = "#9 Edge + FinalM + IntermM"
FULL_ROWS = {reading: FULL if reading == "default" else f"{FULL} ({reading})" for reading in READINGS}
"""The full method by reading of the paper."""


def _table2(reading: str) -> tuple[Row, ...]:
    """Table 2 in one reading, and rows of ours. Rows #1 and #2 have no grouping stage and stand in the first.

    Choice: on the track image the literal reading has its #9 only. It learns so late (results/GROUPING.md) that within
    a joint training of minutes its other rows would tell nothing.
    """
    words = READINGS[reading]
    tag = "" if reading == "default" else f" ({reading})"
    full = f"{FULL}{tag}"
    tracks = (POSE, IMAGE) if reading == "default" else (POSE,)

    def row(name: str, *settings: str, **more) -> Row:
        more = {"tracks": tracks} | more
        return Row(f"{name}{tag}", reading, (*words, *settings), **more)

    def after(name: str, *settings: str, **more) -> Row:
        return row(name, *settings, trained=False, weights_of=full, **more)

    alone = (
        after("#1 AE", tracks=(POSE,), grouper="ae"),  # its candidates are given: nothing of AE is trained there
        row("#1 AE", tracks=(IMAGE,), grouper="ae", detector_only=True),
        Row("#2 AE, multi-scale", reading, words, trained=False, weights_of="#1 AE", tracks=(IMAGE,), grouper="ae",
            scales=_MULTI),
    )  # fmt: skip
    images_only = (
        after("#6 as #9, grouped by AE", tracks=(IMAGE,), grouper="ae"),
        after("#10 as #9, multi-scale", tracks=(IMAGE,), scales=_MULTI),
        row("as #9, no gradient into the detector", "loss.into_detector=0", tracks=(IMAGE,)),
    )
    return (
        *(alone if reading == "default" else ()),
        row("#3 FinalM", *_NO_EDGE, values=_NEAR),
        row("#4 Edge", *_NO_MACRO),
        row("#5 Edge + FinalM", *_NO_INTERMEDIATE),
        row("#7 FC", "grouping.interaction=fc"),
        row("#8 GAT", "grouping.interaction=gat"),
        row(FULL, tracks=(POSE, IMAGE)),
        after("as #9, macro-node veto", "grouping.macro=veto"),
        *(images_only if reading == "default" else ()),
    )


TABLE2 = (*_table2("default"), *_table2("literal"))
"""Paper: Table 2, #1 to #10, in both readings, and rows of ours."""

GRAPHS = tuple(
    Row(name if reading == "default" else f"{name} ({reading})", reading, (*words, f"grouping.graph={name}"),
        tracks=BOTH)
    for reading, words in READINGS.items()
    for name in ("tree", "bypass", "extended", "full")
)  # fmt: skip
"""Paper: Fig. 4a."""

STUDIES = {"grouping": ROWS, "table2": TABLE2, "graphs": GRAPHS}
"""By the name of the study."""


def rows_of(track: str, names: list[str] | None = None, study: str = "grouping") -> list[Row]:
    """The rows of a study on a track, or those named.

    Raises:
        ValueError: unknown study, track or row, or a study that is not run on that track.

    Not in the paper: bookkeeping.
    """
    if study not in STUDIES:
        raise ValueError(f"study: expected one of {tuple(STUDIES)}, got {study!r}")
    if track not in TRACKS:
        raise ValueError(f"track: expected one of {TRACKS}, got {track!r}")
    rows = [row for row in STUDIES[study] if track in row.tracks]
    if not rows:
        tracks = sorted({track for row in STUDIES[study] for track in row.tracks})
        raise ValueError(f"study {study}: it is run on the tracks {tracks}, not on {track!r}")
    if names:
        known = {row.name: row for row in rows}
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"rows: unknown {unknown}; the rows of track {track} are {sorted(known)}")
        rows = [known[name] for name in dict.fromkeys(names)]
    return rows
