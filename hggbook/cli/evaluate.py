"""``hggbook evaluate``: groupers side by side on images."""

import argparse
import json
from pathlib import Path

from hggbook import paths
from hggbook.cli.common import add_machine, command, machine

MEASURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75")


def add(commands) -> None:
    """Declares this family's commands."""
    text = "AP and grouping errors of HGG, AE greedy and oracle, side by side."
    evaluate = command(commands, "evaluate", _evaluate, text)
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
    add_machine(evaluate)


def _evaluate(args: argparse.Namespace) -> None:
    from hggbook.compare import calibrate, compare
    from hggbook.model import load_weights, save_weights
    from hggbook.weights import find_weights

    device = machine(args)
    model, config = load_weights(find_weights(args.weights))
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
    print(f"{len(dataset)} images, missing keypoints {'filled' if args.fill_missing else 'not filled'}")
    print("grouper " + "".join(f"{name:>7}" for name in (*MEASURES, "pairF1", "perfect")))
    for name, score in scores.items():
        row = [score.ap[measure] for measure in MEASURES] + [score.counts.f1, score.counts.perfect_share]
        print(f"{name:<8}" + "".join(f"{value:7.3f}" for value in row))
    if args.out:
        _write_scores(Path(args.out), args.weights, config, scores)
        print(f"COCO results and scores written to {args.out}")


def _write_scores(folder, weights, config, scores):
    from hggbook.evaluate import write_results

    for name, score in scores.items():
        write_results(score.results, folder / f"{name}.json")
    summary = {
        name: {"all_images": s.ap, "person_images": s.ap_person_images, "grouping": s.counts.summary()}
        for name, s in scores.items()
    }
    told = {"weights": weights, "config": config.to_dict(), "scores": summary}
    with paths.whole_file(folder / "scores.json") as place:
        place.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _dataset(args, config):
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
