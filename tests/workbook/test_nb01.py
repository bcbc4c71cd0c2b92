"""What notebook 01 says in its text, and what its exercises take for granted."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO as CocoIndex
from pycocotools.cocoeval import COCOeval

from hggbook.data.scenes import PRESETS, render_scene, scene_config
from hggbook.skeleton import COCO
from hggbook.workbook.exercises import nb01
from hggbook.workbook.solutions import nb01 as solutions


def pycocotools_oks(poses, people, areas):
    """OKS of every pose with every person, by COCOeval.computeOks."""
    index = CocoIndex()
    annotations = [
        {
            "id": n, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": float(area), "bbox": [0, 0, 300, 300],
            "keypoints": person.ravel().tolist(), "num_keypoints": int((person[:, 2] > 0).sum()),
        }
        for n, (person, area) in enumerate(zip(people, areas), 1)
    ]  # fmt: skip
    index.dataset = {"images": [{"id": 1}], "annotations": annotations, "categories": [{"id": 1}]}
    results = []
    for pose in poses:
        flat = np.concatenate([pose, np.ones((17, 1))], axis=1).ravel().tolist()
        results.append({"image_id": 1, "category_id": 1, "keypoints": flat, "score": 1.0})
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
        evaluation = COCOeval(index, index.loadRes(results), iouType="keypoints")
        evaluation.evaluate()
    return evaluation.ious[1, 1]


@pytest.mark.parametrize("seed", range(8))
def test_the_solution_of_oks_is_pycocotools(seed):
    rng = np.random.default_rng(seed)
    people = nb01._people(rng, 3)
    poses = people[rng.integers(3, size=4), :, :2] + rng.normal(0, 6, (4, 17, 2))
    areas = rng.uniform(200, 20_000, 3)
    expected = pycocotools_oks(poses, people, areas)
    assert 0.01 < expected.max() < 0.999  # the case says something
    np.testing.assert_allclose(solutions.oks(poses, people, areas, nb01.SIGMAS), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_worst_exchange_is_the_one_that_costs_most_oks(seed):
    first, second, areas = nb01._embrace(seed)
    people = np.stack([first, second])
    lost = []
    for kind in range(17):
        poses = people[:, :, :2].copy()
        poses[:, kind] = poses[::-1, kind]
        table = solutions.oks(poses, people, np.array(areas), nb01.SIGMAS)
        lost.append(1 - table.diagonal().mean())
    np.testing.assert_allclose(lost, solutions.exchange_costs(first, second, areas, nb01.SIGMAS))
    assert solutions.worst_exchange(first, second, areas, nb01.SIGMAS) == int(np.argmax(lost))


@pytest.mark.parametrize(("threshold", "foreign"), [(0.5, 8), (0.75, 4), (0.95, 0)])
def test_how_many_foreign_keypoints_a_hit_may_have(threshold, foreign):
    assert (17 - foreign) / 17 >= threshold > (17 - foreign - 1) / 17


def test_hips_are_the_laxest_and_eyes_the_strictest_type():
    by_sigma = [COCO.keypoints[k] for k in np.argsort(COCO.sigmas, kind="stable")]
    assert set(by_sigma[:2]) == {"left_eye", "right_eye"}
    assert set(by_sigma[-2:]) == {"left_hip", "right_hip"}
    assert by_sigma.index("left_eye") < by_sigma.index("left_wrist") < by_sigma.index("left_hip")


def test_the_crowd_index_by_hand():
    people = np.zeros((2, 17, 3))
    people[0, :4] = [[10, 10, 2], [20, 10, 1], [30, 10, 2], [40, 10, 1]]
    people[1, :2] = [[40, 10, 2], [90, 90, 1]]
    boxes = np.array([[0, 0, 40, 20], [35, 0, 60, 95]])
    # in the first box one keypoint of the other (on the edge), of 4 own; in the second one of the first, of 2 own
    assert solutions.crowd_index(people, boxes) == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert solutions.crowd_index(people[:1], boxes[:1]) == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_seen_keypoints_show_their_person_and_nothing_covers_from_afar(preset):
    for seed in range(6):
        scene = render_scene(scene_config(preset, width=192, height=192), seed)
        x, y = np.rint(scene.keypoints[..., :2]).astype(int).transpose(2, 0, 1)
        visible = scene.keypoints[..., 2]
        own = scene.owner[y, x] == np.arange(1, scene.num_people + 1)[:, None]
        assert own[visible == 2].all()
        assert np.isfinite(scene.depth[y, x][visible == 1]).all()  # something is in front, never bare background
        assert not scene.keypoints[visible == 0].any()
