"""``hggbook group``: people from keypoint candidates that any detector wrote into a file."""

import argparse
import json
from pathlib import Path

from hggbook import paths
from hggbook.cli.common import add_grouper, add_machine, command, grouper_of, hgg_has_a_part, machine

WEIGHTS = "pose-grouper"
_PAIRS_AT_ONCE = 200_000  # of candidates, over a batch of images: HGG holds some hundred numbers for each


def add(commands) -> None:
    """Declares this family's commands."""
    text = "Group the keypoint candidates of a file into people, whatever detector they come from."
    group = command(commands, "group", _group, text)
    group.add_argument("file", metavar="FILE", help="candidates as JSON; README.md describes the format")
    group.add_argument("--out", required=True, metavar="RESULTS", help="COCO results file to write")
    group.add_argument("--groups", metavar="FILE", help="also write the person of every candidate, in FILE's own order")
    add_grouper(group, WEIGHTS, "as tuned if --weights are named, else 1")
    add_machine(group)


def _group(args: argparse.Namespace) -> None:
    learned = _check(args)
    from hggbook.data.candidate_file import read_candidates
    from hggbook.data.simulation import Simulation
    from hggbook.decode import decode
    from hggbook.evaluate import to_coco_results, write_results
    from hggbook.weights import load

    device = machine(args)
    model, config = load(args.weights or WEIGHTS) if learned or args.weights else (None, None)
    if model is not None:
        model = model.to(device)
    # weights of the pose track have seen no network input but the simulation's
    on_images = model is not None and model.detector is not None
    found = read_candidates(args.file, config.detector.input_size if on_images else Simulation.size)
    if learned:
        _check_fit(found, config, args)
    elif len(found.candidates) and not found.candidates.embedding.shape[1]:
        raise ValueError(f"candidate file {args.file}: has no embeddings, by which these are to be grouped")
    person = _in_batches(found.candidates, grouper_of(args, found.skeleton, model, config), device)
    poses = decode(found.candidates, person, found.to_image, found.skeleton.num_types)
    write_results(to_coco_results(poses, found.image_id), args.out)
    if args.groups:
        _write_groups(args.groups, found, person)
    by = f"{args.grouper}, weights {args.weights or WEIGHTS}" if learned else args.grouper
    print(
        f"{len(found.image_id)} images, {len(person)} candidates: {len(poses.score)} people ({by}); "
        f"written: {', '.join(filter(None, (args.out, args.groups)))}"
    )


def _check(args):
    """Refuses arguments that would not be looked at; says whether HGG has a part in the grouping."""
    learned = hgg_has_a_part(args)
    written = [Path(name).resolve() for name in (args.file, args.out, args.groups) if name]
    if len(set(written)) < len(written):
        raise ValueError("FILE, --out, --groups: expected different files")
    return learned


def _check_fit(found, config, args):
    """Refuses candidates that the weights cannot read."""
    weights, d = args.weights or WEIGHTS, found.candidates.embedding.shape[1]
    if found.skeleton.name != config.skeleton:
        raise ValueError(
            f"candidate file {args.file}: weights {weights} group keypoints of skeleton {config.skeleton!r}, these are "
            f"of {found.skeleton.name!r}"
        )
    if len(found.candidates) and d != config.detector.embedding:  # without any, nothing tells
        raise ValueError(
            f"candidate file {args.file}: weights {weights} expect embeddings of {config.detector.embedding} numbers, "
            f"these have {d or 'none'}"
        )


def _in_batches(candidates, group, device):
    """Person of each candidate, numbered from image to image; as many images at a time as memory should hold."""
    import torch
    from tqdm import tqdm

    count = torch.bincount(candidates.batch, minlength=candidates.num_images)
    pairs = count * (count - 1) // 2
    _, images = torch.unique_consecutive((pairs.cumsum(0) - pairs) // _PAIRS_AT_ONCE, return_counts=True)
    end = image = people = 0
    person = []
    with torch.no_grad(), tqdm(total=len(count), desc="grouping", unit="image", leave=False) as bar:
        for several in images.tolist():
            start, end = end, end + int(count[image : image + several].sum())
            rows, here = slice(start, end), slice(image, image + several)
            part = candidates.replace(
                xy=candidates.xy[rows], type=candidates.type[rows], score=candidates.score[rows],
                embedding=candidates.embedding[rows], batch=candidates.batch[rows] - image, size=candidates.size[here],
            )  # fmt: skip
            found = group(part.to(device)).cpu() if len(part) else part.type
            person.append(torch.where(found >= 0, found + people, found))
            if len(found):
                people = max(people, int(person[-1].max()) + 1)
            image += several
            bar.update(several)
    return torch.cat(person) if person else candidates.type


def _write_groups(path, found, person):
    """The person of every candidate, in the file's order: which of its image's results it is in, -1 for none."""
    import torch

    count = torch.bincount(found.candidates.batch, minlength=len(found.image_id)).tolist()
    images = []
    for image_id, number, place in zip(found.image_id.tolist(), person.split(count), found.place.split(count)):
        grouped = number >= 0
        first = number[grouped].min() if grouped.any() else 0
        listed = torch.where(grouped, number - first, -1)[torch.argsort(place)]
        images.append({"image_id": image_id, "person": listed.tolist()})
    with paths.whole_file(Path(path)) as temporary:
        temporary.write_text(json.dumps({"version": 1, "images": images}) + "\n", encoding="utf-8")
