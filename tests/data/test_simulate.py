"""The pose track's simulation: its statistics are the named numbers, its draws depend on the image alone."""

import dataclasses

import pytest
import torch

from hggbook.data.coco import PoseSet
from hggbook.data.simulate import SIMULATIONS, Simulation, as_batch, simulate
from hggbook.data.simulated_people import place_along
from hggbook.data.simulation import QUANTILES, Effects, read_simulation
from hggbook.data.surroundings import crowding_at, look_around
from hggbook.labels import match_candidates
from hggbook.skeleton import COCO, CROWDPOSE

from .standing import standing

K = 17
SIGMAS = torch.tensor(COCO.sigmas)


def crowd(images=400, people=3, visibility=2.0, seed=0, first_id=1):
    """Random people: boxes of 100 to 200 pixels in images of 640 x 480."""
    g = torch.Generator().manual_seed(seed)
    m = images * people
    place = torch.rand(m, 1, 2, generator=g) * torch.tensor([440.0, 280.0])
    xy = place + torch.rand(m, K, 2, generator=g) * 200
    return PoseSet(
        torch.cat([xy, torch.full((m, K, 1), visibility)], dim=2),
        torch.rand(m, generator=g) * 10_000 + 5_000,
        torch.repeat_interleave(torch.arange(images), people),
        torch.arange(first_id, first_id + images),
        torch.tensor([640.0, 480.0]).repeat(images, 1),
    )


def only(poses, image):
    rows = poses.batch == image
    return PoseSet(poses.keypoints[rows], poses.area[rows], poses.batch[rows] * 0, poses.image_id[image : image + 1],
                     poses.size[image : image + 1])  # fmt: skip


def mean_by_person(candidates, targets, people):
    own = targets.person >= 0
    total = torch.zeros(people).index_add_(0, targets.person[own], candidates.embedding[own, 0])
    return total / torch.bincount(targets.person[own], minlength=people)


def test_perfect_candidates_are_the_annotations_in_the_input_frame():
    poses = crowd(20)
    c, t, people = simulate(poses, SIMULATIONS["perfect"], COCO)
    assert len(c) == 20 * 3 * K
    assert (t.person >= 0).all()
    # 640 x 480 into 512: scale 0.8, 64 pixels of padding above; pixel centres are integers.
    expected = (poses.keypoints[..., :2] + 0.5) * 0.8 + torch.tensor([0.0, 64.0]) - 0.5
    torch.testing.assert_close(people.keypoints[..., :2], expected)
    torch.testing.assert_close(c.xy, people.keypoints[t.person, c.type, :2])
    torch.testing.assert_close(people.area, poses.area * 0.64)


def test_rates_and_spreads_are_those_named():
    poses, sim = crowd(), SIMULATIONS["hard"]
    c, t, people = simulate(poses, sim, COCO)
    total = len(poses.area) * K
    main, twin = t.person >= 0, t.duplicate >= 0
    background = ~main & ~twin
    assert int(main.sum()) / total == pytest.approx(1 - sim.miss_seen, abs=0.006)
    assert int(twin.sum()) / int(main.sum()) == pytest.approx(sim.duplicate, abs=0.005)
    assert int(background.sum()) / total == pytest.approx(sim.background, abs=0.006)
    offset = c.xy[main] - people.keypoints[t.person[main], c.type[main], :2]
    scaled = offset / (SIGMAS[c.type[main]] * people.area[t.person[main]].sqrt())[:, None]
    assert float(scaled.std()) == pytest.approx(sim.jitter, rel=0.03)
    assert float(c.score[main].mean()) == pytest.approx(sim.score_seen, abs=0.01)
    assert float(c.score[background].mean()) == pytest.approx(sim.score_background, abs=0.01)
    own = mean_by_person(c, t, len(poses.area))
    assert float((c.embedding[main, 0] - own[t.person[main]]).std()) == pytest.approx(sim.noise_seen, rel=0.08)


def test_occluded_keypoints_are_missed_more_often():
    seen, hidden = (simulate(crowd(visibility=v), SIMULATIONS["hard"], COCO)[1] for v in (2.0, 1.0))
    rate = [float((t.person >= 0).sum()) / (400 * 3 * K) for t in (seen, hidden)]
    assert rate == [pytest.approx(0.92, abs=0.006), pytest.approx(0.80, abs=0.01)]


def test_unlabelled_keypoints_give_no_candidate():
    poses = crowd(50)
    poses.keypoints[:, 5:, 2] = 0
    c, t, _ = simulate(poses, Simulation(background=0.0), COCO)
    assert int(c.type.max()) == 4
    assert not t.annotated[:, 5:].any()


def test_colliding_embeddings_bring_neighbours_together():
    def gap(collide):
        sim = Simulation(
            collide=collide, collide_spread=0.0, noise_seen=0.0, miss_seen=0.0, background=0.0, duplicate=0.0
        )
        c, t, _ = simulate(crowd(people=2), sim, COCO)
        of = mean_by_person(c, t, 800)
        return (of[::2] - of[1::2]).abs()

    assert float((gap(0.0) < 1e-4).float().mean()) < 0.01
    # One of two takes the other's: 2 * 0.35 * 0.65 of the pairs coincide; if both do they swap.
    assert float((gap(0.35) < 1e-4).float().mean()) == pytest.approx(0.455, abs=0.06)


def test_an_image_is_simulated_the_same_in_any_batch_and_differently_for_any_seed():
    poses = crowd(5)
    whole, _, _ = simulate(poses, SIMULATIONS["hard"], COCO, seed=7)
    for image in range(5):
        alone, _, _ = simulate(only(poses, image), SIMULATIONS["hard"], COCO, seed=7)
        rows = whole.batch == image
        assert torch.equal(whole.xy[rows], alone.xy)
        assert torch.equal(whole.embedding[rows], alone.embedding)
        assert torch.equal(whole.score[rows], alone.score)
    other, _, _ = simulate(poses, SIMULATIONS["hard"], COCO, seed=8)
    assert len(other) != len(whole) or not torch.equal(other.xy, whole.xy)


def test_two_images_with_equal_people_differ():
    poses = only(crowd(2), 0)
    a, b = (simulate(poses.replace(image_id=torch.tensor([i])), SIMULATIONS["hard"], COCO)[0] for i in (1, 2))
    assert len(a) != len(b) or not torch.equal(a.xy, b.xy)


def test_mirroring_swaps_left_and_right():
    poses = crowd(3)
    sim = Simulation(**{**vars(SIMULATIONS["perfect"]), "mirror": 1.0})
    plain, _, _ = simulate(poses, SIMULATIONS["perfect"], COCO)
    c, t, _ = simulate(poses, sim, COCO)
    left_eye = c.xy[(c.type == 1) & (t.person == 0)]
    right_eye = plain.xy[(plain.type == 2)][:1]
    torch.testing.assert_close(left_eye[:, 0], 511 - right_eye[:, 0])
    torch.testing.assert_close(left_eye[:, 1], right_eye[:, 1])


def test_candidates_are_ordered_and_inside_the_input():
    c, _, _ = simulate(crowd(), Simulation(zoom=1.5), COCO, seed=3)
    key = c.batch * K + c.type
    assert (key[1:] >= key[:-1]).all()
    assert c.xy.min() >= 0
    assert c.xy.max() <= 511


def test_images_without_people_and_people_without_keypoints():
    poses = only(crowd(1), 0)
    nobody = poses.replace(keypoints=poses.keypoints[:0], area=poses.area[:0], batch=poses.batch[:0])
    c, t, _ = simulate(nobody, SIMULATIONS["hard"], COCO)
    assert len(c) == 0
    assert c.num_images == 1
    assert t.annotated.shape == (0, K)
    poses.keypoints[:, :, 2] = 0
    assert len(simulate(poses, SIMULATIONS["hard"], COCO)[0]) == 0


def test_another_skeleton_is_refused():
    with pytest.raises(ValueError, match="expected 14 types \\(crowdpose\\), got 17"):
        simulate(crowd(1), SIMULATIONS["hard"], CROWDPOSE)


def test_hard_candidates_stay_what_they_are():
    """Results refer to this preset by name: none of its candidates may change, whatever else the simulation learns."""
    c, t, _ = simulate(crowd(20), SIMULATIONS["hard"], COCO, seed=7)
    assert len(c) == 1073
    assert c.type[:12].tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert int(t.person.sum()) == 28032
    assert int(t.duplicate.sum()) == -381
    first = torch.tensor([[284.150665, 320.287964], [122.530151, 328.544189], [213.838470, 355.220673]])
    torch.testing.assert_close(c.xy[:3], first)
    torch.testing.assert_close(c.score[:3], torch.tensor([0.735039115, 0.826162696, 0.69875592]))
    torch.testing.assert_close(c.embedding[:3, 0], torch.tensor([0.294131815, 1.03432858, -0.046475150]))
    totals = [float(value.double().sum()) for value in (c.xy, c.score, c.embedding)]
    assert totals == pytest.approx([538181.0741524696, 675.9725031778216, 959.951022721827], rel=1e-6)


@pytest.fixture(params=("measured", "measured-scenes"))
def fitted(request):
    """The simulations of two detectors: of photographs, and of scenes."""
    return read_simulation(request.param)


def even(low, high):
    """The table of a uniform distribution."""
    return tuple(low + (high - low) * q for q in QUANTILES)


def test_fitted_candidates_too_are_the_same_in_any_batch(fitted):
    people = standing(6, occluded=0.4)
    lonely = people.batch != 2  # an image without people in the middle
    people = people.replace(
        keypoints=people.keypoints[lonely], area=people.area[lonely], batch=people.batch[lonely]
    )  # fmt: skip
    whole, targets, _ = simulate(people, fitted, COCO, seed=3)
    number = 0
    for image in range(6):
        alone, told, _ = simulate(only(people, image), fitted, COCO, seed=3)
        rows = whole.batch == image
        number += len(alone)
        assert torch.equal(whole.type[rows], alone.type)
        for name in ("xy", "score", "embedding"):
            torch.testing.assert_close(getattr(whole, name)[rows], getattr(alone, name), msg=name)
        first = int((people.batch < image).sum())
        assert torch.equal(torch.where(told.person < 0, -1, told.person + first), targets.person[rows])
    assert number == len(whole) > 200


def test_fitted_targets_are_those_of_the_matching_rule(fitted):
    c, t, people = simulate(standing(10), fitted, COCO)
    again = match_candidates(c, as_batch(people), SIGMAS)
    assert torch.equal(t.person, again.person)
    assert torch.equal(t.duplicate, again.duplicate)


def test_channels_have_orders_of_their_own():
    sim = dataclasses.replace(SIMULATIONS["perfect"], dimensions=3)
    c, t, _ = simulate(crowd(1, people=9), sim, COCO)
    assert c.embedding.shape == (9 * K, 3)
    places = [[int(c.embedding[t.person == m, d][0]) for m in range(9)] for d in range(3)]
    assert all(sorted(place) == list(range(9)) for place in places)
    assert len({tuple(place) for place in places}) == 3
    flat, _, _ = simulate(crowd(1, people=9), SIMULATIONS["perfect"], COCO)
    assert torch.equal(flat.embedding[:, 0], c.embedding[:, 0])


def test_effects_move_probabilities():
    """At the middle size, far from everybody, with nothing hidden, the named probability; else log odds away."""
    alone = crowd(2000, people=1)
    alone = alone.replace(area=torch.full_like(alone.area, 50.0**2 / 0.64))  # 512 / 640, squared

    def misses(people, **effects):
        by = Effects(middle=50.0, **effects)
        t = simulate(people, Simulation(miss_seen=0.2, miss_occluded=0.2, miss_by=by), COCO)[1]
        return 1 - (t.person >= 0).sum().item() / people.keypoints[:, :, 2].gt(0).sum().item()

    odds = torch.logit(torch.tensor(0.2))
    assert misses(alone, size=-1.0, crowding=3.0, hidden=3.0) == pytest.approx(0.2, abs=0.01)
    larger = alone.replace(area=alone.area * 16)  # two doublings of the size
    assert misses(larger, size=-1.0) == pytest.approx(float(torch.sigmoid(odds - 2)), abs=0.01)
    hidden = alone.replace(keypoints=torch.where(torch.tensor([True, True, False]), alone.keypoints, 1.0))
    assert misses(hidden, hidden=1.5) == pytest.approx(float(torch.sigmoid(odds + 1.5)), abs=0.01)
    two = alone.replace(
        keypoints=alone.keypoints.repeat_interleave(2, 0), area=alone.area.repeat_interleave(2),
        batch=alone.batch.repeat_interleave(2),
    )  # fmt: skip
    assert misses(two, crowding=1.5) == pytest.approx(float(torch.sigmoid(odds + 1.5)), abs=0.01)
    types = (2.0,) + (0.0,) * 16
    t = simulate(alone, Simulation(miss_seen=0.2, miss_by=Effects(types=types), background=0.0, duplicate=0.0), COCO)
    noses = (t[0].type == 0).sum().item() / 2000
    assert 1 - noses == pytest.approx(float(torch.sigmoid(odds + 2)), abs=0.03)


def test_misses_go_together_where_keypoints_are_near():
    sim = Simulation(miss_seen=0.5, miss_reach=0.5, background=0.0, duplicate=0.0)
    c, t, _ = simulate(standing(1500, people=1, occluded=0.0), sim, COCO)
    found = torch.zeros(1500, K)
    found[t.person, c.type] = 1
    alike = torch.corrcoef(found.T)
    assert float(found.mean()) == pytest.approx(0.5, abs=0.02)
    assert alike[0, 1] > 0.5  # nose and eye
    assert alike[1, 2] > alike[0, 5] > alike[0, 15] - 0.02  # eyes; nose and shoulder; nose and ankle
    assert alike[0, 15] < 0.1


def test_tables_are_drawn_from():
    sim = Simulation(
        jitter_table=even(0.0, 2.0), score_seen_table=even(0.2, 1.2), score_error=-0.5, background=0.0,
        noise_seen_table=even(0.0, 0.4), noise_types=(1.0,) * 16 + (2.0,), embedding_spread=0.0, collide=0.0,
    )  # fmt: skip
    c, t, people = simulate(crowd(people=1), sim, COCO)
    own = t.person >= 0
    person, kind = t.person[own], c.type[own]
    error = (c.xy[own] - people.keypoints[person, kind, :2]).norm(dim=1)
    error = error / (SIGMAS[kind] * people.area[person].sqrt())
    at = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(error.quantile(at), 2 * at, atol=0.06, rtol=0)
    torch.testing.assert_close(c.score[own].quantile(at), 0.2 + at, atol=0.03, rtol=0)
    ranks = torch.stack([x.argsort().argsort().float() for x in (error, c.score[own])])
    assert float(torch.corrcoef(ranks)[0, 1]) == pytest.approx(-0.48, abs=0.03)  # Spearman's of a Gaussian copula
    noise = c.embedding[own, 0].abs()
    torch.testing.assert_close(noise[kind < 16].quantile(at), 0.4 * at, atol=0.02, rtol=0)
    torch.testing.assert_close(noise[kind == 16].quantile(at), 0.8 * at, atol=0.08, rtol=0)


def test_strays_lie_where_they_should():
    sim = dataclasses.replace(
        SIMULATIONS["perfect"], miss_seen=1.0, stray_missed=1.0, stray_again=0.5, swap=0.0,
        stray_missed_table=even(0.4, 0.6), size=640,
    )  # fmt: skip
    people = crowd(100, people=1)
    people.keypoints[:, :, :2] = people.keypoints[:, :, :2] * 0.4 + 140  # away from the border
    c, t, there = simulate(people, sim, COCO)
    assert (t.person < 0).all()
    per_keypoint = len(c) / (100 * K)
    assert per_keypoint == pytest.approx(1 + 0.5 + 0.25 + 0.125, abs=0.08)
    gap = (c.xy - there.keypoints[c.batch, c.type, :2]).norm(dim=1) / there.area[c.batch].sqrt()
    floor = 2.3548 * SIGMAS[c.type]  # never within OKS 0.5
    assert (gap >= floor - 1e-3).all()
    assert (gap <= torch.maximum(floor, torch.tensor(0.6)) + 1e-3).all()
    swapped, t, there = simulate(people, dataclasses.replace(sim, swap=1.0, stray_again=0.0), COCO)
    flip = torch.tensor(COCO.flip_order)[swapped.type]
    away = (swapped.xy - there.keypoints[swapped.batch, flip, :2]).norm(dim=1)
    assert (away[swapped.type > 0] < 1e-3).all()


def test_peaks_of_one_type_merge():
    """Two people 10 pixels apart, all found: at `apart` = 10 half of the pairs merge, and the larger person keeps."""
    base = standing(400, people=1, occluded=0.0)
    both = torch.stack([base.keypoints, base.keypoints + torch.tensor([10.0, 0.0, 0.0])], dim=1).flatten(0, 1)
    people = base.replace(
        keypoints=both, area=torch.stack([base.area, base.area * 400], dim=1).flatten(),
        batch=base.batch.repeat_interleave(2),
    )  # fmt: skip
    sim = dataclasses.replace(SIMULATIONS["perfect"], size=256)
    assert len(simulate(people, sim, COCO)[0]) == 800 * K
    c, t, _ = simulate(people, dataclasses.replace(sim, apart=10.0), COCO)
    assert 2 - len(c) / (400 * K) == pytest.approx(0.5, abs=0.02)
    assert int((t.person % 2 == 1).sum()) == 400 * K
    assert len(simulate(people, dataclasses.replace(sim, apart=3.0), COCO)[0]) > 800 * K * 0.98


def test_embeddings_follow_the_place():
    """Without any spread a person's embedding is what the gradient and the order say, by hand."""
    sim = dataclasses.replace(
        SIMULATIONS["perfect"], size=256, embedding_ordered=True, embedding_step=1.0, embedding_origin=(5.0,),
        embedding_gradient=(2.0, 0.0),
    )  # fmt: skip
    people = standing(1, people=3, occluded=0.0)
    c, t, there = simulate(people, sim, COCO)
    x = (there.keypoints[:, :, 0].mean(dim=1) + 0.5) / 256 - 0.5
    place = x.argsort().argsort().float() - 1  # -1, 0, 1 from left to right
    torch.testing.assert_close(mean_by_person(c, t, 3), 5 + 2 * x + place)
    # Within a person: a keypoint half the input to the right of the person's centre has half the slope more.
    inside, _, _ = simulate(people, dataclasses.replace(sim, embedding_within=(3.0, 0.0)), COCO)
    offset = (inside.xy[:, 0] - there.keypoints[t.person, :, 0].mean(dim=1)) / 256
    torch.testing.assert_close(inside.embedding[:, 0] - c.embedding[:, 0], 3 * offset, atol=1e-5, rtol=0)


def test_place_in_the_order_by_hand():
    where, batch = torch.tensor([0.2, 0.1, 0.9, 0.5]), torch.tensor([0, 0, 0, 1])
    ones = torch.ones(4)
    torch.testing.assert_close(place_along(where, ones, 0.0, batch, 2), torch.tensor([0.0, -1.0, 1.0, 0.0]))
    # A person that is not found moves nobody, but has its own place.
    found = torch.tensor([1.0, 0.0, 1.0, 1.0])
    torch.testing.assert_close(place_along(where, found, 0.0, batch, 2), torch.tensor([-0.5, -1.0, 0.5, 0.0]))
    # The first two are 0.1 apart, as far as the reach: the error function of 1 is 0.8427.
    near = place_along(where, ones, 0.1, batch, 2)
    torch.testing.assert_close(near, torch.tensor([0.4214 - 0.5, -0.4214 - 0.5, 1.0, 0.0]), atol=1e-4, rtol=0)


def test_embeddings_are_blended_with_the_next_person():
    """Two people in the same place: each candidate has the named share of the other's embedding."""
    base = standing(50, people=1, occluded=0.0)
    people = base.replace(
        keypoints=base.keypoints.repeat_interleave(2, 0), area=base.area.repeat_interleave(2),
        batch=base.batch.repeat_interleave(2),
    )  # fmt: skip
    sim = dataclasses.replace(SIMULATIONS["perfect"], size=256, blend_found=0.2)
    c, _, _ = simulate(people, sim, COCO)
    values = c.embedding[:, 0].unique()
    torch.testing.assert_close(values, torch.tensor([0.2, 0.8]), atol=1e-5, rtol=0)
    far = people.replace(keypoints=people.keypoints.clone())
    far.keypoints[:, :, 0] += torch.tensor([60.0, 190.0]).repeat(50)[:, None] - far.keypoints[:, :1, 0]
    c, _, _ = simulate(far, dataclasses.replace(sim, blend_reach=0.05), COCO)
    assert c.embedding[:, 0].round().sub(c.embedding[:, 0]).abs().max() < 1e-3  # no share at all


def test_clutter_lies_anywhere_even_without_people():
    sim = Simulation(clutter=2.0, types=(1.0,) + (0.0,) * 16, embedding_gradient=(4.0, 0.0), noise_clutter=0.0)
    nobody = crowd(3000, people=0)
    c, t, _ = simulate(nobody, sim, COCO)
    number = torch.bincount(c.batch, minlength=3000).float()
    assert float(number.mean()) == pytest.approx(2.0, abs=0.08)
    assert float(number.var()) == pytest.approx(2.0, abs=0.2)  # Poisson
    assert (c.type == 0).all()
    assert (t.person == -1).all()
    torch.testing.assert_close(c.embedding[:, 0], 4 * (c.xy[:, 0] / 511 - 0.5), atol=1e-4, rtol=0)


def test_distances_to_people_by_hand():
    keypoints = torch.zeros(3, 2, 3)
    keypoints[0, 0], keypoints[0, 1] = torch.tensor([0.0, 0.0, 2.0]), torch.tensor([30.0, 0.0, 0.0])  # not labelled
    keypoints[1, 0] = torch.tensor([40.0, 0.0, 1.0])
    keypoints[2, 0] = torch.tensor([0.0, 0.0, 2.0])  # of another image
    area, batch = torch.tensor([100.0, 400.0, 100.0]), torch.tensor([0, 0, 1])
    xy, image = torch.tensor([[10.0, 0.0], [10.0, 0.0], [0.0, 5.0]]), torch.tensor([0, 0, 1])
    around = look_around(xy, image, torch.tensor([0, -1, 2]), keypoints, area, batch)
    assert around.own.tolist() == [1.0, float("inf"), 0.5]  # in sizes of 10 pixels
    assert around.other.tolist() == [1, 0, -1]
    assert around.distance.tolist() == [1.5, 1.0, float("inf")]  # 30 pixels of a person of size 20
    crowding = crowding_at(keypoints, area, batch)
    torch.testing.assert_close(crowding[0, 0], torch.exp(torch.tensor(-2.0 / 0.3)))
    assert crowding[2].tolist() == [0.0, 0.0]


def test_fitted_images_without_people_and_people_without_keypoints(fitted):
    nobody = crowd(2, people=0)
    c, t, _ = simulate(nobody, dataclasses.replace(fitted, clutter=0.0), COCO)
    assert len(c) == 0
    assert c.num_images == 2
    poses = crowd(1)
    poses.keypoints[:, :, 2] = 0
    c, t, _ = simulate(poses, dataclasses.replace(fitted, clutter=0.0), COCO)
    assert len(c) == 0
    assert t.annotated.shape == (3, K)
    one = only(crowd(1, people=1), 0)
    assert len(simulate(one, fitted, COCO)[0]) > 5


def test_numbers_by_type_of_another_skeleton_are_refused():
    with pytest.raises(ValueError, match="simulation types: expected 17 numbers, one for each type, got 2"):
        simulate(crowd(1), Simulation(types=(1.0, 1.0)), COCO)
    with pytest.raises(ValueError, match="types of effects: expected 17 numbers"):
        simulate(crowd(1), Simulation(miss_by=Effects(types=(1.0,))), COCO)
