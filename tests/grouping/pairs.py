"""Small inputs for the groupers that decide from pairwise scores."""

from collections.abc import Iterator

import torch

from hggbook.grouping.graph import pairs_within_images
from hggbook.grouping.groupers import Contraction, GreedyBones, Multicut, Spectral
from hggbook.skeleton import COCO
from hggbook.types import Candidates, PairScores

K = 17
BONES = COCO.tree

GROUPERS = {
    "bones": GreedyBones(BONES),
    "contraction": Contraction(),
    "average linkage": Contraction(linkage="mean"),
    "spectral": Spectral(),
    "spectral, eigengap": Spectral("eigengap"),
    "spectral, types": Spectral("types"),
    "multicut": Multicut(),
}


def of_types(*types: int, counts: tuple[int, ...] | None = None) -> Candidates:
    """Candidates of the given types, in one image, or in images of the given numbers of candidates."""
    n = len(types)
    counts = (n,) if counts is None else counts
    return Candidates(
        xy=torch.zeros(n, 2),
        type=torch.tensor(types, dtype=torch.int64),
        score=torch.ones(n),
        embedding=torch.zeros(n, 1),
        batch=torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64)),
        size=torch.full((len(counts), 2), 32.0),
    )


def pair_scores(listed: dict[tuple[int, int], float]) -> PairScores:
    """Scores of the listed pairs of candidates."""
    pairs = sorted(listed)
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    return PairScores(index, torch.tensor([listed[pair] for pair in pairs], dtype=torch.float32))


def random_scores(candidates: Candidates, seed: int = 0, listed: float = 1.0, spread: float = 1.0) -> PairScores:
    """Scores without ties of a random share of the pairs of different type."""
    g = torch.Generator().manual_seed(seed)
    pair = pairs_within_images(candidates.batch, candidates.num_images)
    pair = pair[:, candidates.type[pair[0]] != candidates.type[pair[1]]]
    pair = pair[:, torch.rand(pair.shape[1], generator=g) < listed]
    return PairScores(pair, spread * torch.randn(pair.shape[1], generator=g))


def true_scores(candidates: Candidates, person: torch.Tensor) -> PairScores:
    """What an oracle says of every pair of different type: 1 for one person, -1 for two."""
    pair = pairs_within_images(candidates.batch, candidates.num_images)
    pair = pair[:, candidates.type[pair[0]] != candidates.type[pair[1]]]
    return PairScores(pair, torch.where(person[pair[0]] == person[pair[1]], 1.0, -1.0))


def permuted(candidates: Candidates, scores: PairScores, order: torch.Tensor) -> tuple[Candidates, PairScores]:
    """The same candidates in another order within their images, with their scores."""
    place = torch.argsort(order)
    pair = place[scores.edge_index].sort(dim=0).values
    by = torch.argsort(pair[0] * len(order) + pair[1])
    moved = Candidates(
        candidates.xy[order], candidates.type[order], candidates.score[order], candidates.embedding[order],
        candidates.batch, candidates.size,
    )  # fmt: skip
    return moved, PairScores(pair[:, by], scores.logit[by])


def images(candidates: Candidates, scores: PairScores) -> Iterator[tuple[torch.Tensor, Candidates, PairScores]]:
    """Every image as a batch of its own: its rows, its candidates, its scores."""
    for image in range(candidates.num_images):
        rows = torch.nonzero(candidates.batch == image).squeeze(1)
        own = candidates.batch[scores.edge_index[0]] == image
        start = int(rows[0]) if len(rows) else 0
        alone = Candidates(
            candidates.xy[rows], candidates.type[rows], candidates.score[rows], candidates.embedding[rows],
            torch.zeros_like(rows), candidates.size[image : image + 1],
        )  # fmt: skip
        yield rows, alone, PairScores(scores.edge_index[:, own] - start, scores.logit[own])
