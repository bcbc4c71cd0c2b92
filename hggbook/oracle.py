"""The oracle test on real poses: with scores that read the annotations, OHGC must return exactly the true people."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hggbook.data.coco import PoseSet, poses
from hggbook.data.simulate import SIMULATIONS, simulate
from hggbook.grouping.discriminators import OracleEdges
from hggbook.grouping.graph import build_graph
from hggbook.grouping.ohgc import OHGC
from hggbook.skeleton import COCO, Skeleton


@dataclass(frozen=True)
class OracleResult:
    """What the oracle test found: images and people checked, images grouped wrongly, most rounds any image took."""

    images: int
    people: int
    candidates: int
    wrong: int
    rounds: int
    seconds: float

    def __str__(self) -> str:
        verdict = "exactly the true people on every image" if self.wrong == 0 else f"WRONG on {self.wrong} images"
        return (
            f"{self.images} images, {self.people} people, {self.candidates} candidates: {verdict}; "
            f"at most {self.rounds} rounds; {self.seconds:.0f} s"
        )


class _NoOpinion(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x))


def perfect_clustering(order: str = "mutual") -> OHGC:
    """OHGC with scores that read the annotations: its graphs' node features are the index of the true person.

    Not in the paper: separates what the clustering can do from what the discriminators know.
    """
    return OHGC(OracleEdges(), _NoOpinion(), order=order)


@torch.no_grad()
def check_poses(
    found: PoseSet, *, order: str = "mutual", batch_size: int = 128, skeleton: Skeleton = COCO
) -> OracleResult:
    """Groups ground-truth candidates on the full graph with oracle scores and compares with the annotated people.

    Args:
        found: annotated people; every labelled keypoint becomes a candidate.
        order: of graclus.
        batch_size: images at a time.

    Not in the paper: the test that holds the design together.
    """
    started = time.perf_counter()
    linked = torch.from_numpy(skeleton.linked("full"))
    ohgc = perfect_clustering(order)
    candidates_seen = wrong = rounds = 0
    for rows in torch.arange(found.num_images).split(batch_size):
        candidates, targets, _ = simulate(found.select(rows), SIMULATIONS["perfect"], skeleton)
        grouping = ohgc(build_graph(candidates, targets.person.float()[:, None], linked))
        candidates_seen += len(candidates)
        if len(rows):
            rounds = max(rounds, int(grouping.rounds.max()))
        # One person per group and one group per person: as many distinct pairs as people and as groups.
        pairs = torch.unique(torch.stack([grouping.person, targets.person]), dim=1)
        split, mixed = torch.bincount(pairs[1]) > 1, torch.bincount(pairs[0]) > 1
        bad = candidates.batch[split[targets.person] | mixed[grouping.person]]
        wrong += len(bad.unique())
    seconds = time.perf_counter() - started
    return OracleResult(found.num_images, len(found.area), candidates_seen, wrong, rounds, seconds)


def check_pose_file(path: str | Path, *, order: str = "mutual", part: int = 1, batch_size: int = 128) -> OracleResult:
    """`check_poses` on every ``part``-th image of an annotation file.

    Raises:
        ValueError: a file that is missing or malformed, or a part below 1.
    """
    if part < 1:
        raise ValueError(f"part: expected at least 1, got {part}")
    found = poses(path)
    return check_poses(found.select(torch.arange(0, found.num_images, part)), order=order, batch_size=batch_size)
