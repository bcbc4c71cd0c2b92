"""``hggbook evaluate``: groupers side by side on images."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from hggbook import paths
from hggbook.cli.common import add_dataset, add_machine, add_settings, command, dataset_of, machine, scenes_asked_for

MEASURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75")


def add(commands) -> None:
    """Declares this family's commands."""
    text = "AP and grouping errors of HGG, AE greedy and oracle, side by side."
    evaluate = command(commands, "evaluate", _evaluate, text)
    evaluate.add_argument("--weights", default="scenes-tiny", help="name in data/weights, or a file")
    evaluate.add_argument("--grouping", metavar="WEIGHTS", help="whose grouping stage to use instead")
    on = add_dataset(evaluate)
    on.add_argument("--poses", metavar="PRESET:PART", help="simulated candidates, e.g. hard:test; part tune or test")
    evaluate.add_argument("--fill-missing", action="store_true", help="fill missing keypoints as the AE code does")
    evaluate.add_argument("--flip", action="store_true", help="average over each image and its mirror image")
    evaluate.add_argument("--scales", type=float, nargs="+", default=[1.0], help="of the input, e.g. 0.5 1 2")
    evaluate.add_argument("--calibrate", metavar="FILE", help="choose cut and threshold here; write weights with them")
    add_settings(evaluate)
    evaluate.add_argument("--batch", type=int, default=16)
    evaluate.add_argument("--out", help="folder for COCO results and scores")
    add_machine(evaluate)


def _evaluate(args: argparse.Namespace) -> None:
    from hggbook.compare import calibrate, compare
    from hggbook.model import joined, load_weights, save_weights
    from hggbook.tta import with_views
    from hggbook.weights import find_weights, read_images, write_images

    device = machine(args)
    part = args.poses.partition(":")[2] if args.poses else None
    if part not in (None, "tune", "test"):
        raise ValueError(f"--poses: expected PRESET:tune or PRESET:test, got {args.poses!r}")
    if args.calibrate and (args.split == "dev" or part == "test" or (args.scenes or "").endswith(":2")):
        raise ValueError("--calibrate: not on what is reported (--split dev, scenes of seed 2, part test)")
    file = find_weights(args.weights)
    model, config = load_weights(file, args.set)
    learned = read_images(file)
    if args.grouping:
        model, config = joined((model, config), load_weights(find_weights(args.grouping)))
    several = args.flip or args.scales != [1.0]
    if args.poses:
        if several:
            raise ValueError("--poses: there are no images to flip or to scale")
        _evaluate_poses(args, model, config)
        return
    dataset = dataset_of(args, config)
    _warn_of_the_images(args, config, dataset, learned)
    tested, seen = with_views(model, config, flip=args.flip, scales=args.scales) if several else (model, config)
    if args.calibrate:
        chosen, tried = calibrate(tested, dataset, seen, batch_size=args.batch, device=device, progress=True)
        config = replace(config, grouping=chosen.grouping, baseline=chosen.baseline)
        save_weights(args.calibrate, model, config)
        if learned is not None:
            write_images(args.calibrate, learned)
        print(f"AP on the tuning images ({len(dataset)}): " + ", ".join(f"{k} {v:.3f}" for k, v in tried.items()))
        print(f"cut {config.grouping.cut}, AE threshold {config.baseline.threshold}: written with weights")
        return
    scores = compare(
        tested, dataset, seen, batch_size=args.batch, device=device, fill=args.fill_missing, progress=True
    )
    scales = ", ".join(f"{scale:g}" for scale in args.scales)
    views = f"scales {scales}, {'flipped too' if args.flip else 'not flipped'}"
    print(f"{len(dataset)} images, {views}, missing keypoints {'filled' if args.fill_missing else 'not filled'}")
    print(f"weights {args.weights}: cut {config.grouping.cut:g}, AE threshold {config.baseline.threshold:g}", end="")
    print("; other views may want others (--calibrate)" if several else "")
    print("grouper " + "".join(f"{name:>8}" for name in (*MEASURES, "pairF1", "perfect")))
    for name, score in scores.items():
        row = [score.ap[measure] for measure in MEASURES] + [score.counts.f1, score.counts.perfect_share]
        print(f"{name:<8}" + "".join(f"{value:8.3f}" for value in row))
    _say_crowding(scores, dataset)
    if args.out:
        _write_scores(Path(args.out), args.weights, seen, scores)
        print(f"COCO results and scores written to {args.out}")


def _evaluate_poses(args, model, config) -> None:
    """The pose track: pairs and people, not AP, since the simulation decides what there is to be found."""
    import dataclasses

    from hggbook.ablations.grouping import Study, scored_images
    from hggbook.compare import calibrate_contender, contenders_of, f1_of, measure, perfect_of, share_interval
    from hggbook.model import save_weights

    preset, _, part = args.poses.partition(":")
    study = Study("pose", 0, Path(), preset, tune_images=args.limit or 0, test_images=args.limit or 0)
    labelled = scored_images(study, config.override(f"data.preset={preset}", "data.knobs="), part)
    known = contenders_of(model, config, exact=False)
    contenders = {name: known[name] for name in ("hgg", "ae", "oracle")}
    if args.calibrate:
        chosen = {name: calibrate_contender(contenders[name], labelled)[0] for name in ("hgg", "ae")}
        tuned = dataclasses.replace(
            config,
            grouping=dataclasses.replace(config.grouping, cut=chosen["hgg"]),
            baseline=dataclasses.replace(config.baseline, threshold=chosen["ae"]),
        )
        save_weights(args.calibrate, model, tuned)
        print(f"cut {chosen['hgg']}, AE threshold {chosen['ae']} ({labelled.num_images} images): written with weights")
        return
    groupers = {name: contender.make(contender.default) for name, contender in contenders.items()}
    print(f"{labelled.num_images} images with two people or more, simulation {preset}, part {part}; 95 % intervals")
    for name, found in measure(groupers, labelled.batches(args.batch)).items():
        f1, perfect = share_interval(found.counts, f1_of), share_interval(found.counts, perfect_of)
        print(f"{name:<8} pairwise F1 {f1}  people grouped perfectly {perfect}  {found.milliseconds:6.2f} ms/image")


def _warn_of_the_images(args, config, dataset, learned) -> None:
    """A word on stderr if the weights were trained on what is scored here, or have never seen anything like it."""
    from hggbook.data.source import training_images
    from hggbook.predict import only_scenes

    if only_scenes(config) and args.split:
        _say(f"weights {args.weights} have learned from synthetic scenes only: in photographs they are mostly wrong")
    if args.split == "tune":
        _say("the photographs of tune are there to choose by; report on others")
    data, seen = config.data, 0
    if args.scenes:
        preset, _, seed = scenes_asked_for(args.scenes)
        if data.kind == "scenes" and preset in ("own", data.preset) and seed == data.scene_seed:
            seen = len(dataset)
    elif learned is not None or data.kind == "coco":
        try:
            learned = training_images(config).files() if learned is None else learned
        except ValueError as error:
            _say(f"whether the weights were trained on these images cannot be told: {error}")
            return
        seen = len(_named(learned) & _named(dataset.files()))
    if seen:
        _say(
            f"the weights were trained on {seen} of these {len(dataset)} images: the scores say nothing about others"
        )


def _named(images):
    """Images as they can be told apart from those of other data: by id and name, in whatever folder."""
    return {(number, Path(name).name) for name, number in images.items()}


def _say(text):
    print(f"hggbook evaluate: {text}", file=sys.stderr)


def _say_crowding(scores, dataset) -> None:
    """CrowdPose's three levels, where the annotation file has crowd indices."""
    from hggbook.evaluate import crowd_report

    for name, score in scores.items():
        if levels := crowd_report(score.results, dataset.coco, dataset.image_ids.tolist(), dataset.skeleton):
            print(f"{name}: by crowd index " + ", ".join(f"AP {level} {value:.3f}" for level, value in levels.items()))


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
