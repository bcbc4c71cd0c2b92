"""All candidates that a simulated detector might propose, kind by kind, before they are put together.

Not in the paper: see `hggbook.data.simulate`.
"""

import math
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hggbook.data.coco import PoseSet
from hggbook.data.draws import Draws, at_quantile, by_type, correlated
from hggbook.data.simulated_people import boxes, channel_name, person_embedding
from hggbook.data.simulation import MATCH_RADIUS, QUANTILES, Effects, Numbers, Simulation
from hggbook.data.surroundings import crowding_at, pairs_of, within_person
from hggbook.grouping.graph import scramble
from hggbook.skeleton import Skeleton

MOST_STRAYS = 4  # of one keypoint
MOST_CLUTTER = 16  # in one image

_BODY = tuple(0.1 + 0.9 * p for p in QUANTILES)  # where strays lie if no table says it: all about a person


class Kind(NamedTuple):
    """Possible candidates of one kind, one for each keypoint (M, K) or each slot of an image (B, slots).

    ``chosen`` says which come to be. ``near``: the person whose embedding they start from, -1 for none; ``share``: log
    odds at which another person's is blended in where both are equally near. ``size``: of the person. ``merging``:
    uniform in [0, 1).
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
    size: Float[Tensor, "*s"]
    merging: Float[Tensor, "*s"]


class Imitation:
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
        self.size = people.area.sqrt()[:, None].expand(m, k)
        self.alike = self.factor(simulation.noise_reach)
        self.found = self.labelled & ~self.missed()
        share = self.found.sum(dim=1) / self.labelled.sum(dim=1).clamp_min(1)
        self.of_person = person_embedding(people, share, simulation, draw)

    def missed(self) -> Bool[Tensor, "M K"]:
        """Which keypoints have no candidate."""
        s, rank = self.numbers, self.draw.uniform("miss")
        if s.miss_reach:
            rank = torch.special.ndtr(_together(self.draw.normal("misst"), self.factor(s.miss_reach)))
        return rank < self.moved(torch.where(self.seen, s.miss_seen, s.miss_occluded), s.miss_by, "zmiss")

    def kinds(self) -> list[Kind]:
        """Whatever may be proposed, in a fixed order."""
        s, draw = self.numbers, self.draw
        doubled = self.found & (draw.uniform("double") < s.duplicate)
        level = torch.where(self.seen, s.score_seen, s.score_occluded)
        main = self.score("main", level, s.score_seen_table, s.score_occluded_table, self.seen)
        twin = self.score("twin", level, s.score_duplicate_table)
        noise = (s.noise_seen_table, s.noise_occluded_table, self.seen)
        share = torch.full_like(self.unit, _log_odds(s.blend_found))
        kinds = [
            self.kind("main", self.found, self.error("main"), main, noise, share, person=self.person),
            self.kind("twin", doubled, self.error("twin"), twin, noise, share, duplicate=self.person),
            self.background(),
        ]
        if s.stray_missed or s.stray_found:
            kinds += self.strays()
        return [*kinds, self.clutter()] if s.clutter else kinds

    def kind(self, name, chosen, offset, score, noise, share, *, person=None, duplicate=None) -> Kind:
        """Candidates at an offset from each keypoint, of its type, with the embedding of its person."""
        s, free = self.numbers, _together(self.draw.normal(name + "b"), self.alike)
        if s.score_noise:
            free = s.score_noise * self.sure(name) + math.sqrt(1 - s.score_noise**2) * free
        return Kind(
            chosen=chosen,
            xy=self.xy + offset,
            score=score,
            embedding=self.of_person[:, None] + self.noise(name, *noise),
            type=self.types,
            image=self.image,
            person=self.nobody if person is None else person,
            duplicate=self.nobody if duplicate is None else duplicate,
            near=self.person,
            share=share + s.blend_spread * free,
            size=self.size,
            merging=self.draw.uniform(name + "m"),
        )

    def background(self) -> Kind:
        """Candidates of any type somewhere about a person, with that person's embedding."""
        s, draw = self.numbers, self.draw
        centre, extent = boxes(self.people.keypoints)
        spread = torch.stack([draw.uniform("bx"), draw.uniform("by")], dim=2) - 0.5
        noise = [draw.normal("be" + channel_name(c)) for c in range(s.dimensions)]
        return Kind(
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
            size=self.size,
            merging=draw.uniform("bm"),
        )

    def strays(self) -> list[Kind]:
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
        usual = torch.full_like(self.unit, s.score_background)
        share = torch.where(found, _log_odds(s.blend_stray_found), _log_odds(s.blend_stray_missed))
        noise = (s.noise_stray_found_table or s.noise_seen_table, s.noise_stray_missed_table, found)
        for turn in range(MOST_STRAYS):
            name = f"s{turn}"
            going = going & (draw.uniform(name + "go") < (s.stray_again if turn else chance))
            rank = draw.uniform(name + "d")
            if s.score_stray:
                rank = correlated(self.sure(name), draw.normal(name + "d"), s.score_stray)
            far = _of_two(s.stray_found_table or _BODY, s.stray_missed_table, found, rank)
            far = torch.maximum(far * self.people.area[:, None].sqrt(), MATCH_RADIUS * self.unit)
            swapped = mirrored & (draw.uniform(name + "w") < s.swap)
            away = self.astray(self.polar(name, far), going & ~swapped)
            offset = torch.where(swapped[..., None], across + self.error(name), away)
            score = self.score(name, usual, s.score_stray_found_table, s.score_stray_missed_table, found)
            kinds.append(self.kind(name, going, offset, score, noise, share))
        return kinds

    def clutter(self) -> Kind:
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
        return Kind(
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
            size=torch.zeros_like(usual),
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
            shift = shift + by.crowding * self.crowding
        return torch.sigmoid(torch.logit(probability) + shift)

    def error(self, name: str) -> Float[Tensor, "M K 2"]:
        """Localisation errors in pixels."""
        s, draw = self.numbers, self.draw
        if not s.jitter_table:
            across = torch.stack([draw.normal(name + "x"), draw.normal(name + "y")], dim=2)
            return (s.jitter * self.unit)[..., None] * across
        rank = correlated(self.sure(name), draw.normal(name + "x"), s.score_error)
        power = self.by_type(s.jitter_types, "jitter_types") * torch.where(self.seen, 1.0, s.jitter_occluded)
        return self.polar(name, self.unit * at_quantile(s.jitter_table, rank**power))

    def astray(self, offset: Float[Tensor, "M K 2"], chosen: Bool[Tensor, "M K"]) -> Float[Tensor, "M K 2"]:
        """Offsets of strays, turned to where somebody is: of four directions at right angles, the one that leads
        nearest to anybody's keypoint, but not nearer to another one of its own type than to its own.

        Choice: misplaced candidates lie on people, not between them; and a candidate is a stray of the nearest keypoint
        of its type (by person sizes), because only so can strays be counted (`observe`).
        """
        people, size = self.people, self.people.area.clamp_min(1.0).sqrt()
        owner, kind = chosen.nonzero(as_tuple=True)
        row, person = pairs_of(people.batch[owner], people.batch)
        turned, best = offset[owner, kind], offset[owner, kind]
        own = turned.norm(dim=1) / size[owner]
        least = torch.full_like(own, torch.inf)
        for _ in range(4):
            place = self.xy[owner, kind] + turned
            gap = (place[row, None] - self.xy[person]).norm(dim=2).masked_fill(~self.labelled[person], torch.inf)
            gap = gap / size[person, None]
            rival = gap.gather(1, kind[row, None])[:, 0].masked_fill(person == owner[row], torch.inf)
            cost = torch.full_like(own, torch.inf).scatter_reduce(0, row, gap.amin(dim=1), "amin")
            nearest = torch.full_like(own, torch.inf).scatter_reduce(0, row, rival, "amin")
            cost = cost + 100 * (nearest < own)
            better = cost < least
            best, least = torch.where(better[:, None], turned, best), torch.minimum(cost, least)
            turned = torch.stack([-turned[:, 1], turned[:, 0]], dim=1)
        return offset.index_put((owner, kind), best)

    def polar(self, name: str, radius: Float[Tensor, "M K"]) -> Float[Tensor, "M K 2"]:
        """Offsets of a length in a random direction."""
        angle = 2 * math.pi * self.draw.uniform(name + "y")
        return radius[..., None] * torch.stack([angle.cos(), angle.sin()], dim=2)

    def noise(self, name: str, first: Numbers, second: Numbers, where: Bool[Tensor, "M K"]) -> Float[Tensor, "M K d"]:
        """Noise of the embeddings of candidates of each keypoint, from the first table there, else from the second."""
        s, draw, channels = self.numbers, self.draw, []
        for c in range(s.dimensions):
            by = _together(draw.normal(f"{name}e{channel_name(c)}"), self.alike)
            if not (first or second):
                channels.append(torch.where(self.seen, s.noise_seen, s.noise_occluded) * by)
                continue
            large = torch.special.ndtri((2 * torch.special.ndtr(by.abs()) - 1).clamp(1e-6, 1 - 1e-6))
            rank = correlated(self.sure(name), large, s.score_noise)
            factor = self.by_type(s.noise_types, "noise_types")
            channels.append(factor * _of_two(first, second, where, rank) * torch.sign(by))
        return torch.stack(channels, dim=2)

    def factor(self, reach: float) -> Float[Tensor, "M K K"] | None:
        """What makes independent normal numbers of a person's keypoints go together as exp(-distance / reach)."""
        if not reach:
            return None
        k, people = self.skeleton.num_types, self.people
        kernel = torch.exp(-within_person(people.keypoints, people.area) / reach)
        itself = torch.eye(k, dtype=torch.bool, device=kernel.device)
        return torch.linalg.cholesky(torch.where(itself, 1 + 1e-4, kernel))  # a trace of its own: two in one place

    def score(
        self,
        name: str,
        usual: Float[Tensor, "*s"],
        first: Numbers,
        second: Numbers = (),
        where: Bool[Tensor, "*s"] | None = None,
        key: Int64[Tensor, "*s"] | None = None,
    ) -> Float[Tensor, "*s"]:
        """Confidences from a table, or from the first one there and the second elsewhere; else about the usual."""
        by = self.sure(name, key)
        if not (first or second):
            return (usual + self.numbers.score_spread * by).clamp(0.1, 1.0)
        rank = torch.special.ndtr(by)
        return at_quantile(first, rank) if where is None else _of_two(first, second, where, rank)

    def sure(self, name: str, key: Int64[Tensor, "*s"] | None = None) -> Float[Tensor, "*s"]:
        """How confident the detector is of each candidate, as standard normal numbers."""
        s, own = self.numbers, self.draw.normal(name + "s", key)
        if name not in ("main", "twin") or not (s.score_person or s.score_crowding):
            return own
        common = s.score_person * self.draw.normal("sure", self.draw.person)[:, None]
        return s.score_rest * own + common + s.score_crowding * (self.crowding - s.score_middle)

    @cached_property
    def crowding(self) -> Float[Tensor, "M K"]:
        """How much another person is at each keypoint."""
        return crowding_at(self.people.keypoints, self.people.area, self.people.batch)

    def some_type(self, rank: Float[Tensor, "*s"]) -> Int64[Tensor, "*s"]:
        """Types drawn as frequently as the simulation has them in what is nobody's."""
        k = self.skeleton.num_types
        if not self.numbers.types:
            return (rank * k).long().clamp_max(k - 1)
        share = self.by_type(self.numbers.types, "types").double().cumsum(0)
        return torch.searchsorted(share / share[-1], rank.double(), right=True).clamp_max(k - 1)

    def by_type(self, values: Numbers, name: str) -> Float[Tensor, "K"]:
        return by_type(values, 1.0, self.skeleton.num_types, name).to(self.unit.device)


def _of_two(
    first: Numbers, second: Numbers, where: Bool[Tensor, "*s"], rank: Float[Tensor, "*s"]
) -> Float[Tensor, "*s"]:
    """From the first table there and the second elsewhere; from the one there is if the other is empty."""
    return torch.where(where, at_quantile(first or second, rank), at_quantile(second or first, rank))


def _together(normal: Float[Tensor, "M K"], factor: Float[Tensor, "M K K"] | None) -> Float[Tensor, "M K"]:
    return normal if factor is None else (factor * normal[:, None]).sum(dim=2)


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share)) if share > 0 else -math.inf
