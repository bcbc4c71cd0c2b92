"""Studies of the whole model on synthetic scenes: detector and grouping trained jointly, then scored by AP.

Every run goes on from the same detector for the same number of steps. Then its candidates on the tuning and the test
scenes are kept, and AE greedy, HGG and oracle grouping are scored on them, each with its number chosen on tune.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hggbook.ablations.rows import IMAGE, Row
from hggbook.ablations.runs import place_of, read_result, run_rows, weights_of, write_result
from hggbook.ablations.scoring import on_frozen, tuned_ap
from hggbook.compare.contenders import contenders_of
from hggbook.config import Config, preset
from hggbook.data.labelled import save_labelled
from hggbook.data.source import scenes_of
from hggbook.freeze import freeze
from hggbook.model import HGG, build, fit_weights, load_weights
from hggbook.provenance import provenance
from hggbook.train import train
from hggbook.tta import with_views

PARTS = {"tune": 1, "test": 2}  # seeds of the scenes
CUTS = (-4.0, -3.0, -2.0, -1.0, 0.0)


@dataclass(frozen=True)
class JointStudy:
    """What all runs share.

    Attributes:
        start: file of weights that every run goes on from; its detector's, with a fresh grouping stage where the row's
            is another than the file's.
        steps: of training.
        folder: where runs and results go.
        name: of the study.
        images: tuning and test scenes, so many each.
        fresh: begin with an untrained grouping stage even where the start has one that fits.
        settings: changes to every run, as for `Config.override`.
        batch: scenes in a step; 0: as many as the start was trained with.
    """

    start: Path
    steps: int
    folder: Path
    name: str
    images: int = 300
    fresh: bool = True
    settings: tuple[str, ...] = ()
    batch: int = 0


def joint_config(study: JointStudy, row: Row, seed: int) -> Config:
    """The config of one run: the start's detector and data, the default grouping, the row's changes.

    Raises:
        ValueError: a setting that no config has.

    Not in the paper: bookkeeping.
    """
    grouping = preset("small").grouping
    _, config = load_weights(study.start)
    config = config.override(
        f"seed={seed}", "train.pretrain_steps=0", f"train.joint_steps={study.steps}",
        f"train.save_every={study.steps}", f"train.batch={study.batch or config.train.batch}", "loss.mixed=share",
        f"grouping.pair_power={grouping.pair_power}", f"grouping.least_share={grouping.least_share}",
    )  # fmt: skip
    if row.detector_only:
        config = config.override(f"train.pretrain_steps={study.steps}", "train.joint_steps=0")
    return config.override(*study.settings, *row.settings)


def run_joint(study: JointStudy, row: Row, seed: int) -> dict[str, Any]:
    """One run: trained, its candidates kept, every grouper tuned and scored; read from its file if it is there.

    Raises:
        ValueError: a run of another config in its folder; the weights of the row it builds on are not there.

    Paper: Table 2.
    """
    place = place_of(study.folder, IMAGE, row.name, seed)
    config = joint_config(study, row, seed)
    known = read_result(place)
    if known and known["config"] == config.to_dict():
        return known
    torch.set_num_threads(1)
    started, cpu = time.perf_counter(), time.process_time()
    folder = place.with_suffix("")
    model, steps = _trained(study, row, seed, config, folder)
    told: dict[str, Any] = {"study": study.name, "track": IMAGE, "row": row.name, "group": row.group, "seed": seed}
    told |= {"steps": steps, "training_cpu_s": round(time.process_time() - cpu, 1)}
    told["parameters"] = 0 if row.grouper == "ae" else sum(p.numel() for p in model.grouping_parameters())
    tested, seen = with_views(model, config, flip=True, scales=row.scales) if row.scales else (model, config)
    _keep_parts(tested, seen, folder, study.images)
    known = contenders_of(tested, seen, exact=False)
    groupers = {"ae": known["ae"].values, "oracle": ()}
    if not row.detector_only:
        groupers = {"hgg": row.values or CUTS} | groupers
    for name, values in groupers.items():
        told[name] = tuned_ap(on_frozen(known[name].make), values, known[name].default, folder)
    told |= {"grouper": row.grouper, "images": dict.fromkeys(PARTS, study.images)}
    told |= {"wall_s": round(time.perf_counter() - started, 1), "cpu_s": round(time.process_time() - cpu, 1)}
    told |= {"config": config.to_dict(), "provenance": provenance()}
    write_result(place, told)
    return told


def run_joints(
    study: JointStudy, rows: Sequence[Row], seeds: Sequence[int], *, jobs: int = 1,
    on_result: Callable[[dict[str, Any]], None] = lambda result: None,
) -> list[dict[str, Any]]:
    """Every row with every seed; see `hggbook.ablations.runs.run_rows`.

    Not in the paper: bookkeeping.
    """  # fmt: skip
    return run_rows(run_joint, study, rows, seeds, jobs=jobs, on_result=on_result)


def _trained(study: JointStudy, row: Row, seed: int, config: Config, folder: Path) -> tuple[HGG, int]:
    if not row.trained:
        place = weights_of(place_of(study.folder, IMAGE, row.weights_of, seed))
        if not place.is_file():
            raise ValueError(f"row {row.name!r}: needs the weights of row {row.weights_of!r} first; {place} is no file")
        model = build(config)
        fit_weights(model, load_weights(place)[0].state_dict(), str(place))
        return model.eval(), 0
    resumed = (folder / "config.json").is_file()
    done = train(config, folder, resume=resumed, start_from=None if resumed else _start(study, config))
    if not done.complete:
        raise RuntimeError(f"{folder}: training was stopped after {done.step} steps; run the study again to go on")
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    return done.model.eval(), done.step


def _start(study: JointStudy, config: Config) -> HGG:
    """The start's detector with a grouping stage of the config; the same seed gives the same one."""
    begun, _ = load_weights(study.start)
    if not study.fresh:
        return begun
    torch.manual_seed(config.seed)
    model = build(config)
    fit_weights(model.detector, begun.detector.state_dict(), str(study.start))
    return model


def _keep_parts(model: HGG, config: Config, folder: Path, images: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, seed in PARTS.items():
        scenes = scenes_of(config, images, seed)
        shutil.copyfile(scenes.annotations, folder / f"{part}.json")
        facts = {"annotations": f"{part}.json", "skeleton": config.skeleton}
        save_labelled(folder / f"{part}.safetensors", freeze(model, scenes, config), **facts)


__all__ = ["JointStudy", "joint_config", "run_joint", "run_joints"]
