"""People in pictures of any size: geometry there and back, order, batches, and records."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO as CocoIndex

import hggbook
from hggbook.config import preset
from hggbook.data.pictures import Picture
from hggbook.data.scenes import render_scene, scene_config
from hggbook.data.transforms import fit_affine
from hggbook.decode import decode
from hggbook.evaluate import coco_ap
from hggbook.model import build
from hggbook.overlay import draw_overlay
from hggbook.predict import (
    ROW,
    Found,
    best_people,
    coco_image,
    coco_results,
    inside,
    look,
    only_scenes,
    predict,
    prepare,
)
from hggbook.predict import rows as listed
from hggbook.skeleton import COCO
from hggbook.tta import with_views
from hggbook.types import Candidates, Maps, Poses


@pytest.fixture(scope="module")
def trained():
    return hggbook.load("scenes-tiny")


def scenes(count=3, seed=2):
    """Scenes of different sizes, rendered here."""
    sizes = [(192, 192), (256, 160), (150, 220)]
    configs = [scene_config("easy", width=w, height=h) for w, h in sizes]
    return [render_scene(configs[i % 3], seed + i) for i in range(count)]


def some(*people):
    """Poses of one image from lists of (type, x, y, score)."""
    keypoints = torch.zeros(len(people), 17, 3)
    for row, points in enumerate(people):
        for kind, *place in points:
            keypoints[row, kind] = torch.tensor(place)
    return Poses(keypoints, keypoints[..., 2].mean(1), torch.zeros(len(people), dtype=torch.int64), 1)


@given(width=st.integers(1, 400), height=st.integers(1, 400), size=st.sampled_from([64, 128]))
def test_to_image_undoes_the_fit(width, height, size):
    batch = prepare([np.zeros((height, width, 3), np.uint8)], size)
    corners = np.array([[0.0, 0.0], [width - 1.0, 0.0], [0.0, height - 1.0], [width - 1.0, height - 1.0]])
    into = fit_affine(width, height, size)
    there = corners @ into[:2, :2].T + into[:2, 2]
    assert (there > -0.5 - 1e-9).all()
    assert (there < size - 0.5 + 1e-9).all()
    back = batch.to_image[0].double().numpy()
    assert np.abs(there @ back[:, :2].T + back[:, 2] - corners).max() < 1e-3
    assert batch.images.shape == (1, 3, size, size)


def test_people_of_scenes_are_found_where_they_are(trained):
    model, config = trained
    drawn = scenes(3)
    found = list(predict(model, config, [Picture(s.image, f"{i}.png") for i, s in enumerate(drawn)], min_score=0.3))
    assert [f.image_id for f in found] == [1, 2, 3]
    for one, scene in zip(found, drawn, strict=True):
        best = one.poses.keypoints[0]
        present = best[:, 2] > 0
        seen = torch.from_numpy(scene.keypoints)
        off = (seen[:, :, :2] - best[:, :2]).norm(dim=2).masked_fill((seen[:, :, 2] == 0) | ~present, torch.nan)
        nearest = off.nanmedian(dim=1).values.nan_to_num(1e9).min()
        assert nearest < 0.04 * max(scene.image.shape)  # most of its keypoints lie on one of the scene's people


def test_pictures_come_out_alike_in_any_batch_and_order(trained):
    model, config = trained
    pictures = [Picture(s.image, f"{i}") for i, s in enumerate(scenes(5))]
    alone = list(predict(model, config, pictures, batch_size=1))
    for one, other in zip(alone, predict(model, config, pictures, batch_size=3), strict=True):
        assert one.picture is other.picture
        assert one.image_id == other.image_id
        torch.testing.assert_close(one.poses.keypoints, other.poses.keypoints, atol=1e-3, rtol=1e-4)


def test_it_is_the_models_own_pass_decoded(trained):
    model, config = trained
    image = scenes(1)[0].image
    (found,) = predict(model, config, [Picture(image, "")], min_score=0.2)
    batch = prepare([image], config.detector.input_size)
    with torch.no_grad():
        output = model(batch.images)
    poses = decode(output.candidates, output.grouping.person, batch.to_image, 17)
    poses = best_people(inside(poses, 192, 192), 0.2)
    torch.testing.assert_close(found.poses.keypoints, poses.keypoints)
    seen = look(model, config, image, min_score=0.2)
    torch.testing.assert_close(seen.poses.keypoints, poses.keypoints)
    torch.testing.assert_close(seen.output.candidates.xy, output.candidates.xy)


def test_another_grouper_and_several_views_are_used(trained):
    model, config = trained
    picture = Picture(scenes(1)[0].image, "")
    called = []

    def nobody(candidates: Candidates) -> torch.Tensor:
        called.append(candidates)
        return torch.full_like(candidates.type, -1)

    tested, seen = with_views(model, config, flip=True)
    (found,) = predict(tested, seen, [picture], group=nobody)
    assert len(found.poses.score) == 0
    assert called[0].embedding.shape[1] == 2 * config.detector.embedding


def test_large_pictures_are_held_few_at_a_time(trained, monkeypatch):
    model, config = trained
    monkeypatch.setattr("hggbook.predict._PIXELS_AT_ONCE", 2 * 40 * 40)
    sizes = []
    detect = model.detect

    def watched(images: torch.Tensor) -> Maps:
        sizes.append(len(images))
        return detect(images)

    monkeypatch.setattr(model, "detect", watched)
    pictures = (Picture(np.zeros((40, 40, 3), np.uint8), str(i)) for i in range(5))
    assert len(list(predict(model, config, pictures, batch_size=4))) == 5
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (20, 4000), (100, 100)])
def test_a_picture_of_nothing_gives_a_valid_result(trained, shape):
    model, config = trained
    (found,) = predict(model, config, [Picture(np.full((*shape, 3), 128, np.uint8), "grey.png")], min_score=0.3)
    assert coco_results(found) == []
    assert listed(found, COCO) == []
    assert coco_image(found) == {"id": 1, "file_name": "grey.png", "width": shape[1], "height": shape[0]}


def test_no_pictures_give_no_results(trained):
    assert list(predict(*trained, [])) == []


def test_people_are_ordered_by_score_and_cut_off():
    poses = some([(0, 1, 1, 0.5)], [(0, 2, 2, 0.9), (1, 3, 3, 0.9)], [(0, 4, 4, 0.7)])
    assert best_people(poses).keypoints[:, 0, 0].tolist() == [2, 4, 1]
    assert best_people(poses, 0.035).keypoints[:, 0, 0].tolist() == [2, 4]
    assert best_people(poses, most=1).keypoints[:, 0, 0].tolist() == [2]
    assert len(best_people(some()).score) == 0
    with pytest.raises(ValueError, match="expected those of one image, got 2"):
        best_people(poses.replace(num_images=2))


def test_what_lies_beside_the_picture_is_left_out():
    poses = some([(0, -0.4, 9.4, 0.5), (1, 20, -3, 0.9)], [(0, 5, 10, 0.9)])
    kept = inside(poses, 30, 10)
    assert kept.keypoints[:, :, 2].tolist() == [[0.5] + [0.0] * 16]
    assert kept.score.tolist() == pytest.approx([0.5 / 17])


def test_records_say_what_is_absent():
    found = _found(some([(0, 10, 20, 0.5), (4, 30, 60, 0.25)]))
    (result,) = coco_results(found)
    keypoints = np.array(result["keypoints"]).reshape(17, 3)
    assert keypoints[[0, 4]].tolist() == [[10, 20, 0.5], [30, 60, 0.25]]
    assert (keypoints[[1, 2, 3], 2] == 0).all()
    assert (result["image_id"], result["category_id"]) == (7, 1)
    table = listed(found, COCO)
    assert [dict(zip(ROW, row))["keypoint"] for row in table] == ["nose", "right_ear"]
    assert table[0] == (7, "clip.mp4", 30, 1, round(0.75 / 17, 4), "nose", 10.0, 20.0, 0.5)
    assert coco_image(found) == {
        "id": 7, "file_name": "clip.mp4", "width": 100, "height": 80, "frame": 30, "second": 1.0,
    }  # fmt: skip


def test_pycocotools_scores_the_results():
    """The third number of a keypoint is ours; COCO's evaluation must not mind."""
    points = [(k, 10.0 + 3 * k, 20.0 + 2 * k, 0.5) for k in range(17)]
    found = _found(some(points))
    keypoints = [value for _, x, y, _ in points for value in (x, y, 2)]
    truth = {
        "images": [{"id": 7, "width": 100, "height": 80}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "keypoints": keypoints, "num_keypoints": 17,
                         "area": 2000.0, "bbox": [10, 20, 50, 40], "iscrowd": 0}],
    }  # fmt: skip
    index = CocoIndex()
    index.dataset = truth
    index.createIndex()
    assert coco_ap(coco_results(found), index)["AP"] == pytest.approx(1.0)


def test_a_model_without_detector_and_a_batch_of_none_are_refused(trained):
    config = preset("pose")
    with pytest.raises(ValueError, match="has a grouping stage only"):
        predict(build(config, with_detector=False), config, [])
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        predict(*trained, [], batch_size=0)


def test_weights_that_know_scenes_only_are_recognised(trained):
    assert only_scenes(trained[1])
    assert not only_scenes(trained[1].override("data.kind=coco"))


@pytest.mark.parametrize("size", [(1, 1), (48, 64), (300, 500), (2000, 3000)])
def test_an_overlay_shows_each_person_in_a_colour_of_its_own(size):
    height, width = size
    image = np.full((height, width, 3), 90, np.uint8)
    people = [[(5, 0.2 * width, 0.5 * height, 0.9), (6, 0.4 * width, 0.5 * height, 0.9)],
              [(5, 0.6 * width, 0.5 * height, 0.9), (6, 0.8 * width, 0.5 * height, 0.9)]]  # fmt: skip
    drawn = draw_overlay(image, some(*people), COCO)
    factor = drawn.shape[0] // height
    assert drawn.shape == (height * factor, width * factor, 3)
    assert max(drawn.shape) >= 480 or factor == 8
    assert (image == 90).all()  # the picture itself is left alone
    if min(size) > 1:
        for x, colour in ((0.3, (0, 114, 178)), (0.7, (230, 159, 0))):
            pixel = drawn[round((0.5 * height + 0.5) * factor - 0.5), round((x * width + 0.5) * factor - 0.5)]
            assert np.abs(pixel.astype(int) - colour).max() <= 2


def test_an_overlay_of_nobody_is_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (500, 600, 3), np.uint8)
    assert (draw_overlay(image, some(), COCO) == image).all()
    with pytest.raises(ValueError, match="expected one image and 17 keypoint types, got 2 and 17"):
        draw_overlay(image, some().replace(num_images=2), COCO)


def _found(poses):
    return Found(Picture(np.zeros((80, 100, 3), np.uint8), "clip.mp4", 30, 1.0), 7, poses)
