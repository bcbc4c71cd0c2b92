"""Small random inputs for the grouping tests, without ties."""

import torch

from hggbook.grouping.discriminators import EdgeDiscriminator, MacroNodeDiscriminator
from hggbook.grouping.graph import build_graph, node_features
from hggbook.grouping.message_passing import InteractionGNN
from hggbook.grouping.ohgc import OHGC
from hggbook.skeleton import COCO
from hggbook.types import Candidates, Targets

FULL = torch.from_numpy(COCO.linked("full"))
K = COCO.num_types


def random_candidates(counts: list[int], seed: int = 0, size: float = 128.0) -> Candidates:
    """Candidates of images with the given numbers of candidates; random types, places, embeddings."""
    g = torch.Generator().manual_seed(seed)
    n = sum(counts)
    return Candidates(
        xy=torch.rand(n, 2, generator=g) * (size - 1),
        type=torch.randint(K, (n,), generator=g),
        score=torch.rand(n, generator=g),
        embedding=torch.randn(n, 1, generator=g),
        batch=torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)),
        size=torch.full((len(counts), 2), size),
    )


def image_of(candidates: Candidates, image: int) -> Candidates:
    """One image's candidates as a batch of their own."""
    rows = candidates.batch == image
    return Candidates(
        candidates.xy[rows], candidates.type[rows], candidates.score[rows], candidates.embedding[rows],
        torch.zeros_like(candidates.batch[rows]), candidates.size[image : image + 1],
    )  # fmt: skip


def random_model(reading: str = "pairwise", order: str = "mutual", seed: int = 0, cut: float = 0.0, **options):
    """An untrained grouping stage, spread out so that scores differ: (InteractionGNN, OHGC), both in eval mode."""
    torch.manual_seed(seed)
    gnn = InteractionGNN(K + 3, K, reading=reading, **options)
    edges = EdgeDiscriminator(64, edge_channels=64 if reading == "pairwise" else 0, evidence="input")
    ohgc = OHGC(edges, MacroNodeDiscriminator(64), order=order, cut=cut)
    for module in (gnn, ohgc):
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        module.eval()
    return gnn, ohgc


def group(candidates: Candidates, gnn: InteractionGNN, ohgc: OHGC):
    return ohgc(gnn(build_graph(candidates, node_features(candidates, K), FULL), candidates))


def same_partition(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Do two label vectors mean the same grouping?"""
    return bool(((a[:, None] == a[None]) == (b[:, None] == b[None])).all())


def people_as_candidates(shown: list[list[list[int]]], seed: int = 0) -> tuple[Candidates, Targets]:
    """Ground-truth candidates: ``shown[image][person]`` lists the types of that person that have a candidate."""
    rows = [(b, k, p) for b, people in enumerate(shown) for p, types in enumerate(people) for k in types]
    first = torch.tensor([0] + [len(people) for people in shown]).cumsum(0)
    g = torch.Generator().manual_seed(seed)
    rows = [rows[i] for i in sorted(torch.randperm(len(rows), generator=g).tolist(), key=lambda i: rows[i][0])]
    batch, kind, local = (torch.tensor([r[c] for r in rows], dtype=torch.int64) for c in range(3))
    n = len(rows)
    candidates = Candidates(
        torch.rand(n, 2, generator=g) * 127, kind, torch.rand(n, generator=g), torch.randn(n, 1, generator=g), batch,
        torch.full((len(shown), 2), 128.0),
    )  # fmt: skip
    number = int(first[-1])
    annotated = torch.zeros(number, K, dtype=torch.bool)
    person = first[batch] + local
    annotated[person, kind] = True
    owner = torch.repeat_interleave(torch.arange(len(shown)), first.diff())
    return candidates, Targets(person, torch.full_like(person, -1), torch.ones(n, dtype=torch.bool), annotated, owner)
