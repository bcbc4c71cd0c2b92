"""The numbers of the pose track's simulation: `Simulation`, the presets of that kind, and their YAML files.

A preset is either in `SIMULATIONS`, or a file ``NAME.yaml`` beside this module in ``simulations/``, or a YAML file
anywhere. `hggbook.data.fit_simulation` measures such numbers of a detector.

Not in the paper: the paper always detects.
"""

import dataclasses
import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

from hggbook.paths import find_data, whole_file

QUANTILES = (0.001, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.999)
"""A *table* gives a distribution by its quantiles at these probabilities, linear between them.

Choice: tables, because what was measured is neither normal nor of any one family: matching cuts localisation errors off
at OKS 0.5, scores are bounded and skewed, and the noise of embeddings has long tails.
"""

Numbers = tuple[float, ...]

MATCH_RADIUS = math.sqrt(8 * math.log(2))
"""Where OKS falls to 0.5, in units of (COCO's sigma x person's size): farther away, a candidate is no match."""


@dataclass(frozen=True)
class Effects:
    """What moves a probability away from its named value. All in log odds; all 0: nothing does.

    Attributes:
        size: per doubling of the person's size (square root of its area) from ``middle`` on.
        middle: that size, in pixels of the network input.
        crowding: where another person's keypoint is, falling off with the distance (see `surroundings.crowding_at`).
        hidden: of a person whose keypoints are all occluded, against one with all of them seen.
        person: standard deviation of what all keypoints of a person have in common.
        types: of each keypoint type; empty: 0.

    Not in the paper: see `Simulation`.
    """

    size: float = 0.0
    middle: float = 50.0
    crowding: float = 0.0
    hidden: float = 0.0
    person: float = 0.0
    types: Numbers = ()


@dataclass(frozen=True)
class Simulation:
    """How a detector is imitated. Probabilities are per annotated keypoint, unless said otherwise.

    A person's *size* is the square root of its area. A *table* holds quantiles (see `QUANTILES`) and takes the place of
    the single numbers named with it; empty: those numbers are used.

    Attributes:
        size: long side of the network input in pixels; images are fitted into its square and centred.
        jitter: localisation error, standard deviation per axis in units of (COCO's sigma x person's size).
        miss_seen, miss_occluded: probability that a keypoint has no candidate, by visibility.
        duplicate: probability of a second candidate on a keypoint.
        background: probability of a candidate that is nobody's, of a random type, near the person.
        background_spread: where: uniform in the box of the person's keypoints, enlarged by this factor.
        embedding_step: mean distance of the embeddings of the people of an image, who stand in random order.
        embedding_spread: standard deviation of each person's own embedding around its place in that order.
        collide: probability (per person) of taking over the embedding of the nearest other person ...
        collide_spread: ... up to this standard deviation.
        noise_seen, noise_occluded, noise_background: standard deviation of the embedding of a single candidate.
        score_seen, score_occluded, score_background: mean confidence of a candidate.
        score_spread: standard deviation of the confidence (clipped to 0.1 .. 1).
        mirror: probability (per image) of a left-right mirrored image: augmentation for training.
        zoom: largest factor (per image) by which people are shrunk around a random point: augmentation for training.

        rematch: label the candidates as a real detector's are labelled (`hggbook.labels.match_candidates`), instead of
            by what they were made for: a misplaced candidate may happen to lie on somebody else's keypoint.
        jitter_table: radius of the localisation error, in the same units; its direction is uniform.
        jitter_occluded, jitter_types: exponent on the quantile's probability for occluded keypoints, and for each type
            (empty: 1): below 1 is less precise.
        miss_by: what else a miss depends on.
        miss_reach: misses of one person's keypoints go together as exp(-distance / reach), in sizes of the person: what
            hides a nose hides the eyes; 0: each by itself.
        stray_missed, stray_found: probability of a *stray*, a candidate of the keypoint's type at a wrong place, where
            the keypoint is missed, and where it is found.
        stray_missed_by, stray_found_by: what else that depends on.
        stray_again: probability of another stray of the same keypoint, after each one (at most 4).
        swap: probability that a stray lies on the keypoint of the mirrored type (left for right), if labelled.
        stray_missed_table, stray_found_table: how far other strays lie from the keypoint, in sizes of the person, in a
            uniform direction; never within OKS 0.5.
        apart: distance in pixels of the network input at which half of the pairs of candidates of one type, made for
            different people, become one (`simulate` says which) because their peaks merge; nearer more, farther fewer.
        clutter: mean number of candidates per image anywhere in the image, people or not.
        types: how frequent each type is in background and clutter; empty: equally.
        dimensions: d, channels of the embedding.
        embedding_ordered: people stand in the order in which they stand along the gradient, counted from its middle,
            instead of in random order from 0; a person counts as far as the detector finds it.
        embedding_reach: then, how far apart (in sides of the network input) people must stand to be a step apart; much
            nearer to each other they are not told apart (see `simulated_people.place_along`).
        embedding_scale: standard deviation of a factor (per image) on all this.
        embedding_origin: (d,) embedding of a person in the middle of the network input.
        embedding_gradient: (2 d,) for each channel the change across and down the network input, from person to person.
        embedding_within: (2 d,) the same within a person, from candidate to candidate.
        blend_found, blend_stray_missed, blend_stray_found: share of another person's embedding in that of a candidate
            that is as near to a keypoint of that person as to one of its own; 0: none, however near.
        blend_reach: how the share's log odds fall: by 1 for each ``blend_reach`` sizes that the other is farther away.
        blend_spread: standard deviation of the share's log odds.
        noise_seen_table, noise_occluded_table, noise_stray_missed_table, noise_stray_found_table: size of the noise per
            channel; the sign is random.
        noise_types: factor on the noise for each type; empty: 1.
        noise_reach: what is random in the embeddings of a person's candidates (noise, shares of others) goes together,
            as misses do with ``miss_reach``.
        noise_clutter: standard deviation of clutter's embeddings around what the gradient gives at its place.
        score_seen_table, score_occluded_table, score_duplicate_table, score_stray_missed_table,
            score_stray_found_table, score_background_table: confidence of a candidate (the last one of clutter too);
            not clipped.
        score_person, score_rest, score_crowding, score_middle: the confidence of a found candidate, as a standard
            normal number, is made of one that its person has in common and one of its own, with these standard
            deviations, and of ``score_crowding`` times how crowded its keypoint is (`surroundings.crowding_at`) beyond
            ``score_middle``.
        score_error, score_noise, score_stray: correlation of that number with the localisation error; with what is
            random in the embedding (size of the noise, share of another person's); for strays, with the distance.

    Not in the paper: the paper always detects.
    """

    size: int = 512
    jitter: float = 0.5
    miss_seen: float = 0.08
    miss_occluded: float = 0.20
    duplicate: float = 0.03
    background: float = 0.08
    background_spread: float = 1.5
    embedding_step: float = 1.0
    embedding_spread: float = 0.3
    collide: float = 0.35
    collide_spread: float = 0.35
    noise_seen: float = 0.25
    noise_occluded: float = 0.4
    noise_background: float = 1.0
    score_seen: float = 0.65
    score_occluded: float = 0.5
    score_background: float = 0.4
    score_spread: float = 0.15
    mirror: float = 0.0
    zoom: float = 1.0

    rematch: bool = False
    jitter_table: Numbers = ()
    jitter_occluded: float = 1.0
    jitter_types: Numbers = ()
    miss_by: Effects = field(default_factory=Effects)
    miss_reach: float = 0.0
    stray_missed: float = 0.0
    stray_found: float = 0.0
    stray_missed_by: Effects = field(default_factory=Effects)
    stray_found_by: Effects = field(default_factory=Effects)
    stray_again: float = 0.0
    swap: float = 0.0
    stray_missed_table: Numbers = ()
    stray_found_table: Numbers = ()
    apart: float = 0.0
    clutter: float = 0.0
    types: Numbers = ()
    dimensions: int = 1
    embedding_ordered: bool = False
    embedding_reach: float = 0.0
    embedding_scale: float = 0.0
    embedding_origin: Numbers = ()
    embedding_gradient: Numbers = ()
    embedding_within: Numbers = ()
    blend_found: float = 0.0
    blend_stray_missed: float = 0.0
    blend_stray_found: float = 0.0
    blend_reach: float = 0.2
    blend_spread: float = 0.0
    noise_seen_table: Numbers = ()
    noise_occluded_table: Numbers = ()
    noise_stray_missed_table: Numbers = ()
    noise_stray_found_table: Numbers = ()
    noise_types: Numbers = ()
    noise_reach: float = 0.0
    noise_clutter: float = 1.0
    score_seen_table: Numbers = ()
    score_occluded_table: Numbers = ()
    score_duplicate_table: Numbers = ()
    score_stray_missed_table: Numbers = ()
    score_stray_found_table: Numbers = ()
    score_background_table: Numbers = ()
    score_person: float = 0.0
    score_rest: float = 1.0
    score_crowding: float = 0.0
    score_middle: float = 0.0
    score_error: float = 0.0
    score_noise: float = 0.0
    score_stray: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_table") and value and len(value) != len(QUANTILES):
                raise ValueError(f"simulation {name}: expected {len(QUANTILES)} quantiles, got {len(value)}")
        if not 1 <= self.dimensions < 100:
            raise ValueError(f"simulation dimensions: expected 1 to 99, got {self.dimensions}")
        for name, each in (("embedding_origin", 1), ("embedding_gradient", 2), ("embedding_within", 2)):
            value = getattr(self, name)
            if value and len(value) != each * self.dimensions:
                raise ValueError(
                    f"simulation {name}: expected {each * self.dimensions} numbers for embeddings of "
                    f"{self.dimensions} channels, got {len(value)}"
                )


SIMULATIONS = {
    # A first guess at a mediocre detector: one-dimensional embeddings of which a third collide with a neighbour's.
    "hard": Simulation(),
    # Perfect candidates: for the oracle test.
    "perfect": Simulation(
        jitter=0.0, miss_seen=0.0, miss_occluded=0.0, duplicate=0.0, background=0.0, embedding_spread=0.0, collide=0.0,
        noise_seen=0.0, noise_occluded=0.0,
    ),
}  # fmt: skip


def shipped_simulations() -> dict[str, Path]:
    """The preset files that come with the package, by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "simulations").glob("*.yaml"))}


def read_simulation(preset: str | os.PathLike) -> Simulation:
    """A simulation by name (`SIMULATIONS`, shipped files), or from a YAML file as `write_simulation` writes it.

    A file is looked for as `hggbook.paths.find_data` does. Only its section ``simulation`` is used; what that leaves
    out keeps its default.

    Raises:
        ValueError: neither a known name nor a file, or a file that is not such a preset: unknown field, wrong value.

    Not in the paper: bookkeeping.
    """
    shipped = shipped_simulations()
    if preset in SIMULATIONS:
        return SIMULATIONS[preset]
    try:
        path = shipped.get(str(preset)) or find_data(str(preset))
    except ValueError:
        path = None
    if path is None or not path.is_file():
        known = (*SIMULATIONS, *(name for name in shipped if name not in SIMULATIONS))
        raise ValueError(f"simulation {str(preset)!r}: expected one of {known} or a YAML file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"simulation {path}: not valid YAML: {error}") from None
    if not isinstance(values, Mapping) or "simulation" not in values:
        raise ValueError(f"simulation {path}: expected a mapping with a section 'simulation'")
    return _build(Simulation, values["simulation"], f"simulation {path}: ")


def write_simulation(
    path: str | os.PathLike,
    simulation: Simulation,
    provenance: Mapping[str, str | int | float],
    report: Mapping[str, Any] | None = None,
) -> None:
    """Writes a simulation as a preset file: whole, or not at all. The same input gives the same bytes.

    Args:
        path: file to write, usually ``*.yaml``.
        simulation: numbers are kept to five digits.
        provenance: what it was measured on: weights, data, number of images, versions.
        report: further facts, e.g. the number of observations behind each field; plain numbers and texts.

    Raises:
        OSError: cannot be written.

    Not in the paper: bookkeeping.
    """
    sections = {"provenance": dict(provenance), "simulation": dataclasses.asdict(simulation)}
    if report:
        sections["report"] = dict(report)
    head = (
        "# How a detector is imitated on the pose track; what each number means: hggbook.data.simulation.Simulation.\n"
        "# Used by `data.preset=NAME or PATH` of a config with `data.kind=poses`; only `simulation` is read back.\n"
    )
    with whole_file(Path(path)) as place:
        text = yaml.safe_dump(_plain(sections), sort_keys=False, default_flow_style=None, width=110)
        place.write_text(head + text, encoding="utf-8")


def _plain(value):
    """The same with tuples as lists and floats kept to five digits."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _build(cls, values, where):
    known = {f.name: f.type for f in dataclasses.fields(cls)}
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}expected a mapping of fields to values, got {type(values).__name__}")
    built = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=3)
            told = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise ValueError(f"{where}unknown field {name!r}; {told}")
        kind = known[name]
        if dataclasses.is_dataclass(kind):
            built[name] = _build(kind, value, f"{where}{name}.")
        elif get_origin(kind) is tuple:
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{where}{name}: expected a list of numbers, got {value!r}")
            built[name] = tuple(_number(get_args(kind)[0], item, f"{where}{name}") for item in value)
        else:
            built[name] = _number(kind, value, f"{where}{name}")
    try:
        return cls(**built)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def _number(kind, value, where):
    fits = isinstance(value, bool) == (kind is bool) and isinstance(value, (int, float))
    if not fits or not math.isfinite(value) or kind(value) != value:
        raise ValueError(f"{where}: expected {kind.__name__}, got {value!r}")
    return kind(value)
