"""From grouped candidates to poses."""

import math

import pytest
import torch

from hggbook.decode import decode, fill_missing
from hggbook.types import Candidates, Maps

IDENTITY = torch.tensor([[1.0, 0, 0], [0, 1, 0]])


def candidates(*rows, images=1, d=1):
    """(image, type, x, y, score[, embedding]) each."""
    rows = [row if len(row) == 6 else (*row, 0.0) for row in rows]
    column = lambda i, dtype: torch.tensor([row[i] for row in rows], dtype=dtype)  # noqa: E731
    return Candidates(
        xy=torch.tensor([[row[2], row[3]] for row in rows], dtype=torch.float32).reshape(-1, 2),
        type=column(1, torch.int64),
        score=column(4, torch.float32),
        embedding=column(5, torch.float32)[:, None].repeat(1, d),
        batch=column(0, torch.int64),
        size=torch.full((images, 2), 32.0),
    )


def identity(images=1):
    return IDENTITY.repeat(images, 1, 1)


def test_poses_by_hand():
    found = candidates((0, 0, 1, 2, 0.5), (0, 1, 3, 4, 0.25), (0, 2, 5, 6, 0.75), images=1)
    poses = decode(found, torch.tensor([1, 0, 1]), identity(), 3)
    assert poses.keypoints.tolist() == [
        [[0, 0, 0], [3, 4, 0.25], [0, 0, 0]],
        [[1, 2, 0.5], [0, 0, 0], [5, 6, 0.75]],
    ]
    assert poses.score.tolist() == pytest.approx([0.25 / 3, 1.25 / 3])
    assert poses.batch.tolist() == [0, 0]
    assert poses.num_images == 1


def test_the_best_candidate_of_a_type_wins_and_the_first_of_equals():
    found = candidates((0, 0, 1, 1, 0.2), (0, 0, 2, 2, 0.9), (0, 1, 3, 3, 0.5), (0, 1, 4, 4, 0.5))
    poses = decode(found, torch.tensor([0, 0, 0, 0]), identity(), 2)
    assert poses.keypoints[0, :, 0].tolist() == [2, 3]
    assert poses.score.item() == pytest.approx(0.7)


def test_left_out_candidates_are_in_no_pose():
    poses = decode(candidates((0, 0, 1, 1, 0.2), (0, 1, 2, 2, 0.9)), torch.tensor([-1, 0]), identity(), 2)
    assert poses.keypoints[0, :, 2].tolist() == pytest.approx([0, 0.9])


def test_each_image_has_its_own_way_back():
    found = candidates((0, 0, 10, 20, 1.0), (1, 0, 10, 20, 1.0), images=2)
    there = torch.tensor([[[2.0, 0, 5], [0, 3, -1]], [[0, -1, 0], [1, 0, 7]]])
    poses = decode(found, torch.tensor([0, 1]), there, 1)
    assert poses.keypoints[:, 0, :2].tolist() == [[25, 59], [-20, 17]]


def test_poses_are_ordered_by_image_whatever_the_numbers_and_gaps():
    found = candidates((0, 0, 1, 1, 0.1), (0, 0, 2, 2, 0.2), (2, 0, 3, 3, 0.3), (2, 0, 4, 4, 0.4), images=4)
    poses = decode(found, torch.tensor([7, 3, 0, 5]), identity(4), 1)
    assert poses.batch.tolist() == [0, 0, 2, 2]
    assert poses.score.tolist() == pytest.approx([0.2, 0.1, 0.3, 0.4])
    assert poses.num_images == 4


def test_a_batch_equals_its_images_one_by_one():
    generator = torch.Generator().manual_seed(0)
    batch = torch.tensor([0] * 9 + [2] * 7)  # image 1 and the last one, 3, are empty
    person = torch.randint(-1, 3, (16,), generator=generator)
    person[9:] += 4
    found = Candidates(
        torch.rand(16, 2, generator=generator), torch.randint(4, (16,), generator=generator),
        torch.rand(16, generator=generator), torch.zeros(16, 1), batch, torch.full((4, 2), 32.0),
    )  # fmt: skip
    there = torch.randn(4, 2, 3, generator=generator)
    together = decode(found, person, there, 4)
    for i in range(4):
        rows = batch == i
        one = Candidates(found.xy[rows], found.type[rows], found.score[rows], found.embedding[rows], batch[rows] * 0,
                         found.size[i : i + 1])  # fmt: skip
        alone = decode(one, person[rows], there[i : i + 1], 4)
        assert together.keypoints[together.batch == i].equal(alone.keypoints)
        assert together.score[together.batch == i].equal(alone.score)
    assert len(decode(one, person[rows], there[:1], 4).score) == 0


@pytest.mark.parametrize("left_out", [False, True])
def test_no_poses(left_out):
    found = candidates((1, 0, 1, 1, 0.5), images=3) if left_out else candidates(images=3)
    poses = decode(found, torch.full((len(found),), -1), identity(3), 5)
    assert poses.keypoints.shape == (0, 5, 3)
    assert poses.num_images == 3


def test_poses_carry_no_gradient():
    found = candidates((0, 0, 1, 1, 0.5))
    found.score.requires_grad_()
    assert not decode(found, torch.tensor([0]), identity(), 1).score.requires_grad


def test_a_person_in_two_images_is_refused():
    found = candidates((0, 0, 1, 1, 0.5), (1, 0, 1, 1, 0.5), images=2)
    with pytest.raises(ValueError, match="one image"):
        decode(found, torch.tensor([0, 0]), identity(2), 1)


# ---- filling -------------------------------------------------------------------------------------------------------


def maps(types=2, images=1, d=1):
    return Maps(torch.zeros(images, 1, types, 8, 8), torch.zeros(images, 1, types, d, 8, 8), 4)


def filled(found, person, m, **options):
    images = found.num_images
    poses = decode(found, person, identity(images), m.heatmaps.shape[2])
    return poses, fill_missing(poses, found, person, m, identity(images), **options)


def test_a_missing_keypoint_is_the_best_cell_of_heatmap_minus_rounded_distance():
    """Mean embedding 1. Cell (1, 1): 0.9 - round(|3 - 1|) = -1.1; cell (5, 4): 0.3 - round(|1.4 - 1|) = 0.3."""
    m = maps()
    m.heatmaps[0, 0, 1, 1, 1], m.embeddings[0, 0, 1, 0, 1, 1] = 0.9, 3.0
    m.heatmaps[0, 0, 1, 4, 5], m.embeddings[0, 0, 1, 0, 4, 5] = 0.3, 1.4
    before, after = filled(candidates((0, 0, 9.5, 9.5, 0.6, 1.0)), torch.tensor([0]), m)
    assert before.keypoints[0, 1].tolist() == [0, 0, 0]
    assert after.keypoints[0, 1].tolist() == [21.5, 17.5, 1]
    assert after.keypoints[0, 0].equal(before.keypoints[0, 0])
    assert after.score.equal(before.score)


def test_a_half_rounds_to_the_even_number():
    """Distances 0.5 and 1.5 round to 0 and 2: the first cell wins against a far better heatmap."""
    m = maps()
    m.heatmaps[0, 0, 1, 1, 1], m.embeddings[0, 0, 1, 0, 1, 1] = 0.1, 0.5
    m.heatmaps[0, 0, 1, 4, 5], m.embeddings[0, 0, 1, 0, 4, 5] = 0.9, 1.5
    m.embeddings[0, 0, 1, 0][m.heatmaps[0, 0, 1] == 0] = 9
    _, after = filled(candidates((0, 0, 9.5, 9.5, 0.6)), torch.tensor([0]), m)
    assert after.keypoints[0, 1, :2].tolist() == [5.5, 5.5]


def test_the_mean_is_over_the_keypoints_that_the_pose_kept():
    """The weaker of two candidates of a type is not in the pose: its embedding, 100, must not count."""
    m = maps(types=3)
    m.heatmaps[0, 0, 2, 3, 3], m.embeddings[0, 0, 2, 0, 3, 3] = 0.5, 2.0
    m.heatmaps[0, 0, 2, 6, 6], m.embeddings[0, 0, 2, 0, 6, 6] = 0.6, 40.0
    found = candidates((0, 0, 1, 1, 0.9, 1.0), (0, 0, 5, 5, 0.2, 100.0), (0, 1, 9, 9, 0.9, 3.0))
    _, after = filled(found, torch.tensor([0, 0, 0]), m)
    assert after.keypoints[0, 2, :2].tolist() == [13.5, 13.5]


def test_the_distance_is_euclidean_over_the_channels():
    """Two channels each 0.4 off: sqrt(0.32) = 0.57 rounds to 1. (A root mean square, 0.4, would round to 0.)"""
    m = maps(d=2)
    m.heatmaps[0, 0, 1, 1, 1], m.embeddings[0, 0, 1, :, 1, 1] = 0.9, 0.4
    m.heatmaps[0, 0, 1, 4, 5], m.embeddings[0, 0, 1, :, 4, 5] = 0.3, 0.0
    _, after = filled(candidates((0, 0, 9.5, 9.5, 0.6), d=2), torch.tensor([0]), m)
    assert after.keypoints[0, 1, :2].tolist() == [21.5, 17.5]


def test_nothing_is_filled_where_the_heatmap_is_not_positive():
    m = maps()
    _, after = filled(candidates((0, 0, 9.5, 9.5, 0.6)), torch.tensor([0]), m)
    assert after.keypoints[0, 1].tolist() == [0, 0, 0]


def test_the_ae_codes_own_position_of_a_filled_keypoint():
    """(5 - 0.25 + 0.5) * 4 across, where the tie goes down, and (4 + 0.25 + 0.5) * 4 down."""
    m = maps()
    m.heatmaps[0, 0, 1, 4, 5], m.heatmaps[0, 0, 1, 5, 5] = 0.9, 0.2
    _, after = filled(candidates((0, 0, 9.5, 9.5, 0.6)), torch.tensor([0]), m, subpixel="ae")
    assert after.keypoints[0, 1, :2].tolist() == [21.0, 19.0]


def test_filling_many_poses_in_many_images_equals_plain_loops():
    """A dense case, more slots than are searched at once, read off one pose and one type at a time."""
    generator = torch.Generator().manual_seed(2)
    m = Maps(torch.rand(3, 2, 4, 8, 8, generator=generator), torch.randn(3, 2, 4, 2, 8, 8, generator=generator), 4)
    people, types = 60, 4
    image = torch.arange(people) // 20
    kind = torch.randint(types, (people,), generator=generator)
    found = Candidates(
        torch.full((people, 2), 9.5), kind, torch.rand(people, generator=generator) + 0.1,
        torch.randn(people, 2, generator=generator), image, torch.full((3, 2), 32.0),
    )  # fmt: skip
    there = torch.randn(3, 2, 3, generator=generator)
    person = torch.arange(people)
    poses = decode(found, person, there, types)
    after = fill_missing(poses, found, person, m, there, subpixel="none")
    for p in range(people):
        i = image[p].item()
        for k in set(range(types)) - {kind[p].item()}:
            away = ((m.embeddings[i, -1, k] - found.embedding[p][:, None, None]) ** 2).sum(0).sqrt()
            row, column = divmod((m.heatmaps[i, -1, k] - away.round()).argmax().item(), 8)
            x, y = column * 4 + 1.5, row * 4 + 1.5
            expected = [sum(a * b for a, b in zip(there[i, j].tolist(), (x, y, 1))) for j in range(2)]
            assert after.keypoints[p, k].tolist() == pytest.approx([*expected, 1], abs=1e-4)
    assert after.batch.equal(poses.batch)


def test_no_poses_nothing_to_fill():
    _, after = filled(candidates(images=2), torch.empty(0, dtype=torch.int64), maps(images=2))
    assert after.keypoints.shape == (0, 2, 3)


def test_the_ae_way_back_is_half_a_pixel_off_ours():
    """The AE code multiplies (cell + 0.5) by the stride; in our frame a cell's centre is half a pixel before that."""
    m = maps()
    m.heatmaps[0, 0, 0, 3, 3] = 0.9
    m.heatmaps[0, 0, 0, 3, 4] = m.heatmaps[0, 0, 0, 4, 3] = 0.5
    from hggbook.detector import propose

    theirs, ours = propose(m, subpixel="ae"), propose(m, subpixel="quarter")
    assert theirs.xy.tolist() == [[15, 15]]
    assert (theirs.xy - ours.xy).tolist() == [[0.5, 0.5]]
    assert not math.isnan(theirs.score.item())
