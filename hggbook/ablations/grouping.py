"""Studies of the grouping stage: every row on the same data with the same budget, several seeds; one JSON file per run.

A run is trained on the training part, its cut is chosen on the tune part, and both its tune and its test scores are
written. Rows are compared, and the default is chosen, on **tune**; test is for the final claims. Runs that are there
already are not repeated, so a study can be interrupted, spread over machines, and collected at any time.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hggbook import paths
from hggbook.ablations.rows import FROZEN, POSE, Row
from hggbook.ablations.runs import place_of, read_result, run_rows, weights_of, write_result
from hggbook.ablations.scoring import hgg_by_cut, on_frozen, packed, tuned_ap
from hggbook.compare.candidates import Measured, calibrate_contender, hgg_contender, measure, once
from hggbook.compare.contenders import contenders_of
from hggbook.compare.intervals import share_samples
from hggbook.config import Config, preset
from hggbook.data.coco import in_split
from hggbook.data.labelled import LabelledCandidates, load_labelled, simulated
from hggbook.data.source import pose_file, simulation_of
from hggbook.model import HGG, build, load_weights
from hggbook.provenance import provenance
from hggbook.skeleton import SKELETONS
from hggbook.train import Finished, train

CUTS = {POSE: (-2.0, -1.0, 0.0, 1.0), FROZEN: (-4.0, -3.0, -2.0, -1.0, 0.0)}
SIMULATION_SEED = 1_000_000  # of the candidates of tune and test: no epoch of training draws the same


@dataclass(frozen=True)
class Study:
    """What all runs of a study share.

    Attributes:
        track: ``pose`` or ``frozen``.
        steps: of training, for a row of budget 1.
        folder: where runs and results go.
        preset: simulation of the pose track.
        frozen: folder with ``train.safetensors``, ``tune.safetensors``, ``test.safetensors`` (`hggbook freeze`).
        tune_images, test_images: at most so many are scored; 0: all.
        start: file of weights trained on the pose track, for the rows that go on from them; ``{seed}`` in it stands for
            the seed.
        settings: changes to every row, as for `Config.override`.
        name: of the study, one of `hggbook.ablations.rows.STUDIES`.
    """

    track: str
    steps: int
    folder: Path
    preset: str = "hard"
    frozen: Path | None = None
    tune_images: int = 0
    test_images: int = 0
    start: str = ""
    settings: tuple[str, ...] = ()
    name: str = "grouping"


def config_of(study: Study, row: Row, seed: int) -> Config:
    """The config of one run.

    Raises:
        ValueError: a setting that no config has.

    Not in the paper: bookkeeping.
    """
    config = preset("pose").override(f"seed={seed}", f"data.preset={study.preset}")
    config = config.override(f"train.joint_steps={study.steps * row.budget}", f"train.save_every={study.steps}")
    if study.track == FROZEN:
        if study.frozen is None:
            raise ValueError("track frozen: expected the folder with train, tune and test.safetensors")
        config = config.override("data.kind=candidates", f"data.train={study.frozen / 'train.safetensors'}")
        config = config.override("data.most_people=0")  # scenes are as full as they were asked for
    return config.override(*study.settings, *row.settings)


def scored_images(study: Study, config: Config, part: str) -> LabelledCandidates:
    """The tune or test images of a study: people grouped there are counted. Only images with two people or more."""
    if study.track == FROZEN:
        return _frozen_part(study.frozen / f"{part}.safetensors", getattr(study, f"{part}_images"))
    return _simulated_part(config, part, getattr(study, f"{part}_images"))


def run(study: Study, row: Row, seed: int) -> dict[str, Any]:
    """One run: trained (or the default's weights taken), its cut chosen on tune, scored on tune and test.

    Returns:
        The result, as it was written; read from its file if it was there already.

    Raises:
        ValueError: the default's weights are needed and not there; a bad row; missing data.

    Not in the paper: the study is ours.
    """
    place = result_file(study, row, seed)
    config = config_of(study, row, seed)
    origin = {"start_sha256": _digest(_start_file(study, row, seed))} if row.goes_on else {}
    known = read_result(place)
    if known and known["config"] == _portable(config, study) and origin.items() <= known.items():
        return known
    torch.set_num_threads(1)
    started, cpu = time.perf_counter(), time.process_time()
    model, trained_for = _trained(study, row, seed, config)
    told: dict[str, Any] = {"study": study.name, "track": study.track, "row": row.name, "group": row.group}
    told |= origin | {"seed": seed, "steps": trained_for, "training_cpu_s": round(time.process_time() - cpu, 1)}
    told["training_wall_s"] = round(time.perf_counter() - started, 1)
    told["parameters"] = 0 if row.grouper == "ae" else sum(p.numel() for p in model.grouping_parameters())

    if row.budget > 1:
        told["curve"] = _read_curve(place.with_suffix(""))
    if row.grouper == "hgg":
        contender, values = hgg_contender(model, 0.0), row.values or CUTS[study.track]
    else:
        contender = contenders_of(model, config, exact=False)[row.grouper]
        values = row.values or contender.values
    # F1 and AP are of one and the same grouping.
    contender = replace(contender, make=cache(lambda cut, make=contender.make: once(make(cut))))
    tune, test = scored_images(study, config, "tune"), scored_images(study, config, "test")
    cut, tried = calibrate_contender(contender, tune, values=values)
    told["cut"] = cut
    told["tune"] = {str(value): summary(found) for value, found in tried.items()}
    at_cut = measure({row.name: contender.make(cut)}, test.batches(64))[row.name]
    told["test"] = summary(at_cut)
    told["f1_samples"] = packed(share_samples(at_cut.counts).numpy())
    if study.track == FROZEN:
        factor = config.grouping.macro == "factor"  # the poses' scores then need more than who is who
        make = hgg_by_cut(model, config) if factor else on_frozen(contender.make)
        told |= tuned_ap(make, values, contender.default, study.frozen)
    told |= {"images": {"tune": tune.num_images, "test": test.num_images}}
    told |= {"wall_s": round(time.perf_counter() - started, 1), "cpu_s": round(time.process_time() - cpu, 1)}
    told |= {"config": _portable(config, study), "provenance": provenance()}
    write_result(place, told)
    return told


def run_all(
    study: Study, rows: Sequence[Row], seeds: Sequence[int], *, jobs: int = 1,
    on_result: Callable[[dict[str, Any]], None] = lambda result: None,
) -> list[dict[str, Any]]:
    """Every row with every seed; see `hggbook.ablations.runs.run_rows`.

    Not in the paper: the study is ours.
    """  # fmt: skip
    return run_rows(run, study, rows, seeds, jobs=jobs, on_result=on_result)


def result_file(study: Study, row: Row, seed: int) -> Path:
    """Where a run's result is written."""
    return place_of(study.folder, study.track, row.name, seed)


def summary(measured: Measured) -> dict[str, float]:
    """The shares of a grouping and what they are of, for a result file."""
    total = measured.total
    shares = {name: round(getattr(total, name), 5) for name in ("f1", "perfect_share", "precision", "recall")}
    counts = {"people": total.people, "splits": total.splits, "merges": total.merges, "mixed": total.mixed}
    return shares | counts | {"ms_per_image": round(measured.milliseconds, 2)}


def _trained(study: Study, row: Row, seed: int, config: Config) -> tuple[HGG, int]:
    if not row.trained:
        model = build(config, with_detector=False)
        model.load_state_dict(load_weights(_start_file(study, row, seed))[0].state_dict())
        return model.eval(), 0
    folder = result_file(study, row, seed).with_suffix("")
    for share in range(1, row.budget + 1):
        stop = share * config.train.joint_steps // row.budget
        resume = (folder / "config.json").is_file()
        start = load_weights(_start_file(study, row, seed))[0] if row.goes_on and not resume else None
        done = train(config, folder, resume=resume, start_from=start, stop_at=stop)
        if done.step < stop:
            raise RuntimeError(f"{folder}: training was stopped after {done.step} steps; run the study again to go on")
        if row.budget > 1:
            _add_to_curve(folder, done, study, config)
    (folder / "checkpoint.pt").unlink(missing_ok=True)  # the weights are there; the optimiser's state is not needed
    return done.model.eval(), done.step


def _start_file(study: Study, row: Row, seed: int) -> Path:
    """The weights that a row starts from: those of the pose track, or of another row with the same seed."""
    if not row.goes_on:
        place = weights_of(place_of(study.folder, study.track, row.weights_of, seed))
        of = f"those of row {row.weights_of!r} with seed {seed}"
    elif study.start:
        place, of = Path(study.start.format(seed=seed)), "weights trained on the pose track"
    else:
        raise ValueError(f"row {row.name!r}: expected a file of weights trained on the pose track")
    if not place.is_file():
        raise ValueError(f"row {row.name!r}: needs {of} first, and {place} is no file")
    return place


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _add_to_curve(folder: Path, done: Finished, study: Study, config: Config) -> None:
    """Notes the best F1 over the cuts on the tune part, for the steps trained so far; once for each number of steps."""
    curve = _read_curve(folder)
    if any(point["step"] >= done.step for point in curve):
        return
    tune = scored_images(study, config, "tune")
    cut, tried = calibrate_contender(hgg_contender(done.model.eval(), 0.0), tune, values=CUTS[study.track])
    curve.append({"step": done.step, "cut": cut, "f1_tune": summary(tried[cut])["f1"]})
    with paths.whole_file(folder / "curve.json") as temporary:
        temporary.write_text(json.dumps(curve), encoding="utf-8")


def _read_curve(folder: Path) -> list[dict[str, Any]]:
    place = folder / "curve.json"
    return json.loads(place.read_text(encoding="utf-8")) if place.is_file() else []


@cache
def _frozen_part(path: Path, limit: int) -> LabelledCandidates:
    labelled, _ = load_labelled(path)
    labelled = labelled.select(labelled.people >= 2)
    return labelled.select(torch.arange(min(limit or labelled.num_images, labelled.num_images)))


def _simulated_part(config: Config, part: str, limit: int) -> LabelledCandidates:
    skeleton = SKELETONS[config.skeleton]
    found = pose_file(config)
    keep = in_split(found.image_id, part, "poses") & (found.batch.bincount(minlength=found.num_images) >= 2)
    rows = keep.nonzero().squeeze(1)
    chosen = found.select(rows[: limit or len(rows)])
    return simulated(chosen, simulation_of(config, training=False), skeleton, SIMULATION_SEED)


def _portable(config: Config, study: Study) -> dict[str, Any]:
    """The config as data, without the place of the frozen candidates on this machine."""
    values = config.to_dict()
    if study.track == FROZEN:
        values["data"]["train"] = Path(values["data"]["train"]).name
    return values


__all__ = ["CUTS", "POSE", "Study", "config_of", "result_file", "run", "run_all", "scored_images", "summary"]
