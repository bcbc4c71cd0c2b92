"""Flip and multi-scale testing: views are averaged, mirroring changes nothing but the side, one view is the model."""

import pytest
import torch

from hggbook.skeleton import COCO
from hggbook.tta import with_views

from .grouping.builders import same_partition
from .test_model import SMALL, images, model_of

FLIP = torch.tensor(COCO.flip_order)


def viewed(model, **how):
    return with_views(model, SMALL, **how)


def test_one_view_is_the_model_itself():
    model = model_of()
    tested, config = viewed(model, flip=False)
    assert config == SMALL
    with torch.no_grad():
        expected, found = model(images(2)), tested(images(2))
    assert torch.equal(found.candidates.xy, expected.candidates.xy)
    assert torch.equal(found.candidates.embedding, expected.candidates.embedding)
    assert torch.equal(found.grouping.person, expected.grouping.person)


def test_a_flipped_view_by_hand():
    model = model_of()
    picture = images(1)
    with torch.no_grad():
        found = viewed(model)[0].detect(picture)
        plain, mirrored = model.detect(picture), model.detect(picture.flip(-1))
    heat = (plain.heatmaps[:, -1] + mirrored.heatmaps[:, -1].flip(-1)[:, FLIP]) / 2
    torch.testing.assert_close(found.heatmaps[:, 0], heat)
    torch.testing.assert_close(found.embeddings[:, 0, :, :1], plain.embeddings[:, -1])
    torch.testing.assert_close(found.embeddings[:, 0, :, 1:], mirrored.embeddings[:, -1].flip(-1)[:, FLIP])


@pytest.mark.parametrize("reading", ["literal", "pairwise"])
def test_a_mirrored_image_gives_the_mirrored_people(reading):
    tested, _ = viewed(model_of(**{"grouping.reading": reading}))
    picture = images(1)
    with torch.no_grad():
        one, other = tested(picture), tested(picture.flip(-1))
    # Where each candidate of the one lies in the other, by its type and cell.
    key = torch.cat([one.candidates.xy, one.candidates.type[:, None]], dim=1)
    mirrored = [63 - other.candidates.xy[:, :1], other.candidates.xy[:, 1:], FLIP[other.candidates.type][:, None]]
    gap = (key[:, None] - torch.cat(mirrored, dim=1)).abs().amax(dim=2)
    assert gap.amin(dim=1).max() < 1e-3
    row = gap.argmin(dim=1)
    torch.testing.assert_close(one.candidates.score, other.candidates.score[row])
    torch.testing.assert_close(one.candidates.embedding, other.candidates.embedding[row].flip(1))
    assert one.grouping.rounds.min() > 0
    assert same_partition(one.grouping.person, other.grouping.person[row])


@pytest.mark.parametrize("reading", ["literal", "pairwise"])
def test_the_logits_are_the_mean_of_the_views(reading):
    model = model_of(**{"grouping.reading": reading})
    tested, _ = viewed(model)
    with torch.no_grad():
        candidates = tested.propose(tested.detect(images(2)))
        seen = candidates.replace(embedding=candidates.embedding[:, :1])
        xy = torch.stack([63 - seen.xy[:, 0], seen.xy[:, 1]], dim=1)
        mirror = seen.replace(embedding=candidates.embedding[:, 1:], xy=xy, type=FLIP[seen.type])
        found, one, other = tested.score_pairs(candidates), model.score_pairs(seen), model.score_pairs(mirror)
    assert torch.equal(found.edge_index, one.edge_index)
    assert torch.equal(found.edge_index, other.edge_index)
    torch.testing.assert_close(found.logit, (one.logit + other.logit) / 2)


def test_scales_share_one_frame_and_embeddings_come_from_scale_one():
    model = model_of()
    tested, config = viewed(model, scales=(0.5, 1, 2))
    assert config.detector.input_size == 128
    assert tested.sides == (32, 64, 128)
    large = torch.nn.functional.interpolate(images(1), (128, 128), mode="nearest")  # its half is the image again
    with torch.no_grad():
        found = tested(large)
        base = model.detect(torch.nn.functional.interpolate(large, (64, 64), mode="bilinear", antialias=True))
    assert found.maps.heatmaps.shape == (1, 1, 17, 32, 32)
    assert found.maps.embeddings.shape == (1, 1, 17, 2, 32, 32)
    coarse = torch.nn.functional.interpolate(base.embeddings[:, -1, :, 0], (32, 32), mode="bilinear")
    torch.testing.assert_close(found.maps.embeddings[:, 0, :, 0], coarse)
    assert found.candidates.size.tolist() == [[128.0, 128.0]]


def test_a_batch_equals_its_images_one_by_one():
    tested, _ = viewed(model_of(), scales=(1, 2))
    batch = torch.nn.functional.interpolate(images(3), (128, 128))
    with torch.no_grad():
        together = tested(batch)
        for number in range(3):
            alone = tested(batch[number : number + 1])
            mine = together.candidates.batch == number
            torch.testing.assert_close(alone.candidates.xy, together.candidates.xy[mine])
            assert same_partition(alone.grouping.person, together.grouping.person[mine])


@pytest.mark.parametrize("scales", [(), (0.5, 2), (1, 0), (1, -1), (1, 5), (1, float("nan")), (1, 1.01, 1.02), (1, 1)])
def test_scales_that_make_no_sense_are_named(scales):
    with pytest.raises(ValueError, match="scales"):
        viewed(model_of(), scales=scales)


def test_images_of_another_size_are_named():
    tested, _ = viewed(model_of(), scales=(1, 2))
    with pytest.raises(ValueError, match="128 x 128"):
        tested(images(1))


def test_weights_are_shared_and_the_model_is_left_as_it_was():
    model = model_of()
    before = model.state_dict()
    tested, _ = viewed(model)
    tested.ohgc.cut = 5.0
    assert tested.gnn is model.gnn
    assert model.ohgc.cut == -0.5
    assert before.keys() == model.state_dict().keys()
    assert not tested.training
