"""The pose track: candidates simulated from annotated keypoints, without any image.

So grouping can be studied, trained and measured on every annotated person of COCO on a laptop. Every number of the
simulation is a named field of `hggbook.data.simulation.Simulation`; every random draw is a hash of (seed, image id,
person, keypoint type), so an image gives the same candidates in whatever batch, order or process it is simulated.

Not in the paper: the paper always detects.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.draws import Draws, at_quantile, by_type, correlated
from hggbook.data.simulated_people import boxes, channel_name, into_input, person_embedding
from hggbook.data.simulation import QUANTILES, SIMULATIONS, Effects, Numbers, Simulation
from hggbook.data.surroundings import centres, crowding_at, look_around, pairs_of, within_person
from hggbook.grouping.graph import pairs_within_images, scramble
from hggbook.labels import match_candidates
from hggbook.skeleton import Skeleton
from hggbook.types import Batch, Candidates, Targets

__all__ = ["MATCH_RADIUS", "SIMULATIONS", "Simulation", "as_batch", "simulate"]

MATCH_RADIUS = math.sqrt(8 * math.log(2))
"""Where OKS falls to 0.5, in units of (COCO's sigma x person's size): farther away, a candidate is no match."""

MOST_STRAYS = 4  # of one keypoint
MOST_CLUTTER = 16  # in one image


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
    imitation = _Imitation(people, simulation, skeleton, draw)
    kinds, of_person = imitation.kinds(), imitation.of_person
    flat = _Kind(*(torch.cat([column[kind.chosen] for kind, column in zip(kinds, columns)]) for columns in zip(*kinds)))
    order = torch.argsort(flat.image * k + flat.type, stable=True)
    flat = _Kind(*(column[order] for column in flat))
    flat = flat._replace(xy=torch.minimum(flat.xy.clamp_min(0), people.size[flat.image] - 1))
    if simulation.apart:
        alone = _not_merged(flat, people.num_images, k, simulation.apart)
        flat = _Kind(*(column[alone] for column in flat))
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


class _Kind(NamedTuple):
    """Possible candidates of one kind, one for each keypoint (M, K) or each slot of an image (B, slots).

    ``chosen`` says which come to be. ``near``: the person whose embedding they start from, -1 for none; ``share``: log
    odds at which another person's is blended in where both are equally near. ``merging``: uniform in [0, 1).
    """

    chosen: Bool[Tensor, "*s"]
    xy: Float[Tensor, "*s 2"]
    score: Float[Tensor, "*s"]
    embedding: Float[Tensor, "*s d"]
    type: Int64[Tensor, "*s"]
    image: Int64[Tensor, "*s"]
    person: Int64[Tensor, "*s"]
    duplicate: Int64[Tensor, "*s"]
    near: Int64[Tensor, "*s"]
    share: Float[Tensor, "*s"]
    merging: Float[Tensor, "*s"]


class _Imitation:
    """All kinds of candidates of a set of people, before they are put in order."""

    def __init__(self, people: PoseSet, simulation: Simulation, skeleton: Skeleton, draw: Draws):
        m, k = people.keypoints.shape[:2]
        device = people.keypoints.device
        self.people, self.numbers, self.draw = people, simulation, draw
        self.skeleton = skeleton
        self.xy, self.labelled = people.keypoints[:, :, :2], people.keypoints[:, :, 2] > 0
        self.seen = people.keypoints[:, :, 2] > 1
        self.types = torch.arange(k, device=device).expand(m, k)
        self.person = torch.arange(m, device=device)[:, None].expand(m, k)
        self.nobody = torch.full_like(self.person, -1)
        self.image = people.batch[:, None].expand(m, k)
        self.unit = torch.tensor(skeleton.sigmas, device=device)[None] * people.area[:, None].sqrt()
        s = simulation
        miss = self.moved(torch.where(self.seen, s.miss_seen, s.miss_occluded), s.miss_by, "zmiss")
        self.found = self.labelled & (self.together(draw.uniform("miss"), "miss", s.miss_reach) >= miss)
        share = self.found.sum(dim=1) / self.labelled.sum(dim=1).clamp_min(1)
        self.of_person = person_embedding(people, share, simulation, draw)

    def kinds(self) -> list[_Kind]:
        """Whatever may be proposed, in a fixed order."""
        s, draw = self.numbers, self.draw
        doubled = self.found & (draw.uniform("double") < s.duplicate)
        level = torch.where(self.seen, s.score_seen, s.score_occluded)
        main = self.score("main", level, s.score_seen_table, s.score_occluded_table)
        twin = self.score("twin", level, s.score_duplicate_table)
        noise = (s.noise_seen_table, s.noise_occluded_table)
        kinds = [
            self.kind("main", self.found, self.error("main"), main, noise, s.blend_found, person=self.person),
            self.kind("twin", doubled, self.error("twin"), twin, noise, s.blend_found, duplicate=self.person),
            self.background(),
        ]
        if s.stray_missed or s.stray_found:
            kinds += self.strays()
        return [*kinds, self.clutter()] if s.clutter else kinds

    def kind(self, name, chosen, offset, score, noise, share, *, person=None, duplicate=None) -> _Kind:
        """Candidates at an offset from each keypoint, of its type, with the embedding of its person."""
        return _Kind(
            chosen=chosen,
            xy=self.xy + offset,
            score=score,
            embedding=self.of_person[:, None] + self.noise(name, *noise),
            type=self.types,
            image=self.image,
            person=self.nobody if person is None else person,
            duplicate=self.nobody if duplicate is None else duplicate,
            near=self.person,
            share=_log_odds(share) + self.numbers.blend_spread * self.draw.normal(name + "b"),
            merging=self.draw.uniform(name + "m"),
        )

    def background(self) -> _Kind:
        """Candidates of any type somewhere about a person, with that person's embedding."""
        s, draw = self.numbers, self.draw
        centre, extent = boxes(self.people.keypoints)
        spread = torch.stack([draw.uniform("bx"), draw.uniform("by")], dim=2) - 0.5
        noise = [draw.normal("be" + channel_name(c)) for c in range(s.dimensions)]
        return _Kind(
            chosen=self.labelled & (draw.uniform("false") < s.background),
            xy=centre[:, None] + spread * extent[:, None] * s.background_spread,
            score=self.score("b", torch.full_like(self.unit, s.score_background), s.score_background_table),
            embedding=self.of_person[:, None] + s.noise_background * torch.stack(noise, dim=2),
            type=self.some_type(draw.uniform("type")),
            image=self.image,
            person=self.nobody,
            duplicate=self.nobody,
            near=self.nobody,
            share=torch.zeros_like(self.unit),
            merging=draw.uniform("bm"),
        )

    def strays(self) -> list[_Kind]:
        """Candidates of a keypoint's type at a wrong place: on the mirrored keypoint, or anywhere beyond a match."""
        s, draw, found, kinds = self.numbers, self.draw, self.found, []
        chance = torch.where(
            found,
            self.moved(torch.full_like(self.unit, s.stray_found), s.stray_found_by, "zfound"),
            self.moved(torch.full_like(self.unit, s.stray_missed), s.stray_missed_by, "zlost"),
        )
        flip = torch.tensor(self.skeleton.flip_order, device=found.device)
        across = self.xy[:, flip] - self.xy
        mirrored = self.labelled[:, flip] & (flip != self.types)
        going = self.labelled
        for turn in range(MOST_STRAYS):
            name = f"s{turn}"
            going = going & (draw.uniform(name + "go") < (s.stray_again if turn else chance))
            rank = draw.uniform(name + "d")
            far = torch.where(
                found, at_quantile(s.stray_found_table or _BODY, rank), at_quantile(s.stray_missed_table or _BODY, rank)
            )
            away = self.astray(name, torch.maximum(far * self.people.area[:, None].sqrt(), MATCH_RADIUS * self.unit))
            swapped = mirrored & (draw.uniform(name + "w") < s.swap)
            offset = torch.where(swapped[..., None], across + self.error(name), away)
            usual = torch.full_like(self.unit, s.score_background)
            score = torch.where(
                found,
                self.score(name, usual, s.score_stray_found_table),
                self.score(name, usual, s.score_stray_missed_table),
            )
            noise = (s.noise_stray_table, ()) if s.noise_stray_table else (s.noise_seen_table, s.noise_occluded_table)
            kinds.append(self.kind(name, going, offset, score, noise, s.blend_stray))
        return kinds

    def clutter(self) -> _Kind:
        """Candidates anywhere in an image, whoever is in it; their number is Poisson distributed (at most 16)."""
        s, image = self.numbers, torch.arange(self.people.num_images, device=self.unit.device)
        slot = torch.arange(MOST_CLUTTER, device=image.device)
        key = scramble(self.draw.image[:, None] + 1000 + slot)  # persons' keys are made of smaller numbers
        number = slot.double()
        at_most = torch.exp(number * math.log(s.clutter) - s.clutter - torch.lgamma(number + 1)).cumsum(0)
        place = torch.stack([self.draw.uniform("cx", key), self.draw.uniform("cy", key)], dim=2)
        embedding = [
            (s.embedding_origin or (0.0,) * s.dimensions)[c]
            + (place - 0.5) @ place.new_tensor(s.embedding_gradient[2 * c : 2 * c + 2] or (0.0, 0.0))
            + s.noise_clutter * self.draw.normal("ce" + channel_name(c), key)
            for c in range(s.dimensions)
        ]
        usual = torch.full_like(place[..., 0], s.score_background)
        nobody = torch.full_like(key, -1)
        return _Kind(
            chosen=self.draw.uniform("cn", self.draw.image)[:, None].double() >= at_most,
            xy=place * (s.size - 1),
            score=self.score("c", usual, s.score_background_table, key=key),
            embedding=torch.stack(embedding, dim=2),
            type=self.some_type(self.draw.uniform("ct", key)),
            image=image[:, None].expand_as(key),
            person=nobody,
            duplicate=nobody,
            near=nobody,
            share=torch.zeros_like(usual),
            merging=self.draw.uniform("cm", key),
        )

    def moved(self, probability: Float[Tensor, "M K"], by: Effects, name: str) -> Float[Tensor, "M K"]:
        """Probabilities after all that moves them."""
        if by == Effects(middle=by.middle):
            return probability  # as it is, to the bit
        people = self.people
        labelled = self.labelled.sum(dim=1).clamp_min(1)
        hidden = (self.labelled & ~self.seen).sum(dim=1) / labelled
        shift = by.size * torch.log2(people.area.clamp_min(1.0).sqrt() / by.middle) + by.hidden * hidden
        shift = shift + by.person * self.draw.normal(name, self.draw.person)
        shift = shift[:, None] + by_type(by.types, 0.0, self.skeleton.num_types, "types of effects").to(shift.device)
        if by.crowding:
            shift = shift + by.crowding * crowding_at(people.keypoints, people.area, people.batch)
        return torch.sigmoid(torch.logit(probability) + shift)

    def error(self, name: str) -> Float[Tensor, "M K 2"]:
        """Localisation errors in pixels."""
        s, draw = self.numbers, self.draw
        if not s.jitter_table:
            across = torch.stack([draw.normal(name + "x"), draw.normal(name + "y")], dim=2)
            return (s.jitter * self.unit)[..., None] * across
        rank = correlated(draw.normal(name + "s"), draw.normal(name + "x"), s.score_error)
        power = self.by_type(s.jitter_types, "jitter_types") * torch.where(self.seen, 1.0, s.jitter_occluded)
        return self.polar(name, self.unit * at_quantile(s.jitter_table, rank**power))

    def astray(self, name: str, radius: Float[Tensor, "M K"]) -> Float[Tensor, "M K 2"]:
        """Offsets of a length in a random direction, turned until the own keypoint is the nearest of its type.

        Choice: a candidate is a stray of the nearest keypoint of its type (by person sizes), because only so can
        strays be counted (`observe`); if no quarter turn makes it so, the first direction stays.
        """
        people, size = self.people, self.people.area.clamp_min(1.0).sqrt()
        row, person = pairs_of(people.batch, people.batch)
        row, person = row[row != person], person[row != person]
        first = chosen = self.polar(name, radius)
        turned, settled = first, torch.zeros_like(self.labelled)
        for _ in range(4):
            gap = (self.xy[row] + turned[row] - self.xy[person]).norm(dim=2) / size[person, None]
            gap = gap.masked_fill(~self.labelled[person], torch.inf)
            nearest = torch.full_like(radius, torch.inf).scatter_reduce(0, row[:, None].expand_as(gap), gap, "amin")
            good = (radius / size[:, None] <= nearest) & ~settled
            chosen = torch.where(good[..., None], turned, chosen)
            settled = settled | good
            turned = torch.stack([-turned[..., 1], turned[..., 0]], dim=2)
        return chosen

    def polar(self, name: str, radius: Float[Tensor, "M K"]) -> Float[Tensor, "M K 2"]:
        """Offsets of a length in a random direction."""
        angle = 2 * math.pi * self.draw.uniform(name + "y")
        return radius[..., None] * torch.stack([angle.cos(), angle.sin()], dim=2)

    def noise(self, name: str, seen: Numbers, occluded: Numbers) -> Float[Tensor, "M K d"]:
        """Noise of the embeddings of candidates of each keypoint."""
        s, draw, channels = self.numbers, self.draw, []
        for c in range(s.dimensions):
            by = draw.normal(f"{name}e{channel_name(c)}")
            if s.noise_reach and name == "main":
                by = self.field(by, s.noise_reach)
            if not seen:
                channels.append(torch.where(self.seen, s.noise_seen, s.noise_occluded) * by)
                continue
            large = torch.special.ndtri((2 * torch.special.ndtr(by.abs()) - 1).clamp(1e-6, 1 - 1e-6))
            rank = correlated(draw.normal(name + "s"), large, s.score_noise)
            size = torch.where(self.seen, at_quantile(seen, rank), at_quantile(occluded or seen, rank))
            channels.append(self.by_type(s.noise_types, "noise_types") * size * torch.sign(by))
        return torch.stack(channels, dim=2)

    def together(self, uniform: Float[Tensor, "M K"], name: str, reach: float) -> Float[Tensor, "M K"]:
        """Uniform numbers that go together within a person, or those given where they do not."""
        return torch.special.ndtr(self.field(self.draw.normal(name + "t"), reach)) if reach else uniform

    def field(self, normal: Float[Tensor, "M K"], reach: float) -> Float[Tensor, "M K"]:
        """Standard normal numbers, correlated within a person as exp(-distance / reach)."""
        kernel = torch.exp(-within_person(self.people.keypoints, self.people.area) / reach)
        k = self.skeleton.num_types
        kernel = torch.where(torch.eye(k, dtype=torch.bool, device=kernel.device), 1 + 1e-4, kernel)
        return (torch.linalg.cholesky(kernel) * normal[:, None]).sum(dim=2)

    def score(
        self, name: str, usual: Float[Tensor, "*s"], seen: Numbers, occluded: Numbers = (), key: Tensor | None = None
    ) -> Float[Tensor, "*s"]:
        """Confidences: from tables where there are any, else about the usual one."""
        by = self.draw.normal(name + "s", key)
        if not seen:
            return (usual + self.numbers.score_spread * by).clamp(0.1, 1.0)
        rank = torch.special.ndtr(by)
        score = at_quantile(seen, rank)
        return torch.where(self.seen, score, at_quantile(occluded, rank)) if occluded else score

    def some_type(self, rank: Float[Tensor, "*s"]) -> Int64[Tensor, "*s"]:
        """Types drawn as frequently as the simulation has them in what is nobody's."""
        k = self.skeleton.num_types
        if not self.numbers.types:
            return (rank * k).long().clamp_max(k - 1)
        share = self.by_type(self.numbers.types, "types").double().cumsum(0)
        return torch.searchsorted(share / share[-1], rank.double(), right=True).clamp_max(k - 1)

    def by_type(self, values: Numbers, name: str) -> Float[Tensor, "K"]:
        return by_type(values, 1.0, self.skeleton.num_types, name).to(self.unit.device)


_BODY = tuple(0.1 + 0.9 * p for p in QUANTILES)  # where strays lie if no table says it: all about a person


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share)) if share > 0 else -math.inf


def _not_merged(flat: _Kind, num_images: int, num_types: int, apart: float) -> Bool[Tensor, "N"]:
    """Candidates that have no more confident one of their type, made for somebody else, within their merging distance.

    Choice: the fourth power, because that is how the share of pairs of keypoints of one type that are both found was
    seen to rise with their distance.
    """
    first, second = pairs_within_images(flat.image * num_types + flat.type, num_images * num_types)
    apart_of = apart * (-torch.log2(flat.merging.clamp_min(1e-6))) ** 0.25
    weaker = torch.where(flat.score[first] < flat.score[second], first, second)
    gap = (flat.xy[first] - flat.xy[second]).norm(dim=1)
    rivals = (flat.near[first] != flat.near[second]) | (flat.near[first] < 0)
    alone = torch.ones(len(flat.type), dtype=torch.bool, device=flat.type.device)
    alone[weaker[rivals & (gap < apart_of[weaker])]] = False
    return alone


def _from_the_place(
    flat: _Kind, people: PoseSet, of_person: Float[Tensor, "M d"], simulation: Simulation
) -> Float[Tensor, "N d"]:
    """What a candidate's place adds to its embedding: the gradient within its person, and a share of the next one's."""
    s, added = simulation, torch.zeros_like(flat.embedding)
    if not (s.embedding_within or s.blend_found or s.blend_stray) or not len(flat.xy):
        return added
    owned = flat.near >= 0
    owner = flat.near.clamp_min(0)
    if s.embedding_within:
        offset = (flat.xy - centres(people.keypoints)[owner]) / s.size
        slope = offset.new_tensor(s.embedding_within).view(s.dimensions, 2)
        added = torch.where(owned[:, None], offset @ slope.T, added)
    if s.blend_found or s.blend_stray:
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
