"""``hggbook train``: both tracks, from a preset or a YAML file plus settings."""

import argparse
import json
from pathlib import Path
from typing import Any

from hggbook import paths
from hggbook.cli.common import add_machine, command, machine
from hggbook.config import POSE_FILE, SIZES, Config, preset

_OF_A_NEW_RUN = ("config", "track", "set", "out", "start_from", "backbone", "ae_checkpoint")


def add(commands) -> None:
    """Declares this family's commands."""
    train = command(commands, "train", _train, "Train: AE pre-training, then everything jointly (see also torchrun).")
    train.add_argument("config", nargs="?", help="name of a preset, or a YAML file; default tiny, or that of the track")
    train.add_argument(
        "--track", choices=("pose", "image"),
        help="pose: the grouping stage alone, on candidates simulated from annotations (data.kind=poses, preset pose)",
    )  # fmt: skip
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. grouping.layers=2")
    train.add_argument("--out", help="new folder for the run")
    train.add_argument("--resume", metavar="FOLDER", help="go on with a run that was stopped")
    start = train.add_mutually_exclusive_group()
    start.add_argument("--start-from", metavar="WEIGHTS", help="name or file of weights to start from")
    start.add_argument(
        "--backbone", metavar="FILE",
        help="ImageNet weights that detector.kind=efficientnet starts from; 'imagenet': the installed package's",
    )  # fmt: skip
    start.add_argument(
        "--ae-checkpoint", metavar="FILE", help="published associative embedding network that the hourglass starts from"
    )
    train.add_argument("--stop-at", type=int, metavar="STEP", help="stop (resumable) after so many steps")
    add_machine(train)


def _train(args: argparse.Namespace) -> int:
    from hggbook.model import load_weights
    from hggbook.train import train
    from hggbook.weights import find_weights, read_images

    if args.resume:
        stored = Path(args.resume) / "config.json"
        if not stored.is_file():
            raise FileNotFoundError(f"{args.resume}: holds no run to resume (no config.json)")
        if given := [name for name in _OF_A_NEW_RUN if getattr(args, name)]:
            given = ", ".join(name if name == "config" else f"--{name.replace('_', '-')}" for name in given)
            raise ValueError(f"--resume goes on with the run's own config and folder; it does not take: {given}")
        config, folder = Config.from_dict(json.loads(stored.read_text(encoding="utf-8"))), Path(args.resume)
    else:
        if not args.out:
            raise ValueError("--out: expected a folder for the new run")
        config, folder = config_of(args.config, args.track, args.set), Path(args.out)
    device = machine(args)
    start = learned = None
    if args.start_from:
        file = find_weights(args.start_from)
        start, learned = load_weights(file)[0], read_images(file)
    if args.backbone:
        start = with_backbone(config, args.backbone)
    if args.ae_checkpoint:
        start = with_ae_checkpoint(config, args.ae_checkpoint)
    done = train(
        config, folder, device=device, resume=bool(args.resume), start_from=start, learned=learned,
        stop_at=args.stop_at, progress=True,
    )  # fmt: skip
    return 0 if done.complete or args.stop_at else 130


def with_backbone(config: Config, name: str):
    """The model of a config as its training would begin it, but for an encoder that has learned on ImageNet.

    Args:
        config: with ``detector.kind=efficientnet``.
        name: file of the weights, or ``imagenet`` for that of the installed package.

    Raises:
        FileNotFoundError, ValueError: see `hggbook.detector.load_imagenet`; a config of another detector.
    """
    import torch

    from hggbook.detector import EfficientNet, installed_imagenet, load_imagenet
    from hggbook.model import build

    torch.manual_seed(config.seed)
    model = build(config)
    if not isinstance(model.detector, EfficientNet):
        raise ValueError(f"--backbone: expected detector.kind=efficientnet, got {config.detector.kind}")
    load_imagenet(model.detector, installed_imagenet() if name == "imagenet" else name)
    return model


def with_ae_checkpoint(config: Config, path: str | Path):
    """The model of a config as its training would begin it, but for a detector that was trained already, as AE.

    Args:
        config: with ``detector.kind=hourglass`` of the sizes that the file has; that of preset ``paper`` for the
            published one.
        path: see `hggbook.detector.load_ae_checkpoint`.

    Raises:
        FileNotFoundError, ValueError: see there; a config of another detector, or of other sizes.
    """
    import torch

    from hggbook.detector import Hourglass, load_ae_checkpoint, without_unused_outputs
    from hggbook.model import build, fit_weights

    torch.manual_seed(config.seed)
    model = build(config)
    if not isinstance(model.detector, Hourglass):
        raise ValueError(f"--ae-checkpoint: expected detector.kind=hourglass, got {config.detector.kind}")
    trained = without_unused_outputs(load_ae_checkpoint(path, model.detector.num_types))
    fit_weights(model.detector, trained.state_dict(), str(path))
    return model


def config_of(name: str | None, track: str | None, settings: list[str]) -> Config:
    """The config of a new run: a preset or a file, then the track, then single settings.

    The pose track starts from preset ``pose`` if no other is named, sets ``data.kind=poses``, and reads the poses of
    ``HGGBOOK_DATA`` if no annotation file is named.

    Raises:
        ValueError: unknown keys or values; settings that contradict the track; no annotations for the pose track.
        FileNotFoundError: neither a preset nor a file.
    """
    pose = track == "pose"
    config = read_config(name or ("pose" if pose else "tiny"))
    config = config.override(*(["data.kind=poses"] if pose else []), *settings)
    grouping_alone = config.data.kind in ("poses", "candidates")
    if (pose and config.data.kind != "poses") or (track == "image" and grouping_alone):
        raise ValueError(f"--track {track}: contradicts the config's data.kind={config.data.kind}")
    if config.data.kind == "poses":
        config = config.override(f"data.train={config.data.train or POSE_FILE}")
        try:
            paths.find_data(config.data.train)
        except ValueError as error:
            raise ValueError(
                f"{error}; the pose track needs annotated keypoints: --set data.train=FILE (COCO format), or "
                f"{paths.DATA_VARIABLE} set to a folder that holds {POSE_FILE}"
            ) from None
    return config


def read_config(name: str) -> Config:
    """The config of a preset's name, or of a YAML file (whose ``preset`` key names what it changes; default paper).

    Raises:
        ValueError: not YAML, not a mapping, or keys and values that no config has.
        FileNotFoundError: neither a preset nor a file.
    """
    import yaml

    if name in SIZES:
        return preset(name)
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"config {name!r}: expected one of {SIZES} or a YAML file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"config {name}: not valid YAML: {error}") from None
    base = preset(values.pop("preset", "paper")) if isinstance(values, dict) else preset("paper")
    return base.override(**_flat(values, name))


def _flat(values: Any, source: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"config {source}: expected a mapping of keys to values, got {type(values).__name__}")
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat
