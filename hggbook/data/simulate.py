"""The pose track: candidates simulated from annotated keypoints, without any image.

So grouping can be studied, trained and measured on every annotated person of COCO on a laptop. Every number of the
simulation is a named field of `hggbook.data.simulation.Simulation`; every random draw is a hash of (seed, image id,
person, keypoint type), so an image gives the same candidates in whatever batch, order or process it is simulated.

Not in the paper: the paper always detects.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.draws import Draws
from hggbook.data.imitation import Imitation, Kind
from hggbook.data.simulated_people import into_input
from hggbook.data.simulation import SIMULATIONS, Simulation
from hggbook.data.surroundings import centres, look_around
from hggbook.grouping.graph import pairs_within_images
from hggbook.labels import match_candidates
from hggbook.skeleton import Skeleton
from hggbook.types import Batch, Candidates, Targets

__all__ = ["SIMULATIONS", "Simulation", "as_batch", "simulate"]


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
        candidates (embedding (N, d)), ordered by image and type; their targets; and the people in the frame of the
        network input (mirrored or zoomed as the candidates are), to evaluate against.

    Raises:
        ValueError: keypoints, or numbers by keypoint type, of another skeleton.
    """
    k = poses.keypoints.shape[1]
    if k != skeleton.num_types:
        raise ValueError(f"poses.keypoints: expected {skeleton.num_types} types ({skeleton.name}), got {k}")
    draw = Draws(poses, seed)
    people = into_input(poses, simulation, skeleton, draw)
    imitation = Imitation(people, simulation, skeleton, draw)
    kinds, of_person = imitation.kinds(), imitation.of_person
    flat = Kind(*(torch.cat([column[kind.chosen] for kind, column in zip(kinds, columns)]) for columns in zip(*kinds)))
    order = torch.argsort(flat.image * k + flat.type, stable=True)
    flat = Kind(*(column[order] for column in flat))
    flat = flat._replace(xy=torch.minimum(flat.xy.clamp_min(0), people.size[flat.image] - 1))
    if simulation.apart:
        alone = _not_merged(flat, people.num_images, k, simulation.apart)
        flat = Kind(*(column[alone] for column in flat))
    candidates = Candidates(
        xy=flat.xy,
        type=flat.type,
        score=flat.score,
        embedding=flat.embedding + _from_the_place(flat, people, of_person, simulation),
        batch=flat.image,
        size=people.size,
    )
    counts = torch.ones_like(flat.type, dtype=torch.bool)
    targets = Targets(flat.person, flat.duplicate, counts, people.keypoints[:, :, 2] > 0, people.batch)
    if simulation.rematch:
        sigmas = torch.tensor(skeleton.sigmas, device=people.area.device)
        targets = match_candidates(candidates, as_batch(people), sigmas)
    return candidates, targets, people


def _not_merged(flat: Kind, num_images: int, num_types: int, apart: float) -> Bool[Tensor, "N"]:
    """Candidates that have no stronger one of their type, made for somebody else, within their merging distance.

    Choice: stronger by confidence times person size, because of two people in one place the one in front, of whom more
    is seen, keeps most of its keypoints, not half of them. The fourth power, because that is how the share of pairs of
    keypoints of one type that are both found was seen to rise with their distance.
    """
    first, second = pairs_within_images(flat.image * num_types + flat.type, num_images * num_types)
    apart_of = apart * (-torch.log2(flat.merging.clamp_min(1e-6))) ** 0.25
    force = flat.score * flat.size
    weaker = torch.where(force[first] < force[second], first, second)
    gap = (flat.xy[first] - flat.xy[second]).norm(dim=1)
    rivals = (flat.near[first] != flat.near[second]) | (flat.near[first] < 0)
    alone = torch.ones(len(flat.type), dtype=torch.bool, device=flat.type.device)
    alone[weaker[rivals & (gap < apart_of[weaker])]] = False
    return alone


def _from_the_place(
    flat: Kind, people: PoseSet, of_person: Float[Tensor, "M d"], simulation: Simulation
) -> Float[Tensor, "N d"]:
    """What a candidate's place adds to its embedding: the gradient within its person, and a share of the next one's."""
    s, added = simulation, torch.zeros_like(flat.embedding)
    blended = s.blend_found or s.blend_stray_missed or s.blend_stray_found
    if not (s.embedding_within or blended) or not len(flat.xy) or not len(people.area):
        return added
    owned = flat.near >= 0
    owner = flat.near.clamp_min(0)
    if s.embedding_within:
        offset = (flat.xy - centres(people.keypoints)[owner]) / s.size
        slope = offset.new_tensor(s.embedding_within).view(s.dimensions, 2)
        added = torch.where(owned[:, None], offset @ slope.T, added)
    if blended:
        around = look_around(flat.xy, flat.image, flat.near, people.keypoints, people.area, people.batch)
        crowded = owned & (around.other >= 0)
        other = around.other.clamp_min(0)
        share = torch.sigmoid(flat.share - (around.distance - around.own) / s.blend_reach)
        drawn = share[:, None] * (of_person[other] - of_person[owner])
        added = added + torch.where(crowded[:, None], drawn, 0.0)
    return added


def as_batch(people: PoseSet) -> Batch:
    """People in the frame of the network input as a `Batch`, with images and masks that take no memory.

    Not in the paper: bookkeeping.
    """
    b, device = people.num_images, people.area.device
    width, height = (int(side) for side in people.size.amax(dim=0)) if b else (1, 1)
    return Batch(
        images=torch.zeros(1, 1, 1, 1, device=device).expand(b, 3, height, width),
        keypoints=people.keypoints,
        area=people.area,
        batch=people.batch,
        mask=torch.ones(1, 1, 1, dtype=torch.bool, device=device).expand(b, height, width),
        image_id=people.image_id,
        to_image=torch.zeros(b, 2, 3, device=device),
    )
