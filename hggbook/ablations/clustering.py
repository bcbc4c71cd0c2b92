"""What the paper says of its clustering, counted: how many rounds, how fast, what first. Paper: sec. 3.1, 4.3."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from hggbook.ablations.grouping import Study, scored_images
from hggbook.ablations.rows import FULL_ROWS, POSE
from hggbook.ablations.runs import runs_of
from hggbook.compare.candidates import with_cut
from hggbook.config import Config
from hggbook.data.coco import in_split
from hggbook.data.labelled import LabelledCandidates, simulated
from hggbook.data.source import pose_file, simulation_of
from hggbook.model import HGG
from hggbook.oracle import check_poses
from hggbook.skeleton import SKELETONS, Skeleton
from hggbook.types import Candidates, Grouping, Targets

PARTS = (  # of the COCO skeleton: the head and four limbs, which begin at shoulder and hip
    ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    ("left_shoulder", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow", "right_wrist"),
    ("left_hip", "left_knee", "left_ankle"),
    ("right_hip", "right_knee", "right_ankle"),
)
_EVERY = 10  # of all images, the perfect scorers group every tenth


@dataclass(frozen=True)
class Merges:
    """The merges of two nodes of one person each.

    Attributes:
        image: (E,) of each merge, non-decreasing within a round.
        step: (E,) round, from 0, non-decreasing.
        right: (E,) the two nodes were of the same person.
        pair: (E, 2) the two candidates, where both nodes were single candidates; -1 elsewhere.
    """

    image: Int64[Tensor, "E"]
    step: Int64[Tensor, "E"]
    right: Bool[Tensor, "E"]
    pair: Int64[Tensor, "E 2"]


def merges_of(grouping: Grouping, candidates: Candidates, targets: Targets) -> Merges:
    """Every merge of two nodes that were not mixed before: a mistake is counted once, where it is made.

    A duplicate belongs to the person that it doubles; a background candidate to nobody, so that a merge with it is
    wrong.

    Paper: sec. 3.1.
    """
    owner = torch.where(targets.person >= 0, targets.person, targets.duplicate)
    nobody = len(targets.batch) + torch.arange(len(candidates))
    # Of a node's members: the smallest and the greatest owner, the first and the last candidate.
    low = torch.where(owner >= 0, owner, nobody)
    high, first, last = low, torch.arange(len(candidates)), torch.arange(len(candidates))
    parts: list[tuple[Tensor, ...]] = []
    for step, level in enumerate(grouping.levels):
        cluster, number = level.cluster, len(level.made_of)
        were_pure = _over((low == high).long(), cluster, number, "amin") == 1
        size = torch.zeros(number, dtype=torch.int64).index_add_(0, cluster, level.graph.count)
        image = torch.zeros(number, dtype=torch.int64).scatter_(0, cluster, level.graph.batch)
        low, high = _over(low, cluster, number, "amin"), _over(high, cluster, number, "amax")
        first, last = _over(first, cluster, number, "amin"), _over(last, cluster, number, "amax")
        new = ((level.made_of == 2) & were_pure).nonzero()[:, 0]
        pair = torch.stack([first, last], dim=1)[new].masked_fill((size[new] > 2)[:, None], -1)
        parts.append((image[new], torch.full_like(new, step), (low == high)[new], pair))
    if not parts:
        none = torch.zeros(0, dtype=torch.int64)
        return Merges(none, none, none.bool(), torch.zeros(0, 2, dtype=torch.int64))
    return Merges(*(torch.cat(column) for column in zip(*parts)))


@torch.no_grad()
def clustering_facts(
    model: HGG, cut: float, labelled: LabelledCandidates, skeleton: Skeleton, *, batch_size: int = 64
) -> dict[str, Any]:
    """How a model's clustering goes, counted over images.

    Args:
        model: its grouping stage, and with it the order of graclus.
        cut: chosen on other images.
        labelled: the images.
        skeleton: COCO's, whose parts are `PARTS`.

    Returns:
        ``halving``: nodes after the first round over nodes before it; ``most_rounds``, ``mean_rounds`` and the share of
        images with more than five, ``over_five``; ``right_early``, ``right_late``: share of right merges in the first
        and in the second half of an image's merges, ties of a round split by chance of order; ``within_part``: share of
        merges of two single candidates of one person that lie within one body part, and ``within_part_chance``: that
        share among all pairs of candidates of one person.

    Paper: sec. 3.1 ("reduced by half", "no more than 5 iterations"), 4.3 ("the most easy-to-group keypoints"; "from
    part to whole").
    """
    part = torch.full((skeleton.num_types,), -1)
    for number, names in enumerate(PARTS):
        part[[skeleton.keypoints.index(name) for name in names]] = number
    before = after = within = singles = pairs = pairs_within = 0
    rounds, early, late = [], [], []
    for batch in labelled.batches(batch_size):
        candidates, targets = batch.candidates, batch.targets
        with with_cut(model, cut):
            grouping = model.group(candidates)
        rounds.append(grouping.rounds)
        if grouping.levels:
            before += len(grouping.levels[0].cluster)
            after += len(grouping.levels[0].made_of)
        merges = merges_of(grouping, candidates, targets)
        place = _place(merges)
        early.append(merges.right[place < 0.5])
        late.append(merges.right[place >= 0.5])
        single = merges.right & (merges.pair[:, 0] >= 0)
        one, other = part[candidates.type[merges.pair[single]]].unbind(1)
        within, singles = within + int((one == other).sum()), singles + int(single.sum())
        table = torch.zeros(len(targets.batch), skeleton.num_types)
        real = targets.person >= 0
        table.index_put_((targets.person[real], candidates.type[real]), torch.ones(()))
        by_part = torch.stack([table[:, part == number].sum(1) for number in range(len(PARTS))], dim=1)
        pairs += float((table.sum(1) * (table.sum(1) - 1) / 2).sum())
        pairs_within += float((by_part * (by_part - 1) / 2).sum())
    every = torch.cat(rounds)
    first, second = torch.cat(early).float(), torch.cat(late).float()
    told = {
        "halving": after / max(before, 1), "most_rounds": int(every.max()), "mean_rounds": float(every.float().mean()),
        "over_five": float((every > 5).float().mean()), "right_early": float(first.mean()),
        "right_late": float(second.mean()), "within_part": within / max(singles, 1),
        "within_part_chance": pairs_within / max(pairs, 1), "images": len(every), "merges": len(first) + len(second),
        "cut": cut, "order": model.ohgc.order,
    }  # fmt: skip
    told["right_early_less_late"] = told["right_early"] - told["right_late"]
    told["within_part_above_chance"] = told["within_part"] - told["within_part_chance"]
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in told.items()}


def _place(merges: Merges) -> Tensor:
    """(E,) where among the merges of its image each one comes, in [0, 1); those of one round in a random order."""
    drawn = torch.rand(len(merges.step), generator=torch.Generator().manual_seed(0))
    order = torch.argsort(merges.image + (merges.step + drawn) / (int(merges.step.max()) + 2 if len(drawn) else 1))
    number = torch.bincount(merges.image)
    start = number.cumsum(0) - number
    image = merges.image[order]
    place = torch.empty(len(order))
    place[order] = (torch.arange(len(order)) - start[image]) / number[image]
    return place


def _over(values: Tensor, cluster: Tensor, number: int, how: str) -> Tensor:
    return torch.zeros(number, dtype=values.dtype).scatter_reduce_(0, cluster, values, how, include_self=False)


def study_clustering(folder: Path, preset: str, images: int, settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """`clustering_facts` of the full rows of Table 2 in both readings, and of perfect scorers; counts of keypoints.

    Args:
        folder: of the study ``table2``, whose weights and cuts of track pose are used.
        preset: simulation of the candidates.
        images: at most so many test images; 0: all.
        settings: changes to the config, as in the study.

    Returns:
        ``default``, ``literal``: means over the seeds, of ``most_rounds`` the greatest; ``oracle_random``,
        ``oracle_mutual``: with scores that read the annotations; ``annotated_keypoints``: in an image with people;
        ``measured_candidates``: in an image of the simulation that is fitted to a detector.

    Raises:
        ValueError: the study has no runs there.

    Paper: sec. 3.1, 4.3.
    """
    told: dict[str, Any] = {}
    for reading, row in FULL_ROWS.items():
        facts = []
        for result, (model, config) in runs_of(folder, POSE, row):
            labelled = _test_images(config.override(*settings, f"data.preset={preset}"), images)
            facts.append(clustering_facts(model, result["cut"], labelled, SKELETONS[config.skeleton]))
        told[reading] = _mean(facts)
    people = pose_file(config.override(*settings))
    told["annotated_keypoints"] = round(float((people.keypoints[:, :, 2] > 0).sum()) / people.num_images, 3)
    for order in ("random", "mutual"):
        found = check_poses(people.select(torch.arange(people.num_images)[:: _EVERY]), order=order)
        told[f"oracle_{order}"] = {"most_rounds": found.rounds, "images": found.images, "wrong": found.wrong}
    measured = config.override(*settings, "data.preset=measured-scenes")
    chosen = people.select(in_split(people.image_id, "test", "poses"))
    candidates = simulated(chosen, simulation_of(measured, training=False), SKELETONS[config.skeleton], 1)
    told["measured_candidates"] = round(len(candidates.candidates) / candidates.num_images, 3)
    return told


def _test_images(config: Config, images: int) -> LabelledCandidates:
    return scored_images(Study(POSE, 0, Path(), test_images=images), config, "test")


def _mean(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds; the greatest of ``most_rounds``; cuts listed."""
    told = {name: value for name, value in facts[0].items() if isinstance(value, str)}
    for name in facts[0].keys() - told.keys():
        values = [each[name] for each in facts]
        same = name == "images"  # of every seed
        told[name] = max(values) if same or name == "most_rounds" else round(sum(values) / len(values), 5)
    return dict(sorted(told.items())) | {"cut": [each["cut"] for each in facts], "seeds": len(facts)}


__all__ = ["PARTS", "Merges", "clustering_facts", "merges_of", "study_clustering"]
