"""The studies ``crowd`` and ``runtime``: trained weights looked at, not trained. Paper: sec. 4.4, 4.5, Fig. 4b."""

from pathlib import Path
from typing import Any

import torch

from hggbook.ablations.crowd import OVERLAPS, crowds, kept_whole, lead, sweep
from hggbook.ablations.rows import FULL_ROWS, GRAPHS, IMAGE, POSE
from hggbook.ablations.runs import place_of, read_result, runs_of
from hggbook.ablations.runtime import runtime_shares, scaling
from hggbook.compare.contenders import contenders_of
from hggbook.config import Config, preset
from hggbook.data.coco import PoseSet, in_split
from hggbook.data.labelled import LabelledCandidates, simulated
from hggbook.data.simulation import read_simulation
from hggbook.data.source import pose_file, scenes_of
from hggbook.freeze import freeze
from hggbook.model import HGG, build
from hggbook.skeleton import SKELETONS

_SCENES_SEED = 3  # of the crowded scenes: neither trained, tuned nor reported on elsewhere
_PEOPLE = (2, 3, 4, 6, 8, 12, 16)


def study_crowd(
    folder: Path, simulation: str, images: int, overlaps: tuple[float, ...] = OVERLAPS,
    settings: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Overlap sweeps of the full rows of Table 2 on the tracks that have been run, and hidden torsos.

    On track image scenes are rendered at each overlap, so that nearer people really hide farther ones, and every
    training's own detector finds the candidates. On track pose the same annotated people are pushed together.

    Args:
        folder: of the study ``table2``.
        simulation: of the candidates of track pose.
        images: at each overlap.
        overlaps: wanted box IoU of neighbours.
        settings: changes to the config of track pose, as in the study.

    Returns:
        By track and reading, the means of `hggbook.ablations.crowd.sweep` over the seeds and the `lead`;
        ``torso_hidden``: `kept_whole`.

    Raises:
        ValueError: the study has no run there.

    Paper: Table 1b, sec. 3.1, 4.4.
    """  # fmt: skip
    told: dict[str, Any] = {"wanted": list(overlaps)}
    skeleton, made = SKELETONS["coco"], read_simulation(simulation)
    people = _test_people(preset("pose").override(*settings))
    pushed = [simulated(crowds(people, overlap, number=images), made, skeleton, 1) for overlap in overlaps]
    for track in (POSE, IMAGE):
        for reading, row in FULL_ROWS.items():
            if not place_of(folder, track, row, 0).parent.is_dir():
                continue
            sweeps = []
            for result, (model, config) in runs_of(folder, track, row):
                sets = pushed if track == POSE else [_scenes(model, config, overlap, images) for overlap in overlaps]
                known, values = contenders_of(model, config, exact=False), _chosen(folder, track, result)
                sweeps.append(sweep({name: known[name].make(value) for name, value in values.items()}, sets))
            told.setdefault(track, {})[reading] = _summary(sweeps) | lead(sweeps)
    if POSE not in told and IMAGE not in told:
        raise ValueError(f"{folder}: expected the runs of row {FULL_ROWS['default']!r} of the study table2")
    first = people.select(torch.arange(min(4 * images, people.num_images)))
    hidden, seen = kept_whole(first, skeleton), kept_whole(first, skeleton, ())
    told["torso_hidden"] = {"kept_whole": hidden, "torso_seen": seen, "images": first.num_images}
    told["torso_hidden"]["full_ahead_of_tree"] = round(hidden["full"] - hidden["tree"], 4)
    return told


def study_runtime(
    table2: Path, graphs: Path, simulation: str, images: int, settings: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Shares of the time with the paper's detector, time by graph configuration, growth with the number of people.

    Args:
        table2, graphs: folders of these studies, whose weights of track pose are used.
        simulation: of the candidates.
        images: that every model groups, one at a time.
        settings: changes to the config, as in the studies.

    Returns:
        ``grouping_share`` by reading; ``full_over_tree``: ratios of the default reading; ``shares``: all that
        `runtime_shares` told; ``scaling`` by reading.

    Raises:
        ValueError: a study has no runs there.

    Paper: sec. 4.2 (run time of the configurations), 4.5, Fig. 4b.
    """
    groupers = {row.name: _first(graphs, row.name) for row in GRAPHS}  # the tree is the first
    skeleton, made = SKELETONS["coco"], read_simulation(simulation)
    people = _test_people(preset("pose").override(*settings))
    labelled = simulated(people.select(torch.arange(images + 1)), made, skeleton, 1)
    torch.manual_seed(0)
    papers = build(preset("paper")).eval()
    told = runtime_shares(papers.detect, papers.propose, groupers, labelled, preset("paper").detector.input_size,
                          images=images)  # fmt: skip
    number = torch.bincount(people.batch, minlength=people.num_images)
    sets = {}
    for wanted in _PEOPLE:
        rows = (number == wanted).nonzero()[:, 0][: images // 2 + 1]
        if len(rows) == images // 2 + 1:
            sets[wanted] = simulated(people.select(rows), read_simulation(simulation), skeleton, 1)
    both = {reading: _first(table2, row) for reading, row in FULL_ROWS.items()}
    return {
        "grouping_share": {"default": told["grouping"]["full"], "literal": told["grouping"]["full (literal)"]},
        "full_over_tree": told["relative"]["full"],
        "shares": told,
        "images": images,
        "scaling": {reading: scaling(model, sets, images=images // 2) for reading, model in both.items()},
    }


def _chosen(folder: Path, track: str, result: dict[str, Any]) -> dict[str, float]:
    """The numbers that tune chose: HGG's and AE's; the oracle has none."""
    if track == IMAGE:
        return {name: result[name]["ap_cut"] for name in ("hgg", "ae", "oracle")}
    place = place_of(folder, track, "#1 AE", result["seed"])
    ae = read_result(place)
    if ae is None:
        raise ValueError(f"{folder}: expected the runs of row '#1 AE' too; {place} is no file")
    return {"hgg": result["cut"], "ae": ae["cut"], "oracle": 0.0}


def _scenes(model: HGG, config: Config, overlap: float, images: int) -> LabelledCandidates:
    """A detector's candidates of scenes with three people at an overlap. Other people at each one."""
    crowded = config.override("data.preset=crowd", f"data.knobs=overlap={overlap} people_low=3 people_high=3")
    return freeze(model, scenes_of(crowded, images, _SCENES_SEED), crowded)


def _test_people(config: Config) -> PoseSet:
    found = pose_file(config)
    keep = in_split(found.image_id, "test", "poses") & (found.batch.bincount(minlength=found.num_images) >= 2)
    return found.select(keep)


def _first(folder: Path, row: str) -> HGG:
    return runs_of(folder, POSE, row)[0][1][0]


def _summary(sweeps: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the trainings of what `sweep` told."""

    def mean(values: list[float]) -> float:
        return round(sum(values) / len(values), 4)

    first = sweeps[0]
    groupers = {
        name: [{key: mean([one["groupers"][name][k][key] for one in sweeps]) for key in values[k]}
               for k in range(len(values))]
        for name, values in first["groupers"].items()
    }  # fmt: skip
    overlap = [mean([one["overlap"][k] for one in sweeps]) for k in range(len(first["overlap"]))]
    return {"overlap": overlap, "groupers": groupers, "images": first["images"], "seeds": len(sweeps)}
