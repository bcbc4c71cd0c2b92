"""Sources of training samples: scenes as poses, the pose track's stream, bad settings."""

import json

import numpy as np
import pytest
import torch

from hggbook.config import preset
from hggbook.data.scenes import PRESETS, render_scene
from hggbook.data.source import scene_poses, training_poses, training_stream
from hggbook.skeleton import COCO


def test_scenes_as_poses_keep_people_and_images():
    scenes = [render_scene(PRESETS["easy"], seed) for seed in range(3)]
    found = scene_poses(scenes)
    assert found.num_images == 3
    assert found.batch.bincount(minlength=3).tolist() == [scene.num_people for scene in scenes]
    np.testing.assert_array_equal(found.keypoints.numpy(), np.concatenate([scene.keypoints for scene in scenes]))
    assert found.size.tolist() == [[256.0, 256.0]] * 3
    with pytest.raises(ValueError, match="expected at least one"):
        scene_poses([])


@pytest.fixture
def config(tmp_path):
    """40 images with 1 to 3 people each, ids 1 to 40, as a COCO file without images."""
    rng = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, 41)]
    annotations = []
    for image in images:
        for _ in range(1 + image["id"] % 3):
            points = np.concatenate([rng.integers(50, 400, (17, 2)), np.full((17, 1), 2)], axis=1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0,
                    "area": 9000.0, "bbox": [50, 50, 350, 350], "num_keypoints": 17,
                    "keypoints": points.flatten().tolist(),
                }
            )  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": []}
    path = tmp_path / "poses.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return preset("tiny").override(
        **{"data.kind": "poses", "data.train": str(path), "data.preset": "hard", "train.batch": 8}
    )


def test_training_leaves_out_tune_test_and_lonely_images(config):
    assert training_poses(config).num_images == 40
    train = training_poses(config.override(**{"data.part": "train", "data.least_people": 2}))
    ids = train.image_id.tolist()
    assert ids == [i for i in range(1, 41) if i % 20 > 1 and i % 3 > 0]


def test_training_leaves_out_the_fullest_images(config):
    everything = training_poses(config)
    people = everything.batch.bincount(minlength=everything.num_images)
    most = int(people.max()) - 1
    few = training_poses(config.override(f"data.most_people={most}"))
    assert few.image_id.tolist() == everything.image_id[people <= most].tolist() != everything.image_id.tolist()


def test_the_pose_stream_can_be_entered_at_any_step_and_split_over_processes(config):
    whole = [batch for batch, _ in zip(training_stream(config), range(12))]
    later = [batch for batch, _ in zip(training_stream(config, step=7), range(5))]
    for (candidates, _), (again, _) in zip(whole[7:], later):
        assert torch.equal(candidates.xy, again.xy)
    halves = [next(training_stream(config, step=3, rank=rank, world=2))[0] for rank in range(2)]
    assert torch.equal(torch.cat([half.xy for half in halves]), whole[3][0].xy)


def test_every_epoch_simulates_anew(config):
    stream = training_stream(config.override("data.augment=false"))
    batches = [next(stream)[0] for _ in range(10)]  # five steps an epoch
    assert len({round(float(batch.embedding.sum()), 4) for batch in batches}) == 10


def test_unknown_simulations_are_named(config):
    with pytest.raises(ValueError, match="simulation 'soft': expected one of .*hard"):
        next(training_stream(config.override("data.preset=soft")))
