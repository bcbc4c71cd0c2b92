"""COCO results and AP: hand-computed cases, and pycocotools called directly as the oracle."""

import contextlib
import copy
import errno
import io
import json
import os

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO as CocoIndex
from pycocotools.cocoeval import COCOeval

from hggbook.data.annotations import read_annotations
from hggbook.evaluate import (
    MEASURES,
    coco_ap,
    coco_report,
    crowd_report,
    to_coco_results,
    write_results,
)
from hggbook.skeleton import COCO, CROWDPOSE
from hggbook.types import Poses


def truth(people, skeleton=COCO, images=3):
    """A COCO dictionary of (image id, keypoints (K, 3), area)."""
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 640, "height": 480} for i in range(1, images + 1)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}],
        "annotations": [
            {
                "id": n, "image_id": image, "category_id": 1, "iscrowd": 0, "area": area, "bbox": [0, 0, 100, 100],
                "keypoints": np.asarray(points, dtype=float).ravel().tolist(),
                "num_keypoints": int((np.asarray(points)[:, 2] > 0).sum()),
            }
            for n, (image, points, area) in enumerate(people, start=1)
        ],
    }  # fmt: skip


def write(folder, data):
    path = folder / "truth.json"
    path.write_text(json.dumps(data))
    return path


def random_people(seed, count, k=17, images=3, labelled=0.7):
    rng = np.random.default_rng(seed)
    people = []
    for _ in range(count):
        points = np.concatenate([rng.uniform(50, 400, (k, 2)), 2.0 * (rng.random((k, 1)) < labelled)], axis=1)
        points[points[:, 2] == 0] = 0
        people.append((int(rng.integers(1, images + 1)), points, float(rng.choice([900, 3000, 20000]))))
    return people


def random_results(seed, people, noise=8.0):
    """The people, moved; some left out, some doubled with another score."""
    rng = np.random.default_rng(seed)
    results = []
    for image, points, _ in people:
        for _ in range(int(rng.integers(0, 3))):
            moved = points + rng.normal(0, noise * rng.random(), points.shape)
            moved[:, 2] = 1
            results.append(
                {"image_id": image, "category_id": 1, "keypoints": moved.ravel().tolist(), "score": rng.random()}
            )
    return results


def directly(path, results, image_ids=None, sigmas=None):
    """Pycocotools as its documentation uses it."""
    with contextlib.redirect_stdout(io.StringIO()):
        index = CocoIndex(str(path))
        evaluation = COCOeval(index, index.loadRes(copy.deepcopy(results)), "keypoints")
        if image_ids is not None:
            evaluation.params.imgIds = image_ids
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(MEASURES, evaluation.stats.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_ap_is_what_pycocotools_says(tmp_path, seed):
    people = random_people(seed, 12)
    path, results = write(tmp_path, truth(people)), random_results(seed, people)
    scores = coco_ap(results, path)
    assert scores == directly(path, results)
    assert 0 < scores["AP"] < 1
    assert coco_ap(results, read_annotations(path)) == scores
    assert coco_ap(results, path, image_ids=[3, 1]) == directly(path, results, image_ids=[1, 3])


def test_ap_of_another_skeleton_uses_its_sigmas(tmp_path):
    people = random_people(0, 12, k=14)
    path, results = write(tmp_path, truth(people, CROWDPOSE)), random_results(0, people)
    assert coco_ap(results, path, skeleton=CROWDPOSE) == directly(path, results, sigmas=CROWDPOSE.sigmas)


def test_ap_by_crowd_index_is_ap_of_the_images_of_each_level(tmp_path):
    people = random_people(1, 12, k=14)
    data = truth(people, CROWDPOSE)
    for image, crowding in zip(data["images"], (0.0, 0.5, 0.9)):
        image["crowdIndex"] = crowding
    path, results = write(tmp_path, data), random_results(1, people)
    index = read_annotations(path, CROWDPOSE)
    found = crowd_report(results, index, skeleton=CROWDPOSE)
    assert list(found) == ["easy", "medium", "hard"]
    for level, image in zip(found, data["images"]):
        alone = [result for result in results if result["image_id"] == image["id"]]
        assert found[level] == coco_ap(alone, index, [image["id"]], CROWDPOSE)["AP"]
    assert list(crowd_report(results, index, [data["images"][1]["id"]], CROWDPOSE)) == ["medium"]
    assert crowd_report(results, read_annotations(write(tmp_path, truth(people, CROWDPOSE)), CROWDPOSE)) == {}


def one_keypoint(x, y, kind=0):
    points = np.zeros((17, 3))
    points[kind] = x, y, 2
    return points


def result(points, image=1, score=1.0):
    return {"image_id": image, "category_id": 1, "score": score, "keypoints": np.asarray(points).ravel().tolist()}


def test_ap_by_hand(tmp_path):
    # One nose, 2 px off: OKS = exp(-4 / (2 area (2 sigma)^2)). With the area below it is 0.72, which passes the
    # thresholds 0.50, 0.55, 0.60, 0.65, 0.70 of ten: AP = AR = 0.5.
    area = 4 / (2 * (2 * 0.026) ** 2 * -np.log(0.72))
    path = write(tmp_path, truth([(1, one_keypoint(100, 100), area)]))
    scores = coco_ap([result(one_keypoint(102, 100))], path)
    assert scores["AP"] == pytest.approx(0.5)
    assert (scores["AP50"], scores["AP75"], scores["AR"]) == pytest.approx((1, 0, 0.5))


def test_false_positives_on_images_without_people_count_unless_left_out(tmp_path):
    data = truth([(1, one_keypoint(100, 100), 5000.0), (3, one_keypoint(50, 50), 5000.0)])
    data["annotations"][1]["iscrowd"] = 1  # a crowd is nobody in particular
    path = write(tmp_path, data)
    results = [result(one_keypoint(100, 100), score=0.5), result(one_keypoint(9, 9), image=2, score=0.9)]
    report = coco_report(results, path)
    assert report["all_images"]["AP"] == pytest.approx(0.5)  # the better scored pose is wrong: precision 1/2
    assert report["person_images"]["AP"] == pytest.approx(1)
    assert (report["all_images"]["images"], report["person_images"]["images"]) == (3, 1)
    assert coco_report(results, path, image_ids=[2, 3])["all_images"]["images"] == 2


def test_perfect_results_score_one(tmp_path):
    people = random_people(1, 9)
    scores = coco_ap([result(points, image) for image, points, _ in people], write(tmp_path, truth(people)))
    assert (scores["AP"], scores["AR"], scores["AP75"], scores["AR50"]) == pytest.approx((1, 1, 1, 1))


def test_no_results_score_zero(tmp_path):
    path = write(tmp_path, truth([(1, one_keypoint(5, 5), 5000.0), (2, one_keypoint(5, 5), 20000.0)]))
    assert coco_ap([], path) == dict.fromkeys(MEASURES, 0.0)


def test_nothing_annotated_scores_minus_one_as_pycocotools_has_it(tmp_path):
    path = write(tmp_path, truth([]))
    assert coco_ap([], path) == dict.fromkeys(MEASURES, -1.0)
    assert coco_ap([result(one_keypoint(5, 5))], path) == dict.fromkeys(MEASURES, -1.0)
    assert coco_report([], path)["person_images"]["images"] == 0


def test_evaluation_is_silent_and_leaves_its_arguments_alone(tmp_path, capfd):
    people = random_people(2, 5)
    path, results = write(tmp_path, truth(people)), random_results(3, people)
    before = copy.deepcopy(results)
    coco_ap(results, path)
    assert results == before
    assert capfd.readouterr() == ("", "")


def test_results_that_do_not_belong_to_the_annotations_are_errors(tmp_path):
    path = write(tmp_path, truth([(1, one_keypoint(5, 5), 5000.0)]))
    with pytest.raises(ValueError, match=r"images \[77\] are not in the annotations"):
        coco_ap([result(one_keypoint(5, 5), image=77)], path)
    with pytest.raises(ValueError, match=r"images \[8, 9\] are not"):
        coco_ap([], path, image_ids=[1, 9, 8])
    with pytest.raises(ValueError, match=r"results have category \[2\], the annotations \[1\]"):
        coco_ap([result(one_keypoint(5, 5)) | {"category_id": 2}], path)
    with pytest.raises(ValueError, match=r"14 keypoints of skeleton 'crowdpose'"):
        coco_ap([], path, skeleton=CROWDPOSE)
    with pytest.raises(ValueError, match="nowhere.json: cannot be read"):
        coco_ap([], tmp_path / "nowhere.json")


def poses(*people, num_images=1, batch=None):
    """People as dicts type -> (x, y, score)."""
    keypoints = torch.zeros(len(people), 17, 3)
    for row, person in zip(keypoints, people, strict=True):
        for kind, values in person.items():
            row[kind] = torch.tensor(values)
    return Poses(
        keypoints=keypoints,
        score=torch.arange(1, len(people) + 1) / 10,
        batch=torch.zeros(len(people), dtype=torch.int64) if batch is None else torch.tensor(batch),
        num_images=num_images,
    )


def test_results_by_hand():
    found = poses({0: (10.0, 20.0, 0.9), 4: (30.0, 60.0, 0.2)})
    (mean,) = to_coco_results(found, torch.tensor([42]))
    assert (mean["image_id"], mean["category_id"], mean["score"]) == (42, 1, pytest.approx(0.1))
    points = np.array(mean["keypoints"]).reshape(17, 3)
    assert points[0].tolist() == [10, 20, 1]
    assert points[4].tolist() == [30, 60, 1]
    assert (np.delete(points, [0, 4], axis=0) == [20, 40, 1]).all()  # absent: the mean of those found
    (zero,) = to_coco_results(found, torch.tensor([42]), absent="zero", category=3)
    assert zero["category_id"] == 3
    assert (np.delete(np.array(zero["keypoints"]).reshape(17, 3), [0, 4], axis=0) == [0, 0, 1]).all()


def test_results_of_a_batch_carry_the_ids_of_their_images():
    nose = {0: (1.0, 2.0, 0.5)}
    found = poses(nose, nose, {}, nose, num_images=4, batch=[0, 2, 2, 2])
    results = to_coco_results(found, torch.tensor([9, 8, 7, 6]))
    assert [r["image_id"] for r in results] == [9, 7, 7]
    assert [r["score"] for r in results] == pytest.approx([0.1, 0.2, 0.4])  # the pose without a keypoint is left out
    assert to_coco_results(poses(num_images=2), torch.tensor([1, 2])) == []


def test_results_that_make_no_sense_are_errors():
    found = poses({0: (1.0, 2.0, 0.5)})
    with pytest.raises(ValueError, match="poses of 1 images, ids of 2"):
        to_coco_results(found, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="'mean' or 'zero'"):
        to_coco_results(found, torch.tensor([1]), absent="nowhere")
    with pytest.raises(ValueError, match="expected finite keypoints and scores"):
        to_coco_results(poses({0: (float("nan"), 2.0, 0.5)}), torch.tensor([1]))


def test_written_results_are_read_by_pycocotools(tmp_path):
    path = write(tmp_path, truth([(1, one_keypoint(5, 5), 5000.0)]))
    results = to_coco_results(poses({0: (5.0, 5.0, 0.5), 3: (9.0, 9.0, 0.1)}), torch.tensor([1]))
    write_results(results, tmp_path / "new" / "results.json")
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == results
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = CocoIndex(str(path)).loadRes(str(tmp_path / "new" / "results.json"))
    assert len(loaded.anns) == 1
    assert coco_ap(results, path)["AP"] == pytest.approx(1)
    write_results([], tmp_path / "empty.json")
    assert json.loads((tmp_path / "empty.json").read_text()) == []


@pytest.mark.parametrize("bad", [[{"score": float("nan")}], [{"score": object()}]])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, bad):
    write_results([{"score": 1.0}], tmp_path / "results.json")
    with pytest.raises(ValueError, match=r"results\.json: not COCO results"):
        write_results(bad, tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == [{"score": 1.0}]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match=r"results\.json: cannot be written: No space left"):
        write_results([], tmp_path / "results.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_data
def test_real_annotations_scored_against_themselves_and_moved(real_file):
    path = real_file("coco/person_keypoints_dev.json")
    people = [a for a in json.loads(path.read_text())["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    own = [{key: a[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0} for a in people]
    scores = coco_ap(own, path)
    assert scores["AP"] == pytest.approx(1)
    moved = [r | {"keypoints": (np.array(r["keypoints"]) + 3.0).tolist()} for r in own]
    assert coco_ap(moved, path) == directly(path, moved)
    assert 0.1 < coco_ap(moved, path)["AP"] < 0.9
