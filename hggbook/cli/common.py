"""What commands share: how one is declared, which images it works on, and which device it computes on."""

import argparse
from collections.abc import Callable

GROUPERS = ("hgg", "ae", "contraction", "multicut", "spectral", "bones")


def command(commands, name: str, run: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
    """Declares a command whose help is ``text``; ``run`` gives its exit status, None for 0."""
    sub = commands.add_parser(name, help=text, description=text)
    sub.set_defaults(run=run)
    return sub


def add_machine(sub: argparse.ArgumentParser) -> None:
    """``--device`` and ``--threads``, for a command that computes; `machine` reads them."""
    sub.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is a GPU")
    sub.add_argument("--threads", type=int, help="CPU threads")


def machine(args: argparse.Namespace) -> str:
    """The device to compute on; sets the number of CPU threads.

    Raises:
        ValueError: a GPU was asked for, and there is none.
    """
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this PyTorch sees no GPU; use cpu")
    if args.threads:
        torch.set_num_threads(args.threads)
    return args.device or ("cuda" if torch.cuda.is_available() else "cpu")


def add_settings(sub: argparse.ArgumentParser) -> None:
    """``--set``: changes to the config that is stored with weights."""
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. detector.input_size=384")


def add_dataset(sub: argparse.ArgumentParser):
    """``--annotations`` with ``--images``, ``--split``, ``--scenes`` and ``--limit``; `dataset_of` reads them.

    Returns:
        The group of which only one may be given, for further choices.
    """
    on = sub.add_mutually_exclusive_group()
    on.add_argument("--annotations", help="COCO keypoint file (with --images)")
    sub.add_argument("--images", help="image folder")
    on.add_argument("--split", choices=("dev", "tune", "train"), help="photographs in HGGBOOK_DATA/coco")
    on.add_argument("--scenes", metavar="PRESET:COUNT:SEED", help="e.g. crowd:200:2; own: as trained on")
    sub.add_argument("--limit", type=int, help="only the first so many images; 0 for all")
    return on


def scenes_asked_for(text: str) -> tuple[str, int, int]:
    """Preset, count and seed of ``--scenes``; 200 scenes of seed 2 where they are left out.

    Raises:
        ValueError: not in this form.
    """
    preset, count, seed = (text.split(":") + ["200", "2"][text.count(":") :])[:3]
    if not (count.isdigit() and seed.isdigit()):
        raise ValueError(f"--scenes: expected PRESET:COUNT:SEED, e.g. crowd:200:2, got {text!r}")
    return preset, int(count), int(seed)


def dataset_of(args: argparse.Namespace, config):
    """The images that the arguments of `add_dataset` name, as the model of ``config`` wants them.

    Raises:
        ValueError: none named, or not in this form.
    """
    from hggbook import paths
    from hggbook.data.coco import CocoPeople
    from hggbook.data.source import photographs, scenes_of
    from hggbook.skeleton import SKELETONS

    if (args.limit or 0) < 0:
        raise ValueError(f"--limit: expected at least 0, got {args.limit}")
    if args.scenes:
        preset, count, seed = scenes_asked_for(args.scenes)
        if preset != "own":
            config = config.override("data.knobs=", f"data.preset={preset}")
        dataset = scenes_of(config, count, seed, progress=True)
        return dataset.select(dataset.image_ids[: args.limit].tolist()) if args.limit else dataset
    if args.split:
        if paths.data_root() is None:
            raise ValueError(f"--split {args.split}: needs HGGBOOK_DATA to name the folder of the data sets")
        dataset = photographs(args.split, config.skeleton)
    elif args.annotations:
        dataset = CocoPeople(args.annotations, args.images, SKELETONS[config.skeleton])
    else:
        raise ValueError("expected --annotations and --images, --split, or --scenes: which images")
    if args.limit:
        dataset = dataset.select(dataset.image_ids[: args.limit].tolist())
    return dataset


def add_grouper(sub: argparse.ArgumentParser, weights: str, threshold: str) -> None:
    """``--grouper``, ``--weights``, ``--scores``, ``--cut``, ``--threshold``; the help names the two defaults given.

    `hgg_has_a_part` checks that they fit together, `grouper_of` makes the grouper.
    """
    sub.add_argument("--grouper", choices=GROUPERS, default="hgg", help="default: hgg")
    sub.add_argument("--weights", metavar="NAME|FILE", help=f"HGG's, by name or file; default: {weights}")
    sub.add_argument(
        "--scores", choices=("hgg", "embedding"),
        help="of pairs, for contraction, multicut, spectral, bones: HGG's first round (default), or embedding distance",
    )  # fmt: skip
    sub.add_argument(
        "--cut", type=float, help="lowest logit of one person, by HGG's scores; default: as tuned with the weights"
    )
    sub.add_argument(
        "--threshold", type=float, help=f"largest distance in a person, by embedding; default: {threshold}"
    )


def hgg_has_a_part(args: argparse.Namespace) -> bool:
    """Whether the grouping that the arguments of `add_grouper` ask for uses HGG's scores.

    Raises:
        ValueError: an argument that would not be looked at.
    """
    alone = args.grouper in ("hgg", "ae")
    if alone and args.scores:
        raise ValueError(f"--scores: not for {args.grouper}, which has its own")
    learned = args.grouper == "hgg" or (not alone and args.scores != "embedding")
    if learned and args.threshold is not None:
        raise ValueError("--threshold: HGG's scores know no embedding distance; use --cut")
    if not learned and args.cut is not None:
        raise ValueError("--cut: is of HGG's scores; for embedding distance use --threshold")
    return learned


def grouper_of(args: argparse.Namespace, skeleton, model, config):
    """Candidates -> person of each: the grouper that the arguments ask for."""
    import torch

    from hggbook.grouping import groupers

    threshold = args.threshold if args.threshold is not None else config.baseline.threshold if config else 1.0
    if args.grouper == "ae":
        return groupers.AEGreedy(skeleton.greedy_order, threshold=threshold)
    if args.grouper == "hgg":
        if args.cut is not None:
            model.ohgc.cut = args.cut
        return lambda candidates: model.group(candidates).person
    by_pairs = {
        "contraction": groupers.Contraction,
        "multicut": groupers.Multicut,
        "spectral": groupers.Spectral,
        "bones": lambda: groupers.GreedyBones(skeleton.bones),
    }[args.grouper]()
    if args.scores == "embedding":
        linked = torch.from_numpy(skeleton.linked("full"))
        return lambda candidates: by_pairs(candidates, groupers.embedding_scores(candidates, linked, threshold))
    cut = args.cut if args.cut is not None else config.grouping.cut
    return lambda candidates: by_pairs(candidates, model.score_pairs(candidates, cut))
