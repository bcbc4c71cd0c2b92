"""How much of the grouping losses' gradient should enter the detector: joint training from one and the same detector.

The paper weighs its grouping losses by 1e-5 and says that they improve the detector itself (Table 2, #6 against #1).
Every row goes on from the same weights for the same number of steps; then the detector is frozen, and AE greedy, HGG
and oracle grouping are scored on its candidates, each with its number chosen on the tuning scenes.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hggbook import paths
from hggbook.ablations.scoring import on_frozen, tuned_ap
from hggbook.compare.contenders import contenders_of
from hggbook.config import Config, preset
from hggbook.data.labelled import save_labelled
from hggbook.data.source import scenes_of
from hggbook.freeze import freeze
from hggbook.model import HGG
from hggbook.provenance import provenance
from hggbook.train import train

FACTORS = (0.0, 1e-5, 1e-3, 1e-1)
GROUPERS = ("ae", "hgg", "oracle")
PARTS = {"tune": 1, "test": 2}  # seeds of the scenes


@dataclass(frozen=True)
class JointStudy:
    """What all runs share.

    Attributes:
        start: model whose weights every run goes on from, and its config.
        steps: of joint training.
        folder: where runs and results go.
        images: tuning and test scenes, so many each.
        settings: changes to every run, as for `Config.override`.
    """

    start: HGG
    config: Config
    steps: int
    folder: Path
    images: int = 300
    settings: tuple[str, ...] = ()


def joint_config(study: JointStudy, factor: float, seed: int) -> Config:
    """The config of one run: the start's detector and data, the default grouping, joint training only."""
    grouping = preset("small").grouping
    config = study.config.override(
        f"seed={seed}", "train.pretrain_steps=0", f"train.joint_steps={study.steps}", f"train.save_every={study.steps}",
        f"loss.into_detector={factor}", "loss.mixed=share", f"grouping.pair_power={grouping.pair_power}",
        f"grouping.least_share={grouping.least_share}",
    )  # fmt: skip
    return config.override(*study.settings)


def run_joint(study: JointStudy, factor: float, seed: int) -> dict[str, Any]:
    """One run: trained, its candidates frozen, every grouper tuned and scored; read from its file if it is there.

    Raises:
        ValueError: a run of another config in its folder.

    Paper: Table 2, #6 against #1; sec. 3.3 (loss weights).
    """
    folder = study.folder / "detector" / f"factor{factor:g}" / f"seed{seed}"
    place = folder.with_suffix(".json")
    config = joint_config(study, factor, seed)
    if place.is_file() and (known := json.loads(place.read_text(encoding="utf-8")))["config"] == config.to_dict():
        return known
    started = time.process_time()
    resumed = (folder / "config.json").is_file()
    done = train(config, folder, resume=resumed, start_from=None if resumed else study.start)
    if not done.complete:
        raise RuntimeError(f"{folder}: training was stopped after {done.step} steps; run the study again to go on")
    model = done.model.eval()
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    told: dict[str, Any] = {"factor": factor, "seed": seed, "steps": done.step}
    told["training_cpu_s"] = round(time.process_time() - started, 1)
    _freeze_parts(model, config, folder, study.images)
    known = contenders_of(model, config, exact=False)
    for name in GROUPERS:
        contender = known[name]
        told[name] = tuned_ap(on_frozen(contender.make), contender.values, contender.default, folder)
    told |= {"config": config.to_dict(), "provenance": provenance()}
    with paths.whole_file(place) as temporary:
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def run_joints(study: JointStudy, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each of `FACTORS` with every seed. Not in the paper: bookkeeping."""
    torch.set_num_threads(1)
    return [run_joint(study, factor, seed) for seed in seeds for factor in FACTORS]


def _freeze_parts(model: HGG, config: Config, folder: Path, images: int) -> None:
    for part, seed in PARTS.items():
        scenes = scenes_of(config, images, seed)
        shutil.copyfile(scenes.annotations, folder / f"{part}.json")
        facts = {"annotations": f"{part}.json", "skeleton": config.skeleton}
        save_labelled(folder / f"{part}.safetensors", freeze(model, scenes, config), **facts)


__all__ = ["FACTORS", "JointStudy", "joint_config", "run_joint", "run_joints"]
