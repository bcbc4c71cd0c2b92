"""People of the pose track before any candidate: in the frame of the network input, each with an embedding.

Not in the paper: see `hggbook.data.simulate`.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.draws import Draws
from hggbook.data.simulation import Simulation
from hggbook.data.surroundings import centres
from hggbook.grouping.graph import pairs_within_images
from hggbook.skeleton import Skeleton


def into_input(poses: PoseSet, simulation: Simulation, skeleton: Skeleton, draw: Draws) -> PoseSet:
    """People in the frame of the network input: long side fitted, centred, zoomed and mirrored.

    Not in the paper: see `hggbook.data.simulate`.
    """
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


def person_embedding(
    people: PoseSet, found: Float[Tensor, "M"], simulation: Simulation, draw: Draws
) -> Float[Tensor, "M d"]:
    """Each person's embedding: its place in an order of the image's people, plus what the place in the image gives;
    some are taken over from a neighbour.

    Args:
        people: in the frame of the network input.
        found: (M,) share of each person's annotated keypoints that is found.

    Not in the paper: see `hggbook.data.simulate`.
    """
    s, channels = simulation, []
    centre = (centres(people.keypoints) + 0.5) / s.size - 0.5
    for c in range(s.dimensions):
        slope = centre.new_tensor(s.embedding_gradient[2 * c : 2 * c + 2] or (0.0, 0.0))
        if s.embedding_ordered:
            place = place_along(along(centre, slope), found, s.embedding_reach, people.batch, people.num_images)
        else:
            key = draw.uniform("order" + channel_name(c), draw.person)
            place = place_in_order(key, people.batch, people.num_images)
        own = s.embedding_step * place + s.embedding_spread * draw.normal("own" + channel_name(c), draw.person)
        if s.embedding_gradient:
            own = own + centre @ slope
        if s.embedding_scale:
            own = own * (1 + s.embedding_scale * draw.normal("scale", draw.image))[people.batch]
        channels.append(own + s.embedding_origin[c] if s.embedding_origin else own)
    own = torch.stack(channels, dim=1)

    nearest, alone = nearest_person(people.keypoints, people.batch, people.num_images)
    takes = (draw.uniform("takes", draw.person) < s.collide) & ~alone
    noise = [draw.normal("taken" + channel_name(c), draw.person) for c in range(s.dimensions)]
    taken = own[nearest] + s.collide_spread * torch.stack(noise, dim=1)
    return torch.where(takes[:, None], taken, own)


def channel_name(channel: int) -> str:
    """What is added to a draw's name for each channel of an embedding; nothing for the first one."""
    return str(channel) if channel else ""


def place_in_order(
    key: Float[Tensor, "M"], batch: Int64[Tensor, "M"], num_images: int
) -> Int64[Tensor, "M"]:
    """Place of each person, from 0, among the people of its image by ascending key.

    Not in the paper: bookkeeping.
    """
    by = torch.argsort(key, stable=True)
    by = by[torch.argsort(batch[by], stable=True)]
    number = torch.bincount(batch, minlength=num_images)
    place = torch.empty_like(batch)
    place[by] = torch.arange(len(batch), device=batch.device) - (number.cumsum(0) - number)[batch]
    return place


def place_along(
    where: Float[Tensor, "M"], weight: Float[Tensor, "M"], reach: float, batch: Int64[Tensor, "M"], num_images: int
) -> Float[Tensor, "M"]:
    """Place of each person in the order of the image's people by where they stand, counted from the middle.

    Each other person adds half of its weight to whoever stands after it and takes as much from whoever stands before
    it; less so the nearer they stand (the error function of distance over ``reach``; 0: at once).

    Args:
        where: (M,) place along the gradient, in sides of the network input.
        weight: (M,) how much each person counts, usually 1, or the share of it that is found.

    Not in the paper: see `hggbook.data.simulation`.
    """
    first, second = pairs_within_images(batch, num_images)
    gap = where[second] - where[first]
    step = (torch.erf(gap / reach) if reach > 0 else torch.sign(gap)) / 2
    place = torch.zeros_like(where).index_add_(0, second, step * weight[first])
    return place.index_add_(0, first, -step * weight[second])


def nearest_person(
    keypoints: Float[Tensor, "M K 3"], batch: Int64[Tensor, "M"], num_images: int
) -> tuple[Int64[Tensor, "M"], Bool[Tensor, "M"]]:
    """The other person of the image whose box's centre is nearest to each person's, and who is alone (its own nearest).

    Not in the paper: bookkeeping.
    """
    first, second = pairs_within_images(batch, num_images)
    centre, _ = boxes(keypoints)
    distance = (centre[first] - centre[second]).norm(dim=1)
    a, b, distance = torch.cat([first, second]), torch.cat([second, first]), torch.cat([distance, distance])
    nearest = torch.arange(len(batch), device=batch.device)  # alone: its own
    closest = torch.full((len(batch),), torch.inf, device=batch.device).scatter_reduce_(0, a, distance, "amin")
    hit = distance == closest[a]
    nearest[a[hit]] = b[hit]
    return nearest, ~torch.isfinite(closest)


def boxes(keypoints: Float[Tensor, "M K 3"]) -> tuple[Float[Tensor, "M 2"], Float[Tensor, "M 2"]]:
    """Centre and extent of the labelled keypoints of each person; zeros without any."""
    hidden = (keypoints[:, :, 2] <= 0)[..., None]
    low = keypoints[:, :, :2].masked_fill(hidden, torch.inf).amin(dim=1)
    high = keypoints[:, :, :2].masked_fill(hidden, -torch.inf).amax(dim=1)
    none = hidden.all(dim=1)
    return ((low + high) / 2).masked_fill(none, 0), (high - low).masked_fill(none, 0)


def along(place: Float[Tensor, "M 2"], slope: Float[Tensor, "2"]) -> Float[Tensor, "M"]:
    """How far places lie along the direction of a gradient; across the image where it is zero."""
    length = slope.norm()
    return place @ (slope / length) if float(length) > 0 else place[:, 0]
