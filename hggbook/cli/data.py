"""``hggbook scenes``: data to work on."""

import argparse

from hggbook.cli.common import command


def add(commands) -> None:
    """Declares this family's commands."""
    scenes = command(commands, "scenes", _scenes, "Write synthetic crowd scenes as a COCO-format data set.")
    scenes.add_argument("folder", help="new folder for annotations.json and images/")
    scenes.add_argument("--preset", default="crowd", help="easy, crowd or dense")
    scenes.add_argument("--count", type=int, default=100)
    scenes.add_argument("--seed", type=int, default=0)
    scenes.add_argument("--workers", type=int, default=1)
    scenes.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="e.g. overlap=0.6, width=320")


def _scenes(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from hggbook.data.scenes import scene_config, write_dataset
    from hggbook.data.source import read_knobs

    config = scene_config(args.preset, **read_knobs(args.set))
    with tqdm(total=args.count, unit="scene", leave=False) as bar:
        path = write_dataset(
            args.folder, config, args.count, args.seed, workers=args.workers, progress=lambda done: bar.update()
        )
    print(f"{args.count} scenes ({args.preset}, seed {args.seed}) written: {path}")
