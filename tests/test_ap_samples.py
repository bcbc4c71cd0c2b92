"""Bootstrap samples of AP: AP itself is pycocotools', and a sample is the AP of those images."""

import numpy as np
import pytest

from hggbook.compare.ap_samples import ap_samples
from hggbook.data.coco import read_annotations
from hggbook.data.source import scene_set
from hggbook.evaluate import coco_ap


@pytest.fixture(scope="module")
def scored():
    """Twelve scenes; every person is found, nearly, with a score that says little, and there are false ones."""
    scenes = scene_set("crowd", 12, seed=3, size=64)
    truth = read_annotations(scenes.annotations, scenes.skeleton)
    rng = np.random.default_rng(0)
    results = []
    for annotation in truth.anns.values():
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        points[:, :2] += rng.normal(scale=rng.choice([0.5, 2.0, 8.0]), size=(len(points), 2))
        points[:, 2] = 1
        base = {"image_id": annotation["image_id"], "category_id": annotation["category_id"]}
        results.append(base | {"keypoints": points.flatten().tolist(), "score": float(rng.random())})
        points[:, :2] = rng.random((len(points), 2)) * 64
        results.append(base | {"keypoints": points.flatten().tolist(), "score": float(rng.random())})
    return truth, results


def test_ap_over_all_images_is_that_of_pycocotools(scored):
    truth, results = scored
    value, samples = ap_samples(results, truth, repeats=50)
    assert value == pytest.approx(coco_ap(results, truth)["AP"], abs=1e-12)
    assert 0 < value < 1
    assert samples.std() > 0
    assert abs(samples.mean() - value) < 3 * samples.std()


def test_a_sample_that_draws_every_image_equally_often_has_the_same_ap(scored, monkeypatch):
    truth, results = scored
    ids = sorted(truth.imgs)

    class Drawn:
        def integers(self, images, size):
            return np.stack([np.arange(images), np.zeros(images, int) + 4])

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Drawn())
    value, samples = ap_samples(results, truth, repeats=2)
    assert samples[0] == pytest.approx(value)
    # drawn twelve times, one image has the AP that it has alone (but for the precision within ties)
    alone = [result for result in results if result["image_id"] == ids[4]]
    assert samples[1] == pytest.approx(coco_ap(alone, truth, [ids[4]])["AP"], abs=0.02)


def test_the_same_seed_draws_the_same_images(scored):
    truth, results = scored
    assert (ap_samples(results, truth, repeats=5)[1] == ap_samples(results, truth, repeats=5)[1]).all()
    assert (ap_samples(results, truth, repeats=5)[1] != ap_samples(results, truth, repeats=5, seed=1)[1]).any()


def test_without_results_it_is_zero_and_without_people_an_error(scored):
    truth, _ = scored
    value, samples = ap_samples([], truth, repeats=3)
    assert value == 0
    assert samples.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="no image has an annotated person"):
        ap_samples([], truth, [])
