"""``hggbook freeze``: a detector's candidates, kept for studies of the grouping."""

import argparse
from pathlib import Path

from hggbook.cli.common import add_settings, command


def add(commands) -> None:
    """Declares this family's commands."""
    text = "Keep a detector's candidates of images of the kind that it trained on, to study grouping."
    freeze = command(commands, "freeze", _freeze, text)
    freeze.add_argument("folder", type=Path, help="new files train, tune and test.safetensors with their annotations")
    freeze.add_argument("--weights", required=True, help="of the detector: name in data/weights, or a file")
    says = "images at most; default: 4000 scenes of seed 0, or all photographs it trained on"
    freeze.add_argument("--train", type=int, help=says)
    freeze.add_argument("--tune", type=int, help="images at most; default: 400 scenes of seed 1, or split tune")
    freeze.add_argument("--test", type=int, help="images at most; default: 800 scenes of seed 2, or split dev")
    says = "how often each training photograph is looked at, augmented as in training; default: 1, as it is"
    freeze.add_argument("--views", type=int, default=1, help=says)
    add_settings(freeze)
    freeze.add_argument("--threads", type=int, help="CPU threads")


def _freeze(args: argparse.Namespace) -> None:
    import shutil

    import torch

    from hggbook.data.labelled import save_labelled
    from hggbook.data.source import transform_of
    from hggbook.freeze import freeze
    from hggbook.model import load_weights
    from hggbook.weights import find_weights

    if args.threads:
        torch.set_num_threads(args.threads)
    model, config = load_weights(find_weights(args.weights), args.set)
    if args.views < 1 or (args.views > 1 and config.data.kind != "coco"):
        raise ValueError(f"--views: expected 1, or more for a detector of photographs, got {args.views}")
    augmented = {"transform": transform_of(config), "views": args.views} if args.views > 1 else {}
    args.folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "tune", "test"):
        images, told = _to_freeze(part, getattr(args, part), config)
        labelled = freeze(model, images, config, progress=True, **(augmented if part == "train" else {}))
        shutil.copyfile(images.annotations, args.folder / f"{part}.json")
        facts = {"annotations": f"{part}.json", "skeleton": config.skeleton, "weights": Path(args.weights).name}
        facts |= {"images": told, "detector": config.to_dict()}
        save_labelled(args.folder / f"{part}.safetensors", labelled, **facts)
        print(f"{part}: {told}, {labelled.num_images} images, {len(labelled.candidates)} candidates")


def _to_freeze(part: str, count: int | None, config):
    """The images of a part, of the kind that a detector was trained on, and a word on which these are."""
    from hggbook.data.source import photographs, scenes_of, training_images

    data = config.data
    if data.kind == "coco":
        split = {"train": "train", "tune": "tune", "test": "dev"}[part]
        images = training_images(config) if part == "train" else photographs(split, config.skeleton)
        return images.select(images.image_ids[:count].tolist()), f"photographs:{split}"
    seed = {"train": 0, "tune": 1, "test": 2}[part]
    count = {"train": 4000, "tune": 400, "test": 800}[part] if count is None else count
    scenes = scenes_of(config, data.num_scenes if part == "train" else count, seed, progress=True)
    return scenes.select(scenes.image_ids[:count].tolist()), f"{data.preset}:{count}:{seed}"
