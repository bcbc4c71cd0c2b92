"""``hggbook``: the command line. Each command is thin; the work is in the library."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hggbook import __version__

# Commands import what they need when they run: `hggbook --help` should not wait for torch.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 if it did what was asked, 1 if something was found wrong, 2 for a bad argument or input."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except (ValueError, OSError, RuntimeError) as error:
        print(f"hggbook {parsed.command}: {error}", file=sys.stderr)
        return 2


def _doctor(args: argparse.Namespace) -> int:
    from hggbook import doctor

    return doctor.main()


def _book(args: argparse.Namespace) -> int:
    from hggbook.workbook.runner import run_book

    book = run_book(args.profile, args.notebooks or None, args.out, seed=args.seed, data_root=args.data_root)
    print(f"{'done' if book.passed else 'FAILED'}: open {book.index}")
    return 0 if book.passed else 1


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


def _train(args: argparse.Namespace) -> int:
    import torch

    from hggbook.config import Config
    from hggbook.model import load_weights
    from hggbook.train import train
    from hggbook.weights import find_weights

    if args.resume:
        stored = Path(args.resume) / "config.json"
        if not stored.is_file():
            raise FileNotFoundError(f"{args.resume}: holds no run to resume (no config.json)")
        if args.set or args.config or args.start_from:
            raise ValueError("--resume goes on with the run's own config; it takes no preset, --set or --start-from")
        config, folder = Config.from_dict(json.loads(stored.read_text(encoding="utf-8"))), Path(args.resume)
    else:
        if not args.out:
            raise ValueError("--out: expected a folder for the new run")
        config, folder = _config(args.config or "tiny").override(*args.set), Path(args.out)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if args.threads:
        torch.set_num_threads(args.threads)
    start = load_weights(find_weights(args.start_from))[0] if args.start_from else None
    done = train(
        config, folder, device=device, resume=bool(args.resume), start_from=start, stop_at=args.stop_at, progress=True
    )
    return 0 if done.complete or args.stop_at else 130


def _config(name: str):
    import yaml

    from hggbook.config import SIZES, preset

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


def _flat(values, source: str) -> dict:
    if not isinstance(values, dict):
        raise ValueError(f"config {source}: expected a mapping of keys to values, got {type(values).__name__}")
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def _evaluate(args: argparse.Namespace) -> None:
    import torch

    from hggbook import paths
    from hggbook.compare import calibrate, compare
    from hggbook.evaluate import write_results
    from hggbook.model import load_weights, save_weights
    from hggbook.weights import find_weights

    if args.threads:
        torch.set_num_threads(args.threads)
    model, config = load_weights(find_weights(args.weights))
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dataset = _dataset(args, config)
    if args.calibrate:
        if args.split == "dev" or (args.scenes or "").endswith(":2"):
            raise ValueError("--calibrate: not on what is reported (--split dev, scenes of seed 2): tune on others")
        config, tried = calibrate(model, dataset, config, batch_size=args.batch, device=device, progress=True)
        save_weights(args.calibrate, model, config)
        print(f"AP on the tuning images ({len(dataset)}): " + ", ".join(f"{k} {v:.3f}" for k, v in tried.items()))
        print(f"cut {config.grouping.cut}, AE threshold {config.baseline.threshold}: written with weights")
        return
    scores = compare(
        model, dataset, config, batch_size=args.batch, device=device, fill=args.fill_missing, progress=True
    )
    measures = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75")
    print(f"{len(dataset)} images, missing keypoints {'filled' if args.fill_missing else 'not filled'}")
    print("grouper " + "".join(f"{name:>7}" for name in (*measures, "pairF1", "perfect")))
    for name, score in scores.items():
        row = [score.ap[measure] for measure in measures] + [score.counts.f1, score.counts.perfect_share]
        print(f"{name:<8}" + "".join(f"{value:7.3f}" for value in row))
    if args.out:
        folder = Path(args.out)
        for name, score in scores.items():
            write_results(score.results, folder / f"{name}.json")
        summary = {
            name: {"all_images": s.ap, "person_images": s.ap_person_images, "grouping": s.counts.summary()}
            for name, s in scores.items()
        }
        told = {"weights": args.weights, "config": config.to_dict(), "scores": summary}
        with paths.whole_file(folder / "scores.json") as place:
            place.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        print(f"COCO results and scores written to {folder}")


def _dataset(args: argparse.Namespace, config):
    from hggbook import paths
    from hggbook.data.coco import CocoPeople, in_split
    from hggbook.data.source import scenes_of
    from hggbook.skeleton import SKELETONS

    if args.scenes:
        preset, count, seed = (args.scenes.split(":") + ["200", "2"][args.scenes.count(":") :])[:3]
        if not (count.isdigit() and seed.isdigit()):
            raise ValueError(f"--scenes: expected PRESET:COUNT:SEED, e.g. crowd:200:2, got {args.scenes!r}")
        if preset != "own":
            config = config.override("data.knobs=", f"data.preset={preset}")
        dataset = scenes_of(config, int(count), int(seed), progress=True)
        return dataset.select(dataset.image_ids[: args.limit].tolist()) if args.limit else dataset
    annotations, images = args.annotations, args.images
    if args.split:
        root = paths.data_root()
        if root is None:
            raise ValueError(f"--split {args.split}: needs HGGBOOK_DATA to name the folder of the data sets")
        annotations = root / "coco" / f"person_keypoints_{'dev' if args.split == 'dev' else 'train'}.json"
        images = root / "coco" / ("dev" if args.split == "dev" else "train")
    if not annotations:
        raise ValueError("expected --annotations and --images, --split, or --scenes: what to evaluate on")
    dataset = CocoPeople(annotations, images, SKELETONS[config.skeleton])
    if args.split in ("train", "tune"):
        dataset = dataset.select(dataset.image_ids[in_split(dataset.image_ids, args.split, "photographs")].tolist())
    if args.limit:
        dataset = dataset.select(dataset.image_ids[: args.limit].tolist())
    return dataset


def _oracle(args: argparse.Namespace) -> int:
    from hggbook.oracle import check_pose_file

    result = check_pose_file(args.annotations, order=args.order, part=args.part, batch_size=args.batch)
    print(result)
    return 0 if result.wrong == 0 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hggbook", description="Differentiable hierarchical graph grouping: library and workbook."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    command("doctor", _doctor, "Say what is installed and found, what is wrong, and how to mend it.")

    book = command("book", _book, "Execute the notebooks and bind them as pages with an index.")
    book.add_argument("notebooks", nargs="*", help="numbers or names; default: all")
    book.add_argument("--profile", default="smoke", help="smoke (minutes), cpu (an hour) or full (GPU, COCO)")
    book.add_argument("--seed", type=int, default=0)
    book.add_argument("--out", type=Path, help="folder of the run; default runs/PROFILE")
    book.add_argument("--data-root", help="folder of the real data sets; default: HGGBOOK_DATA")

    scenes = command("scenes", _scenes, "Write synthetic crowd scenes as a COCO-format data set.")
    scenes.add_argument("folder", help="new folder for annotations.json and images/")
    scenes.add_argument("--preset", default="crowd", help="easy, crowd or dense")
    scenes.add_argument("--count", type=int, default=100)
    scenes.add_argument("--seed", type=int, default=0)
    scenes.add_argument("--workers", type=int, default=1)
    scenes.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="e.g. overlap=0.6, width=320")

    train = command("train", _train, "Train: AE pre-training, then everything jointly (see also torchrun).")
    train.add_argument("config", nargs="?", help="tiny, small, paper, or a YAML file; default tiny")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. grouping.layers=2")
    train.add_argument("--out", help="new folder for the run")
    train.add_argument("--resume", metavar="FOLDER", help="go on with a run that was stopped")
    train.add_argument("--start-from", metavar="WEIGHTS", help="name or file of weights to start from")
    train.add_argument("--stop-at", type=int, metavar="STEP", help="stop (resumable) after so many steps")
    train.add_argument("--device", choices=("cpu", "cuda"))
    train.add_argument("--threads", type=int, help="CPU threads")

    evaluate = command("evaluate", _evaluate, "AP and grouping errors of HGG, AE greedy and oracle, side by side.")
    evaluate.add_argument("--weights", default="scenes-tiny", help="name in data/weights, or a file")
    on = evaluate.add_mutually_exclusive_group()
    on.add_argument("--annotations", help="COCO keypoint file (with --images)")
    evaluate.add_argument("--images", help="image folder")
    on.add_argument("--split", choices=("dev", "tune", "train"), help="photographs in HGGBOOK_DATA/coco")
    on.add_argument("--scenes", metavar="PRESET:COUNT:SEED", help="e.g. crowd:200:2; own: as trained on")
    evaluate.add_argument("--limit", type=int, help="only the first so many images")
    evaluate.add_argument("--fill-missing", action="store_true", help="fill missing keypoints as the AE code does")
    evaluate.add_argument("--calibrate", metavar="FILE", help="choose cut and threshold here; write weights with them")
    evaluate.add_argument("--batch", type=int, default=16)
    evaluate.add_argument("--out", help="folder for COCO results and scores")
    evaluate.add_argument("--device", choices=("cpu", "cuda"))
    evaluate.add_argument("--threads", type=int, help="CPU threads")

    oracle = command("oracle", _oracle, "Check that OHGC with oracle scores finds the true people of a pose file.")
    oracle.add_argument("annotations", help="COCO keypoint file (json or json.gz)")
    oracle.add_argument("--order", default="mutual", help="mutual, heaviest or random")
    oracle.add_argument("--part", type=int, default=1, help="check every so-manieth image only")
    oracle.add_argument("--batch", type=int, default=128)
    return parser
