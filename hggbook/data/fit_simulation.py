"""A detector's statistics on annotated images as a `Simulation`: what `hggbook simulate --fit` measures.

    rows = [observe(candidates, match_candidates(candidates, batch, sigmas), batch, skeleton) for each batch]
    simulation, report = fit(join(rows), skeleton, size)

Not in the paper: it always detects. The pose track needs candidates that are wrong in the way real ones are.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from tqdm import tqdm

from hggbook.config import Config
from hggbook.data.calibrate_simulation import calibrate
from hggbook.data.coco import CocoPeople
from hggbook.data.fit_embeddings import fit_inside
from hggbook.data.fit_people import fit_between
from hggbook.data.fit_rates import FEWEST, by_person, probability, rates
from hggbook.data.loading import loader
from hggbook.data.mixed_logit import fit_reach
from hggbook.data.observe import BACKGROUND, CLUTTER, DUPLICATE, FOUND, STRAY, Observed, join, observe
from hggbook.data.simulation import MATCH_RADIUS, QUANTILES, Numbers, Simulation
from hggbook.data.surroundings import within_person
from hggbook.data.transforms import Fit
from hggbook.labels import match_candidates
from hggbook.skeleton import SKELETONS, Skeleton

Report = dict[str, Any]


@torch.no_grad()
def fit_to_model(
    model: nn.Module, config: Config, dataset: CocoPeople, *, batch_size: int = 16, device: str = "cpu",
    rounds: int = 3, progress: bool = False,
) -> tuple[Simulation, Report]:
    """Runs a detector over annotated images and measures how to imitate it.

    Args:
        model: a `hggbook.model.HGG` with a detector; `detect` and `propose` are used, as they stand.
        config: of the model (skeleton, input size).
        dataset: images that neither trained the detector nor are reported on.
        batch_size: images at a time.
        device: where the model runs.
        rounds: see `fit`.
        progress: show a progress bar on stderr.

    Returns:
        The simulation, of the model's input size, and a report: see `fit`.

    Raises:
        ValueError: no image, or nothing found on any.

    Not in the paper: see `hggbook.data.simulation`.
    """
    if not len(dataset):
        raise ValueError("simulate --fit: expected images, got an empty data set")
    skeleton = SKELETONS[config.skeleton]
    sigmas = torch.tensor(skeleton.sigmas, device=device)
    model, parts = model.to(device).eval(), []
    batches = loader(dataset, Fit(config.detector.input_size), batch_size)
    for batch in tqdm(batches, desc="measuring", unit="batch", disable=not progress, leave=False):
        batch = batch.to(device)
        candidates = model.propose(model.detect(batch.images))
        targets = match_candidates(candidates, batch, sigmas)
        parts.append(observe(candidates.detach(), targets, batch, skeleton).to("cpu"))
    return fit(join(parts), skeleton, config.detector.input_size, rounds)


def fit(observed: Observed, skeleton: Skeleton, size: int, rounds: int = 3) -> tuple[Simulation, Report]:
    """The numbers with which `simulate` imitates what was observed.

    Every field is measured from the rows that speak of it; one of which fewer than 30 do stays neutral (no effect).

    Args:
        observed: rows of any number of images.
        skeleton: keypoint types and their OKS sigmas.
        size: side of the network input in pixels.
        rounds: of `calibrate_simulation.calibrate`; 0 leaves the numbers as they were read off the rows.

    Returns:
        The simulation, and a report: ``images``, ``people``, ``keypoints``, ``candidates``, and under ``observations``
        how many rows each field (or group of fields) rests on.

    Raises:
        ValueError: not one candidate was matched to a keypoint.

    Not in the paper: see `hggbook.data.simulation`.
    """
    c, keypoints = observed.candidates, observed.keypoints
    found = c.what == FOUND
    if not bool(found.any()):
        raise ValueError(
            f"simulate --fit: {len(c.what)} candidates on {observed.num_images} images, none of them on one of the "
            f"{len(keypoints.type)} annotated keypoints: nothing to measure"
        )

    def measure(rows: Observed) -> Simulation:
        return Simulation(
            size=size, rematch=True, **rates(rows, skeleton), **_places(rows, skeleton), **_scores(rows),
            **_embeddings(rows, skeleton)[0],
        )  # fmt: skip

    simulation = calibrate(measure(observed), observed, skeleton, measure, rounds)
    pairs = _embeddings(observed, skeleton)[1]
    seen, matched = int(keypoints.seen.sum()), int(keypoints.found.sum())
    count = torch.bincount(c.what, minlength=5).tolist()
    report = {
        "images": observed.num_images,
        "people": len(observed.people.area),
        "keypoints": len(keypoints.type),
        "candidates": len(c.what),
        "observations": {
            "miss_seen": seen,
            "miss_occluded": len(keypoints.seen) - seen,
            "jitter, noise, score of found": count[FOUND],
            "stray_missed": len(keypoints.found) - matched,
            "stray_found": matched,
            "stray_again, swap, tables of strays": count[STRAY],
            "duplicate": count[DUPLICATE],
            "background": count[BACKGROUND],
            "clutter": count[CLUTTER],
            **pairs,
        },
    }
    return simulation, report


def _places(observed: Observed, skeleton: Skeleton) -> dict[str, Any]:
    """Localisation errors of what was found, and where strays lie."""
    c, k = observed.candidates, skeleton.num_types
    found, stray = c.what == FOUND, c.what == STRAY
    error, kind, seen = c.error[found].double(), c.type[found], c.visible[found]
    # An error's rank in the table is a uniform number to the power of its group; so -log rank is exponential, with the
    # power as its mean. Ranks and powers are found in turn.
    group = kind * 2 + (~seen).long()
    number = torch.bincount(group, minlength=2 * k).double()
    of_type, occluded = torch.ones(k, dtype=torch.float64), 1.0
    grid = torch.linspace(0.0005, 1, 2000, dtype=torch.float64)
    order = torch.argsort(error)
    place = torch.empty_like(error)
    place[order] = (torch.arange(len(error)) + 0.5).double() / len(error)
    for _ in range(20):
        power = torch.stack([of_type, of_type * occluded], dim=1).flatten()
        pooled = (grid[:, None] ** (1 / power) * number).sum(dim=1) / number.sum()
        rank = grid[torch.searchsorted(pooled, place).clamp_max(len(grid) - 1)]
        surprise = torch.zeros(2 * k, dtype=torch.float64).index_add(0, group, -rank.log()).view(k, 2)
        rows = number.view(k, 2)
        of_type = (surprise[:, 0] + surprise[:, 1] / occluded + 3) / (rows.sum(dim=1) + 3)
        occluded = float(((surprise[:, 1] / of_type).sum() + 3) / (rows[:, 1].sum() + 3))
    at = torch.tensor(QUANTILES, dtype=torch.float64)
    pooled = (at[:, None] ** (1 / power) * number).sum(dim=1) / number.sum()
    sigmas = torch.tensor(skeleton.sigmas)
    far = c.error * sigmas[c.type]
    plain = stray & ~c.swapped
    paired = stray & (torch.tensor(skeleton.flip_order)[c.type] != c.type)
    return {
        "jitter_table": tuple(error.quantile(pooled).clamp_max(MATCH_RADIUS).tolist()),
        "jitter_types": tuple(of_type.tolist()), "jitter_occluded": occluded,
        "swap": int(c.swapped.sum()) / int(paired.sum()) if bool(paired.any()) else 0.0,
        "stray_missed_table": _table(far[plain & ~c.matched]), "stray_found_table": _table(far[plain & c.matched]),
        "score_error": _correlation(c.score[found], c.error[found], group),
    }  # fmt: skip


def _scores(observed: Observed) -> dict[str, Any]:
    """Confidence of each kind of candidate, and what goes with that of those found."""
    c, q = observed.candidates, observed.keypoints
    found, stray = c.what == FOUND, c.what == STRAY
    rows = {
        "seen": found & c.visible, "occluded": found & ~c.visible, "duplicate": c.what == DUPLICATE,
        "stray_missed": stray & ~c.matched, "stray_found": stray & c.matched,
        "background": (c.what == BACKGROUND) | (c.what == CLUTTER),
    }  # fmt: skip
    every = _table(c.score)
    fields = {f"score_{name}_table": _table(c.score[one]) or every for name, one in rows.items()}
    plain = stray & ~c.swapped
    fields["score_stray"] = _correlation(c.score[plain], c.error[plain], 2 * c.type[plain] + c.matched[plain].long())
    if int(found.sum()) < FEWEST:
        return fields
    sure = _normal_scores(c.score[found], c.visible[found].long())
    person, number = c.person[found], len(observed.people.area)
    crowding = by_person(q.crowding, q.person, q.type, observed.people)[person, c.type[found]].double()
    middle = crowding.mean()
    slope = ((crowding - middle) @ sure) / (crowding - middle).square().sum().clamp_min(1e-9)
    left = sure - slope * (crowding - middle)
    total = left.new_zeros(number).index_add_(0, person, left)
    square = left.new_zeros(number).index_add_(0, person, left.square())
    count = torch.bincount(person, minlength=number)
    pairs = (count * (count - 1)).sum().clamp_min(1)
    common = float(((total.square() - square).sum() / pairs).clamp_min(0.0))  # mean product of two of one person
    rest = max(float(left.square().mean()) - common, 0.05)
    return fields | {
        "score_person": common**0.5, "score_rest": rest**0.5,
        "score_crowding": float(slope), "score_middle": float(middle),
    }  # fmt: skip


def _embeddings(observed: Observed, skeleton: Skeleton) -> tuple[dict[str, Any], dict[str, int]]:
    """Everything about embeddings, and how many people and pairs of them it rests on."""
    people, c, k = observed.people, observed.candidates, skeleton.num_types
    inside = fit_inside(observed)
    found, stray = c.what == FOUND, c.what == STRAY
    of, d = c.person.clamp_min(0), c.embedding.shape[1]
    told = ~inside.residual.isnan().any(dim=1) & (found | stray)
    told &= inside.alone if int((told & inside.alone & found).sum()) >= FEWEST else told
    every = found & (inside.count[of] > 3)
    # A mean of n candidates took a part of each one's noise with it.
    n = inside.count[of].clamp_min(2).float()
    noise = inside.residual * torch.where(found, (n / (n - 1)).sqrt(), (n / (n + 1)).sqrt())[:, None]
    size = noise.abs()
    rows = torch.bincount(c.type[told & found], minlength=k)
    of_type = torch.zeros(k).index_add_(0, c.type[told & found], size[told & found].mean(dim=1))
    level = float(of_type.sum() / rows.sum().clamp_min(1))
    factor = (of_type + 3 * level) / (rows + 3) / level if level > 1e-9 else torch.ones(k)
    size = size / factor[c.type][:, None]
    deviation = float(noise[told & found].square().mean().sqrt()) if int(rows.sum()) else 0.0
    between = fit_between(people, inside, deviation)
    fields = {
        "dimensions": d,
        "noise_types": tuple(factor.tolist()),
        "noise_reach": fit_reach(
            by_person((noise[:, 0] / factor[c.type])[every], c.person[every], c.type[every], people),
            within_person(people.keypoints, people.area),
        ),
        "noise_seen_table": _table(size[told & found & c.visible].flatten()),
        "noise_occluded_table": _table(size[told & found & ~c.visible].flatten()),
        "noise_stray_missed_table": _table(size[told & stray & ~c.matched].flatten()),
        "noise_stray_found_table": _table(size[told & stray & c.matched].flatten()),
        "noise_seen": deviation,
        "noise_occluded": deviation,
        "embedding_within": tuple(inside.slope.flatten().tolist()),
        "score_noise": _correlation(c.score[every], size[every].mean(dim=1), c.type[every]),
        "collide": 0.0,
    }
    if blend := inside.blend:
        fields |= {
            "blend_found": probability(blend.found),
            "blend_stray_missed": probability(blend.stray_missed),
            "blend_stray_found": probability(blend.stray_found),
            "blend_reach": blend.reach, "blend_spread": blend.spread,
        }  # fmt: skip
    near = (c.what == BACKGROUND) & (inside.count[of] > 0)
    if int(near.sum()) >= FEWEST:
        fields["noise_background"] = _deviation(c.embedding[near] - inside.mean[of[near]])
    if between:
        fields |= {
            "embedding_ordered": between.ordered, "embedding_step": between.step, "embedding_spread": between.spread,
            "embedding_reach": between.reach, "embedding_scale": between.scale,
            "embedding_origin": tuple(between.origin.tolist()),
            "embedding_gradient": tuple(between.gradient.flatten().tolist()),
            "collide": between.collide, "collide_spread": between.collide_spread,
        }  # fmt: skip
        away = c.what == CLUTTER
        if int(away.sum()) >= FEWEST:
            place = (c.position[away] + 0.5) / float(people.size.max()) - 0.5
            fields["noise_clutter"] = _deviation(c.embedding[away] - between.origin - place @ between.gradient.T)
    pairs = {
        "people with embeddings": int((inside.count > 1).sum()),
        "blend": int((told & (c.distance - c.own < 1.5)).sum()),
        "embedding_step, gradient, spread": between.pairs if between else 0,
        "collide": between.nearest_pairs if between else 0,
    }
    return fields, pairs


def _table(values: Float[Tensor, "n"]) -> Numbers:
    """Quantiles of what was measured; none from too few values."""
    if len(values) < FEWEST:
        return ()
    return tuple(values.double().quantile(torch.tensor(QUANTILES, dtype=torch.float64)).tolist())


def _correlation(one: Float[Tensor, "n"], other: Float[Tensor, "n"], group: Int64[Tensor, "n"]) -> float:
    """Correlation of normal scores, ranks taken within groups."""
    if len(one) < FEWEST:
        return 0.0
    a, b = _normal_scores(one, group), _normal_scores(other, group)
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt().clamp_min(1e-12))


def _normal_scores(value: Float[Tensor, "n"], group: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Normal quantiles of the ranks within each group."""
    order = torch.argsort(value, stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    number = torch.bincount(group)
    first = number.cumsum(0) - number
    rank = torch.empty(len(value), dtype=torch.float64)
    rank[order] = (torch.arange(len(value)).double() - first[group[order]] + 0.5) / number[group[order]]
    return torch.special.ndtri(rank)


def _deviation(values: Float[Tensor, "n d"]) -> float:
    return float(values.square().mean().sqrt())
