"""``hggbook simulate``: the pose track's simulation, fitted to a detector or written as candidates."""

import argparse
from pathlib import Path

from hggbook.cli.common import add_dataset, add_machine, command, dataset_of, machine


def add(commands) -> None:
    """Declares this family's commands."""
    text = "Imitate a detector: measure how one errs (--fit), or write simulated candidates of annotated people."
    simulate = command(commands, "simulate", _simulate, text)
    simulate.add_argument("--fit", action="store_true", help="measure the detector of --weights on annotated images")
    simulate.add_argument("--weights", help="of the detector: name in data/weights, or a file (with --fit)")
    simulate.add_argument("--preset", default="hard", help="simulation: a name or a YAML file (without --fit)")
    simulate.add_argument("--seed", type=int, default=0, help="of the candidates (without --fit)")
    simulate.add_argument("--out", required=True, type=Path, help="preset to write (YAML), or candidates (JSON)")
    simulate.add_argument("--batch", type=int, default=16)
    add_dataset(simulate)
    add_machine(simulate)


def _simulate(args: argparse.Namespace) -> None:
    if args.fit:
        _fit(args)
    else:
        _candidates(args)


def _fit(args) -> None:
    from hggbook.data.fit_simulation import fit_to_model
    from hggbook.data.simulation import write_simulation
    from hggbook.model import load_weights
    from hggbook.provenance import versions
    from hggbook.weights import find_weights

    if not args.weights:
        raise ValueError("--fit: expected --weights, the detector to measure")
    if args.split == "dev" or (args.scenes or "").endswith(":2"):
        raise ValueError("--fit: not on what is reported (--split dev, scenes of seed 2): fit on others")
    device = machine(args)
    model, config = load_weights(find_weights(args.weights))
    dataset = dataset_of(args, config)
    simulation, report = fit_to_model(
        model, config, dataset, batch_size=args.batch, device=device, progress=True
    )  # fmt: skip
    measured_on = args.scenes or args.split or Path(args.annotations).name
    provenance = {"weights": Path(args.weights).name, "images": measured_on, "number": len(dataset)}
    if measured_on.startswith("own"):
        provenance["scenes"] = f"{config.data.preset} {config.data.knobs}".strip()
    write_simulation(args.out, simulation, provenance | versions(), report)
    print(f"measured on {len(dataset)} images: {args.out}")


def _candidates(args) -> None:
    import torch

    from hggbook.data.candidate_file import CandidateFile, write_candidates
    from hggbook.data.coco import poses
    from hggbook.data.simulate import simulate
    from hggbook.data.simulation import read_simulation
    from hggbook.skeleton import COCO

    if not args.annotations or args.images or args.weights:
        raise ValueError("expected --annotations alone (or --fit): whose candidates to simulate")
    simulation = read_simulation(args.preset)
    found = poses(args.annotations, COCO)
    found = found.select(torch.arange(min(args.limit or found.num_images, found.num_images)))
    candidates, _, _ = simulate(found, simulation, COCO, args.seed)
    scale = found.size.amax(dim=1) / simulation.size  # as the simulation fits and centres images, inverted
    offset = (simulation.size - found.size / scale[:, None]) / 2
    matrix = torch.zeros(found.num_images, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = (0.5 - offset) * scale[:, None] - 0.5
    place = torch.arange(len(candidates))
    write_candidates(args.out, CandidateFile(candidates, found.image_id, found.size, matrix, place, COCO))
    print(f"{len(candidates)} candidates of {found.num_images} images, simulation {args.preset}: {args.out}")
