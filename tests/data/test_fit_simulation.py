"""Fitting a simulation: what was simulated with known numbers must give these numbers back."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from hggbook.config import preset
from hggbook.data.coco import CocoPeople, poses
from hggbook.data.fit_simulation import fit, fit_to_model
from hggbook.data.mixed_logit import fit_log_odds, fit_reach
from hggbook.data.observe import BACKGROUND, CLUTTER, DUPLICATE, FOUND, STRAY, join, observe
from hggbook.data.scenes import scene_config, write_dataset
from hggbook.data.simulate import as_batch, simulate
from hggbook.data.simulation import MATCH_RADIUS, QUANTILES, SIMULATIONS, Effects, Simulation, read_simulation
from hggbook.grouping.groupers import AEGreedy
from hggbook.labels import match_candidates
from hggbook.metrics import GroupingCounts, grouping_counts
from hggbook.skeleton import COCO
from hggbook.types import Candidates
from hggbook.weights import load

from .standing import standing

K = COCO.num_types
SIGMAS = torch.tensor(COCO.sigmas)


def even(low, high):
    """The table of a uniform distribution."""
    return tuple(low + (high - low) * q for q in QUANTILES)


TRUTH = Simulation(
    size=256, rematch=True, jitter_table=even(0, 2.2), jitter_occluded=0.6, jitter_types=(0.6,) * 5 + (1.1,) * 12,
    miss_seen=0.08, miss_occluded=0.2, miss_by=Effects(size=-1.5, middle=36.0, crowding=1.5, hidden=1.5, person=0.8),
    miss_reach=0.3, stray_missed=0.5, stray_found=0.1, stray_again=0.2, swap=0.3, stray_missed_table=even(0.1, 0.6),
    stray_found_table=even(0.3, 0.9), duplicate=0.02, background=0.02, clutter=0.3, apart=10.0,
    embedding_ordered=True, embedding_step=0.7, embedding_reach=0.03, embedding_spread=0.12, embedding_scale=0.1,
    embedding_origin=(-1.0,), embedding_gradient=(2.0, 0.0), embedding_within=(0.6, 0.0), collide=0.0,
    blend_found=0.15, blend_stray_missed=0.15, blend_stray_found=0.3, blend_reach=0.15, blend_spread=1.0,
    noise_seen_table=even(0, 0.2), noise_occluded_table=even(0, 0.3), noise_stray_missed_table=even(0, 0.4),
    noise_stray_found_table=even(0, 0.6), noise_types=(0.8,) * 5 + (1.1,) * 12, noise_reach=0.2, noise_clutter=0.5,
    noise_background=0.5, score_seen_table=even(0.3, 1.0), score_occluded_table=even(0.2, 0.9),
    score_duplicate_table=even(0.1, 0.4), score_stray_missed_table=even(0.1, 0.8),
    score_stray_found_table=even(0.1, 0.5), score_background_table=even(0.1, 0.4), score_person=0.5, score_rest=0.82,
    score_crowding=-1.0, score_middle=0.3, score_error=-0.3, score_noise=-0.2, score_stray=-0.2,
)  # fmt: skip


def rows_of(people, simulation, seed=7):
    candidates, targets, people = simulate(people, simulation, COCO, seed)
    return observe(candidates, targets, as_batch(people), COCO)


@pytest.fixture(scope="module")
def fitted():
    return fit(rows_of(standing(250), TRUTH), COCO, 256, rounds=2)


def near(value, expected, within):
    assert value == pytest.approx(expected, abs=within)


def test_misses_are_recovered(fitted):
    simulation, _ = fitted
    by, truth = simulation.miss_by, TRUTH.miss_by
    near(by.size, truth.size, 0.35)
    near(by.crowding, truth.crowding, 0.8)
    near(by.hidden, truth.hidden, 0.9)
    near(by.person, truth.person, 0.35)
    near(simulation.miss_reach, TRUTH.miss_reach, 0.15)
    near(simulation.apart, TRUTH.apart, 2.0)

    def odds(s):  # of a miss, for a person of the true middle size of whom a third is hidden
        shift = s.miss_by.size * math.log2(36 / s.miss_by.middle) + s.miss_by.hidden / 3
        return [math.log(p / (1 - p)) + shift for p in (s.miss_seen, s.miss_occluded)]

    for value, expected in zip(odds(simulation), odds(TRUTH)):
        near(value, expected, 0.35)


def test_strays_and_other_wrong_candidates_are_recovered(fitted):
    simulation, report = fitted
    near(simulation.stray_missed, TRUTH.stray_missed, 0.1)
    near(simulation.stray_found, TRUTH.stray_found, 0.03)
    near(simulation.stray_again, TRUTH.stray_again, 0.05)
    near(simulation.swap, TRUTH.swap, 0.05)
    near(simulation.duplicate, TRUTH.duplicate, 0.006)
    near(simulation.background, TRUTH.background, 0.008)
    near(simulation.clutter, TRUTH.clutter, 0.12)  # some lies on people by chance, and is background then
    for place in (4, 7, 10):  # the fifth, the half, the four fifths
        near(simulation.stray_missed_table[place], TRUTH.stray_missed_table[place], 0.06)
        near(simulation.stray_found_table[place], TRUTH.stray_found_table[place], 0.06)
    assert sum(report["observations"][kind] for kind in ("duplicate", "background", "clutter")) > 200
    assert report["people"] == 750
    assert report["keypoints"] == 750 * K


def test_localisation_is_recovered(fitted):
    simulation, _ = fitted
    near(simulation.jitter_occluded, TRUTH.jitter_occluded, 0.06)
    for value, expected in zip(simulation.jitter_types, TRUTH.jitter_types):
        near(value, expected, 0.15)
    for value, expected in list(zip(simulation.jitter_table, TRUTH.jitter_table))[:-1]:
        near(value, expected, 0.12)  # the last one is a stray that matched by chance
    assert max(simulation.jitter_table) <= MATCH_RADIUS


def test_scores_are_recovered(fitted):
    simulation, _ = fitted
    for name in ("seen", "occluded", "stray_missed", "stray_found", "background"):
        for place in (4, 7, 10):
            near(getattr(simulation, f"score_{name}_table")[place], getattr(TRUTH, f"score_{name}_table")[place], 0.05)
    near(simulation.score_person, TRUTH.score_person, 0.07)
    near(simulation.score_rest, TRUTH.score_rest, 0.07)
    near(simulation.score_crowding, TRUTH.score_crowding, 0.35)
    near(simulation.score_error, TRUTH.score_error, 0.05)
    near(simulation.score_noise, TRUTH.score_noise, 0.06)
    near(simulation.score_stray, TRUTH.score_stray, 0.08)


def test_embeddings_within_people_are_recovered(fitted):
    simulation, _ = fitted
    near(simulation.embedding_within[0], TRUTH.embedding_within[0], 0.15)
    near(simulation.embedding_within[1], 0.0, 0.1)
    near(simulation.blend_found, TRUTH.blend_found, 0.05)
    near(simulation.blend_stray_missed, TRUTH.blend_stray_missed, 0.08)
    near(simulation.blend_stray_found, TRUTH.blend_stray_found, 0.12)
    near(simulation.blend_reach, TRUTH.blend_reach, 0.04)
    near(simulation.blend_spread, TRUTH.blend_spread, 0.3)
    near(simulation.noise_reach, TRUTH.noise_reach, 0.08)
    for value, expected in zip(simulation.noise_types, TRUTH.noise_types):
        near(value, expected, 0.2)
    for name in ("seen", "occluded", "stray_missed", "stray_found"):
        for place in (4, 7, 10):
            near(getattr(simulation, f"noise_{name}_table")[place], getattr(TRUTH, f"noise_{name}_table")[place], 0.05)


def test_embeddings_between_people_are_recovered(fitted):
    simulation, _ = fitted
    assert simulation.embedding_ordered
    near(simulation.embedding_step, TRUTH.embedding_step, 0.12)
    near(simulation.embedding_reach, TRUTH.embedding_reach, 0.015)
    near(simulation.embedding_spread, TRUTH.embedding_spread, 0.03)
    near(simulation.embedding_scale, TRUTH.embedding_scale, 0.04)
    near(simulation.embedding_gradient[0], TRUTH.embedding_gradient[0], 0.4)
    near(simulation.embedding_gradient[1], 0.0, 0.4)
    near(simulation.embedding_origin[0], TRUTH.embedding_origin[0], 0.1)
    assert simulation.collide < 0.02


def grouped(people, simulation, seed):
    candidates, targets, _ = simulate(people, simulation, COCO, seed)
    person = AEGreedy(COCO.greedy_order, threshold=0.5)(candidates)
    return len(candidates), grouping_counts(person, targets)


def test_what_is_simulated_with_the_fit_is_as_hard_to_group_as_what_was_measured(fitted):
    """The purpose of it all, on people that the fit has not seen."""
    people = standing(100, seed=5)
    number, real = grouped(people, TRUTH, 1)
    again, imitated = grouped(people, fitted[0], 2)
    assert again == pytest.approx(number, rel=0.04)
    near(imitated.f1, real.f1, 0.04)
    near(imitated.perfect_share, real.perfect_share, 0.05)


def test_random_order_and_collisions_are_recovered():
    """The preset `hard`, of which a fit knows nothing: embeddings in random order, a third of them taken over."""
    truth = dataclasses.replace(SIMULATIONS["hard"], background=0.0, size=256)
    simulation, _ = fit(rows_of(standing(300), truth), COCO, 256, rounds=0)
    assert not simulation.embedding_ordered
    near(simulation.embedding_step, 1.0, 0.12)
    near(simulation.embedding_spread, 0.3, 0.13)  # too wide: who took over another's embedding is off that as well
    near(simulation.collide, 0.35, 0.12)
    near(simulation.collide_spread, 0.35, 0.12)
    near(simulation.noise_seen_table[7], 0.25 * 0.6745, 0.03)  # the median of |normal|
    near(simulation.noise_occluded_table[7], 0.4 * 0.6745, 0.04)
    assert simulation.blend_found < 0.05
    near(simulation.miss_seen, 0.08, 0.02)
    near(simulation.miss_by.person, 0.0, 0.3)


def test_several_channels():
    truth = dataclasses.replace(
        TRUTH, dimensions=2, embedding_origin=(1.0, -1.0), embedding_gradient=(2.0, 0.0, 0.0, -3.0),
        embedding_within=(0.5, 0.0, 0.0, 0.5), blend_found=0.0, blend_stray_missed=0.0, blend_stray_found=0.0,
    )  # fmt: skip
    simulation, _ = fit(rows_of(standing(100), truth), COCO, 256, rounds=0)
    assert simulation.dimensions == 2
    for name, within in (("embedding_origin", 0.2), ("embedding_gradient", 0.9), ("embedding_within", 0.2)):
        for value, expected in zip(getattr(simulation, name), getattr(truth, name)):
            near(value, expected, within)
    near(simulation.embedding_spread, truth.embedding_spread, 0.04)
    assert rows_of(standing(3), simulation).candidates.embedding.shape[1] == 2


def one_image(kind, xy, people, score=None):
    """Rows of candidates of one image, given by type and place."""
    n = len(kind)
    candidates = Candidates(
        xy=torch.tensor(xy, dtype=torch.float32).view(n, 2), type=torch.tensor(kind, dtype=torch.int64),
        score=torch.full((n,), 0.5) if score is None else torch.tensor(score), embedding=torch.zeros(n, 1),
        batch=torch.zeros(n, dtype=torch.int64), size=people.size,
    )  # fmt: skip
    return observe(candidates, match_candidates(candidates, as_batch(people), SIGMAS), as_batch(people), COCO)


def two_people():
    """Person 0: nose, both wrists, the right one occluded. Person 1, 100 pixels to the right: a nose. Sizes 40."""
    people = standing(1, 2)
    people.keypoints[:, :, 2] = 0
    for person, kind, x, y, visible in ((0, 0, 50, 50, 2), (0, 9, 70, 90, 2), (0, 10, 30, 90, 1), (1, 0, 150, 50, 2)):
        people.keypoints[person, kind] = torch.tensor([float(x), float(y), float(visible)])
    return people.replace(area=torch.tensor([1600.0, 1600.0]))


def test_candidates_are_told_apart():
    kinds = [0, 0, 9, 9, 10, 0, 5, 0]
    places = [(51, 50), (52, 50), (30, 90), (90, 90), (30, 90), (130, 60), (60, 95), (240, 240)]
    seen = one_image(kinds, places, two_people()).candidates
    assert seen.what.tolist() == [FOUND, DUPLICATE, STRAY, STRAY, FOUND, STRAY, BACKGROUND, CLUTTER]
    # The sixth lies between two noses, nearer to the other one's.
    assert seen.person.tolist() == [0, 0, 0, 0, 0, 1, 0, -1]
    assert seen.swapped.tolist() == [False, False, True, False, False, False, False, False]
    assert seen.matched.tolist() == [True, True, False, False, True, False, False, False]
    assert seen.visible.tolist() == [True, True, True, True, False, True, False, False]
    errors = [1 / (0.026 * 40), 2 / (0.026 * 40), 40 / (0.062 * 40), 20 / (0.062 * 40), 0.0]
    torch.testing.assert_close(seen.error[:5], torch.tensor(errors))
    assert torch.isinf(seen.error[6:]).all()
    assert seen.own[0].item() == pytest.approx(1 / 40)  # a nose off by one pixel, in sizes of the person
    assert seen.other.tolist() == [1, 1, 1, 1, 1, 0, 1, 1]  # clutter belongs to nobody: its other is just the nearest
    torch.testing.assert_close(seen.distance[0], torch.tensor(99 / 40))
    # Person 0's centre is the mean of its three keypoints, (50, 76.67).
    torch.testing.assert_close(seen.offset[0], torch.tensor([1.0, 50 - 230 / 3]))


def test_keypoints_are_told_apart():
    kinds, places = [0, 9, 9], [(51, 50), (30, 90), (90, 90)]
    seen = one_image(kinds, places, two_people()).keypoints
    assert list(zip(seen.person.tolist(), seen.type.tolist())) == [(0, 0), (0, 9), (0, 10), (1, 0)]
    assert seen.found.tolist() == [True, False, False, False]
    assert seen.strays.tolist() == [0, 2, 0, 0]
    assert seen.seen.tolist() == [True, True, False, True]
    torch.testing.assert_close(seen.hidden, torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]))
    assert seen.rival.tolist() == [100.0, math.inf, math.inf, 100.0]  # a wrist has no rival: the other has none
    assert seen.rival_found.tolist() == [False, False, False, True]
    # Nobody's size is between: 100 pixels are 2.5 sizes of the other.
    torch.testing.assert_close(seen.crowding[0], torch.exp(torch.tensor(-2.5 / 0.3)))


def test_a_candidate_at_a_keypoint_that_nobody_annotated_is_no_stray():
    people = two_people()
    near_person_1 = one_image([9], [(140, 60)], people).candidates  # whose wrists are not annotated
    assert near_person_1.what.tolist() == [BACKGROUND]
    assert near_person_1.person.tolist() == [1]


def test_candidates_that_do_not_count_are_left_out():
    people = two_people()
    candidates, targets, people = simulate(people, Simulation(size=256, miss_seen=0.0), COCO)
    some = targets.replace(counts=torch.arange(len(candidates)) % 2 == 0)
    assert len(observe(candidates, some, as_batch(people), COCO).candidates.what) == -(-len(candidates) // 2)


def test_batches_joined_are_the_whole():
    people = standing(6)
    people = people.select(torch.tensor([0, 1, 2, 3, 4, 5]))
    lonely = people.batch != 2  # an image without people in the middle
    people = people.replace(
        keypoints=people.keypoints[lonely], area=people.area[lonely], batch=people.batch[lonely]
    )  # fmt: skip
    whole = rows_of(people, TRUTH)
    parts = join([rows_of(people.select(torch.tensor(rows)), TRUTH) for rows in ([0, 1, 2], [3], [4, 5])])
    assert parts.num_images == whole.num_images == 6
    for name in ("keypoints", "candidates"):
        for field in dataclasses.fields(getattr(whole, name)):
            one, other = getattr(getattr(whole, name), field.name), getattr(getattr(parts, name), field.name)
            torch.testing.assert_close(one, other, msg=f"{name}.{field.name}")
    with pytest.raises(ValueError, match="expected those of at least one batch"):
        join([])


def test_images_without_people_or_candidates():
    nobody = standing(2).select(torch.tensor([], dtype=torch.int64))
    assert len(rows_of(nobody, TRUTH).candidates.what) == 0
    people = standing(2)
    empty = people.replace(keypoints=people.keypoints[:0], area=people.area[:0], batch=people.batch[:0])
    seen = one_image([0, 3], [(5, 5), (9, 9)], empty.select(torch.tensor([0])))
    assert seen.candidates.what.tolist() == [CLUTTER, CLUTTER]
    with pytest.raises(ValueError, match="2 candidates on 1 images, none of them on one of the 0 annotated"):
        fit(seen, COCO, 256)
    with pytest.raises(ValueError, match="0 candidates on 2 images, none of them on one of the 102 annotated"):
        fit(rows_of(people, dataclasses.replace(TRUTH, miss_seen=1.0, miss_occluded=1.0, stray_missed=0.0,
                                                background=0.0, clutter=0.0)), COCO, 256)  # fmt: skip


def test_too_little_to_measure_leaves_neutral_numbers():
    simulation, report = fit(one_image([0, 9], [(51, 50), (70, 90)], two_people()), COCO, 256, rounds=0)
    neutral = Simulation()
    for name in ("jitter_types", "noise_types"):
        assert len(getattr(simulation, name)) == K
    assert simulation.miss_seen == simulation.miss_occluded == pytest.approx(0.5)  # two of four
    for name in ("miss_by", "blend_found", "noise_seen_table", "score_person", "apart", "embedding_gradient"):
        assert getattr(simulation, name) == getattr(neutral, name), name
    assert report["observations"]["stray_again, swap, tables of strays"] == 0
    assert len(rows_of(standing(3), simulation).candidates.what) > 0  # and it can be simulated


def test_log_odds_with_a_common_effect_are_recovered():
    g = torch.Generator().manual_seed(0)
    group = torch.arange(4000) // 10
    x = torch.randn(4000, 2, generator=g, dtype=torch.float64)
    effect = 1.5 * torch.randn(400, generator=g, dtype=torch.float64)
    odds = x @ torch.tensor([1.0, -0.5]).double() - 0.7 + effect[group]
    outcome = torch.rand(4000, generator=g) < torch.sigmoid(odds)
    design = torch.cat([torch.ones(4000, 1, dtype=torch.float64), x], dim=1)
    weight, spread = fit_log_odds(design, outcome, group, torch.full((3,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(weight, torch.tensor([-0.7, 1.0, -0.5]).double(), atol=0.15, rtol=0)
    near(spread, 1.5, 0.15)
    weight, spread = fit_log_odds(design, torch.rand(4000, generator=g) < 0.5, group, torch.full((3,), 5.0).double())
    assert weight.abs().max() < 0.1
    assert spread < 0.2


def test_how_far_numbers_go_together_is_recovered():
    g = torch.Generator().manual_seed(0)
    distance = torch.rand(5000, 6, 2, generator=g)
    distance = torch.cdist(distance, distance)
    for reach in (0.1, 0.4):
        factor = torch.linalg.cholesky(torch.exp(-distance / reach) + 1e-4 * torch.eye(6))
        values = (factor @ torch.randn(5000, 6, 1, generator=g))[..., 0]
        values[::7, 2] = torch.nan
        assert fit_reach(values, distance) == pytest.approx(reach, rel=0.25)
    assert fit_reach(torch.full((5, 6), torch.nan), distance[:5]) == 0.0


class Stub(nn.Module):
    """A detector that knows the truth of what it will be shown, in order, and adds nothing."""

    def __init__(self, batches):
        super().__init__()
        self.batches = iter(batches)

    def detect(self, images):
        return images

    def propose(self, maps):
        assert maps.shape[2:] == (128, 128)
        return next(self.batches)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "easy"
    path = write_dataset(folder, scene_config("easy", width=128, height=128), 12, 3)
    return CocoPeople(path, path.parent / "images")


def test_a_model_is_run_over_a_data_set(scenes):
    found = [scenes.people(row) for row in range(len(scenes))]
    batches = []
    for start in (0, 5, 10):
        places = [
            (i, k, *point[:2])
            for i, (keypoints, _) in enumerate(found[start : start + 5])
            for k in range(K)
            for point in keypoints[:, k].tolist()
            if point[2] > 0
        ]
        image, kind, x, y = (torch.tensor(column) for column in zip(*places))
        n = len(places)
        batches.append(Candidates(
            torch.stack([x, y], dim=1), kind, torch.full((n,), 0.7), torch.zeros(n, 1), image,
            torch.full((len(found[start : start + 5]), 2), 128.0),
        ))  # fmt: skip
    config = preset("tiny").override("detector.input_size=128")
    simulation, report = fit_to_model(Stub(batches), config, scenes, batch_size=5, rounds=1)
    assert simulation.size == 128
    assert report["images"] == 12
    assert report["keypoints"] == report["candidates"] == sum((k[:, :, 2] > 0).sum() for k, _ in found)
    assert simulation.miss_seen < 0.01
    assert max(simulation.jitter_table) < 1e-3
    assert simulation.stray_found == 0.0
    with pytest.raises(ValueError, match="got an empty data set"):
        fit_to_model(Stub([]), config, scenes.select([]))


def test_shipped_weights_are_imitated(scenes):
    """As many candidates and as many found keypoints of the same people as the detector itself has."""
    model, config = load("scenes-tiny")
    config = config.override("detector.input_size=128")
    simulation, report = fit_to_model(model, config, scenes, rounds=1)
    people = poses(scenes.annotations)
    seen = join([rows_of(people, simulation, seed) for seed in range(5)])
    assert len(seen.candidates.what) / 5 == pytest.approx(report["candidates"], rel=0.15)
    found = report["observations"]["stray_found"]  # how many keypoints were found: those which may have another one
    assert int(seen.keypoints.found.sum()) / 5 == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("name", ["measured", "measured-scenes"])
def test_the_shipped_presets_can_be_simulated_and_grouped(name):
    measured = read_simulation(name)
    people = standing(20)
    number, counts = grouped(people, measured, 0)
    assert 20 * K < number < 8 * 20 * K
    assert isinstance(counts, GroupingCounts)
    assert 0.2 < counts.f1 < 0.98
