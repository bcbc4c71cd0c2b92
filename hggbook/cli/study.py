"""``hggbook ablate | report | oracle``: experiments on the method."""

import argparse
import json
from pathlib import Path

from hggbook.cli.common import command

SURVEYS = {"crowd": {"smoke": 6, "cpu": 200, "full": 500}, "runtime": {"smoke": 2, "cpu": 40, "full": 100}}
SURVEYS |= {"clustering": {"smoke": 8, "cpu": 500, "full": 0}}  # images that each profile looks at
STUDIES = (
    "grouping", "table2", "graphs", "crowd", "runtime", "clustering", "groupers", "causes", "detector", "photographs",
)  # fmt: skip
SIZES = {  # what a profile does: steps of training and images to score by track, and seeds
    "smoke": ({"pose": 10, "frozen": 10, "image": 4}, 1, {"pose": 8, "frozen": 8, "image": 8}),
    "cpu": ({"pose": 1000, "frozen": 400, "image": 300}, 3, {"pose": 500, "frozen": 300, "image": 300}),
    "full": ({"pose": 7000, "frozen": 3000, "image": 20000}, 5, {"pose": 0, "frozen": 0, "image": 2000}),
}


def add(commands) -> None:
    """Declares this family's commands."""
    text = "Ablation studies: same budget for every row, several seeds; runs that are there already are not repeated."
    ablate = command(commands, "ablate", _ablate, text)
    says = "grouping: variants of HGG; table2, graphs: the paper's Table 2 and Fig. 4a; "
    says += "crowd, clustering: overlap sweep, rounds and their order, of the runs of table2; "
    says += "runtime: of those of both; "
    says += "groupers: all groupers, same scores; causes: what each kind of error costs; "
    says += "detector: how much of the grouping gradient enters it; "
    says += "photographs: groupers on real images by views, of the runs of grouping on the frozen track"
    ablate.add_argument("study", choices=STUDIES, help=says)
    says = "pose: simulated candidates; frozen: a detector's candidates; image: detector and all; default: pose"
    ablate.add_argument("--track", choices=("pose", "frozen", "image"), default="pose", help=says)
    ablate.add_argument("--profile", choices=tuple(SIZES), default="cpu", help="how much: steps, seeds, images")
    ablate.add_argument("--out", type=Path, help="folder of runs and results; default: runs/ablate/STUDY")
    ablate.add_argument("--frozen", type=Path, help="folder that hggbook freeze wrote (track frozen)")
    ablate.add_argument("--preset", default="hard", help="simulation of the pose track; default: hard")
    ablate.add_argument("--steps", type=int, help="of training, for a row of single budget; default: the profile's")
    ablate.add_argument("--seeds", type=int, help="seeds 0 to this minus one; default: the profile's")
    ablate.add_argument("--seed", type=int, help="this seed only (for arrays of jobs)")
    ablate.add_argument("--rows", nargs="+", metavar="ROW", help="these rows only")
    says = "at most so many tune and test images, 0: all; default: the profile's"
    ablate.add_argument("--images", type=int, help=says)
    ablate.add_argument("--jobs", type=int, default=1, help="runs at once, one thread each")
    ablate.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes to every row")
    says = "weights of the pose track, for the rows that go on from them; {seed} in it stands for the seed"
    ablate.add_argument("--start", default="", metavar="FILE", help=says)
    says = "groupers, causes: HGG's weights, one of each seed; detector, track image: what to go on from; "
    says += "photographs: the detector that was frozen"
    ablate.add_argument("--weights", nargs="+", help=says)
    says = "crowd, clustering, runtime, photographs: folder of the studies whose runs are looked at"
    ablate.add_argument("--runs", type=Path, default=Path("runs/ablate"), metavar="FOLDER", help=says)
    says = "photographs: ways of looking at an image, e.g. 'one view' flip; default: all of the study"
    ablate.add_argument("--views", nargs="+", metavar="WAY", help=says)
    ablate.add_argument("--collect", action="store_true", help="run nothing; show the table of what is there")
    ablate.add_argument("--write", type=Path, metavar="FILE", help="also write the results as one JSON file")
    says = "also put the tables into this text; photographs: the table of the name of --write's file"
    ablate.add_argument("--report", type=Path, metavar="FILE", help=says)

    report = command(commands, "report", _report_claims, "Hold the recorded runs against the paper's claims.")
    says = "folder of recorded runs, as `hggbook ablate --write` makes them; default: the project's results"
    report.add_argument("--results", type=Path, help=says)
    report.add_argument("--into", type=Path, metavar="FILE", help="also put the tables into this text")
    says = "folder of reference runs; say where these differ, and exit with 1 if they do"
    report.add_argument("--compare", type=Path, metavar="FOLDER", help=says)
    report.add_argument("--tolerance", type=float, default=0.02, help="on mean F1 and AP of a row; default: 0.02")

    oracle = command(commands, "oracle", _oracle, "Check that OHGC with oracle scores finds a pose file's true people.")
    oracle.add_argument("annotations", help="COCO keypoint file (json or json.gz)")
    oracle.add_argument("--order", default="mutual", help="mutual, heaviest or random")
    oracle.add_argument("--part", type=int, default=1, help="check every so-manieth image only")
    oracle.add_argument("--batch", type=int, default=128)


def _ablate(args: argparse.Namespace) -> None:
    from hggbook.ablations.grouping import Study

    if args.study == "photographs":
        _photographs(args)
        return
    steps, seeds, images = SIZES[args.profile]
    size = "image" if args.study == "detector" else args.track  # the whole model is trained there
    args.steps = steps[size] if args.steps is None else args.steps
    args.seeds = seeds if args.seeds is None else args.seeds
    if args.images is None:
        args.images = SURVEYS[args.study][args.profile] if args.study in SURVEYS else images[size]
    args.out = Path("runs/ablate") / args.study if args.out is None else args.out
    if args.study in ("grouping", "table2", "graphs"):
        _rows(args)
        return
    if args.study in SURVEYS:
        _survey(args)
        return
    limits = {"tune_images": args.images, "test_images": args.images}
    study = Study(args.track, args.steps, args.out, args.preset, args.frozen, **limits)
    {"groupers": _groupers, "causes": _causes, "detector": _detector}[args.study](args, study)


def _rows(args) -> None:
    """A study of rows, on any of its tracks."""
    from hggbook.ablations import grouping, joint
    from hggbook.ablations.rows import rows_of
    from hggbook.ablations.tables import compact, read_results, row_tables, told_score
    from hggbook.weights import find_weights

    rows = rows_of(args.track, args.rows, args.study)
    seeds = list(range(args.seeds)) if args.seed is None else [args.seed]

    def tell(result) -> None:
        print(f"{result['row']}, seed {result['seed']}: {told_score(result)} ({result['wall_s']:.0f} s)", flush=True)

    if args.collect:
        pass
    elif args.track == "image":
        if len(args.weights or []) > 1:
            raise ValueError("--weights: expected one name or file, which every run goes on from")
        start = find_weights((args.weights or ["scenes-crowd"])[0])
        settings = tuple(args.set)
        study = joint.JointStudy(start, args.steps, args.out, args.study, args.images, settings=settings, batch=8)
        joint.run_joints(study, rows, seeds, jobs=args.jobs, on_result=tell)
    else:
        study = grouping.Study(
            args.track, args.steps, args.out, args.preset, args.frozen, args.images, args.images, args.start,
            tuple(args.set), args.study,
        )  # fmt: skip
        grouping.run_all(study, rows, seeds, jobs=args.jobs, on_result=tell)
    results = read_results(args.out, args.track)
    if not results:
        raise ValueError(f"{args.out}: holds no results of track {args.track}")
    tables = row_tables(args.study, results, args.track)
    print("\n\n".join(tables.values()))
    if args.write:
        told = {"study": args.study, "track": args.track, "profile": args.profile, "rows": compact(results)}
        _write(args.write, told)
    if args.report:
        _report(args.report, tables)


def _survey(args) -> None:
    """A study that trains nothing and looks at the runs of others."""
    from hggbook.ablations.clustering import study_clustering
    from hggbook.ablations.surveys import study_crowd, study_runtime
    from hggbook.provenance import provenance

    table2, graphs, settings = args.runs / "table2", args.runs / "graphs", tuple(args.set)
    told = {"study": args.study, "profile": args.profile, "preset": args.preset}
    if args.study == "clustering":
        told |= study_clustering(table2, args.preset, args.images, settings)
    elif args.study == "crowd":
        told |= study_crowd(table2, args.preset, args.images, settings=settings)
    else:
        told |= study_runtime(table2, graphs, args.preset, args.images, settings)
    print(json.dumps(told, indent=1))
    if args.write:
        _write(args.write, told | {"provenance": provenance()})


def _photographs(args) -> None:
    """AP on photographs of grouping stages that the study grouping trained on a frozen detector."""
    import hashlib
    import time

    from hggbook.ablations.photographs import VIEWS, photographs_table, study_photographs
    from hggbook.ablations.rows import DEFAULT, FROZEN
    from hggbook.ablations.runs import runs_of
    from hggbook.data.source import photographs
    from hggbook.model import load_weights
    from hggbook.provenance import provenance
    from hggbook.weights import find_weights

    if len(args.weights or []) != 1:
        raise ValueError("photographs: expected the --weights of the detector, one name or file")
    if unknown := set(views := args.views or tuple(VIEWS)) - set(VIEWS):
        raise ValueError(f"--views: expected some of {', '.join(map(repr, VIEWS))}, got {sorted(unknown)}")
    started, file = time.perf_counter(), find_weights(args.weights[0])
    detector = load_weights(file, args.set)
    rows = args.rows or [DEFAULT]
    found = {row: runs_of(args.runs / "grouping", FROZEN, row) for row in rows}
    stages = {row: {result["seed"]: weights for result, weights in runs} for row, runs in found.items()}
    parts = {part: photographs(part, detector[1].skeleton) for part in ("tune", "dev")}
    if most := args.images or (SIZES["smoke"][2]["image"] if args.profile == "smoke" else 0):
        parts = {part: images.select(images.image_ids[:most].tolist()) for part, images in parts.items()}

    def tell(result) -> None:
        filled = "filled" if result["filled"] else "as found"
        print(f"{result['views']}, {filled}, {result['grouper']}, seed {result['seed']}: AP {result['dev']['AP']:.3f}",
              flush=True)  # fmt: skip

    results = study_photographs(detector, stages, parts["tune"], parts["dev"], views=views, on_result=tell)
    table = photographs_table(results)
    print(table)
    of = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "config": detector[1].to_dict()}
    told = {"study": "photographs", "track": "image", "detector": of, "results": results}
    told["images"] = {part: len(images) for part, images in parts.items()}
    told["training"] = {
        row: {str(r["seed"]): {key: r[key] for key in ("steps", "wall_s", "config", "provenance")} for r, _ in runs}
        for row, runs in found.items()
    }
    told |= {"wall_s": round(time.perf_counter() - started, 1), "provenance": provenance()}
    if args.write:
        _write(args.write, told)
    if args.report:
        _report(args.report, {args.write.stem if args.write else "photographs": table})


def _groupers(args, study) -> None:
    from hggbook.ablations.contest import OVERLAP, PEOPLE, contest
    from hggbook.ablations.tables import contest_tables
    from hggbook.model import load_weights
    from hggbook.provenance import provenance
    from hggbook.weights import find_weights

    if not args.weights:
        raise ValueError("--weights: expected HGG's weights, whose scores the other groupers get")
    told = {"study": "groupers", "track": args.track, "preset": args.preset, "people": PEOPLE, "overlap": OVERLAP}
    told |= {"provenance": provenance(), "weights": {}}
    for name in args.weights:
        model, config = load_weights(find_weights(name))
        config = config.override(f"data.preset={args.preset}")

        def tell(grouper, result) -> None:
            shares = result["test"]
            print(
                f"{grouper:<22} F1 {shares['f1']:.3f} perfect {shares['perfect_share']:.3f} "
                f"{shares['ms_per_image']:8.2f} ms/image (at {result['value']:g}; {result['scores']})", flush=True,
            )  # fmt: skip

        told["weights"][Path(name).parent.name or name] = contest(model, config, study, on_result=tell)
    if args.write:
        _write(args.write, told)
    if args.report:
        _report(args.report, contest_tables(told))


def _causes(args, study) -> None:
    from hggbook.ablations.causes import causes
    from hggbook.ablations.tables import causes_table
    from hggbook.model import load_weights
    from hggbook.provenance import provenance
    from hggbook.weights import find_weights

    if not args.weights or not args.frozen:
        raise ValueError("causes: expected HGG's --weights and the folder of --frozen candidates they were trained on")
    told = {"study": "causes", "track": "frozen", "provenance": provenance(), "weights": {}}
    for name in args.weights:
        model, config = load_weights(find_weights(name))
        told["weights"][Path(name).parent.name or name] = causes(model, config, args.frozen)
    print(causes_table(told))
    if args.write:
        _write(args.write, told)
    if args.report:
        _report(args.report, {"causes frozen": causes_table(told)})


def _detector(args, study) -> None:
    from hggbook.ablations.detector import run_factors
    from hggbook.ablations.joint import JointStudy
    from hggbook.ablations.tables import detector_table
    from hggbook.weights import find_weights

    if len(args.weights or []) != 1:
        raise ValueError("detector: expected the --weights, one name or file, that every run goes on from")
    start = find_weights(args.weights[0])
    joint = JointStudy(start, args.steps, args.out, "detector", args.images, False, tuple(args.set))
    runs = run_factors(joint, range(args.seeds) if args.seed is None else [args.seed])
    print(detector_table(runs))
    if args.write:
        _write(args.write, {"study": "detector", "track": "image", "runs": runs})
    if args.report:
        _report(args.report, {"detector": detector_table(runs)})


def _report_claims(args: argparse.Namespace) -> int:
    from hggbook.ablations.claims import Judge, Recorded, read_paper
    from hggbook.ablations.report import changes, counts_table, report_tables, verdict_table

    for folder in (args.results, args.compare):
        if folder is not None and not folder.is_dir():
            raise ValueError(f"{folder}: expected a folder of recorded runs")
    judge = Judge(read_paper(), Recorded(args.results))
    print(verdict_table(judge), counts_table(judge), sep="\n\n")
    if args.into:
        _report(args.into, report_tables(judge))
    if not args.compare:
        return 0
    found = changes(judge, Judge(judge.paper, Recorded(args.compare)), args.tolerance)
    print("\n".join(found) if found else f"agrees with {args.compare} within {args.tolerance:g}")
    return 1 if found else 0


def _report(path: Path, tables) -> None:
    from hggbook.ablations.tables import with_table
    from hggbook.paths import whole_file

    text = path.read_text(encoding="utf-8")
    for name, table in tables.items():
        text = with_table(text, name, table)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{len(tables)} tables put into {path}")


def _write(path: Path, told) -> None:
    from hggbook.paths import whole_file

    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


def _oracle(args: argparse.Namespace) -> int:
    from hggbook.oracle import check_pose_file

    result = check_pose_file(args.annotations, order=args.order, part=args.part, batch_size=args.batch)
    print(result)
    return 0 if result.wrong == 0 else 1
