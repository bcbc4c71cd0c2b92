"""The pose track's simulation: its statistics are the named numbers, its draws depend on the image alone."""

import pytest
import torch

from hggbook.data.coco import PoseSet
from hggbook.data.simulate import SIMULATIONS, Simulation, simulate
from hggbook.skeleton import COCO, CROWDPOSE

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
