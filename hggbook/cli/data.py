"""``hggbook scenes`` and ``hggbook download``: data to work on."""

import argparse
import sys
from pathlib import Path

from hggbook.cli.common import command

SETS = ("coco", "ochuman", "crowdpose")


def add(commands) -> None:
    """Declares this family's commands."""
    scenes = command(commands, "scenes", _scenes, "Write synthetic crowd scenes as a COCO-format data set.")
    scenes.add_argument("folder", help="new folder for annotations.json and images/")
    scenes.add_argument("--preset", default="crowd", help="easy, crowd or dense")
    scenes.add_argument("--count", type=int, default=100)
    scenes.add_argument("--seed", type=int, default=0)
    scenes.add_argument("--workers", type=int, default=1)
    scenes.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="e.g. overlap=0.6, width=320")

    text = "Bring a real data set: COCO from its official addresses, OCHuman and CrowdPose from a copy that you have."
    download = command(commands, "download", _download, text)
    download.add_argument("name", choices=SETS)
    download.add_argument(
        "--parts", nargs="+", default=["annotations", "val"], metavar="PART",
        help="coco: annotations (0.3 GB), val (0.8), train (19), test, test-info; default: annotations val",
    )  # fmt: skip
    download.add_argument("--subset", type=int, metavar="N", help="coco: only N photographs with people, one by one")
    download.add_argument("--of", choices=("val", "train"), default="val", help="what the subset is taken from")
    download.add_argument("--from", dest="source", metavar="PATH", help="ochuman, crowdpose: a folder or zip file")
    download.add_argument("--out", metavar="FOLDER", help="of the data sets; default: HGGBOOK_DATA, else data/")
    download.add_argument("--keep-archives", action="store_true", help="coco: do not remove the zip files")
    download.add_argument("--mirror", metavar="ADDRESS", help="coco: another server with the same paths")


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


def _download(args: argparse.Namespace) -> int:
    from hggbook import paths
    from hggbook.data import download

    root = Path(args.out).expanduser() if args.out else paths.data_root() or paths.committed_data()
    if args.name != "coco":
        if args.subset is not None or args.mirror:
            raise ValueError(f"--subset, --mirror: are for coco; {args.name} is taken from a copy that you have")
        if not args.source:
            raise ValueError(f"{download.WHERE_TO_ASK[args.name]}; then: hggbook download {args.name} --from PATH")
        for path, images, count, people in download.adopt(root, args.name, Path(args.source).expanduser()):
            print(f"{count} images, {people} people: --annotations {path} --images {images}")
        return 0
    if args.source:
        raise ValueError("--from: is for ochuman and crowdpose; COCO is fetched")
    address = (args.mirror or download.COCO_ADDRESS).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"--mirror: expected an address with http:// or https://, got {args.mirror!r}")
    with _Bars() as told:
        if args.subset is None:
            there = download.download_coco(
                root, args.parts, address=address, keep_archives=args.keep_archives, told=told
            )
            print(*(f"there: {path}" for path in there), sep="\n")
            for part in ("val2017", "train2017"):
                annotations, images = root / f"coco/annotations/person_keypoints_{part}.json", root / "coco" / part
                if images in there and annotations.is_file():
                    print(f"{part}: --annotations {annotations} --images {images}")
            return 0
        found = download.download_subset(root, args.subset, args.of, address=address, told=told)
    annotations, images, problems = found
    for problem in problems:
        print(f"hggbook download: {problem}", file=sys.stderr)
    print(f"{args.subset - len(problems)} photographs: --annotations {annotations} --images {images}")
    return 1 if problems else 0


class _Bars:
    """One progress bar after another on stderr; calling it with a name begins the next."""

    def __init__(self):
        self.bar = None

    def __call__(self, name: str):
        from tqdm import tqdm

        self._close()
        files = name == "photographs"
        unit = {"unit": "file"} if files else {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        self.bar = bar = tqdm(desc=name, leave=False, **unit)

        def update(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return update

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._close()

    def _close(self):
        if self.bar is not None:
            self.bar.close()
            self.bar = None
