"""From maps to candidates: what is taken, in which order, and where the gradient goes."""

import math

import pytest
import torch

from hggbook.detector import propose, rank_in_group, render
from hggbook.types import Maps


def empty_maps(images=1, stacks=1, types=2, d=1, size=(8, 10)):
    return Maps(torch.zeros(images, stacks, types, *size), torch.zeros(images, stacks, types, d, *size), 4)


def random_maps(images=4, stacks=2, types=3, d=2, size=(12, 16), seed=0):
    generator = torch.Generator().manual_seed(seed)
    heat = torch.rand(images, stacks, types, *size, generator=generator)
    return Maps(heat, torch.randn(images, stacks, types, d, *size, generator=generator), 4)


def with_peaks(maps, *peaks):
    """(image, type, row, column, score) each."""
    for image, kind, row, column, score in peaks:
        maps.heatmaps[image, -1, kind, row, column] = score
    return maps


def test_candidates_by_hand_in_the_promised_order():
    maps = with_peaks(
        empty_maps(images=3),
        (0, 1, 2, 3, 0.9), (0, 0, 6, 6, 0.3), (0, 0, 1, 1, 0.8),
        (2, 0, 4, 4, 0.5), (2, 0, 4, 7, 0.5), (2, 1, 0, 0, 0.1),
    )  # fmt: skip
    maps.embeddings[0, -1, 1, 0, 2, 3] = 7
    maps.embeddings[0, -1, 0, 0, 2, 3] = -7  # the other type's map at the same cell is not read
    found = propose(maps, threshold=0.1, subpixel="none")
    assert found.batch.tolist() == [0, 0, 0, 2, 2]
    assert found.type.tolist() == [0, 0, 1, 0, 0]
    assert found.score.tolist() == pytest.approx([0.8, 0.3, 0.9, 0.5, 0.5])
    assert found.xy.tolist() == [[5.5, 5.5], [25.5, 25.5], [13.5, 9.5], [17.5, 17.5], [29.5, 17.5]]
    assert found.embedding[:, 0].tolist() == [0, 0, 7, 0, 0]
    assert found.size.tolist() == [[40, 32]] * 3
    assert found.num_images == 3


def test_the_score_must_be_above_the_threshold():
    maps = with_peaks(empty_maps(), (0, 0, 2, 2, 0.5), (0, 0, 6, 6, 0.25))
    assert len(propose(maps, threshold=0.25)) == 1
    assert len(propose(maps, threshold=0.5)) == 0


def test_neighbours_of_a_peak_are_suppressed():
    maps = with_peaks(empty_maps(), (0, 0, 2, 2, 0.5), (0, 0, 2, 3, 0.4), (0, 0, 4, 2, 0.3))
    assert propose(maps).score.tolist() == pytest.approx([0.5, 0.3])
    assert propose(maps, kernel=5).score.tolist() == pytest.approx([0.5])


def test_the_chosen_stack_is_read():
    maps = empty_maps(stacks=2)
    maps.heatmaps[0, 0, 0, 2, 2] = 0.5
    assert len(propose(maps)) == 0
    assert len(propose(maps, stack=0)) == 1


def test_most_of_a_type_and_most_of_an_image():
    maps = random_maps()
    every = propose(maps, threshold=0.0, per_type=1000, limit=1000)
    three = propose(maps, threshold=0.0, per_type=3, limit=1000)
    five = propose(maps, threshold=0.0, per_type=3, limit=5)
    for image in range(4):
        for kind in range(3):
            of = lambda c, i=image, k=kind: c.score[(c.batch == i) & (c.type == k)]  # noqa: E731
            assert of(three).equal(of(every).sort(descending=True).values[:3])
        assert five.score[five.batch == image].sort().values.equal(three.score[three.batch == image].sort().values[-5:])
    key = five.batch * 3 + five.type
    assert (key.diff() >= 0).all()
    assert (five.score.diff()[key.diff() == 0] <= 0).all()


def test_equal_scores_are_cut_off_by_type_then_cell():
    maps = with_peaks(empty_maps(), *[(0, k, r, c, 0.5) for k in (0, 1) for r in (1, 5) for c in (1, 5, 8)])
    found = propose(maps, per_type=2, limit=3, subpixel="none")
    assert found.type.tolist() == [0, 0, 1]
    assert found.xy.tolist() == [[5.5, 5.5], [21.5, 5.5], [5.5, 5.5]]


def test_a_batch_equals_its_images_one_by_one():
    maps = random_maps()
    maps.heatmaps[1] = 0  # an empty image in the middle
    maps.heatmaps[3] = 0  # and at the end
    together = propose(maps, threshold=0.5, per_type=4, limit=9, subpixel="taylor")
    parts = [
        propose(Maps(maps.heatmaps[i : i + 1], maps.embeddings[i : i + 1], 4), threshold=0.5, per_type=4, limit=9,
                subpixel="taylor")
        for i in range(4)
    ]  # fmt: skip
    for name in ("xy", "type", "score", "embedding"):
        assert getattr(together, name).equal(torch.cat([getattr(p, name) for p in parts]))
    assert together.batch.tolist() == [i for i, p in enumerate(parts) for _ in range(len(p))]
    assert len(parts[1]) == len(parts[3]) == 0
    assert together.num_images == 4


def test_empty_maps_give_no_candidates_of_the_right_shapes():
    found = propose(empty_maps(images=2, d=3))
    assert found.xy.shape == (0, 2)
    assert found.embedding.shape == (0, 3)
    assert found.num_images == 2


def test_the_gradient_reaches_score_and_embedding_at_the_peak_only():
    maps = with_peaks(empty_maps(d=2), (0, 1, 3, 4, 0.5))
    heat, embedding = maps.heatmaps.requires_grad_(), maps.embeddings.requires_grad_()
    found = propose(maps)
    assert not found.xy.requires_grad
    (2 * found.score.sum() + 3 * found.embedding.sum()).backward()
    assert heat.grad.nonzero().tolist() == [[0, 0, 1, 3, 4]]
    assert heat.grad.sum() == 2
    assert embedding.grad.nonzero()[:, :3].tolist() == [[0, 0, 1]] * 2
    assert embedding.grad[0, 0, 1, :, 3, 4].tolist() == [3, 3]


def test_true_maps_give_back_the_annotated_keypoints():
    """Render, propose: on a map that is not square, every keypoint comes back within a hundredth of a pixel."""
    keypoints = torch.tensor([[[12.3, 40.1, 2], [70.9, 20.4, 1]], [[55.2, 9.7, 2], [30.0, 30.0, 2]]])
    batch = torch.tensor([0, 1])
    heat = render(keypoints, batch, 2, (14, 20), 4)
    maps = Maps(heat[:, None], torch.zeros(2, 1, 2, 1, 14, 20), 4)
    found = propose(maps, subpixel="taylor")
    assert found.type.tolist() == [0, 1, 0, 1]
    torch.testing.assert_close(found.xy, keypoints[..., :2].flatten(0, 1), atol=0.01, rtol=0)
    rough = propose(maps, subpixel="quarter")
    assert (rough.xy - keypoints[..., :2].flatten(0, 1)).abs().max() <= 1.0


def test_size_of_the_input_is_passed_through():
    assert propose(empty_maps(), size=torch.tensor([[33.0, 21.0]])).size.tolist() == [[33, 21]]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["heatmaps", "embeddings"])
def test_maps_that_are_not_finite_are_refused(bad, which):
    maps = empty_maps(images=3)
    getattr(maps, which)[1, -1, 0, ..., 0, 0] = bad
    with pytest.raises(ValueError, match=rf"{which}: expected finite numbers, .* in images \[1\]"):
        propose(maps)


@pytest.mark.parametrize("change", [{"per_type": 0}, {"limit": 0}])
def test_limits_below_one_are_refused(change):
    with pytest.raises(ValueError, match="at least 1"):
        propose(empty_maps(), **change)


def test_ranks_in_groups():
    order, rank = rank_in_group(torch.tensor([5, 1, 5, 1, 5]), torch.tensor([0.2, 0.9, 0.7, 0.9, 0.7]))
    assert order.tolist() == [1, 3, 2, 4, 0]
    assert rank.tolist() == [0, 1, 0, 1, 2]
