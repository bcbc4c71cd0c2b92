"""The pose track: candidates simulated from annotated keypoints, without any image.

So grouping can be studied, trained and measured on every annotated person of COCO on a laptop. Every number of the
simulation is a named field of `Simulation`; every random draw is a hash of (seed, image id, person, keypoint type), so
an image gives the same candidates in whatever batch, order or process it is simulated.

Not in the paper: the paper always detects.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.grouping.graph import pairs_within_images, scramble
from hggbook.skeleton import Skeleton
from hggbook.types import Candidates, Targets


@dataclass(frozen=True)
class Simulation:
    """How a detector is imitated. Probabilities are per annotated keypoint, unless said otherwise.

    Attributes:
        size: long side of the network input in pixels; images are fitted into its square and centred.
        jitter: localisation error, standard deviation per axis in units of (COCO's sigma x square root of area).
        miss_seen, miss_occluded: probability that a keypoint has no candidate, by visibility.
        duplicate: probability of a second candidate on a keypoint.
        background: probability of a candidate that is nobody's, of a random type, near the person.
        background_spread: where: uniform in the box of the person's keypoints, enlarged by this factor.
        embedding_step: mean distance of the embeddings of the people of an image, who stand in random order.
        embedding_spread: standard deviation of each person's own embedding around its place in that order.
        collide: probability (per person) of taking over the embedding of the nearest other person ...
        collide_spread: ... up to this standard deviation.
        noise_seen, noise_occluded, noise_background: standard deviation of the embedding of a single candidate.
        score_seen, score_occluded, score_background: mean confidence of a candidate.
        score_spread: standard deviation of the confidence (clipped to 0.1 .. 1).
        mirror: probability (per image) of a left-right mirrored image: augmentation for training.
        zoom: largest factor (per image) by which people are shrunk around a random point: augmentation for training.
    """

    size: int = 512
    jitter: float = 0.5
    miss_seen: float = 0.08
    miss_occluded: float = 0.20
    duplicate: float = 0.03
    background: float = 0.08
    background_spread: float = 1.5
    embedding_step: float = 1.0
    embedding_spread: float = 0.3
    collide: float = 0.35
    collide_spread: float = 0.35
    noise_seen: float = 0.25
    noise_occluded: float = 0.4
    noise_background: float = 1.0
    score_seen: float = 0.65
    score_occluded: float = 0.5
    score_background: float = 0.4
    score_spread: float = 0.15
    mirror: float = 0.0
    zoom: float = 1.0


SIMULATIONS = {
    # A first guess at a mediocre detector: one-dimensional embeddings of which a third collide with a neighbour's.
    "hard": Simulation(),
    # Perfect candidates: for the oracle test.
    "perfect": Simulation(
        jitter=0.0, miss_seen=0.0, miss_occluded=0.0, duplicate=0.0, background=0.0, embedding_spread=0.0, collide=0.0,
        noise_seen=0.0, noise_occluded=0.0,
    ),
}  # fmt: skip


def simulate(
    poses: PoseSet, simulation: Simulation, skeleton: Skeleton, seed: int = 0
) -> tuple[Candidates, Targets, PoseSet]:
    """Imitates what a detector proposes for annotated people: jitter, misses, background, duplicates, noisy embeddings.

    Args:
        poses: M people of B images.
        simulation: the numbers.
        skeleton: keypoint types and their OKS sigmas.
        seed: another seed gives other candidates of the same images (an epoch number, say).

    Returns:
        candidates (embedding (N, 1)), ordered by image and type; their targets; and the people in the frame of the
        network input (mirrored or zoomed as the candidates are), to evaluate against.

    Raises:
        ValueError: keypoints of another skeleton.
    """
    m, k = poses.keypoints.shape[:2]
    if k != skeleton.num_types:
        raise ValueError(f"poses.keypoints: expected {skeleton.num_types} types ({skeleton.name}), got {k}")
    draw = _Draws(poses, seed)
    people = _into_input(poses, simulation, skeleton, draw)
    device = people.keypoints.device
    xy, labelled, seen = people.keypoints[:, :, :2], people.keypoints[:, :, 2] > 0, people.keypoints[:, :, 2] > 1
    of_person = _person_embedding(people, simulation, draw)[:, None]
    sigmas = torch.tensor(skeleton.sigmas, device=device)
    width = (simulation.jitter * sigmas[None] * people.area[:, None].sqrt())[..., None]
    miss = torch.where(seen, simulation.miss_seen, simulation.miss_occluded)
    noise = torch.where(seen, simulation.noise_seen, simulation.noise_occluded)
    level = torch.where(seen, simulation.score_seen, simulation.score_occluded)
    types = torch.arange(k, device=device).expand(m, k)

    def proposal(name):  # one candidate per keypoint: place, embedding, score
        place = xy + width * torch.stack([draw.normal(name + "x"), draw.normal(name + "y")], dim=2)
        confidence = level + simulation.score_spread * draw.normal(name + "s")
        return place, of_person + noise * draw.normal(name + "e"), confidence

    found = labelled & (draw.uniform("miss") >= miss)
    doubled = found & (draw.uniform("double") < simulation.duplicate)
    false = labelled & (draw.uniform("false") < simulation.background)
    random_types = (draw.uniform("type") * k).long().clamp_max(k - 1)
    spread = torch.stack([draw.uniform("bx"), draw.uniform("by")], dim=2) - 0.5
    centre, extent = _boxes(people.keypoints)
    false_place = centre[:, None] + spread * extent[:, None] * simulation.background_spread
    false_embedding = of_person + simulation.noise_background * draw.normal("be")
    false_score = simulation.score_background + simulation.score_spread * draw.normal("bs")

    person = torch.arange(m, device=device)[:, None].expand(m, k)
    nobody = torch.full_like(person, -1)
    kinds = [
        (found, *proposal("main"), types, person, nobody),
        (doubled, *proposal("twin"), types, nobody, person),
        (false, false_place, false_embedding, false_score, random_types, nobody, nobody),
    ]
    joined = [torch.cat([values[kind[0]] for kind, values in zip(kinds, column)]) for column in zip(*kinds)][1:]
    place, embedding, score, kind, person_of, duplicate = joined
    batch = torch.cat([people.batch[:, None].expand(m, k)[flags[0]] for flags in kinds])
    order = torch.argsort(batch * k + kind, stable=True)
    candidates = Candidates(
        xy=torch.minimum(place[order].clamp_min(0), people.size[batch[order]] - 1),
        type=kind[order],
        score=score[order].clamp(0.1, 1.0),
        embedding=embedding[order, None],
        batch=batch[order],
        size=people.size,
    )
    counts = torch.ones_like(order, dtype=torch.bool)
    return candidates, Targets(person_of[order], duplicate[order], counts, labelled, people.batch), people


class _Draws:
    """Random numbers (M, K) that depend on (seed, image id, person in image, keypoint type, name) alone."""

    def __init__(self, poses: PoseSet, seed: int):
        device = poses.keypoints.device
        m, k = poses.keypoints.shape[:2]
        number = torch.bincount(poses.batch, minlength=len(poses.image_id))
        local = torch.arange(m, device=device) - (number.cumsum(0) - number)[poses.batch]
        self.image = scramble(scramble(poses.image_id) + seed)
        self.person = scramble(self.image[poses.batch] + local)
        self.keypoint = scramble(self.person[:, None] + torch.arange(1, k + 1, device=device))

    def uniform(self, name: str, key: Int64[Tensor, "*any"] | None = None) -> Float[Tensor, "*shape"]:
        key = self.keypoint if key is None else key
        bits = scramble(key + int.from_bytes(name.encode().ljust(7), "little"))
        return ((bits >> 20) & 0xFFFFFF).float() / 0x1000000

    def normal(self, name: str, key: Int64[Tensor, "*any"] | None = None) -> Float[Tensor, "*shape"]:
        radius = (-2 * torch.log(self.uniform(name + "r", key).clamp_min(2.0**-24))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(name + "a", key))


def _into_input(poses: PoseSet, simulation: Simulation, skeleton: Skeleton, draw: _Draws) -> PoseSet:
    """People in the frame of the network input: long side fitted, centred, zoomed and mirrored."""
    scale = simulation.size / poses.size.amax(dim=1)
    zoom = 1 + (simulation.zoom - 1) * draw.uniform("zoom", draw.image)
    margin = simulation.size - (scale / zoom)[:, None] * poses.size
    place = torch.stack([draw.uniform("px", draw.image), draw.uniform("py", draw.image)], dim=1)
    offset = margin * (place if simulation.zoom > 1 else torch.full_like(place, 0.5))
    scale, offset = (scale / zoom)[poses.batch], offset[poses.batch]
    xy = (poses.keypoints[:, :, :2] + 0.5) * scale[:, None, None] + offset[:, None] - 0.5
    keypoints = torch.cat([xy, poses.keypoints[:, :, 2:]], dim=2)
    mirrored = keypoints[:, list(skeleton.flip_order)].clone()
    mirrored[:, :, 0] = simulation.size - 1 - mirrored[:, :, 0]
    flip = draw.uniform("flip", draw.image)[poses.batch] < simulation.mirror
    keypoints = torch.where(flip[:, None, None], mirrored, keypoints)
    size = torch.full_like(poses.size, simulation.size)
    return PoseSet(keypoints, poses.area * scale.square(), poses.batch, poses.image_id, size)


def _person_embedding(people: PoseSet, simulation: Simulation, draw: _Draws) -> Float[Tensor, "M"]:
    """Each person's embedding: a place in a random order of the image's people, some taken over from a neighbour."""
    m, device = len(people.area), people.area.device
    by = torch.argsort(draw.uniform("order", draw.person))
    by = by[torch.argsort(people.batch[by], stable=True)]
    number = torch.bincount(people.batch, minlength=len(people.image_id))
    place = torch.empty(m, dtype=torch.int64, device=device)
    place[by] = torch.arange(m, device=device) - (number.cumsum(0) - number)[people.batch]
    own = simulation.embedding_step * place + simulation.embedding_spread * draw.normal("own", draw.person)

    first, second = pairs_within_images(people.batch, len(people.image_id))
    centre, _ = _boxes(people.keypoints)
    distance = (centre[first] - centre[second]).norm(dim=1)
    a, b, distance = torch.cat([first, second]), torch.cat([second, first]), torch.cat([distance, distance])
    nearest = torch.arange(m, device=device)  # alone: its own
    closest = torch.full((m,), torch.inf, device=device).scatter_reduce_(0, a, distance, "amin")
    hit = distance == closest[a]
    nearest[a[hit]] = b[hit]
    takes = (draw.uniform("takes", draw.person) < simulation.collide) & torch.isfinite(closest)
    return torch.where(takes, own[nearest] + simulation.collide_spread * draw.normal("taken", draw.person), own)


def _boxes(keypoints: Float[Tensor, "M K 3"]) -> tuple[Float[Tensor, "M 2"], Float[Tensor, "M 2"]]:
    """Centre and extent of the labelled keypoints of each person."""
    hidden = (keypoints[:, :, 2] <= 0)[..., None]
    low = keypoints[:, :, :2].masked_fill(hidden, torch.inf).amin(dim=1)
    high = keypoints[:, :, :2].masked_fill(hidden, -torch.inf).amax(dim=1)
    none = hidden.all(dim=1)
    return ((low + high) / 2).masked_fill(none, 0), (high - low).masked_fill(none, 0)
