"""Where training samples come from: a `DataConfig` made into an endless, seeded, resumable stream of batches."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor
from tqdm import tqdm

from hggbook import paths
from hggbook.config import Config
from hggbook.data.coco import CocoPeople, PoseSet, in_split, poses
from hggbook.data.labelled import load_labelled
from hggbook.data.loading import StepSampler, endless, loader
from hggbook.data.scenes import Scene, cached_dataset, scene_config
from hggbook.data.simulate import simulate
from hggbook.data.simulation import Simulation, read_simulation
from hggbook.data.transforms import Augment, Fit, Transform
from hggbook.skeleton import SKELETONS
from hggbook.types import Batch, Candidates, Targets

KINDS = ("scenes", "coco", "poses", "candidates")


def scene_set(
    preset: str, count: int, seed: int, size: int, workers: int = 1, *, progress: bool = False, **knobs: Any
) -> CocoPeople:
    """Synthetic scenes of a preset, rendered once into a cache folder and read from there afterwards.

    Args:
        preset: ``easy``, ``crowd`` or ``dense``.
        count: images.
        seed: other seeds give other scenes.
        size: side of the square images in pixels.
        workers: processes that render; the result does not depend on it.
        progress: show a progress bar on stderr while rendering.
        **knobs: changes to the preset, e.g. ``overlap=0.2``.

    Raises:
        ValueError: unknown preset or knob.

    Not in the paper: the embedded data set.
    """
    scenes = scene_config(preset, **{"width": size, "height": size, **knobs})
    cache = paths.project_root() / "data" / "cache"
    with tqdm(total=count, desc="rendering scenes", unit="scene", disable=not progress, leave=False) as bar:
        annotations = cached_dataset(cache, scenes, count, seed, workers, progress=lambda done: bar.update())
    return CocoPeople(annotations, annotations.parent / "images")


def scenes_of(config: Config, count: int, seed: int, *, progress: bool = False) -> CocoPeople:
    """Scenes of the kind that a config trains on: its preset, its knobs, its input size.

    Shipped weights were trained on seed 0, tuned on seed 1 and reported on seed 2.

    Raises:
        ValueError: see `scene_set`.

    Not in the paper: the embedded data set.
    """
    data = config.data
    knobs = read_knobs(data.knobs.split())
    size, workers = config.detector.input_size, max(data.workers, 1)
    return scene_set(data.preset, count, seed, size, workers, progress=progress, **knobs)


def read_knobs(settings: Sequence[str]) -> dict[str, Any]:
    """Knobs of a scene from texts like ``overlap=0.5``.

    Raises:
        ValueError: not of that form.

    Not in the paper: bookkeeping.
    """
    knobs = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"scene knob {setting!r}: expected KNOB=VALUE, e.g. overlap=0.6")
        knobs[name] = yaml.safe_load(value)
    return knobs


def scene_poses(scenes: Sequence[Scene]) -> PoseSet:
    """The people of rendered scenes of one size, in the form in which the pose track reads annotated people.

    Images are numbered from 0.

    Raises:
        ValueError: no scene.

    Not in the paper: see `PoseSet`.
    """
    if not scenes:
        raise ValueError("scenes: expected at least one, got none")
    height, width = scenes[0].image.shape[:2]
    return PoseSet(
        keypoints=torch.from_numpy(np.concatenate([scene.keypoints for scene in scenes])),
        area=torch.from_numpy(np.concatenate([scene.areas for scene in scenes])),
        batch=torch.repeat_interleave(torch.tensor([scene.num_people for scene in scenes])),
        image_id=torch.arange(len(scenes)),
        size=torch.tensor([[float(width), float(height)]] * len(scenes)),
    )


def training_stream(
    config: Config,
    step: int = 0,
    rank: int = 0,
    world: int = 1,
    *,
    progress: bool = False,
    pin_memory: bool = False,
) -> Iterator[Batch | tuple[Candidates, Targets]]:
    """Training batches from a given step on, for ever: the same ones for any number of workers and processes.

    Args:
        config: its ``data`` and ``train.batch`` (images per step, of all processes together).
        step: steps already taken.
        rank, world: this process, of how many.
        progress: show a progress bar while scenes are rendered.
        pin_memory: give images in page-locked memory, from which a GPU copies while it computes.

    Returns:
        `Batch`es of images, or candidates with their targets (pose track, frozen detector).

    Raises:
        ValueError: unknown kind of data, files that are missing or malformed, too few images for one batch.

    Not in the paper: bookkeeping.
    """
    data, seed = config.data, config.seed
    if data.kind not in KINDS:
        raise ValueError(f"data.kind: expected one of {KINDS}, got {data.kind!r}")
    if data.kind == "poses":
        return _simulated(config, training_poses(config), step, rank, world)
    if data.kind == "candidates":
        return _frozen(config, step, rank, world)
    batches = loader(
        training_images(config, progress=progress), transform_of(config), config.train.batch, seed=seed, shuffle=True,
        workers=data.workers, rank=rank, world=world, drop_last=True,
        pin_memory=pin_memory,
    )  # fmt: skip
    return endless(batches, step)


def training_images(config: Config, *, progress: bool = False) -> CocoPeople:
    """The images that a config trains on. File names are looked for as `hggbook.paths.find_data` does."""
    data = config.data
    if data.kind == "scenes":
        return scenes_of(config, data.num_scenes, data.scene_seed, progress=progress)
    annotations, images = paths.find_data(data.train), paths.find_data(data.images)
    dataset = CocoPeople(annotations, images, SKELETONS[config.skeleton], keep="people")
    ids = dataset.image_ids.tolist()
    if _only_train(config):
        ids = dataset.image_ids[in_split(dataset.image_ids, "train", "photographs")].tolist()
    if data.least_people > 1:
        kept = {i for row, i in enumerate(dataset.image_ids) if len(dataset.people(row)[1]) >= data.least_people}
        ids = [i for i in ids if i in kept]
    return dataset.select(ids)


def photographs(part: str, skeleton: str = "coco") -> CocoPeople:
    """The photographs under ``HGGBOOK_DATA/coco`` of a part, also those without people.

    Args:
        part: ``train`` or ``tune`` (of the train file, by `in_split`), or ``dev``, a file of its own to report on.
        skeleton: of the annotations.

    Raises:
        ValueError: no such data.

    Not in the paper: it reports on test-dev.
    """
    file = "dev" if part == "dev" else "train"
    annotations = paths.find_data(f"coco/person_keypoints_{file}.json")
    dataset = CocoPeople(annotations, paths.find_data(f"coco/{file}"), SKELETONS[skeleton])
    if part == "dev":
        return dataset
    return dataset.select(dataset.image_ids[in_split(dataset.image_ids, part, "photographs")].tolist())


def training_poses(config: Config) -> PoseSet:
    """The annotated people that a pose-track config trains on."""
    found = pose_file(config)
    keep = _of_a_size(found.batch.bincount(minlength=found.num_images), config, at_least=1)
    if _only_train(config):
        keep &= in_split(found.image_id, "train", "poses")
    return found.select(keep)


def _of_a_size(people: Tensor, config: Config, at_least: int = 0) -> Tensor:
    """(B,) True where an image holds as many annotated people as the config asks for."""
    data = config.data
    return (people >= max(data.least_people, at_least)) & (people <= (data.most_people or math.inf))


def pose_file(config: Config) -> PoseSet:
    """Everybody in the annotation file of a pose-track config, read once in a process."""
    return _read_poses(paths.find_data(config.data.train), config.skeleton)


@cache
def _read_poses(path: Path, skeleton: str) -> PoseSet:
    return poses(path, SKELETONS[skeleton])


def simulation_of(config: Config, *, training: bool) -> Simulation:
    """The simulation that a pose-track config names, with its knobs, e.g. ``data.knobs="dimensions=4"``.

    Args:
        training: augmented by mirroring and zooming if the config says so; otherwise people stand where they stand.

    Raises:
        ValueError: unknown simulation or knob.

    Not in the paper: the pose track.
    """
    data = config.data
    simulation = read_simulation(data.preset)
    knobs = read_knobs(data.knobs.split())
    known = {field.name for field in dataclasses.fields(simulation)}
    if unknown := sorted(knobs.keys() - known):
        raise ValueError(f"data.knobs: unknown {unknown}; a simulation has {sorted(known)}")
    simulation = dataclasses.replace(simulation, **knobs)
    if training and data.augment:
        simulation = dataclasses.replace(simulation, mirror=data.flip, zoom=data.scale_high)
    return simulation


def _only_train(config: Config) -> bool:
    if config.data.part not in ("all", "train"):
        raise ValueError(f"data.part: expected all or train, got {config.data.part!r}")
    return config.data.part == "train"


def transform_of(config: Config) -> Transform:
    """What training images go through: augmentation as a config says. Not in the paper: as the AE code base."""
    data, size = config.data, config.detector.input_size
    if not data.augment:
        return Fit(size)
    return Augment(
        size, SKELETONS[config.skeleton].flip_order, data.rotation, data.scale_low, data.scale_high, data.shift,
        data.flip, data.colour,
    )  # fmt: skip


def _simulated(config: Config, found: PoseSet, step: int, rank: int, world: int):
    simulation, skeleton = simulation_of(config, training=True), SKELETONS[config.skeleton]
    sampler = StepSampler(
        found.num_images, config.train.batch, seed=config.seed, shuffle=True, rank=rank, world=world, drop_last=True
    )
    while True:
        sampler.seek(step)
        for places in sampler:
            rows = found.image_id.new_tensor([row for _, row in places])
            candidates, targets, _ = simulate(
                found.select(rows), simulation, skeleton, seed=config.seed * 100_003 + sampler.epoch
            )
            yield candidates, targets
            step += 1


def _frozen(config: Config, step: int, rank: int, world: int):
    """Candidates that a detector found before. An image gives the same ones in every epoch."""
    labelled, _ = load_labelled(paths.find_data(config.data.train))
    labelled = labelled.select(_of_a_size(labelled.people, config))
    sampler = StepSampler(
        labelled.num_images, config.train.batch, seed=config.seed, shuffle=True, rank=rank, world=world, drop_last=True
    )
    while True:
        sampler.seek(step)
        for places in sampler:
            chosen = labelled.select(torch.tensor([row for _, row in places]))
            yield chosen.candidates, chosen.targets
            step += 1
