"""Detection, pull and push losses, against values worked out by hand and against a plain loop."""

import math

import pytest
import torch

from hggbook.losses import detection_loss, pull_push

STRIDE = 4


def scene(*people, size=(4, 5), d=1, stacks=1, types=2, images=1):
    """Embedding maps in which each keypoint finds a given value.

    ``people``: (image, {type: value}); person i's keypoint of type k lies in cell (column i, row k).
    """
    embeddings = torch.full((images, stacks, types, d, *size), 99.0)
    keypoints = torch.zeros(len(people), types, 3)
    for i, (image, values) in enumerate(people):
        for kind, value in values.items():
            embeddings[image, :, kind, :, kind, i] = torch.as_tensor(value, dtype=torch.float32).expand(d)
            keypoints[i, kind] = torch.tensor([4.0 * i + 1, 4.0 * kind + 2, 2])
    return embeddings, keypoints, torch.tensor([image for image, _ in people], dtype=torch.int64)


def random_scene(images=5, stacks=2, types=3, d=2, size=(6, 7), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(images, stacks, types, d, *size, generator=generator, dtype=dtype)
    batch = torch.tensor([0, 0, 0, 1, 3, 3, 3, 3])  # nobody in images 2 and 4, a single person in image 1
    keypoints = torch.rand(len(batch), types, 3, generator=generator, dtype=dtype)
    keypoints[..., 0] = keypoints[..., 0] * 34 - 3  # some lie off the map
    keypoints[..., 1] = keypoints[..., 1] * 30 - 3
    keypoints[..., 2] = (keypoints[..., 2] * 3).floor()
    keypoints[5, :, 2] = 0  # a person without any labelled keypoint
    return embeddings, keypoints, batch


def by_loops(embeddings, keypoints, batch, kind="exp", margin=1.0, truncate=False):
    """The formulas of the docstring, read off one person and one pair at a time."""
    images, stacks, types, _, h, w = embeddings.shape
    pull = push = 0.0
    for image in range(images):
        for stack in range(stacks):
            means, pulls = [], []
            for person in torch.nonzero(batch == image)[:, 0].tolist():
                values = []
                for k in range(types):
                    x, y, v = keypoints[person, k].tolist()
                    column, row = (
                        (int(x / STRIDE), int(y / STRIDE))
                        if truncate
                        else (math.floor((x + 0.5) / STRIDE), math.floor((y + 0.5) / STRIDE))
                    )
                    if v > 0 and 0 <= column < w and 0 <= row < h:
                        values.append(embeddings[image, stack, k, :, row, column])
                if values:
                    mean = sum(values) / len(values)
                    means.append(mean)
                    pulls.append(sum(((value - mean) ** 2).mean() for value in values) / len(values))
            pairs = [((a - b) ** 2).mean() for i, a in enumerate(means) for b in means[i + 1 :]]
            near = [torch.exp(-p) if kind == "exp" else torch.relu(margin - p.sqrt()) for p in pairs]
            pull += sum(pulls) / max(1, len(pulls))
            push += 0.5 * sum(near) / max(1, len(near))
    return pull / (images * stacks), push / (images * stacks)


# ---- detection -----------------------------------------------------------------------------------------------------


def test_detection_by_hand():
    heatmaps = torch.zeros(1, 2, 1, 1, 4)
    heatmaps[0, 0, 0, 0] = torch.tensor([1.0, 2, 0, 5])
    target = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 1, 4)
    mask = torch.tensor([True, True, True, False]).view(1, 1, 4)
    # stack 0: (0 + 4 + 0 + masked) / 4, stack 1: (1 + 0 + 0 + masked) / 4
    assert detection_loss(heatmaps, target, mask).item() == pytest.approx((1.0 + 0.25) / 2)


def test_a_cell_with_a_keypoint_counts_for_more_by_its_target():
    heatmaps = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 1, 3)
    target = torch.tensor([1.0, 0.5, 0.0]).view(1, 1, 1, 3)
    loss = detection_loss(heatmaps, target, torch.ones(1, 1, 3, dtype=torch.bool), foreground=9.0)
    assert loss.item() == pytest.approx((10 * 1 + 5.5 * 0 + 1 * 1) / 3)


def test_an_empty_prediction_costs_what_the_field_notes_say():
    """30 keypoints, sigma 2, 17 maps of 128 x 128: about 30 * pi * sigma^2 / (17 * 128^2) = 1.35e-3."""
    from hggbook.detector import render

    keypoints = torch.zeros(2, 17, 3)
    keypoints[:, :15, 2] = 2
    keypoints[0, :, :2], keypoints[1, :, :2] = 120, 390
    target = render(keypoints, torch.zeros(2, dtype=torch.int64), 1, (128, 128), 4)
    loss = detection_loss(torch.zeros(1, 4, 17, 128, 128), target, torch.ones(1, 128, 128, dtype=torch.bool))
    assert loss.item() == pytest.approx(30 * math.pi * 4 / (17 * 128**2), rel=0.01)


def test_detection_of_a_batch_is_the_mean_of_its_images_or_over_the_global_batch():
    generator = torch.Generator().manual_seed(0)
    heatmaps, target = torch.rand(3, 2, 4, 5, 6, generator=generator), torch.rand(3, 4, 5, 6, generator=generator)
    mask = torch.rand(3, 5, 6, generator=generator) > 0.3
    alone = [detection_loss(heatmaps[i : i + 1], target[i : i + 1], mask[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(detection_loss(heatmaps, target, mask), torch.stack(alone).mean())
    two_ranks = detection_loss(heatmaps[:1], target[:1], mask[:1], 3) + detection_loss(
        heatmaps[1:], target[1:], mask[1:], 3
    )
    torch.testing.assert_close(two_ranks, torch.stack(alone).mean())


def test_detection_ignores_what_is_masked():
    heatmaps = torch.randn(1, 1, 2, 3, 3, requires_grad=True)
    mask = torch.zeros(1, 3, 3, dtype=torch.bool)
    loss = detection_loss(heatmaps, torch.zeros(1, 2, 3, 3), mask)
    loss.backward()
    assert loss == 0
    assert heatmaps.grad.abs().sum() == 0


# ---- pull and push -------------------------------------------------------------------------------------------------


def test_two_people_by_hand():
    """Person 0 reads 1 and 2 (mean 1.5), person 1 reads 3 only.

    pull = (0.25 + 0) / 2; push = half of exp(-1.5^2), or of the hinge 2 - 1.5.
    """
    embeddings, keypoints, batch = scene((0, {0: 1.0, 1: 2.0}), (0, {0: 3.0}))
    pull, push = pull_push(embeddings, keypoints, batch, STRIDE)
    assert pull.item() == pytest.approx(0.125)
    assert push.item() == pytest.approx(0.5 * math.exp(-2.25))
    _, push = pull_push(embeddings, keypoints, batch, STRIDE, kind="hinge", margin=2.0)
    assert push.item() == pytest.approx(0.25)
    _, push = pull_push(embeddings, keypoints, batch, STRIDE, kind="hinge", margin=1.0)
    assert push == 0


def test_three_people_average_over_three_pairs():
    _, push = pull_push(*scene((0, {0: 0.0}), (0, {0: 1.0}), (0, {0: 3.0})), STRIDE)
    assert push.item() == pytest.approx(0.5 * (math.exp(-1) + math.exp(-9) + math.exp(-4)) / 3)


def test_more_channels_do_not_change_the_loss_of_equal_channels():
    one = scene((0, {0: 1.0, 1: 2.0}), (0, {0: 3.0}))
    three = scene((0, {0: 1.0, 1: 2.0}), (0, {0: 3.0}), d=3)
    for kind in ("exp", "hinge"):
        for a, b in zip(pull_push(*one, STRIDE, kind=kind), pull_push(*three, STRIDE, kind=kind)):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", ["exp", "hinge"])
def test_one_person_has_nobody_to_be_pushed_from(kind):
    embeddings, keypoints, batch = scene((0, {0: 1.0, 1: 2.0}))
    embeddings.requires_grad_()
    pull, push = pull_push(embeddings, keypoints, batch, STRIDE, kind=kind)
    assert (pull.item(), push.item()) == (0.25, 0)
    push.backward()
    assert embeddings.grad.abs().sum() == 0


@pytest.mark.parametrize("kind", ["exp", "hinge"])
@pytest.mark.parametrize("people", [(), ((0, {}), (0, {}))])
def test_nobody_gives_a_finite_zero_with_a_zero_gradient(kind, people):
    embeddings, keypoints, batch = scene(*people)
    embeddings.requires_grad_()
    pull, push = pull_push(embeddings, keypoints, batch, STRIDE, kind=kind)
    assert pull == 0
    assert push == 0
    (pull + push).backward()
    assert embeddings.grad.abs().sum() == 0


def test_people_without_a_keypoint_on_the_map_do_not_count():
    embeddings, keypoints, batch = scene((0, {0: 1.0, 1: 2.0}), (0, {0: 3.0}), (0, {0: 3.0}), (0, {}))
    keypoints[2, 0, 0] = 400  # off the map
    keypoints[3] = math.nan
    keypoints[3, :, 2] = 0  # not labelled, position unknown
    expected = pull_push(*scene((0, {0: 1.0, 1: 2.0}), (0, {0: 3.0})), STRIDE)
    torch.testing.assert_close(pull_push(embeddings, keypoints, batch, STRIDE), expected)


def test_occluded_keypoints_are_read_too():
    embeddings, keypoints, batch = scene((0, {0: 1.0, 1: 2.0}), (0, {0: 3.0}))
    expected = pull_push(embeddings, keypoints, batch, STRIDE)
    keypoints[0, 0, 2] = 1
    torch.testing.assert_close(pull_push(embeddings, keypoints, batch, STRIDE), expected)


def test_the_embedding_is_read_in_the_cell_that_contains_the_keypoint_or_in_the_ae_codes():
    embeddings = torch.arange(4.0).view(1, 1, 1, 1, 1, 4)
    keypoints = torch.tensor([[[3.7, 1.0, 2]], [[12.0, 1.0, 2]]])  # cells 1 and 3; cut off: 0 and 3
    batch = torch.tensor([0, 0])
    _, push = pull_push(embeddings, keypoints, batch, STRIDE)
    assert push.item() == pytest.approx(0.5 * math.exp(-4))
    _, push = pull_push(embeddings, keypoints, batch, STRIDE, truncate=True)
    assert push.item() == pytest.approx(0.5 * math.exp(-9))


@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("kind", ["exp", "hinge"])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_plain_loops(seed, kind, truncate):
    embeddings, keypoints, batch = random_scene(seed=seed)
    pull, push = pull_push(embeddings, keypoints, batch, STRIDE, kind=kind, margin=1.3, truncate=truncate)
    expected = by_loops(embeddings, keypoints, batch, kind, 1.3, truncate)
    assert pull.item() == pytest.approx(float(expected[0]))
    assert push.item() == pytest.approx(float(expected[1]))
    assert push > 0


def test_a_batch_is_the_mean_of_its_images_or_a_sum_over_the_global_batch():
    embeddings, keypoints, batch = random_scene()
    together = torch.stack(pull_push(embeddings, keypoints, batch, STRIDE))
    alone = [
        torch.stack(pull_push(embeddings[i : i + 1], keypoints[batch == i], batch[batch == i] * 0, STRIDE))
        for i in range(5)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean(0))
    ranks = [
        torch.stack(pull_push(embeddings[s], keypoints[r], batch[r] - s.start, STRIDE, num_images=5))
        for s, r in ((slice(0, 2), batch < 2), (slice(2, 5), batch >= 2))
    ]
    torch.testing.assert_close(together, sum(ranks))


@pytest.mark.parametrize("kind", ["exp", "hinge"])
def test_gradients_are_right_through_the_means(kind):
    embeddings, keypoints, batch = random_scene(images=5, stacks=1, types=3, d=2, size=(6, 7))
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: pull_push(e, keypoints, batch, STRIDE, kind=kind, margin=1.3), (embeddings,), fast_mode=True
    )


def test_the_hinge_still_pushes_where_the_exponential_hardly_does():
    """Two people 0.001 apart: the exponential's gradient is a thousandth, the hinge's is 1 (times one half)."""
    for kind, size in (("exp", 0.001), ("hinge", 0.5)):
        embeddings, keypoints, batch = scene((0, {0: 0.0}), (0, {0: 0.001}))
        embeddings.requires_grad_()
        pull_push(embeddings, keypoints, batch, STRIDE, kind=kind)[1].backward()
        assert embeddings.grad.abs().max().item() == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize("kind", ["exp", "hinge"])
def test_equal_embeddings_give_no_nan(kind):
    embeddings, keypoints, batch = scene((0, {0: 1.0}), (0, {0: 1.0}))
    embeddings.requires_grad_()
    pull_push(embeddings, keypoints, batch, STRIDE, kind=kind)[1].backward()
    assert embeddings.grad.isfinite().all()


def test_unknown_kind():
    with pytest.raises(ValueError, match="push kind: expected one of .*got 'max'"):
        pull_push(*scene((0, {0: 1.0})), STRIDE, kind="max")
