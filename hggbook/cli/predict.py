"""``hggbook predict``: people in photographs and videos of one's own."""

import argparse
import csv
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

from hggbook import paths
from hggbook.cli.common import add_grouper, add_machine, command, grouper_of, hgg_has_a_part, machine

WEIGHTS = "coco-small"
MIN_SCORE = 0.4  # Choice: on tune, F1 of the people found (OKS 0.5) is about highest, and every other one is right


def add(commands) -> None:
    """Declares this family's commands."""
    text = "Find people in photographs and videos; write COCO results, a table, and the pictures with the people drawn."
    predict = command(commands, "predict", _predict, text)
    predict.add_argument("pictures", nargs="+", metavar="PHOTO", help="photograph, video, folder of these, or pattern")
    predict.add_argument("--out", required=True, metavar="FOLDER", help="to write, new or empty")
    add_grouper(predict, WEIGHTS, "as tuned with the weights")
    predict.add_argument("--flip", action="store_true", help="average over each picture and its mirror image")
    predict.add_argument("--scales", type=float, nargs="+", default=[1.0], help="of the input, e.g. 0.5 1 2")
    predict.add_argument(
        "--min-score", type=float, default=MIN_SCORE,
        help=f"leave out people whose score, the mean over all types, is lower; default: {MIN_SCORE}; for AP: 0",
    )  # fmt: skip
    predict.add_argument("--max-people", type=int, default=0, help="of a picture, best first; default: no limit")
    predict.add_argument("--every", type=int, default=1, metavar="N", help="of a video, every Nth frame; default: 1")
    predict.add_argument(
        "--max-frames", type=int, default=200, metavar="N", help="most frames of a video, 0 for all; default: 200"
    )
    predict.add_argument(
        "--as-stored", action="store_true", help="do not turn pictures as their orientation tag says (COCO's frame)"
    )
    predict.add_argument(
        "--ids", metavar="FILE", help="COCO file, e.g. image_info_test-dev2017.json: only its images, with its ids"
    )
    predict.add_argument(
        "--fill-missing", action="store_true", help="fill missing keypoints as the AE code does; for AP only"
    )
    predict.add_argument("--no-overlays", action="store_true", help="write no pictures")
    predict.add_argument("--batch", type=int, default=8)
    add_machine(predict)


def _predict(args: argparse.Namespace) -> int:
    _check(args)
    from tqdm import tqdm

    from hggbook.data.pictures import Picture, find_pictures, read_pictures
    from hggbook.predict import only_scenes, predict
    from hggbook.skeleton import SKELETONS
    from hggbook.tta import with_views
    from hggbook.weights import load

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong with a video is said once, by name
    device = machine(args)
    files, remarks = find_pictures(args.pictures)
    for remark in remarks:
        _say(remark.text)
    ids = _listed(args.ids) if args.ids else None
    if ids is not None:
        files = _only_listed(files, ids, args.ids, remarks)
    if not files:
        raise ValueError("expected at least one photograph or video, found none")
    model, config = load(args.weights or WEIGHTS)
    if only_scenes(config):
        _say(
            f"weights {args.weights or WEIGHTS} were trained on synthetic scenes only: in photographs, what they find "
            "is mostly wrong"
        )
    skeleton = SKELETONS[config.skeleton]
    if args.flip or args.scales != [1.0]:
        _say("cut, threshold and least score are as for one view, unless given; other views may want others")
        model, config = with_views(model, config, flip=args.flip, scales=args.scales)
    model = model.to(device)
    group = grouper_of(args, skeleton, model, config)

    def readable(bar):
        for item in read_pictures(files, every=args.every, frames=args.max_frames, as_stored=args.as_stored):
            if isinstance(item, Picture):
                yield item
            else:
                remarks.append(item)
                with bar.external_write_mode(file=sys.stderr):
                    _say(item.text)

    with paths.whole_folder(Path(args.out)) as folder, tqdm(desc="predicting", unit="picture", leave=False) as bar:
        found = predict(
            model, config, readable(bar), group=group, batch_size=args.batch, device=device,
            min_score=args.min_score, most=args.max_people, fill=args.fill_missing,
        )  # fmt: skip
        if ids is not None:
            found = (replace(one, image_id=ids[Path(one.picture.file).name]) for one in found)
        pictures, people = _write(folder, found, skeleton, args, config, remarks, bar)
    refused = len({remark.file for remark in remarks if remark.refused})
    by = f"{args.grouper}, weights {args.weights or WEIGHTS}"
    print(
        f"{pictures} {'picture' if pictures == 1 else 'pictures'}, {people} {'person' if people == 1 else 'people'} "
        f"({by}){f'; {refused} refused' if refused else ''}; written: {args.out}"
    )
    return 1 if refused else 0


def _listed(path):
    """Image id by file name, of a COCO file; it needs no annotations."""
    try:
        images = json.loads(Path(path).read_text(encoding="utf-8"))["images"]
        ids = {image["file_name"]: int(image["id"]) for image in images}
    except OSError as error:
        raise ValueError(f"--ids {path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"--ids {path}: expected a COCO file with a list 'images' of file_name and id") from None
    if not len(set(ids.values())) == len(ids) == len(images):
        raise ValueError(f"--ids {path}: {len(images)} images share names or ids")
    return ids


def _only_listed(files, ids, path, remarks):
    from hggbook.data.pictures import Remark

    kept = [file for file in files if file.name in ids]
    if others := len(files) - len(kept):
        _say(f"{others} pictures that {path} does not list are passed over")
    if missing := sorted(ids.keys() - {file.name for file in kept}):
        text = f"{len(missing)} of {len(ids)} images of {path} were not given, e.g. {missing[0]}"
        remarks.append(Remark(path, text))
        _say(text)
    return kept


def _check(args):
    """Refuses arguments before anything is read."""
    hgg_has_a_part(args)
    for name, value, low in (
        ("batch", args.batch, 1), ("every", args.every, 1), ("max-frames", args.max_frames, 0),
        ("max-people", args.max_people, 0),
    ):  # fmt: skip
        if value < low:
            raise ValueError(f"--{name}: expected at least {low}, got {value}")
    if math.isnan(args.min_score):
        raise ValueError("--min-score: expected a number, got nan")
    if args.fill_missing and not args.no_overlays:
        raise ValueError("--fill-missing: a filled keypoint may lie on anybody; it needs --no-overlays")
    paths.empty_folder(Path(args.out))


def _write(folder, found, skeleton, args, config, remarks, bar):
    """Everything into ``folder``, a picture at a time; how many pictures and people there were."""
    import cv2

    from hggbook.overlay import draw_overlay
    from hggbook.predict import ROW, coco_image, coco_results, rows

    images, results = [], []
    if not args.no_overlays:
        (folder / "overlays").mkdir()
    with (folder / "people.csv").open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file)
        table.writerow(ROW)
        for one in found:
            images.append(coco_image(one))
            results += coco_results(one)
            table.writerows(rows(one, skeleton))
            if not args.no_overlays:
                drawn = cv2.cvtColor(draw_overlay(one.picture.image, one.poses, skeleton), cv2.COLOR_RGB2BGR)
                ending = "jpg" if max(drawn.shape) < 2**16 else "png"  # a JPEG can be no larger
                whole, data = cv2.imencode(f".{ending}", drawn)
                if not whole:
                    raise ValueError(f"{one.picture.file}: its overlay cannot be encoded")
                (folder / "overlays" / f"{one.image_id:06d}_{one.picture.name[:100]}.{ending}").write_bytes(data)
            bar.update()
    if not images:
        raise ValueError("none of the files could be read; nothing was written")
    _write_json(folder / "results.json", results)
    _write_json(folder / "images.json", _document(images, skeleton, args, config, remarks))
    return len(images), len(results)


def _document(images, skeleton, args, config, remarks):
    """COCO's description of the pictures, so that its tools can read ``results.json``, and how they were looked at."""
    from hggbook.predict import only_scenes
    from hggbook.provenance import versions

    keys = ("grouper", "scores", "flip", "scales", "min_score", "max_people", "fill_missing", "every", "max_frames")
    learned = hgg_has_a_part(args)  # the other value has no say
    used = {
        "cut": (config.grouping.cut if args.cut is None else args.cut) if learned else None,
        "threshold": None if learned else config.baseline.threshold if args.threshold is None else args.threshold,
    }
    info = {
        "description": "people found by hggbook predict",
        "weights": args.weights or WEIGHTS,
        "trained_on": "synthetic scenes only" if only_scenes(config) else config.data.train,
        "orientation": "as stored" if args.as_stored else "upright",
        "options": {key: getattr(args, key) for key in keys} | used,
        "remarks": [{"file": r.file, "said": r.text, "refused": r.refused} for r in remarks],
        "versions": versions(),
    }
    person = {
        "id": 1, "name": "person", "supercategory": "person", "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.drawn],
    }  # fmt: skip
    return {"info": info, "images": images, "annotations": [], "categories": [person]}


def _write_json(path, value):
    path.write_text(json.dumps(value, allow_nan=False) + "\n", encoding="utf-8")


def _say(text):
    print(f"hggbook predict: {text}", file=sys.stderr)
